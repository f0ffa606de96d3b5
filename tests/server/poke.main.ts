/**
 * How long a change takes from one device to another while ten thousand are connected. Arguments: sqlite|postgres|redis,
 * devices, changes, changes a second. Prints one JSON line.
 *
 * Two devices a person, each with an open event stream. One edits a document with the real merge core and pushes; the clock
 * runs until the other, told by its poke, has pulled the change and its replica shows it. On PostgreSQL the edit goes to one
 * process and every stream hangs on another, so the hint crosses the bus: NOTIFY, or Redis.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { mintApiKey } from "../../js-glue/server/auth.ts";
import { BASE_PATH } from "../../js-glue/server/server.ts";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import { percentile, rssOf } from "./cost.ts";
import { Device, documentsCore } from "./document-device.ts";
import { TestClient } from "./harness.ts";
import { ask, type Served, serve } from "./served.ts";
import { StreamClient } from "./stream-client.ts";

const [mode = "sqlite", deviceCount = "10000", changeCount = "1000", rate = "20"] = process.argv.slice(2);
const people = Math.ceil(Number(deviceCount) / 2);
const EDITORS_MAX = 200;
const CONNECT_AT_ONCE = 250;
const SETTLE_MS = 3_000;
const PATIENCE_MS = 10_000;
/** One bare request beside so many changes. */
const PROBED = 4;
const folder = mkdtempSync(join(tmpdir(), "oas-poke-"));
const db = mode === "sqlite" ? `sqlite:${join(folder, "data.sqlite")}` : (process.env["OAS_TEST_POSTGRES"] ?? "");
const say = (text: string): boolean => process.stderr.write(`${text}\n`);

/** `fetch` costs the load's process more than the server's answer does. */
class LeanClient extends TestClient {
  override post(path: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.#ask("POST", path, body, headers);
  }
  override json(method: string, path: string): Promise<Response> {
    return this.#ask(method, path, undefined, {});
  }
  async #ask(method: string, path: string, body: Uint8Array | undefined, headers: Readonly<Record<string, string>>) {
    const type = { "content-type": "application/vnd.oas.batch" };
    const answer = await ask(this.url + path, this.key, method, body, { ...type, ...headers });
    return new Response(Uint8Array.from(answer.body), { status: answer.status });
  }
}

async function startRedis(): Promise<{ readonly url: string; readonly process: ChildProcess }> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder];
  const child = spawn("redis-server", options, { stdio: "ignore" });
  await sleep(500);
  return { url: `redis://127.0.0.1:${port}`, process: child };
}

async function mintKeys(): Promise<readonly string[]> {
  const store = await openStore(db, { now: Date.now, onIdleError: () => undefined });
  const minted = Array.from({ length: people }, (_, n) =>
    mintApiKey({ tenant: "default", principal: `person-${n}` }, ["sync"], ""),
  );
  await store.write(async (tx) => {
    for (const { record } of minted) await tx.insertApiKey(record, Date.now());
  });
  await store.close();
  return minted.map(({ key }) => key);
}

/** One replica with its stream: every poke is a pull, and one that comes during a pull is another pull. */
class Follower {
  readonly device: Device;
  readonly #waiting = new Map<number, () => void>();
  #pulling = false;
  #again = false;
  shown = 0;
  pulls = 0;

  constructor(device: Device) {
    this.device = device;
  }

  async look(): Promise<void> {
    this.#again = true;
    if (this.#pulling) return;
    this.#pulling = true;
    while (this.#again) {
      this.#again = false;
      this.pulls++;
      if ((await this.device.pull()) > 0) this.#show();
    }
    this.#pulling = false;
  }

  #show(): void {
    this.shown = (this.device.show(DOCUMENT) as { n?: number } | undefined)?.n ?? 0;
    for (const [n, seen] of this.#waiting)
      if (n <= this.shown) {
        this.#waiting.delete(n);
        seen();
      }
  }

  /** Resolves when the replica shows `n`; false when that takes too long. */
  sees(n: number): Promise<boolean> {
    return Promise.race([
      new Promise<boolean>((resolve) => this.#waiting.set(n, () => resolve(true))),
      sleep(PATIENCE_MS, false, { ref: false }),
    ]);
  }
}

const DOCUMENT = "note/1";
const keys = await mintKeys();
const redis = mode === "redis" ? await startRedis() : undefined;
const args = ["--db", db, "--port", "0", "--log", "error"];
const env: Readonly<Record<string, string>> = redis ? { REDIS_URL: redis.url } : {};
const servers: Served[] = [await serve(args, env)];
if (mode !== "sqlite") servers.push(await serve(args, env));
const writing = servers[0]!;
const streaming = servers.at(-1)!;
const idleRss = rssOf(streaming.pid);

const core = await documentsCore();
const replica = (server: Served, key: string): Follower =>
  new Follower(new Device(new LeanClient(server.url + BASE_PATH, key, new Uint8Array(randomBytes(16))), "~", core));
/** People who edit are spread over all of them; the others are connected and do nothing. */
const step = Math.max(1, Math.floor(people / EDITORS_MAX));
const editors = Array.from({ length: Math.min(people, EDITORS_MAX) }, (_, i) => ({
  key: keys[i * step]!,
  writer: replica(writing, keys[i * step]!),
  reader: replica(streaming, keys[i * step]!),
  n: 0,
}));
const editorOf = new Map(editors.map((editor) => [editor.key, editor]));

const streams: StreamClient[] = [];
const connects = keys.flatMap((key) => {
  const editor = editorOf.get(key);
  return [editor?.writer, editor?.reader].map((follower) => async (): Promise<void> => {
    const stream = new StreamClient(streaming.url, key);
    streams.push(stream);
    const poke = (): void => void follower?.look();
    while (!(await stream.connect({ poke }))) await sleep(stream.retryAfterMs || 200);
  });
});
for (let at = 0; at < connects.length; at += CONNECT_AT_ONCE)
  await Promise.all(connects.slice(at, at + CONNECT_AT_ONCE).map((connect) => connect()));
say(`${streams.filter(({ connected }) => connected).length} devices are connected`);

const bare: number[] = [];
const pushed: number[] = [];
const pulled: number[] = [];
let lost = 0;

async function change(editor: (typeof editors)[0], timed: boolean): Promise<void> {
  const n = ++editor.n;
  editor.writer.device.put(DOCUMENT, { n, text: "x".repeat(100) });
  const seen = editor.reader.sees(n);
  const start = performance.now();
  await editor.writer.device.push();
  if (timed) pushed.push(performance.now() - start);
  if (!(await seen)) lost++;
  else if (timed) pulled.push(performance.now() - start);
}

/** What one request costs in this very run, on a machine that others may use, too. */
async function probe(): Promise<void> {
  const start = performance.now();
  await ask(`${streaming.url}${BASE_PATH}/health/live`, "", "GET", undefined, {});
  bare.push(performance.now() - start);
}

// Everybody's first change makes device, stream and space; it is not counted.
for (const editor of editors) await change(editor, false);
await sleep(SETTLE_MS);
const changes = Number(changeCount);
const everyMs = 1_000 / Number(rate);
const begun = performance.now();
const open: Promise<void>[] = [];
for (let n = 0; n < changes; n++) {
  const wait = begun + n * everyMs - performance.now();
  if (wait > 1) await sleep(wait);
  open.push(change(editors[(n * 7) % editors.length]!, true));
  if (n % PROBED === 0) open.push(probe());
}
await Promise.all(open);
const seconds = (performance.now() - begun) / 1_000;
const connected = streams.filter((stream) => stream.connected).length;
const rss = rssOf(streaming.pid);
for (const stream of streams) stream.close();
for (const server of servers) await server.stop();
redis?.process.kill("SIGKILL");
rmSync(folder, { recursive: true, force: true });
const ms = (values: readonly number[], share: number): number => Math.round(percentile(values, share) * 10) / 10;
process.stdout.write(
  `${JSON.stringify({
    mode,
    connected,
    processes: servers.length,
    changes,
    seen: pulled.length,
    lost,
    perSecond: Math.round((changes / seconds) * 10) / 10,
    bareP50Ms: ms(bare, 0.5),
    bareP99Ms: ms(bare, 0.99),
    pushP50Ms: ms(pushed, 0.5),
    pushP99Ms: ms(pushed, 0.99),
    pulledP50Ms: ms(pulled, 0.5),
    pulledP99Ms: ms(pulled, 0.99),
    kBPerDevice: Math.round(((rss - idleRss) / connected / 1_024) * 10) / 10,
  })}\n`,
);
process.exit(0);
