/** Analytics in blocks: one row for what a push brings, and yet every event counted, ordered, found, exported and erased. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { historyOf } from "../../js-glue/server/analytics-blocks.ts";
import { databaseKinds } from "./databases.ts";
import { type Mark, type Segment, START, segment, type TestEvent } from "./frames.ts";
import { type TestClient, TestServer } from "./harness.ts";

const LANE = 4;
const stream = { epoch: 1n, lane: LANE };
const stored = (mark: Mark) => [{ ...stream, ...mark }];
const eventOf = (n: number): TestEvent => ({
  type: n % 3 === 0 ? "analytics.page" : "analytics.click",
  module: "shop",
  json: `{ "n": ${n}, "ratio": 1.50 }`,
});
const part = (before: Mark, count: number, more: TestEvent = {}): Segment =>
  segment(
    1n,
    LANE,
    before,
    Array.from({ length: count }, (_, i) => ({ ...eventOf(before.seq + i + 1), ...more })),
  );

async function history(client: TestClient, query = ""): Promise<readonly { readonly eventData: unknown }[]> {
  const items = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page = await client.json("GET", `/events/${client.deviceId}/history?limit=7&cursor=${cursor || 0}${query}`);
    assert.equal(page.status, 200);
    const body = (await page.json()) as { items: { eventData: unknown }[]; nextCursor: string | null };
    items.push(...body.items);
    cursor = body.nextCursor;
  }
  return items;
}

test("a block of very many events is no trouble", async () => {
  const events = 300_000;
  const event = {
    id: { ...stream, seq: 1 },
    hash: 0n,
    hlc: 0n,
    type: "t",
    module: "",
    entity: "",
    json: new Uint8Array(),
  };
  const row = {
    block_no: 1,
    events,
    kinds: '[["t","",300000]]',
    ranges: "1",
    body: new Uint8Array(1),
    epoch: 1n,
    first_seq: 1,
  };
  const reads = { hasBlocks: true, history: async () => [], connection: { query: async () => [row] } };
  const open = () => Array.from({ length: events }, () => event);
  const page = await historyOf(open, reads as never, "acme", new Uint8Array(16), { after: 10, limit: 5 });
  assert.deepEqual(
    page.map(({ arrival }) => arrival),
    [11, 12, 13, 14, 15],
  );
});

for (const kind of databaseKinds) {
  describe(`blocks of analytics, ${kind.name}`, { skip: kind.skip }, () => {
    test("a push is one row; repeated, overlapping and recut ones add nothing twice", async () => {
      const server = await TestServer.start(kind);
      const ann = await server.client();
      const first = part(START, 10);
      const second = part(first.after, 5);
      await ann.sync({ items: [first, second], stored: stored(START) });
      assert.equal(await server.count("offline_analytics_buffer"), 1);
      assert.equal(await server.count("offline_sync_queue"), 0);
      const [row] = await server.query("SELECT * FROM offline_analytics_buffer");
      const own = Buffer.concat([first.bytes, second.bytes]);
      assert.deepEqual(Buffer.from(row?.["body"] as Uint8Array), own, "the client's own bytes");
      assert.equal(row?.["events"], 15);
      assert.deepEqual(JSON.parse(String(row?.["kinds"])), [
        ["analytics.click", "shop", 10],
        ["analytics.page", "shop", 5],
      ]);

      // The answer was lost: the same again, then cut otherwise, then with something new behind.
      for (const items of [[first, second], [part(START, 15)], [part(START, 12)]]) {
        const reply = await ann.sync({ items, stored: stored(START) });
        assert.deepEqual(reply.streams[0]?.mark, second.after);
        assert.equal(reply.streams[0]?.status, 0);
      }
      const overlapping = await ann.sync({ items: [part(START, 20)], stored: stored(START) });
      assert.equal(overlapping.streams[0]?.mark.seq, 20);
      // The client may have stored a watermark that now lies inside of a block.
      const inside = part(START, 12).after;
      const beyond = part(inside, 13);
      const reply = await ann.sync({ items: [beyond], stored: stored(inside) });
      assert.deepEqual(reply.streams[0]?.mark, beyond.after);
      assert.equal(reply.streams[0]?.status, 0);
      const numbers = (await history(ann)).map(({ eventData }) => (eventData as { n: number }).n);
      assert.deepEqual(
        numbers,
        Array.from({ length: 25 }, (_, i) => i + 1),
      );
      await server.end();
    });

    test("another history under the same numbers is noticed inside of a block", async () => {
      const server = await TestServer.start(kind);
      const ann = await server.client();
      await ann.sync({ items: [part(START, 10)], stored: stored(START) });
      const common = part(START, 4);
      const other = part(common.after, 6, { json: '"other"' });
      const reply = await ann.sync({ items: [common, other], stored: stored(START) });
      assert.equal(reply.streams[0]?.status, 2, "fork");
      assert.deepEqual(reply.streams[0]?.mark, common.after);
      await server.end();
    });

    test("what needs a look at single events is kept as rows", async () => {
      const server = await TestServer.start(kind);
      const seen: string[] = [];
      server.sync.on("analytics.buy", (event) => {
        seen.push(event.id);
      });
      const ann = await server.client();
      const handled = segment(1n, LANE, START, [eventOf(1), { type: "analytics.buy" }]);
      const once = segment(1n, LANE, handled.after, [{ dedupeKey: "k" }, { dedupeKey: "k" }]);
      const bad = segment(1n, LANE, once.after, [{ json: "{" }, eventOf(6)]);
      const plain = part(bad.after, 3);
      const reply = await ann.sync({ items: [handled, once, bad, plain], stored: stored(START) });
      assert.equal(reply.streams[0]?.mark.seq, 9);
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ seq, kind }) => [seq, kind]),
        [
          [4, 4],
          [5, 1],
        ],
      );
      assert.equal(seen.length, 1);
      assert.equal(await server.count("offline_sync_queue"), 9, "a handler for one of its types: no block at all");
      const more = segment(1n, LANE, plain.after, [{ dedupeKey: "z" }]);
      const ordered = segment(1n, LANE, more.after, [{ entity: "cart-1" }]);
      await ann.sync({ items: [more, ordered, part(ordered.after, 4)], stored: stored(plain.after) });
      assert.equal(await server.count("offline_sync_queue"), 11);
      assert.equal(await server.count("offline_analytics_buffer"), 1);
      await server.end();
    });

    test("stands in the history among the other events, by lane, type and time", async () => {
      const server = await TestServer.start(kind);
      const ann = await server.client("acme", "ann", ["sync", "admin"]);
      const rows = segment(1n, 2, START, [{ json: '"row"' }]);
      const block = part(START, 9);
      await ann.sync({ items: [rows, block], stored: [...stored(START), { epoch: 1n, lane: 2, ...START }] });
      server.clock.now += 1_000;
      await ann.sync({ items: [part(block.after, 9)], stored: stored(block.after) });
      assert.equal((await history(ann)).length, 19);
      assert.equal((await history(ann, "&lane=analytics")).length, 18);
      assert.equal((await history(ann, "&lane=normal")).length, 1);
      assert.equal((await history(ann, "&type=analytics.page")).length, 6);
      assert.equal((await history(ann, "&type=analytics_page")).length, 0);
      assert.equal((await history(ann, "&type=ANALYTICS.page")).length, 0);
      assert.equal((await history(ann, `&since=${server.clock.now}`)).length, 9);
      const odd = '100%_"\\';
      const bob = await server.client("acme", "bob");
      await bob.sync({ items: [segment(1n, LANE, START, [{ type: odd }, {}])], stored: stored(START) });
      assert.equal((await history(bob, `&type=${encodeURIComponent(odd)}`)).length, 1);
      const overview = await ann.json("GET", `/device/${ann.deviceId}/status`);
      assert.equal(((await overview.json()) as { events: { applied: number } }).events.applied, 19);
      await server.sync.maintenance.tick();
      const summary = await ann.json("GET", "/analytics/summary");
      const counts = ((await summary.json()) as { items: { name: string; count: number }[] }).items;
      assert.deepEqual(
        counts.map(({ name, count }) => [name, count]),
        [
          ["click", 12],
          ["page", 6],
        ],
      );
      await server.end();
    });

    test("is exported in words and erased with its person", async () => {
      const server = await TestServer.start(kind);
      const ann = await server.client();
      const bob = await server.client("acme", "bob");
      for (const client of [ann, bob]) await client.sync({ items: [part(START, 3)], stored: stored(START) });
      const response = await fetch(`${server.url}/privacy/export`, { headers: { authorization: `Bearer ${ann.key}` } });
      const lines = (await response.text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { table: string; row: { items: { payload: string }[] } });
      const exported = lines.filter(({ table }) => table === "offline_analytics_buffer");
      assert.deepEqual(
        exported.flatMap(({ row }) => row.items.map(({ payload }) => payload)),
        [1, 2, 3].map((n) => eventOf(n).json),
      );
      await ann.json("POST", "/privacy/erase", { confirm: "erase" });
      await server.sync.maintenance.tick();
      assert.equal(await server.count("offline_analytics_buffer"), 1);
      await server.end();
    });

    test("a damaged one is named in the history, and no obstacle to the rest of an export", async () => {
      const server = await TestServer.start(kind);
      const ann = await server.client();
      await ann.sync({ items: [part(START, 3)], stored: stored(START) });
      await server.execute("UPDATE offline_analytics_buffer SET ranges = '7'");
      const page = await ann.json("GET", `/events/${ann.deviceId}/history`);
      assert.equal(page.status, 500);
      assert.equal(((await page.json()) as { code: string }).code, "storage_failed");
      const lines = (await (await ann.json("GET", "/privacy/export")).text()).trim().split("\n");
      assert.equal((JSON.parse(lines.at(-1) ?? "") as { complete?: boolean }).complete, true);
      assert.ok(lines.some((line) => line.includes("offline_analytics_buffer") && line.includes("base64")));
      await server.end();
    });

    test("goes by age, but for the last of a stream; or is not made at all", async () => {
      const database = await kind.create();
      const server = await TestServer.on(database, { retentionDays: 30 });
      const ann = await server.client();
      const first = part(START, 3);
      await ann.sync({ items: [first], stored: stored(START) });
      const second = part(first.after, 3);
      await ann.sync({ items: [second], stored: stored(first.after) });
      server.clock.now += 31 * 86_400_000;
      await server.sync.maintenance.cleanUp(undefined, false);
      const left = await server.query("SELECT first_seq FROM offline_analytics_buffer");
      assert.deepEqual(
        left.map((row) => row["first_seq"]),
        [4],
      );
      await server.stop();
      const without = await TestServer.on(database, { analyticsBlocks: false });
      const again = await without.client("acme", "zoe");
      await again.sync({ items: [part(START, 3)], stored: stored(START) });
      assert.equal(await without.count("offline_sync_queue"), 3);
      await without.end();
    });
  });
}
