/**
 * A database put back to an earlier state under devices that were acknowledged more than it knows: they send again what they
 * kept. Arguments: declared|unnoticed (does the operator say that it was restored?), devices. Prints one JSON line.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { coreFactory } from "../../js-glue/core/load.ts";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import { StormClient } from "./storm-client.ts";

const [how = "declared", deviceCount = "6"] = process.argv.slice(2);
const LOAD_MS = 3_000;
const DRAIN_MS = 60_000;
const folder = mkdtempSync(join(tmpdir(), "oas-restore-"));
const file = join(folder, "data.sqlite");
const backup = join(folder, "backup.sqlite");

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const port = await freePort();
let child: ChildProcess;
let key = "";
async function start(restored: boolean): Promise<string> {
  const program = fileURLToPath(new URL("storm-server.main.js", import.meta.url));
  child = spawn(process.execPath, [program, `sqlite:${file}`, String(port), key, restored ? "restored" : ""], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const ready = JSON.parse(line) as { url: string; key: string };
  key = ready.key;
  return ready.url;
}
async function stop(): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

const url = await start(false);
const wasm = new URL("core-base.wasm", import.meta.resolve("#glue.mjs"));
const core = coreFactory({ wasmBinary: new Uint8Array(readFileSync(wasm)) });
const clients = Array.from({ length: Number(deviceCount) }, () => new StormClient(url, key, core));
for (const client of clients) await client.start();
const acked = (): number => clients.reduce((sum, client) => sum + client.acked.size, 0);
const waiting = (): number => clients.reduce((sum, client) => sum + client.waiting, 0);

async function load(ms: number): Promise<void> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    for (const client of clients) if (client.waiting < 100) client.add(5);
    await sleep(5);
  }
}
async function drain(): Promise<void> {
  const until = performance.now() + DRAIN_MS;
  while (waiting() > 0 && performance.now() < until) {
    for (const client of clients) client.wake();
    await sleep(100);
  }
}

await load(LOAD_MS);
await drain();
await stop(); // a clean end folds the log into the file, so that a copy of it is whole
copyFileSync(file, backup);
const atBackup = acked();
await start(false);
await load(LOAD_MS);
await drain();
const atLoss = acked();
await stop();
for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
copyFileSync(backup, file);
if (how === "unnoticed" && existsSync(`${file}.install`)) rmSync(`${file}.install`);
await start(how === "declared");
await load(500);
await drain();

async function effects(): Promise<{ lost: number; twice: number }> {
  const store = await openStore(`sqlite:${file}`, { now: Date.now, onIdleError: () => undefined });
  let lost = 0;
  let twice = 0;
  for (const client of clients) {
    const rows = await store.read((reads) =>
      reads.connection.query("SELECT n, count(*) AS times FROM storm_effect WHERE device = $1 GROUP BY n", [
        client.deviceHex,
      ]),
    );
    const times = new Map(rows.map(({ n, times: count }) => [Number(n), Number(count)]));
    for (const n of client.acked) if (!times.has(n)) lost++;
    for (const count of times.values()) twice += count - 1;
  }
  await store.close();
  return { lost, twice };
}

// A device that was told everything is well has nothing to send by itself; it meets the restored server at its next look.
const until = performance.now() + DRAIN_MS;
for (const client of clients) client.add(1);
await drain();
await stop();
let found = await effects();
while (found.lost > 0 && performance.now() < until) {
  await start(false);
  for (const client of clients) client.add(1);
  await sleep(1_000);
  await drain();
  await stop();
  found = await effects();
}
for (const client of clients) await client.close();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(
  `${JSON.stringify({ how, devices: clients.length, ackedAtBackup: atBackup, ackedAtLoss: atLoss, acked: acked(), undelivered: waiting(), ...found })}\n`,
);
process.exit(0);
