/** One contract for every database behind the store. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Position } from "../../js-glue/core/events.ts";
import { Kind } from "../../js-glue/server/session.ts";
import { LostRace, openStore } from "../../js-glue/server/store/sql-store.ts";
import type { InboxEvent, Store } from "../../js-glue/server/store/store.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";

const T = "tenant-a";
const epoch = 0xfedcba9876543210n; // above 2^63: stored as a negative number
const device = (n: number): Uint8Array => new Uint8Array(16).fill(n);
const id = (seq: number, lane = 2): Position => ({ epoch, lane, seq });
const fail = (error: Error): never => assert.fail(error);

const inbox = (seq: number, over: Partial<InboxEvent> = {}): InboxEvent => ({
  id: id(seq),
  arrival: seq,
  hash: 0xffffffffffffff00n + BigInt(seq),
  status: Kind.applied,
  code: 0,
  type: "quiz.answer",
  module: "quiz",
  entity: "quiz/1",
  hlc: 1_700_000_000_000n << 16n,
  recovered: false,
  receivedAt: 1_000 + seq,
  payload: Buffer.from(`{"n":${seq},"text":"\\u0000 ä €"}`),
  ...over,
});

for (const kind of databaseKinds) {
  describe(`store on ${kind.name}`, { skip: kind.skip ?? false }, () => {
    let database: TestDatabase;
    let store: Store;
    const open = (): Promise<Store> => openStore(database.url, { now: Date.now, onIdleError: fail });
    before(async () => {
      database = await kind.create();
      store = await open();
      await store.write(async (tx) => {
        assert.equal(await tx.bindDevice(T, device(1), "ann", 10), true);
        assert.equal(await tx.bindDevice(T, device(1), "bob", 11), false);
      });
    });
    after(async () => {
      await store.close();
      await database.drop();
    });

    test("a device belongs to whom it was first seen with, in one tenant only", async () => {
      const found = await store.read((reads) => reads.device(T, device(1)));
      assert.equal(found?.principal, "ann");
      assert.equal(await store.read((reads) => reads.device("tenant-b", device(1))), undefined);
    });

    test("events come back byte for byte, in order of arrival, page by page", async () => {
      const events = [1, 2, 3, 4, 5].map((seq) => inbox(seq));
      await store.write((tx) => tx.insertEvents(T, device(1), events));
      const page = (from: number, limit: number): Promise<readonly InboxEvent[]> =>
        store.read((reads) => reads.history(T, device(1), { after: from, limit }));
      const first = await page(0, 3);
      assert.deepEqual(
        first.map(({ payload, ...rest }) => ({ ...rest, payload: Buffer.from(payload) })),
        events.slice(0, 3),
      );
      assert.deepEqual(
        (await page(first.at(-1)!.arrival, 3)).map(({ arrival }) => arrival),
        [4, 5],
      );
      assert.deepEqual(await store.read((reads) => reads.history("tenant-b", device(1), { after: 0, limit: 9 })), []);
    });

    test("many events come back as they were, whatever they have in common", async () => {
      const owners = [
        { device: device(20), over: () => ({}) },
        { device: device(21), over: (n: number) => ({ entity: `quiz/${n}`, hlc: 1n << BigInt(n), code: n }) },
        { device: device(22), over: (n: number) => ({ receivedAt: 7, type: n % 2 ? "a" : "b", module: "", hash: 1n }) },
      ];
      for (const { device, over } of owners) {
        // More than one statement takes, and a rest.
        const events = Array.from({ length: 63 }, (_, i) => inbox(i + 1, over(i)));
        await store.write((tx) => tx.insertEvents(T, device, events));
        const found = await store.read((reads) => reads.history(T, device, { after: 0, limit: 100 }));
        assert.deepEqual(
          found.map(({ payload, ...rest }) => ({ ...rest, payload: Buffer.from(payload) })),
          events,
        );
      }
    });

    test("the same number twice is refused by the database itself", async () => {
      await assert.rejects(store.write((tx) => tx.insertEvents(T, device(1), [inbox(5, { arrival: 99 })])));
    });

    test("a watermark moves only from where it stands", async () => {
      const stream = { epoch, lane: 2 };
      const move = (from: bigint, seq: number, hash: bigint) => ({
        stream,
        before: { seq, hash: from },
        after: { seq: seq + 5, hash },
      });
      const big = 0xf000000000000001n;
      assert.equal(await store.write((tx) => tx.moveStreams(T, device(1), [move(0n, 0, big)], 1)), true);
      assert.equal(await store.write((tx) => tx.moveStreams(T, device(1), [move(0n, 0, big)], 1)), false);
      assert.equal(await store.write((tx) => tx.moveStreams(T, device(1), [move(1n, 5, big)], 1)), false);
      assert.equal(await store.write((tx) => tx.moveStreams(T, device(1), [move(big, 5, 7n)], 1)), true);
      const need = { stream, stored: 0, hashesAt: [3, 5, 6], markOnly: false };
      const other = { stream: { epoch: 1n, lane: 0 }, stored: 0, hashesAt: [], markOnly: true };
      const rows = await store.read((reads) => reads.streamRows(T, device(1), [other, need]));
      assert.deepEqual(rows[0]?.mark, { seq: 0, hash: 0n });
      assert.deepEqual(rows[1]?.mark, { seq: 10, hash: 7n });
      assert.deepEqual(
        rows[1]?.hashes.map(({ seq }) => seq),
        [3, 5],
      );
    });

    test("verdicts above the stored number are listed, and one more than an answer can hold", async () => {
      const many = Array.from({ length: 1_500 }, (_, i) => ({ id: id(i + 1, 3), kind: Kind.rejected, code: 400 }));
      await store.write((tx) => tx.insertVerdicts(T, device(1), many, 1));
      const need = { stream: { epoch, lane: 3 }, stored: 200, hashesAt: [], markOnly: false };
      const [row] = await store.read((reads) => reads.streamRows(T, device(1), [need]));
      assert.equal(row?.verdicts.length, 1_001);
      assert.equal(row?.verdicts[0]?.seq, 201);
    });

    test("what lies between two events of a lost range stays lost", async () => {
      const stream = { epoch, lane: 1 };
      const hole = { stream, from: 10, to: 20, reason: 0, hashBefore: 1n, hashAfter: 2n };
      await store.write((tx) => tx.insertVoids(T, device(1), [hole], 1));
      await store.write((tx) => tx.markRecovered(T, device(1), [id(10, 1), id(12, 1)], 2));
      const need = { stream, stored: 0, hashesAt: [20], markOnly: false };
      const [row] = await store.read((reads) => reads.streamRows(T, device(1), [need]));
      assert.deepEqual(
        row?.voids.map(({ from, to, recovered }) => [from, to, recovered]),
        [
          [10, 10, true],
          [11, 11, false],
          [12, 12, true],
          [13, 20, false],
        ],
      );
    });

    test("a dedupe key has one owner until it expires", async () => {
      const claim = (seq: number, now: number, expires: number | null): Promise<boolean> =>
        store.write((tx) => tx.claimKey(T, device(1), "k", id(seq), now, expires));
      assert.equal(await claim(1, 0, 100), true);
      assert.equal(await claim(1, 1, 100), true);
      assert.equal(await claim(2, 1, 100), false);
      assert.equal(await claim(2, 100, null), true);
      assert.equal(await claim(3, 1e12, null), false);
    });

    test("a deferred event ends once, with a number in the late log", async () => {
      const late = {
        id: id(1, 0),
        arrival: 50,
        entityHash: 0xfffffff0,
        after: [id(9)],
        dedupeKey: "",
        replaces: undefined,
      };
      const row = { ...late, tries: 0, nextAt: 5, reason: null };
      await store.write(async (tx) => {
        await tx.insertEvents(T, device(1), [inbox(1, { id: id(1, 0), arrival: 50, status: Kind.deferred })]);
        await tx.insertVerdicts(T, device(1), [{ id: id(1, 0), kind: Kind.deferred, code: 0 }], 1);
        await tx.insertDeferred(T, device(1), [row]);
      });
      assert.deepEqual(await store.read((reads) => reads.deferredEvents(T, device(1))), [row]);
      assert.equal((await store.read((reads) => reads.devicesDue(5, 10))).length, 1);
      assert.equal((await store.read((reads) => reads.devicesDue(4, 10))).length, 0);
      const settle = (): Promise<void> =>
        store.write((tx) => tx.settleDeferred(T, device(1), row, { kind: Kind.applied, code: 0, lateNumber: 1 }, 2));
      await settle();
      await assert.rejects(settle());
      const log = await store.read((reads) => reads.lateVerdicts(T, device(1), 0));
      assert.deepEqual(log, [{ number: 1, event: id(1, 0), kind: Kind.applied, code: 0 }]);
      assert.deepEqual(await store.read((reads) => reads.lateVerdicts(T, device(1), 1)), []);
    });

    test("a dead letter is closed once", async () => {
      const letter = { device: device(1), id: id(7), principal: "ann", type: "t", module: "", entity: "", hlc: 1n };
      await store.write((tx) =>
        tx.insertDeadLetters(T, [{ ...letter, payload: Buffer.from("1"), code: 400, message: "no", createdAt: 5 }]),
      );
      const list = (principal?: string) =>
        store.read((reads) => reads.deadLetters(T, principal, { createdAt: 0, offset: 0 }, 10));
      assert.equal((await list("ann")).length, 1);
      assert.equal((await list("bob")).length, 0);
      assert.equal(await store.write((tx) => tx.closeDeadLetter(T, device(1), id(7), "x", 9)), true);
      assert.equal(await store.write((tx) => tx.closeDeadLetter(T, device(1), id(7), "x", 9)), false);
      assert.equal((await list()).length, 0);
    });

    test("a savepoint undoes its own part only; an error undoes everything", async () => {
      await store.write(async (tx) => {
        await tx.claimKey(T, device(2), "kept", id(1), 0, null);
        await assert.rejects(
          tx.connection.savepoint(async () => {
            await tx.claimKey(T, device(2), "undone", id(1), 0, null);
            await tx.connection.query("SELECT no_such_column FROM install");
          }),
        );
      });
      const owner = (key: string) => store.read((reads) => reads.apiKey(key));
      assert.equal(await owner("nothing"), undefined);
      await assert.rejects(
        store.write(async (tx) => {
          await tx.claimKey(T, device(2), "gone", id(1), 0, null);
          throw new Error("no");
        }),
        /no/,
      );
      const keys = await store.read((reads) =>
        reads.connection.query("SELECT dedupe_key FROM dedupe_key WHERE tenant_id = $1 AND device_id = $2", [
          T,
          device(2),
        ]),
      );
      assert.deepEqual(
        keys.map(({ dedupe_key }) => dedupe_key),
        ["kept"],
      );
    });

    test("a lost race is tried again, five times at most", async () => {
      let tries = 0;
      assert.equal(
        await store.write(async () => {
          if (++tries < 5) throw new LostRace();
          return tries;
        }),
        5,
      );
      await assert.rejects(
        store.write(async () => {
          throw new LostRace();
        }),
        LostRace,
      );
    });

    test("two writers of one device come one after the other", async () => {
      const add = (): Promise<void> =>
        store.write(async (tx) => {
          const found = await tx.device(T, device(1), true);
          const heads = { arrivalHead: found!.arrivalHead + 1, lateHead: 0, deferredCount: 0 };
          await new Promise((resolve) => setImmediate(resolve));
          await tx.advanceDevice(T, device(1), heads, 1);
        });
      const head = async (): Promise<number> => (await store.read((reads) => reads.device(T, device(1))))!.arrivalHead;
      const start = await head();
      await Promise.all(Array.from({ length: 12 }, add));
      assert.equal(await head(), start + 12);
    });

    test("a snapshot does not see what commits after it began", async () => {
      await store.read(async (reads) => {
        const seen = (await reads.device(T, device(1)))!.arrivalHead;
        await store.write((tx) =>
          tx.advanceDevice(T, device(1), { arrivalHead: seen + 7, lateHead: 0, deferredCount: 0 }, 1),
        );
        assert.equal((await reads.device(T, device(1)))!.arrivalHead, seen);
      });
    });

    test("opening again changes neither schema nor incarnation; a declared restore mints a greater one", async () => {
      const again = await open();
      assert.deepEqual(again.incarnation, store.incarnation);
      assert.equal(again.migrationLevel, store.migrationLevel);
      await again.close();
      const restored = await openStore(database.url, { now: () => 0, onIdleError: fail, restored: true });
      assert.ok(restored.incarnation.mintedAt > store.incarnation.mintedAt);
      await restored.close();
    });

    test("processes that start at once agree on one schema", async () => {
      const fresh = await kind.create();
      const stores = await Promise.all(
        Array.from({ length: 4 }, () => openStore(fresh.url, { now: Date.now, onIdleError: fail })),
      );
      assert.deepEqual(new Set(stores.map(({ migrationLevel }) => migrationLevel)).size, 1);
      for (const one of stores) await one.close();
      await fresh.drop();
    });
  });
}
