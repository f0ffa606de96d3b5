/** A push planned from what the last one left behind: never believed by itself, whatever happened elsewhere meanwhile. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RecentDevices } from "../../js-glue/server/recent-devices.ts";
import type { DeviceHead } from "../../js-glue/server/store/reads.ts";
import { databaseKinds } from "./databases.ts";
import { type Hole, type Mark, type Segment, START, segment } from "./frames.ts";
import { TestClient, TestServer } from "./harness.ts";

const stream = { epoch: 1n, lane: 2 };
const stored = (mark: Mark) => [{ ...stream, ...mark }];
const events = (before: Mark, count = 2): Segment =>
  segment(
    1n,
    2,
    before,
    Array.from({ length: count }, () => ({})),
  );

for (const kind of databaseKinds) {
  describe(`pushes one after another, ${kind.name}`, { skip: kind.skip }, () => {
    test("another process in between, a second device, a revocation", async () => {
      const database = await kind.create();
      const one = await TestServer.on(database);
      const two = await TestServer.on(database);
      const ann = await one.client("acme", "ann", ["sync", "admin"]);
      const elsewhere = new TestClient(two.url, ann.key, ann.device);
      let mark = START;
      const push = async (client: TestClient): Promise<void> => {
        const part = events(mark);
        const reply = await client.sync({ items: [part], stored: stored(mark) });
        assert.deepEqual(reply.streams[0]?.mark, part.after);
        mark = part.after;
      };
      // What `one` remembers is behind, and ahead of nothing.
      for (const client of [ann, ann, elsewhere, ann, elsewhere, elsewhere, ann, ann]) await push(client);
      // Another stream of the same device moves the device's head, but not this stream.
      await elsewhere.sync({ items: [segment(9n, 2, START, [{}, {}, {}])] });
      await push(ann);
      // The same push again, and one that overlaps.
      const part = events(mark, 3);
      await ann.sync({ items: [part], stored: stored(mark) });
      const again = await ann.sync({ items: [part], stored: stored(mark) });
      assert.deepEqual(again.streams[0]?.mark, part.after);
      mark = part.after;
      assert.equal(await one.count("offline_sync_queue"), 9 * 2 + 3 + 3);
      const arrivals = await one.query("SELECT arrival FROM offline_sync_queue ORDER BY arrival");
      assert.deepEqual(
        arrivals.map((row) => row["arrival"]),
        arrivals.map((_, i) => i + 1),
      );

      const response = await elsewhere.json("DELETE", `/device/${ann.deviceId}`);
      assert.equal(response.status, 204);
      const late = await ann.post("/sync/push", ann.frame({ items: [events(mark)], stored: stored(mark) }));
      assert.equal(late.status, 403);
      await two.stop();
      await one.end();
    });

    test("many devices at once, one of them behind and one revoked elsewhere", async () => {
      const database = await kind.create();
      const one = await TestServer.on(database);
      const two = await TestServer.on(database);
      const clients = await Promise.all(
        Array.from({ length: 12 }, (_, i) => one.client(i % 2 === 0 ? "acme" : "other", `p${i}`)),
      );
      const marks = clients.map(() => START);
      const round = () =>
        Promise.all(
          clients.map(async (client, i) => {
            const part = events(marks[i]!, 3);
            const answer = await client.post("/sync/push", client.frame({ items: [part], stored: stored(marks[i]!) }));
            if (answer.status === 200) marks[i] = part.after;
            return answer.status;
          }),
        );
      assert.deepEqual(await round(), Array(12).fill(200));
      // What `one` remembers of these two is no longer so.
      const part = events(marks[4]!, 1);
      await new TestClient(two.url, clients[4]!.key, clients[4]!.device).sync({
        items: [part],
        stored: stored(marks[4]!),
      });
      marks[4] = part.after;
      await two.execute("UPDATE device_sync_state SET revoked_at = 1 WHERE principal_id = 'p6'");
      const statuses = await round();
      assert.deepEqual(
        statuses,
        Array.from({ length: 12 }, (_, i) => (i === 6 ? 403 : 200)),
      );
      const rows = await one.query(
        `SELECT s.principal_id AS who, count(*) AS n, max(q.arrival) AS last, min(d.last_seq) AS head
           FROM offline_sync_queue q JOIN device_sync_state s ON s.device_id = q.device_id AND s.tenant_id = q.tenant_id
           JOIN device_stream d ON d.device_id = q.device_id AND d.tenant_id = q.tenant_id GROUP BY s.principal_id`,
      );
      assert.equal(rows.length, 12);
      for (const { who, n, last, head } of rows) {
        const count = who === "p4" ? 7 : who === "p6" ? 3 : 6;
        assert.deepEqual([who, Number(n), Number(last), Number(head)], [who, count, count, count]);
      }
      await two.stop();
      await one.end();
    });

    test("numbers given up as lost, and sent after all, are taken", async () => {
      const server = await TestServer.start(kind);
      const ann = await server.client();
      const first = events(START);
      await ann.sync({ items: [first], stored: stored(START) });
      const second = events(first.after);
      const hole: Hole = {
        stream,
        from: 3,
        to: 4,
        reason: 0,
        before: first.after.hash,
        after: second.after.hash,
      };
      await ann.sync({ items: [hole], stored: stored(first.after) });
      const third = events(second.after);
      await ann.sync({ items: [third], stored: stored(second.after) });
      const fourth = events(third.after);
      // The lost ones come together with new ones.
      await ann.sync({ items: [second, fourth], stored: stored(third.after) });
      await ann.sync({ items: [second], stored: stored(first.after) });
      const rows = await server.query("SELECT client_seq, recovered FROM offline_sync_queue ORDER BY client_seq");
      assert.deepEqual(
        rows.map((row) => [row["client_seq"], row["recovered"]]),
        [1, 2, 3, 4, 5, 6, 7, 8].map((seq) => [seq, seq === 3 || seq === 4 ? 1 : 0]),
      );
      await server.end();
    });
  });
}

describe("what is remembered of a device", () => {
  const head = { device: new Uint8Array(16), arrivalHead: 5 } as DeviceHead;
  const mark = { seq: 5, hash: 7n };
  const need = { stream, stored: 5, hashesAt: [5, 8], markOnly: false };
  const of = (voids: readonly { from: number; to: number; reason: number; recovered: boolean }[]): RecentDevices => {
    const recent = new RecentDevices();
    const row = { stream, mark: { seq: 2, hash: 1n }, hashes: [], verdicts: [], voids };
    recent.moved("k", { head, streams: [row] }, [{ stream, before: row.mark, after: mark }], 3);
    return recent;
  };

  test("a plain continuation needs no read; anything else does", () => {
    const recent = of([]);
    assert.deepEqual(recent.rows("k", [need])?.streams[0]?.mark, mark);
    assert.equal(recent.rows("k", [need])?.head?.arrivalHead, 8);
    assert.equal(recent.rows("other", [need]), undefined);
    assert.equal(recent.rows("k", [{ ...need, stored: 4 }]), undefined);
    assert.equal(recent.rows("k", [{ ...need, hashesAt: [4, 5, 8] }]), undefined);
    assert.equal(recent.rows("k", [{ ...need, markOnly: true }]), undefined);
    assert.equal(recent.rows("k", [need, { ...need, stream: { epoch: 2n, lane: 2 } }]), undefined);
    recent.forget("k");
    assert.equal(recent.rows("k", [need]), undefined);
  });

  test("a stream with voids near its end is not remembered", () => {
    assert.equal(of([{ from: 1, to: 2, reason: 0, recovered: false }]).rows("k", [need]), undefined);
  });
});
