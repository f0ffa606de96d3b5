/**
 * Many writers of one space, stalled and rolled back at random, while readers follow the change order by cursor: does a reader
 * ever pass a change by? Beside it, in the same database, a table read by `id > cursor` over a serial, with the same stalls.
 * Arguments: changes, writers. Prints one JSON line.
 */

import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { databaseKinds } from "./databases.ts";
import { Device, documentsCore } from "./document-device.ts";
import type { TestEvent } from "./frames.ts";
import { TestServer } from "./harness.ts";

const [changes = "5000", writers = "50"] = process.argv.slice(2);
const EDITS_A_PUSH = 20;
const READERS = 3;
const STALL_MS_MAX = 10;
const STALLED = 0.2;
const ROLLED_BACK = 0.1;
const ATTEMPTS_MAX = 20;

const kind = databaseKinds.find(({ name }) => name === "PostgreSQL");
if (!kind || kind.skip) throw new Error("there is no PostgreSQL");
// Writers wait for the space and not for a connection: behind ten of them, the last would give up on a slow machine.
const server = await TestServer.start(kind, { rateEventsPerMinute: 0, shedding: false, connectionsMax: 30 });
let stalls = 0;
let rollbacks = 0;
server.sync.on("stall", async ({ eventData }) => {
  const { ms, failed } = eventData as { ms: number; failed: { left: number } };
  if (ms > 0) stalls++;
  await sleep(ms);
  // Thrown without a savepoint, so everything of the push is rolled back and done again with care.
  if (failed.left > 0) rollbacks++;
  if (failed.left > 0) throw new Error("not now");
});

const core = await documentsCore();
const owner = await server.client("acme", "owner");
await owner.json("POST", "/spaces", { spaceId: "plan" });
const devices: Device[] = [];
for (let i = 0; i < Number(writers); i++) {
  const principal = `writer-${i}`;
  await owner.json("PUT", `/spaces/plan/members/${principal}`, { role: "writer" });
  devices.push(new Device(await server.client("acme", principal), "plan", core));
}

const wanted = Number(changes);
let made = 0;
let busy = 0;

async function write(device: Device, name: number): Promise<void> {
  for (let push = 0; made < wanted; push++) {
    const count = Math.min(EDITS_A_PUSH, wanted - made);
    made += count;
    const stall = (share: number): number => (Math.random() < share ? randomInt(0, STALL_MS_MAX) : 0);
    const event = (failed: boolean): TestEvent => ({
      type: "stall",
      json: JSON.stringify({ ms: stall(STALLED), failed: { left: failed ? 1 : 0 } }),
    });
    const edits = Array.from({ length: count }, (_, i) => {
      device.put(`order/${name}-${push}-${i}`, { push, i });
      return device.outbox.pop()!;
    });
    // A stall before the first edit, one in the middle while the counter is held, and sometimes a failure at the end.
    const middle = count >> 1;
    device.outbox.push(event(false), ...edits.slice(0, middle), event(false), ...edits.slice(middle));
    if (Math.random() < ROLLED_BACK) device.outbox.push(event(true));
    await send(device);
  }
}

/** As a client does: a busy server is asked again with the same bytes. */
async function send(device: Device): Promise<void> {
  const queued = [...device.outbox]; // a push empties it, whatever becomes of it
  for (let attempt = 1; ; attempt++) {
    try {
      await device.push();
      return;
    } catch (error) {
      if (attempt === ATTEMPTS_MAX || !String(error).includes("server_busy")) throw error;
      busy++;
      device.outbox.push(...queued);
      await sleep(1_000);
    }
  }
}

interface Reader {
  readonly seen: Set<number>;
  last: number;
  disordered: number;
}

let writing = true;

async function read(): Promise<Reader> {
  const follower = new Device(owner, "plan", core);
  const reader: Reader = { seen: new Set(), last: 0, disordered: 0 };
  for (let quiet = 0; quiet < 2; ) {
    const page = await follower.page("&limit=500");
    for (const { n } of page.changes) {
      if (n <= reader.last) reader.disordered++;
      reader.last = n;
      reader.seen.add(n);
    }
    follower.cursor = page.cursor;
    quiet = page.changes.length === 0 && !writing ? quiet + 1 : 0;
    if (page.changes.length === 0) await sleep(2);
  }
  return reader;
}

/** The control: what everybody writes first. Rows that a reader never sees, of how many. */
async function naive(rows: number): Promise<{ readonly rows: number; readonly missed: number }> {
  const pool = new pg.Pool({ connectionString: process.env["OAS_TEST_POSTGRES"], max: 20 });
  await pool.query("CREATE TABLE naive (id bigserial PRIMARY KEY, n int)");
  let left = rows;
  let busy = true;
  const writer = async (): Promise<void> => {
    const client = await pool.connect();
    while (left-- > 0) {
      await client.query("BEGIN");
      await client.query("INSERT INTO naive (n) VALUES (1)");
      if (Math.random() < STALLED) await sleep(randomInt(0, STALL_MS_MAX));
      await client.query("COMMIT");
    }
    client.release();
  };
  const reader = async (): Promise<number> => {
    let cursor = "0";
    let seen = 0;
    for (let quiet = 0; quiet < 2; ) {
      const { rows: found } = await pool.query<{ id: string }>(
        "SELECT id FROM naive WHERE id > $1 ORDER BY id LIMIT 500",
        [cursor],
      );
      seen += found.length;
      cursor = found.at(-1)?.id ?? cursor;
      quiet = found.length === 0 && !busy ? quiet + 1 : 0;
      if (found.length === 0) await sleep(1);
    }
    return seen;
  };
  const reading = reader();
  await Promise.all(Array.from({ length: 12 }, writer));
  busy = false;
  const seen = await reading;
  await pool.query("DROP TABLE naive");
  await pool.end();
  return { rows, missed: rows - seen };
}

const start = performance.now();
const reading = Array.from({ length: READERS }, read);
await Promise.all(devices.map(write));
writing = false;
const readers = await Promise.all(reading);
const seconds = (performance.now() - start) / 1_000;
const result = {
  changes: wanted,
  writers: devices.length,
  readers: READERS,
  missed: readers.reduce((sum, { seen }) => sum + wanted - seen.size, 0),
  disordered: readers.reduce((sum, { disordered }) => sum + disordered, 0),
  stalls,
  rollbacks,
  busy,
  perSecond: Math.round(wanted / seconds),
  naive: await naive(Math.min(wanted, 5_000)),
};
await server.stop();
console.log(JSON.stringify(result));
process.exit(0);
