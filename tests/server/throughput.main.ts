/**
 * CPU per event of the whole way (HTTP, checks, order, exactly once, fsync) beside a plain COPY of the same rows and beside
 * single-row inserts by pgbench, on one PostgreSQL, and beside PouchDB's server, which takes the same events as documents by
 * `_bulk_docs` into LevelDB. Both sides of PostgreSQL are warm: for some thousand requests more than half of a process's CPU
 * time is that of the compilers of its own code. Arguments: events, requests before them, the native tool `oas`, the folder of
 * PouchDB's packages. Prints one JSON line.
 */

import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import { cpuOf, cpuOfTree, percentile } from "./cost.ts";
import { type Mark, packed, readReply, request, type Segment, START, segment, type TestEvent } from "./frames.ts";
import { ask, post, serve } from "./served.ts";

const [, , eventsText = "20000", warmUpText = "1000", oas = "build/native/bin/oas", packages] = process.argv;
const events = Number(eventsText);
const url = process.env["OAS_TEST_POSTGRES"] ?? "";
const postmaster = readFileSync(join(process.env["OAS_TEST_POSTGRES_DATA"] ?? "", "postmaster.pid"), "utf8").split(
  "\n",
)[0]!;
const CONNECTIONS = 8;
/** PouchDB's server takes several times as long for an event; so many say enough. */
const POUCH_EVENTS_MAX = 40_000;
const BATCH = 100;
/** Requests of one connection, and those before them. */
const PUSHES = Math.ceil(events / CONNECTIONS / BATCH);
const WARM_UP = Math.ceil(Number(warmUpText) / CONNECTIONS);
/** The lanes of events kept as rows, and as blocks. */
const [ROWS, BLOCKS] = [2, 4];
const say = (text: string): boolean => process.stderr.write(`${text}\n`);

/** 253 bytes of JSON, as an application would write it. */
const eventOf = (n: number): TestEvent => ({
  type: "quiz.answer",
  module: "quiz",
  json: JSON.stringify({
    questionId: `q${n % 500}`,
    answer: n % 4,
    correct: n % 3 === 0,
    ms: 900 + (n % 4_000),
    session: `s-${n % 97}`,
    text: "x".repeat(142),
    n,
  }),
});

interface Frame {
  readonly bytes: Buffer;
  readonly after: Mark;
}

/** The stream that every device sends; analytics are packed as a client packs them, by the same core. */
function segmentsOf(count: number, lane: number): readonly Segment[] {
  const segments: Segment[] = [];
  for (let n = 0; n < count; n += BATCH) {
    const events = Array.from({ length: BATCH }, (_, i) => eventOf(n + i));
    const before = segments.at(-1)?.after ?? START;
    segments.push(
      lane === BLOCKS ? packed(oas, segment(1n, lane, before, events), events) : segment(1n, lane, before, events),
    );
  }
  return segments;
}

const framesOf = (device: Uint8Array, segments: readonly Segment[]): readonly Frame[] =>
  segments.map((one) => ({
    bytes: Buffer.from(request({ device, items: [one], stored: [{ ...one.stream, ...one.before }] })),
    after: one.after,
  }));

async function push(db: string, lane = ROWS): Promise<Record<string, number>> {
  const server = await serve(["--db", db, "--port", "0", "--log", "error"]);
  const segments = segmentsOf((WARM_UP + PUSHES) * BATCH, lane);
  const devices = Array.from({ length: CONNECTIONS }, () => framesOf(new Uint8Array(randomBytes(16)), segments));
  const latencies: number[] = [];
  const send = async (frames: readonly Frame[]): Promise<void> => {
    for (const { bytes, after } of frames) {
      const start = performance.now();
      const answer = await post(server.url, server.key, "/sync/push", bytes, "application/vnd.oas.batch");
      latencies.push(performance.now() - start);
      if (answer.status !== 200) throw new Error(`a push was answered ${answer.status}: ${answer.body.toString()}`);
      if (readReply(answer.body).streams[0]?.mark.seq !== after.seq) throw new Error("a push did not reach its end");
    }
  };
  await Promise.all(devices.map((frames) => send(frames.slice(0, WARM_UP))));
  latencies.length = 0;
  const node = cpuOf(server.pid);
  const database = cpuOfTree(postmaster);
  const start = performance.now();
  await Promise.all(devices.map((frames) => send(frames.slice(WARM_UP))));
  const seconds = (performance.now() - start) / 1_000;
  const sent = PUSHES * BATCH * CONNECTIONS;
  const result = {
    events: sent,
    nodeUs: (cpuOf(server.pid) - node) / sent,
    postgresUs: (cpuOfTree(postmaster) - database) / sent,
    eventsPerSecond: sent / seconds,
    pushP50Ms: percentile(latencies, 0.5),
    pushP99Ms: percentile(latencies, 0.99),
    wireBytesPerEvent: segments.reduce((sum, { bytes }) => sum + bytes.length, 0) / (segments.length * BATCH),
  };
  await server.stop();
  const store = await openStore(db, { now: Date.now, onIdleError: () => undefined });
  const [row] = await store.read(({ connection }) =>
    connection.query(
      `SELECT (SELECT count(*) FROM offline_sync_queue WHERE status = 0 AND lane = ${lane})
         + CASE WHEN ${lane} = ${BLOCKS} THEN (SELECT COALESCE(sum(events), 0) FROM offline_analytics_buffer) ELSE 0 END AS n`,
    ),
  );
  await store.close();
  if (Number(row?.["n"]) !== sent + WARM_UP * BATCH * CONNECTIONS) throw new Error("not every event is there");
  return result;
}

/** The same rows by COPY, a hundred a statement, with the same indexes and nothing checked. */
async function copy(): Promise<Record<string, number>> {
  const setup = new pg.Client({ connectionString: url });
  await setup.connect();
  await setup.query("CREATE TABLE copied (LIKE offline_sync_queue INCLUDING ALL)");
  await setup.end();
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      return client;
    }),
  );
  const perClient = (WARM_UP + PUSHES) * BATCH;
  const payloads = Array.from({ length: perClient }, (_, n) => Buffer.from(String(eventOf(n).json)));
  const devices = clients.map(() => randomBytes(16).toString("hex"));
  const load = async (from: number, to: number): Promise<void> => {
    await Promise.all(
      clients.map(async (client, c) => {
        for (let n = from; n < to; n += BATCH) {
          let text = "";
          for (let i = n; i < Math.min(to, n + BATCH); i++)
            text += `default\t\\\\x${devices[c]}\t1\t2\t${i + 1}\t${i + 1}\t${i * 7_919}\t0\t0\tquiz.answer\tquiz\t\t111411200000000000\t0\t1700000000000\t\\\\x${payloads[i]!.toString("hex")}\n`;
          await pipeline(Readable.from([Buffer.from(text)]), client.query(copyFrom("COPY copied FROM STDIN")));
        }
      }),
    );
  };
  const warmUp = WARM_UP * BATCH;
  await load(0, warmUp);
  const node = process.cpuUsage();
  const database = cpuOfTree(postmaster);
  const start = performance.now();
  await load(warmUp, perClient);
  const seconds = (performance.now() - start) / 1_000;
  const used = process.cpuUsage(node);
  const sent = (perClient - warmUp) * CONNECTIONS;
  const result = {
    events: sent,
    nodeUs: (used.user + used.system) / sent,
    postgresUs: (cpuOfTree(postmaster) - database) / sent,
    eventsPerSecond: sent / seconds,
  };
  await Promise.all(clients.map((client) => client.end()));
  return result;
}

/** One row an insert, prepared, by PostgreSQL's own client. */
function pgbench(seconds: number): number {
  const folder = mkdtempSync(join(tmpdir(), "oas-pgbench-"));
  const payload = Buffer.from(String(eventOf(1).json)).toString("hex");
  const script = join(folder, "insert.sql");
  writeFileSync(
    script,
    `\\set n random(1, 1000000000000)\nINSERT INTO copied VALUES ('bench', decode(md5((:client_id)::text), 'hex'), 1, 2, :n, :n, 7919, 0, 0, 'quiz.answer', 'quiz', '', 1, 0, 1, '\\x${payload}') ON CONFLICT DO NOTHING;\n`,
  );
  const output = execFileSync("pgbench", [
    "-n",
    "-M",
    "prepared",
    "-c",
    String(CONNECTIONS),
    "-j",
    "1",
    "-T",
    String(seconds),
    "-f",
    script,
    url,
  ]).toString();
  rmSync(folder, { recursive: true });
  return Number(/tps = ([\d.]+)/.exec(output)?.[1]);
}

/** The same events as new documents, a hundred a request; LevelDB flushes nothing before it answers. */
async function pouch(packages: string): Promise<Record<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), "oas-pouch-"));
  const program = join(process.env["OAS_ROOT"] ?? process.cwd(), "scripts/lib/pouch-server.mjs");
  const child = spawn(process.execPath, [program, packages, folder], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", (code) => reject(new Error(`PouchDB's server ended with ${code}`)));
  });
  const { url } = JSON.parse(line) as { url: string };
  const json = { "content-type": "application/json" };
  await ask(`${url}/events`, "", "PUT", undefined, {});
  const perClient = Math.ceil(Math.min(events, POUCH_EVENTS_MAX) / CONNECTIONS / BATCH) * BATCH;
  const warmUp = Math.ceil(perClient / 2 / BATCH) * BATCH;
  const document = (c: number, n: number): object => {
    const { type, module, json: data } = eventOf(n);
    return { _id: `${c}-${String(n).padStart(9, "0")}`, type, module, data: JSON.parse(String(data)) as object };
  };
  const bodies = Array.from({ length: CONNECTIONS }, (_, c) =>
    Array.from({ length: (warmUp + perClient) / BATCH }, (__, b) =>
      Buffer.from(JSON.stringify({ docs: Array.from({ length: BATCH }, (___, i) => document(c, b * BATCH + i)) })),
    ),
  );
  const send = async (some: readonly Buffer[]): Promise<void> => {
    for (const body of some) {
      const answer = await ask(`${url}/events/_bulk_docs`, "", "POST", body, json);
      const results = JSON.parse(answer.body.toString()) as { ok?: boolean }[];
      if (answer.status !== 201 || !results.every(({ ok }) => ok))
        throw new Error(`PouchDB answered ${answer.status}: ${answer.body.toString().slice(0, 200)}`);
    }
  };
  await Promise.all(bodies.map((some) => send(some.slice(0, warmUp / BATCH))));
  const cpu = cpuOf(child.pid!);
  const start = performance.now();
  await Promise.all(bodies.map((some) => send(some.slice(warmUp / BATCH))));
  const seconds = (performance.now() - start) / 1_000;
  const sent = perClient * CONNECTIONS;
  const result = { events: sent, nodeUs: (cpuOf(child.pid!) - cpu) / sent, eventsPerSecond: sent / seconds };
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
  rmSync(folder, { recursive: true, force: true });
  return result;
}

const ours = await push(url);
say(JSON.stringify(ours));
const blocks = await push(url, BLOCKS);
say(JSON.stringify(blocks));
const folder = mkdtempSync(join(tmpdir(), "oas-throughput-"));
const embedded = await push(`sqlite:${join(folder, "data.sqlite")}`);
rmSync(folder, { recursive: true, force: true });
say(JSON.stringify(embedded));
const copied = await copy();
say(JSON.stringify(copied));
const peer = packages === undefined ? undefined : await pouch(packages);
if (peer) say(JSON.stringify(peer));
const tps = pgbench(events > 50_000 ? 10 : 4);
const sum = (one: Record<string, number>): number => one["nodeUs"]! + one["postgresUs"]!;
const round = (one: Record<string, number>): Record<string, number> =>
  Object.fromEntries(Object.entries(one).map(([name, value]) => [name, Math.round(value * 10) / 10]));
process.stdout.write(
  `${JSON.stringify({
    ours: round(ours),
    blocks: round(blocks),
    oursOnSqlite: round({ ...embedded, postgresUs: 0 }),
    copy: round(copied),
    pgbenchSingleRowTps: Math.round(tps),
    cpuRatioOfBlocksToCopy: Math.round((sum(blocks) / sum(copied)) * 100) / 100,
    cpuRatioToCopy: Math.round((sum(ours) / sum(copied)) * 100) / 100,
    ...(peer
      ? {
          pouch: round(peer),
          cpuRatioOfPouch: Math.round((peer["nodeUs"]! / sum(ours)) * 100) / 100,
          cpuRatioOfPouchToSqlite: Math.round((peer["nodeUs"]! / embedded["nodeUs"]!) * 100) / 100,
        }
      : {}),
    copyRateRatioToPgbench: Math.round((copied["eventsPerSecond"]! / tps) * 10) / 10,
    rateRatioOfBlocksToPgbench: Math.round((blocks["eventsPerSecond"]! / tps) * 10) / 10,
    rateRatioToPgbench: Math.round((ours["eventsPerSecond"]! / tps) * 10) / 10,
  })}\n`,
);
process.exit(0);
