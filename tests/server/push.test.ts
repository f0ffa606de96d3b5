/** Exactly once in effect, on every database, over real HTTP. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { numberOf } from "../../js-glue/core/errors.ts";
import { Reject } from "../../js-glue/server/handlers.ts";
import { Kind } from "../../js-glue/server/session.ts";
import { databaseKinds } from "./databases.ts";
import { type Mark, START, segment } from "./frames.ts";
import { TestServer } from "./harness.ts";

const REJECTED = numberOf("rejected");
const Status = { ok: 0, gap: 1, fork: 2, unknown: 3, rewound: 4 } as const;
const numbered = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ type: "effect", json: `{"n":${from + i}}` }));

for (const kind of databaseKinds) {
  describe(`push on ${kind.name}`, { skip: kind.skip ?? false }, () => {
    let server: TestServer;
    let failures = 0;
    let failed = new Error("try again later");
    before(async () => {
      server = await TestServer.start(kind, { triesMax: 3 });
      await server.execute("CREATE TABLE effect (tenant text, device text, n bigint)");
      server.sync.on("effect", async (event, tx) => {
        const { n } = event.eventData as { n: number };
        await tx.run("INSERT INTO effect (tenant, device, n) VALUES ($1, $2, $3)", [event.tenant, event.deviceId, n]);
      });
      server.sync.on("refuse", async (_, tx) => {
        await tx.run("INSERT INTO effect (tenant, device, n) VALUES ('never', 'never', 0)");
        throw new Reject("not today");
      });
      server.sync.on("flaky", async (event, tx) => {
        await tx.run("INSERT INTO effect (tenant, device, n) VALUES ('flaky', $1, 1)", [event.deviceId]);
        if (failures-- > 0) throw failed;
      });
    });
    after(() => server.end());

    const effects = async (device: string): Promise<number[]> => {
      const rows = await server.query("SELECT n FROM effect WHERE device = $1 ORDER BY n", [
        device.replaceAll("-", ""),
      ]);
      return rows.map(({ n }) => Number(n));
    };

    test("a push is applied once and its watermark says so", async () => {
      const client = await server.client();
      const one = segment(1n, 2, START, numbered(1, 10));
      const reply = await client.sync({ items: [one] });
      assert.deepEqual(reply.streams[0]?.mark, one.after);
      assert.equal(reply.streams[0]?.status, Status.ok);
      assert.deepEqual(reply.streams[0]?.verdicts, []);
      assert.deepEqual(await effects(client.deviceId), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      assert.equal(reply.serverTime, server.clock.now);
      assert.equal(reply.horizon, server.clock.now - 24 * 3_600_000);
      assert.deepEqual(reply.incarnation, server.sync.store.incarnation);
    });

    test("reply lost after commit: the same push again, cut otherwise, changes nothing", async () => {
      const client = await server.client();
      const all = numbered(1, 20);
      const first = segment(7n, 1, START, all.slice(0, 10));
      await client.sync({ items: [first] }); // the reply never arrives
      const again = segment(7n, 1, START, all.slice(0, 4));
      const overlap = segment(7n, 1, again.after, all.slice(4, 20));
      const reply = await client.sync({ items: [again, overlap] });
      assert.deepEqual(reply.streams[0]?.mark, overlap.after);
      assert.deepEqual(
        await effects(client.deviceId),
        Array.from({ length: 20 }, (_, i) => i + 1),
      );
      const same = await client.sync({ items: [again, overlap] });
      assert.deepEqual(same.streams[0]?.mark, overlap.after);
      assert.equal((await effects(client.deviceId)).length, 20);
    });

    test("many pushes of the same events at once apply them once", async () => {
      const client = await server.client();
      const one = segment(9n, 2, START, numbered(1, 50));
      const replies = await Promise.all(Array.from({ length: 8 }, () => client.sync({ items: [one] })));
      for (const reply of replies) assert.deepEqual(reply.streams[0]?.mark, one.after);
      assert.equal((await effects(client.deviceId)).length, 50);
    });

    test("a gap moves nothing and says where to go on", async () => {
      const client = await server.client();
      const first = segment(1n, 2, START, numbered(1, 2));
      const third = segment(1n, 2, { seq: 5, hash: 9n }, numbered(6, 1));
      await client.sync({ items: [first] });
      const reply = await client.sync({ items: [third], stored: [{ epoch: 1n, lane: 2, ...first.after }] });
      assert.equal(reply.streams[0]?.status, Status.gap);
      assert.deepEqual(reply.streams[0]?.mark, first.after);
      assert.equal((await client.history()).length, 2);
    });

    test("a fork names the last agreed event and applies none of the other history", async () => {
      const client = await server.client();
      const common = numbered(1, 3);
      await client.sync({ items: [segment(1n, 2, START, [...common, ...numbered(100, 3)])] });
      const mine = segment(1n, 2, START, [...common, ...numbered(200, 4)]);
      const reply = await client.sync({ items: [mine] });
      assert.equal(reply.streams[0]?.status, Status.fork);
      assert.deepEqual(reply.streams[0]?.mark, mine.marks[2]);
      assert.deepEqual(await effects(client.deviceId), [1, 2, 3, 100, 101, 102]);
    });

    for (const same of [2, 0])
      test(`a fork ${same} events into the second segment names the last agreed one`, async () => {
        const client = await server.client();
        await client.sync({ items: [segment(1n, 2, START, numbered(1, 10))] });
        const agreed = segment(1n, 2, START, numbered(1, 4));
        const mine = segment(1n, 2, agreed.after, [...numbered(5, same), ...numbered(200, 2)]);
        const reply = await client.sync({ items: [agreed, mine] });
        assert.equal(reply.streams[0]?.status, Status.fork);
        assert.deepEqual(reply.streams[0]?.mark, mine.marks[same - 1] ?? agreed.after);
      });

    test("a rejection is repeated in every answer until it is stored, and undone alone", async () => {
      const client = await server.client();
      const events = [...numbered(1, 1), { type: "refuse" }, ...numbered(3, 1)];
      const one = segment(1n, 2, START, events);
      const verdicts = [{ seq: 2, kind: Kind.rejected, code: REJECTED }];
      assert.deepEqual((await client.sync({ items: [one] })).streams[0]?.verdicts, verdicts);
      assert.deepEqual((await client.sync({ items: [one] })).streams[0]?.verdicts, verdicts);
      const stored = (mark: Mark) => [{ epoch: 1n, lane: 2, ...mark }];
      assert.deepEqual((await client.pull({ stored: stored(START) })).streams[0]?.verdicts, verdicts);
      assert.deepEqual((await client.pull({ stored: stored(one.after) })).streams[0]?.verdicts, []);
      assert.deepEqual(await effects(client.deviceId), [1, 3]);
      assert.deepEqual(await effects("never"), []);
      const letters = (await (await client.json("GET", "/dead-letter")).json()) as { items: { message: string }[] };
      assert.equal(letters.items[0]?.message, "not today");
    });

    test("a handler's words about its own data are never taken for trouble of the database", async () => {
      const client = await server.client();
      const told = ["malformed", "the address is malformed", "unable to open", "readonly database"];
      server.sync.on("words", ({ eventData }) => {
        throw new Reject("malformed", told[(eventData as { n: number }).n]);
      });
      const events = told.map((_, n) => ({ type: "words", json: `{"n":${n}}` }));
      const reply = await client.sync({ items: [segment(1n, 2, START, events)] });
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ kind: verdict }) => verdict),
        told.map(() => Kind.rejected),
      );
    });

    test("a failed handler defers its entity only; the late verdict comes in every answer", async () => {
      const client = await server.client();
      failures = 2; // the first try is without savepoints, and is taken back as a whole
      const events = [
        { type: "flaky", entity: "cart/1" },
        { type: "effect", entity: "cart/1", json: '{"n":2}' },
        { type: "effect", entity: "cart/2", json: '{"n":3}' },
      ];
      const one = segment(1n, 2, START, events);
      const reply = await client.sync({ items: [one] });
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ seq, kind: verdict }) => [seq, verdict]),
        [
          [1, Kind.deferred],
          [2, Kind.deferred],
        ],
      );
      assert.deepEqual(reply.streams[0]?.mark, one.after);
      assert.deepEqual(await effects(client.deviceId), [3]);
      server.clock.now += 61_000;
      await server.sync.release();
      assert.deepEqual(await effects(client.deviceId), [1, 2, 3]);
      const stored = [{ epoch: 1n, lane: 2, ...one.after }];
      for (let i = 0; i < 2; i++) {
        const pulled = await client.pull({ stored });
        assert.deepEqual(
          pulled.late.map(({ number, seq, kind: verdict }) => [number, seq, verdict]),
          [
            [1, 1, Kind.applied],
            [2, 2, Kind.applied],
          ],
        );
      }
      assert.deepEqual((await client.pull({ stored, lateSeen: 2 })).late, []);
    });

    test("a handler's failure is its own, whatever it is called", async () => {
      const refused = Object.assign(new Error("connect ECONNREFUSED: a service of the application"), {
        code: "ECONNREFUSED",
      });
      for (const error of [new Error("SQLITE_CORRUPT: malformed, not open"), refused]) {
        const client = await server.client();
        failed = error;
        failures = 2;
        const one = segment(1n, 2, START, [{ type: "flaky", entity: "a" }, ...numbered(2, 1)]);
        const { verdicts, mark } = (await client.sync({ items: [one] })).streams[0] ?? {};
        assert.deepEqual(
          verdicts?.map(({ seq, kind: verdict }) => [seq, verdict]),
          [[1, Kind.deferred]],
        );
        assert.deepEqual(mark, one.after);
        assert.deepEqual(await effects(client.deviceId), [2]);
      }
    });

    test("a handler that never succeeds makes a dead letter after its tries", async () => {
      const client = await server.client();
      failures = 100;
      const one = segment(1n, 2, START, [{ type: "flaky", entity: "e" }]);
      await client.sync({ items: [one] });
      for (let i = 0; i < 4; i++) {
        server.clock.now += 600_000;
        await server.sync.release();
      }
      failures = 0;
      const pulled = await client.pull({ stored: [{ epoch: 1n, lane: 2, ...one.after }] });
      assert.deepEqual(
        pulled.late.map(({ kind: verdict, code }) => [verdict, code]),
        [[Kind.rejected, REJECTED]],
      );
      const [item] = await client.history();
      assert.equal(item?.verdict, "rejected");
      assert.equal(item?.code, "rejected");
    });

    test("an event waits for what it depends on, and runs after it", async () => {
      const client = await server.client();
      const normal = segment(1n, 2, START, [{ type: "effect", entity: "e", json: '{"n":1}' }]);
      const urgent = segment(1n, 0, START, [{ type: "effect", entity: "e", json: '{"n":2}' }]);
      const deps = [{ item: 0, entity: "e", after: { epoch: 1n, lane: 2, seq: 1 } }];
      const reply = await client.sync({ items: [urgent], deps });
      assert.equal(reply.streams[0]?.verdicts[0]?.kind, Kind.deferred);
      assert.deepEqual(await effects(client.deviceId), []);
      await client.sync({ items: [normal] });
      await server.sync.release();
      assert.deepEqual(await effects(client.deviceId), [1, 2]);
      const order = await server.query("SELECT n FROM effect WHERE device = $1", [client.deviceId.replaceAll("-", "")]);
      assert.deepEqual(
        order.map(({ n }) => Number(n)),
        [1, 2],
      );
    });

    test("two events with one dedupe key are one event; without a key they are two", async () => {
      const client = await server.client();
      const event = { type: "effect", json: '{"n":1}' };
      const keyed = { ...event, dedupeKey: "order-7" };
      const one = segment(1n, 2, START, [keyed, keyed, event, event]);
      const reply = await client.sync({ items: [one] });
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ seq, kind: verdict }) => [seq, verdict]),
        [[2, Kind.duplicate]],
      );
      await client.sync({ items: [segment(1n, 2, one.after, [keyed])] });
      assert.deepEqual(await effects(client.deviceId), [1, 1, 1]);
    });

    test("a rejected event frees its dedupe key", async () => {
      const client = await server.client();
      const refused = { type: "refuse", dedupeKey: "k" };
      const fine = { type: "effect", dedupeKey: "k", json: '{"n":5}' };
      await client.sync({ items: [segment(1n, 2, START, [refused, fine])] });
      assert.deepEqual(await effects(client.deviceId), [5]);
    });

    test("a re-issued event closes the dead letter it replaces, once", async () => {
      const client = await server.client();
      const dead = segment(1n, 2, START, [{ type: "refuse" }]);
      await client.sync({ items: [dead] });
      const replaces = { epoch: 1n, lane: 2, seq: 1 };
      const again = segment(1n, 2, dead.after, [
        { type: "effect", json: '{"n":1}', replaces },
        { type: "effect", json: '{"n":2}', replaces },
      ]);
      const reply = await client.sync({ items: [again], stored: [{ epoch: 1n, lane: 2, ...dead.after }] });
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ seq, kind: verdict }) => [seq, verdict]),
        [[3, Kind.duplicate]],
      );
      assert.deepEqual(await effects(client.deviceId), [1]);
      const letters = (await (await client.json("GET", "/dead-letter")).json()) as { items: { deviceId: string }[] };
      assert.ok(letters.items.every(({ deviceId }) => deviceId !== client.deviceId));
    });

    test("a number passed as replaced makes room for one event, in the same push", async () => {
      const client = await server.client();
      const hole = { stream: { epoch: 1n, lane: 2 }, from: 1, to: 1, reason: 4, before: 0n, after: 77n };
      const replaces = { epoch: 1n, lane: 2, seq: 1 };
      const rest = segment(1n, 2, { seq: 1, hash: 77n }, [
        { type: "effect", json: '{"n":1}', replaces },
        { type: "effect", json: '{"n":2}', replaces },
      ]);
      const reply = await client.sync({ items: [hole, rest] });
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ seq, kind: verdict }) => [seq, verdict]),
        [
          [1, Kind.void],
          [3, Kind.duplicate],
        ],
      );
      assert.deepEqual(await effects(client.deviceId), [1]);
    });

    test("a lost range is passed by name; its events are taken once when they turn up after all", async () => {
      const client = await server.client();
      const lost = segment(1n, 2, START, numbered(1, 3));
      const hole = { stream: { epoch: 1n, lane: 2 }, from: 1, to: 3, reason: 0, before: 0n, after: lost.after.hash };
      const rest = segment(1n, 2, lost.after, numbered(4, 1));
      const reply = await client.sync({ items: [hole, rest] });
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ kind: verdict }) => verdict),
        [Kind.void, Kind.void, Kind.void],
      );
      assert.deepEqual(await effects(client.deviceId), [4]);
      for (let i = 0; i < 2; i++) await client.sync({ items: [lost] });
      assert.deepEqual(await effects(client.deviceId), [1, 2, 3, 4]);
      assert.equal(await server.count("stream_void WHERE recovered_at IS NOT NULL AND from_seq <> to_seq"), 0);
    });

    test("more rejections than fit one answer are told in several", async () => {
      const client = await server.client();
      const bad = (count: number) => Array.from({ length: count }, () => ({ json: "nonsense" }));
      const one = segment(1n, 2, START, bad(900));
      const two = segment(1n, 2, one.after, bad(900));
      const reply = await client.sync({ items: [one, two] });
      assert.equal(reply.streams[0]?.verdicts.length, 1_000);
      assert.equal(reply.streams[0]?.mark.seq, 1_000);
      const rest = await client.pull({ stored: [{ epoch: 1n, lane: 2, ...reply.streams[0]!.mark }] });
      assert.equal(rest.streams[0]?.verdicts.length, 800);
      assert.deepEqual(rest.streams[0]?.mark, two.after);
    });

    test("hostile bodies are refused by name and the events around them applied", async () => {
      const client = await server.client();
      const deep = "[".repeat(65) + "]".repeat(65);
      const events = [
        { json: '{"text":"\\u0000"}' },
        { json: '"\\ud800"' },
        { json: deep },
        { json: Uint8Array.of(0x22, 0xff, 0x22) },
        { json: '{"__proto__":{"polluted":true}}' },
        { json: "123456789012345678901234567890" },
      ];
      const reply = await client.sync({ items: [segment(1n, 2, START, events)] });
      assert.deepEqual(
        reply.streams[0]?.verdicts.map(({ seq, code }) => [seq, code]),
        [
          [2, numberOf("lone_surrogate")],
          [3, numberOf("too_deep")],
          [4, numberOf("invalid_utf8")],
        ],
      );
      const response = await client.json("GET", `/events/${client.deviceId}/history`);
      const text = await response.text();
      assert.ok(text.includes('{"text":"\\u0000"}'));
      assert.ok(text.includes("123456789012345678901234567890"));
      assert.equal(({} as { polluted?: boolean }).polluted, undefined);
    });
  });
}
