/**
 * Kills a server, and its database, again and again under load, then compares what clients were promised with what is
 * there. Prints one JSON line. Arguments: sqlite|postgres, kills of the server, kills of the database, clients.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { coreFactory } from "../../js-glue/core/load.ts";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import { StormClient } from "./storm-client.ts";

const [kind = "sqlite", serverKills = "5", databaseKills = "0", clientCount = "4"] = process.argv.slice(2);
const say = (text: string): boolean => process.stderr.write(`${text}\n`);
const WAITING_MAX = 120;
const BURST = 6;
const DRAIN_MS = 60_000;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

class ServerProcess {
  readonly #db: string;
  readonly #port: number;
  #child: ChildProcess | undefined;
  #key = "";
  constructor(db: string, port: number) {
    this.#db = db;
    this.#port = port;
  }
  /** Resolves when it answers; starts again when it cannot, as a supervisor would. */
  async start(): Promise<{ readonly url: string; readonly key: string }> {
    for (let attempt = 0; ; attempt++) {
      const program = fileURLToPath(new URL("storm-server.main.js", import.meta.url));
      const child = spawn(process.execPath, [program, this.#db, String(this.#port), this.#key], {
        stdio: ["ignore", "pipe", attempt < 20 ? "ignore" : "inherit"],
      });
      this.#child = child;
      const line = await new Promise<string | undefined>((resolve) => {
        let text = "";
        child.stdout!.on("data", (chunk: Buffer) => {
          text += chunk.toString();
          if (text.includes("\n")) resolve(text);
        });
        child.once("exit", () => resolve(undefined));
      });
      if (line) {
        const ready = JSON.parse(line) as { url: string; key: string };
        this.#key = ready.key;
        return ready;
      }
      if (attempt > 25) throw new Error("the server does not start");
      await sleep(100);
    }
  }
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const child = this.#child!;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await gone;
  }
}

function database(): { readonly url: string; kill(): void; drop(): void } {
  if (kind === "sqlite") {
    const folder = mkdtempSync(join(tmpdir(), "oas-storm-"));
    return {
      url: `sqlite:${join(folder, "data.sqlite")}`,
      kill: () => undefined,
      drop: () => rmSync(folder, { recursive: true, force: true }),
    };
  }
  const { OAS_TEST_POSTGRES = "", OAS_TEST_POSTGRES_CTL = "" } = process.env;
  return {
    url: OAS_TEST_POSTGRES,
    kill() {
      execFileSync(OAS_TEST_POSTGRES_CTL, ["kill"], { stdio: "inherit" });
      execFileSync(OAS_TEST_POSTGRES_CTL, ["start"], { stdio: "inherit" });
    },
    drop: () => undefined,
  };
}

/** Where asked for, a Redis of this run's own that dies as often as anything else. */
class Redis {
  readonly #port: string;
  #child: ChildProcess | undefined;
  kills = 0;
  constructor(port: string) {
    this.#port = port;
    this.start();
  }
  start(): void {
    this.#child = spawn("redis-server", ["--port", this.#port, "--bind", "127.0.0.1", "--save", ""], {
      stdio: "ignore",
    });
  }
  kill(): void {
    this.#child?.kill("SIGKILL");
    this.kills++;
    setTimeout(() => this.start(), Math.random() * 500);
  }
  end(): void {
    this.#child?.kill("SIGKILL");
  }
}
const redisPort = process.env["OAS_STORM_REDIS"]?.split(":").at(-1);
const redis = redisPort === undefined ? undefined : new Redis(redisPort);

const data = database();
const server = new ServerProcess(data.url, await freePort());
const { url, key } = await server.start();
const wasm = new URL("core-base.wasm", import.meta.resolve("#glue.mjs"));
const core = coreFactory({ wasmBinary: new Uint8Array(readFileSync(wasm)) });
const clients = Array.from({ length: Number(clientCount) }, () => new StormClient(url, key, core));
for (const client of clients) await client.start();

let loading = true;
const load = setInterval(() => {
  if (!loading) return;
  for (const client of clients) if (client.waiting < WAITING_MAX) client.add(BURST);
}, 2);
// A device that waits out its backoff sends nothing, and what is not sent cannot be interrupted.
const hints = setInterval(() => {
  for (const client of clients) client.wake();
}, 40);
const acked = (): number => clients.reduce((sum, client) => sum + client.acked.size, 0);

/** Something was acknowledged since `before`, or too much time has passed. */
async function progress(before: number, ms: number): Promise<number> {
  const start = performance.now();
  while (acked() <= before) {
    if (performance.now() - start > ms) throw new Error("no acknowledgement for a long time");
    await sleep(5);
  }
  return performance.now() - start;
}

const plan = [
  ...Array.from({ length: Number(serverKills) }, () => "server" as const),
  ...Array.from({ length: Number(databaseKills) }, () => "database" as const),
].sort(() => Math.random() - 0.5);
const recoveries: { readonly what: string; readonly ms: number }[] = [];
await progress(0, 30_000);
for (const [i, what] of plan.entries()) {
  await sleep(50 + Math.random() * 250);
  if (redis && Math.random() < 0.3) redis.kill();
  if (what === "server") {
    await server.end("SIGKILL");
    await server.start();
  } else {
    data.kill();
  }
  const before = acked();
  for (const client of clients) client.wake();
  recoveries.push({ what, ms: await progress(before, 30_000) });
  if ((i + 1) % 10 === 0) say(`${kind}: ${i + 1} of ${plan.length} kills, ${acked()} acknowledged`);
}

loading = false;
clearInterval(load);
clearInterval(hints);
const deadline = performance.now() + DRAIN_MS;
while (clients.some((client) => client.waiting > 0) && performance.now() < deadline) {
  for (const client of clients) client.wake();
  await sleep(100);
}
const waiting = clients.reduce((sum, client) => sum + client.waiting, 0);
const requests = clients.reduce((sum, client) => sum + client.transport.requests, 0);
const interrupted = clients.reduce((sum, client) => sum + client.transport.interrupted, 0);
for (const client of clients) await client.close();
await server.end("SIGTERM");

const store = await openStore(data.url, { now: Date.now, onIdleError: () => undefined });
let lost = 0;
let twice = 0;
let events = 0;
for (const client of clients) {
  const rows = await store.read((reads) =>
    reads.connection.query("SELECT n, count(*) AS times FROM storm_effect WHERE device = $1 GROUP BY n", [
      client.deviceHex,
    ]),
  );
  const times = new Map(rows.map(({ n, times: count }) => [Number(n), Number(count)]));
  for (const n of client.acked) if (!times.has(n)) lost++;
  for (const count of times.values()) if (count > 1) twice += count - 1;
  events += times.size;
  const counts = await store.read((reads) => reads.counts("default", client.device));
  if (counts.applied !== times.size) twice += Math.abs(counts.applied - times.size);
}
await store.close();
redis?.end();
data.drop();
const percentile = (what: string): number | null => {
  const sorted = recoveries
    .filter((one) => one.what === what)
    .map(({ ms }) => ms)
    .sort((a, b) => a - b);
  return sorted.length === 0 ? null : Math.round(sorted[Math.floor(sorted.length / 2)]!);
};
process.stdout.write(
  `${JSON.stringify({
    serverKills: Number(serverKills),
    databaseKills: Number(databaseKills),
    redisKills: redis?.kills ?? 0,
    acked: acked(),
    effects: events,
    lost,
    twice,
    undelivered: waiting,
    requests,
    interrupted,
    serverRecoveryMsMedian: percentile("server"),
    databaseRecoveryMsMedian: percentile("database"),
  })}\n`,
);
process.exit(0);
