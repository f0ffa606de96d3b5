/**
 * An upgrade of the schema under load, what a damaged schema is told, and a restore. Arguments: sqlite|postgresql, devices,
 * seconds a phase. Prints one JSON line.
 *
 *   both old          the release before (it knows no newer migration) made the schema
 *   new on old        the new release serves beside it and leaves the schema alone
 *   old on new        another process of the new release starts and migrates; all three serve
 *   new               the old one is gone
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { coreFactory } from "../../js-glue/core/load.ts";
import { verifyOrders } from "../../js-glue/server/documents/verify.ts";
import { BASE_PATH } from "../../js-glue/server/server.ts";
import { sealAudit, verifyAudit } from "../../js-glue/server/store/audit.ts";
import { BLOCK_LANE } from "../../js-glue/server/store/blocks.ts";
import { MIGRATION_LEVEL, schemaAt } from "../../js-glue/server/store/migrations.ts";
import { missingIn } from "../../js-glue/server/store/schema.ts";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import type { Store } from "../../js-glue/server/store/store.ts";
import { databaseKinds } from "./databases.ts";
import { dictionaryOf, segmentWith } from "./dictionary-frames.ts";
import { Device, documentsCore } from "./document-device.ts";
import { type Segment, START, segment } from "./frames.ts";
import { TestClient } from "./harness.ts";
import { StormClient } from "./storm-client.ts";

const [kindName = "sqlite", deviceCount = "6", phase = "3"] = process.argv.slice(2);
const TENANT = "default";
const DRAIN_MS = 60_000;
const TRACKED = "page.seen";
const kind = databaseKinds.find(({ name }) => name.toLowerCase() === kindName);
if (!kind || kind.skip) throw new Error(kind?.skip ?? `unknown database ${kindName}`);
const dialect = kind.name === "SQLite" ? "sqlite" : "postgres";
const folder = mkdtempSync(join(tmpdir(), "oas-migrate-"));
const database = await kind.create();
const say = (text: string): boolean => process.stderr.write(`${text}\n`);
const open = (url: string, restored = false): Promise<Store> =>
  openStore(url, { now: Date.now, onIdleError: () => undefined, restored });

interface Running {
  readonly url: string;
  readonly child: ChildProcess;
}
let key = "";
async function start(schema: object, url = database.url): Promise<Running> {
  const program = fileURLToPath(new URL("storm-server.main.js", import.meta.url));
  const child = spawn(process.execPath, [program, url, "0", key], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, OAS_STORM_SCHEMA: JSON.stringify(schema) },
  });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout!.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const ready = JSON.parse(line) as { url: string; key: string };
  key = ready.key;
  return { url: ready.url, child };
}
async function stop({ child }: Running): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

// --- load -----------------------------------------------------------------------------------------------------------------

/** As a load balancer does: a server gets requests from when it is ready until before it is told to stop. */
const inTurn: Running[] = [];
let turn = 0;
const next = (): string => inTurn[turn++ % inTurn.length]!.url;
const old = await start({ upTo: MIGRATION_LEVEL - 1 });
inTurn.push(old);

const wasm = new URL("core-base.wasm", import.meta.resolve("#glue.mjs"));
const core = coreFactory({ wasmBinary: new Uint8Array(readFileSync(wasm)) });
const clients = Array.from({ length: Number(deviceCount) }, () => new StormClient(next, key, core));
for (const client of clients) await client.start();
const merge = await documentsCore();
let loading = true;
let edits = 0;
const failures: string[] = [];

async function edit(space: string): Promise<void> {
  const client = new TestClient("", key, new Uint8Array(randomBytes(16)));
  Object.defineProperty(client, "url", { get: () => next() + BASE_PATH });
  const device = new Device(client, space, merge);
  for (let n = 1; loading; n++) {
    try {
      device.put("note/1", { n, text: "x".repeat(n % 50) });
      await device.push();
      await device.pull();
      if ((device.show("note/1") as { n?: number })?.n !== n) failures.push(`${space}: an edit was not pulled`);
      edits++;
    } catch (error) {
      failures.push(String(error));
      return;
    }
    await sleep(5);
  }
}
async function load(): Promise<void> {
  while (loading) {
    for (const client of clients) if (client.waiting < 100) client.add(5);
    await sleep(5);
  }
}
/** Analytics that no handler waits for. The server keeps the device's dictionary, and it is used. */
let tracked = 0;
let byDictionary = 0;
async function track(): Promise<void> {
  const client = new TestClient("", key, new Uint8Array(randomBytes(16)));
  Object.defineProperty(client, "url", { get: () => next() + BASE_PATH });
  const stream = { epoch: 1n, lane: BLOCK_LANE };
  const dictionary = dictionaryOf(TRACKED);
  const events = Array.from({ length: 10 }, () => ({ type: TRACKED }));
  for (let mark = START; loading; await sleep(20)) {
    const push = async (one: Segment): Promise<boolean> =>
      (await client.sync({ items: [one], stored: [{ ...stream, ...mark }] })).streams[0]?.status === 0;
    const item = segment(stream.epoch, stream.lane, mark, events);
    try {
      const isKept = (await client.put(`/sync/dictionary/${client.deviceId}`, dictionary.packed)).ok;
      // The next server may be of the release before, which cannot read it: then it comes again without.
      if (isKept && (await push(segmentWith(dictionary, stream, mark, events)))) byDictionary += events.length;
      else if (!(await push(item))) throw new Error("plain analytics were not taken");
    } catch (error) {
      if (String(error).includes("overloaded")) continue; // more urgent lanes go first: the same again
      failures.push(String(error));
      return;
    }
    mark = item.after;
    tracked += item.marks.length;
  }
}
const running = [load(), track(), ...(await spaces()).map(edit)];

/** Each editor has a space of its own, so what it reads is what it wrote. */
async function spaces(): Promise<readonly string[]> {
  const names = ["one", "two"];
  for (const spaceId of names) {
    const answer = await fetch(`${next()}${BASE_PATH}/spaces`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ spaceId }),
    });
    if (answer.status !== 201) throw new Error(`a space was answered ${answer.status}`);
  }
  return names;
}
const levelNow = async (): Promise<number> => {
  const store = await openStore(database.url, {
    now: Date.now,
    onIdleError: () => undefined,
    schema: { apply: false },
  });
  await store.close();
  return store.migrationLevel;
};
/** What was tracked: as it is kept, and how much of it was sent by dictionary, which takes the newest schema. */
async function kept(): Promise<{ readonly inRows: number; readonly inBlocks: number; readonly byDictionary: number }> {
  const store = await openStore(database.url, {
    now: Date.now,
    onIdleError: () => undefined,
    schema: { apply: false },
  });
  const [row] = await store.read(({ connection }) =>
    connection.query(
      `SELECT (SELECT count(*) FROM offline_sync_queue WHERE event_type = '${TRACKED}') AS in_rows,
         (SELECT COALESCE(sum(events), 0) FROM offline_analytics_buffer) AS in_blocks`,
    ),
  );
  await store.close();
  return { inRows: Number(row?.["in_rows"]), inBlocks: Number(row?.["in_blocks"]), byDictionary };
}

const phases: Record<string, unknown> = {};
async function during(name: string): Promise<void> {
  const before = clients.reduce((sum, client) => sum + client.acked.size, 0);
  await sleep(Number(phase) * 1_000);
  const acked = clients.reduce((sum, client) => sum + client.acked.size, 0) - before;
  phases[name] = { schema: await levelNow(), servers: inTurn.length, acked };
  say(`${name}: ${JSON.stringify(phases[name])}`);
}
await during("old on old");
const waiting = await start({ apply: false });
inTurn.push(waiting);
await during("old and new on old");
const onOld = await kept();
inTurn.push(await start({}));
await during("old and new on new");
inTurn.splice(inTurn.indexOf(old), 1);
await sleep(500); // what was sent to it before is answered
await stop(old);
await during("new on new");

// --- a copy, made under load ----------------------------------------------------------------------------------------------

const source = await open(database.url);
const seal = (store: Store): Promise<number> => store.write((tx) => sealAudit(tx.connection, tx.dialect, TENANT));
await seal(source);
const noted = await source.read(({ connection }) => verifyAudit(connection, TENANT));
async function copy(): Promise<{ readonly url: string; readonly drop: () => Promise<void> }> {
  if (dialect === "sqlite") {
    const file = await source.backUp(folder, Date.now());
    return { url: `sqlite:${file}`, drop: () => Promise.resolve() };
  }
  const target = await kind!.create();
  const dump = join(folder, "dump");
  execFileSync("pg_dump", ["-Fc", "-f", dump, database.url]);
  execFileSync("pg_restore", ["--no-owner", "-d", target.url, dump]);
  return target;
}
const restored = await copy();

loading = false;
await Promise.all(running);
const until = performance.now() + DRAIN_MS;
const left = (): number => clients.reduce((sum, client) => sum + client.waiting, 0);
while (left() > 0 && performance.now() < until) {
  for (const client of clients) client.wake();
  await sleep(100);
}
const onNew = await kept();
for (const server of inTurn) await stop(server);

let lost = 0;
let twice = 0;
for (const client of clients) {
  const rows = await source.read(({ connection }) =>
    connection.query("SELECT n, count(*) AS times FROM storm_effect WHERE device = $1 GROUP BY n", [client.deviceHex]),
  );
  const times = new Map(rows.map(({ n, times: count }) => [Number(n), Number(count)]));
  for (const n of client.acked) if (!times.has(n)) lost++;
  for (const count of times.values()) twice += count - 1;
}

// --- the copy adds up, and says so when it does not -------------------------------------------------------------------------

const there = await open(restored.url, true);
const verify = async () => {
  const audit = await there.read(({ connection }) => verifyAudit(connection, TENANT, noted.head));
  const orders = await there.read(({ connection }) => verifyOrders(connection));
  return { audit, orders };
};
const whole = await verify();
/** Spaces, and those of which it is kept that this history parts from the one that goes on elsewhere. */
const [parting] = await there.read(({ connection }) =>
  connection.query(
    `SELECT count(*) AS spaces, count(h.head) AS parted FROM space s
       LEFT JOIN space_history h ON h.tenant_id = s.tenant_id AND h.space_id = s.space_id AND h.head = s.head
         AND h.minted_at = $1`,
    [there.incarnation.mintedAt],
  ),
);
await there.write(({ connection }) =>
  connection.run("UPDATE audit_log SET action = 'nothing' WHERE tenant_id = $1 AND seal_no = 1", [TENANT]),
);
await there.write(({ connection }) => connection.run("UPDATE change SET doc_key = 'note/2' WHERE seq = 2"));
const broken = await verify();
await there.close();
await restored.drop();

// --- everything that can be dropped is missed by name ---------------------------------------------------------------------

class Undo extends Error {}
let named = 0;
const unnamed: string[] = [];
async function without(what: string, drops: readonly string[]): Promise<void> {
  const missing: string[] = [];
  const attempt = source.write(async ({ connection }) => {
    for (const sql of drops) await connection.run(sql);
    missing.push(...(await missingIn(connection, expected)));
    throw new Undo();
  });
  await attempt.catch((error: unknown) => {
    if (!(error instanceof Undo)) throw error;
  });
  if (missing.includes(what)) named++;
  else unnamed.push(what);
}
const expected = schemaAt(dialect, MIGRATION_LEVEL);
for (const index of expected.indexes.keys()) await without(`index ${index}`, [`DROP INDEX ${index}`]);
for (const [table, { columns, key: primary }] of expected.tables) {
  const indexes = [...expected.indexes].filter(([, on]) => on === table).map(([name]) => `DROP INDEX ${name}`);
  for (const column of columns) {
    // SQLite drops no column of a primary key, nor one that an index names.
    if (dialect === "sqlite" && primary.includes(column)) continue;
    const drop = `ALTER TABLE ${table} DROP COLUMN ${column}`;
    await without(`column ${table}.${column}`, dialect === "sqlite" ? [...indexes, drop] : [`${drop} CASCADE`]);
  }
  await without(`table ${table}`, [`DROP TABLE ${table}`]);
}
await source.close();
for (const client of clients) await client.close();
await database.drop();
rmSync(folder, { recursive: true, force: true });
const total = (of: (client: StormClient) => number): number => clients.reduce((sum, client) => sum + of(client), 0);
process.stdout.write(
  `${JSON.stringify({
    database: kind.name,
    phases,
    acked: total((client) => client.acked.size),
    edits,
    failedSyncs: total(({ transport }) => transport.refused + transport.interrupted) + failures.length,
    failures: failures.slice(0, 5),
    undelivered: left(),
    lost,
    twice,
    tracked: { events: tracked, onOld, onNew },
    damage: { named, unnamed },
    restore: {
      auditRows: whole.audit.sealed,
      auditHolds: whole.audit.ok,
      changes: whole.orders.changes,
      changeProblems: whole.orders.problems.length,
      auditTamperedFound: !broken.audit.ok,
      changeTamperedFound: broken.orders.problems.length,
      spaces: Number(parting?.["spaces"]),
      parted: Number(parting?.["parted"]),
    },
  })}\n`,
);
process.exit(0);
