// Before the core is there: numbers are dense, survive failures, and the engine goes on exactly behind them.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Journal } from "../../js-glue/browser/journal.ts";
import { systemClock } from "../../js-glue/browser/platform.ts";
import { utf8 } from "../../js-glue/core/bytes.ts";
import { failure } from "../../js-glue/core/errors.ts";
import { journalKey, readJournalRecord, writeJournalRecord } from "../../js-glue/core/journal-record.ts";
import { EngineLoop } from "../../js-glue/core/loop.ts";
import { pageArgs, readPage } from "../../js-glue/core/pages.ts";
import { CountingRandom, callOf, Listener, noNetwork, realCore, settle, TestStore } from "./helpers.ts";

const EPOCH = 0x1122334455667788n;
const records = (store: TestStore) => store.scan({ from: utf8("sj"), to: utf8("sk") }, 256);

describe("journal records", () => {
  test("come back as they were written, and damage is noticed", () => {
    const record = { wall: 1_700_000_000_123, epoch: EPOCH, next: [1, 2, 3, 4, 5], text: utf8("22\0a\0\0\0\0{}\0") };
    const bytes = writeJournalRecord(record);
    assert.deepEqual(readJournalRecord(bytes), record);
    for (let at = 62; at < bytes.length; at++) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      assert.throws(() => readJournalRecord(damaged));
    }
  });

  test("lie under keys in the order they were written", () => {
    assert.deepEqual(
      [...journalKey(EPOCH, 258)],
      [0x73, 0x6a, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0, 0, 1, 2],
    );
  });
});

describe("Journal", () => {
  test("takes calls before there is storage, and numbers each lane from 1", async () => {
    const journal = new Journal(EPOCH, () => 1);
    const fates = [callOf({ eventData: 1 }), callOf({ eventData: 2, priority: "critical" }), callOf({ eventData: 3 })];
    journal.enqueue(fates.map(({ call }) => call));
    await settle();
    assert.equal(fates[0]?.answers, 0);
    journal.attach(new TestStore());
    await Promise.all(fates.map(({ done }) => done));
    assert.deepEqual(
      fates.map(({ position }) => [position?.lane, position?.seq]),
      [
        [2, 1],
        [0, 1],
        [2, 2],
      ],
    );
  });

  test("one transaction is in flight; what arrives meanwhile shares the next one", async () => {
    const store = new TestStore();
    const journal = new Journal(EPOCH, () => 1);
    journal.attach(store);
    const fates = Array.from({ length: 200 }, (_, i) => callOf({ eventData: i }));
    for (const { call } of fates) journal.enqueue([call]);
    await Promise.all(fates.map(({ done }) => done));
    assert.equal(store.commits.length, 2);
    assert.deepEqual(
      fates.map(({ position }) => position?.seq),
      fates.map((_, i) => i + 1),
    );
  });

  test("numbers return to use only when nothing was written", async () => {
    const store = new TestStore();
    const journal = new Journal(EPOCH, () => 1);
    let fail: string | undefined = "storage_quota";
    store.before = () => {
      if (fail === "storage_quota") throw failure("storage_quota", "full");
    };
    store.behind = () => {
      const unknown = fail === "storage_unknown";
      fail = undefined;
      if (unknown) throw failure("storage_unknown", "the answer was lost");
    };
    journal.attach(store);
    const refused = callOf({ eventData: 1 });
    journal.enqueue([refused.call]);
    await refused.done;
    assert.equal(refused.error?.code, "storage_quota");
    fail = "storage_unknown";
    const unknown = callOf({ eventData: 2 });
    journal.enqueue([unknown.call]);
    await unknown.done;
    assert.equal(unknown.position?.seq, 1);
    const next = callOf({ eventData: 3 });
    journal.enqueue([next.call]);
    await next.done;
    assert.equal(next.position?.seq, 2);
    assert.equal((await records(store)).length, 2);
  });

  test("no record grows beyond 48 kB", async () => {
    const store = new TestStore();
    const journal = new Journal(EPOCH, () => 1);
    journal.attach(store);
    const fates = Array.from({ length: 30 }, (_, i) => callOf({ eventData: "é".repeat(i * 600) }));
    journal.enqueue(fates.map(({ call }) => call));
    await Promise.all(fates.map(({ done }) => done));
    for (const { value } of await records(store)) assert.ok(value.length <= 48_000, String(value.length));
  });

  test("the engine takes the records over and numbers on behind them", async () => {
    const store = new TestStore();
    const journal = new Journal(EPOCH, () => Date.now());
    journal.attach(store);
    const early = [callOf({ eventData: { n: 1 } }), callOf({ eventData: { n: 2 }, priority: "low" })];
    journal.enqueue(early.map(({ call }) => call));
    await Promise.all(early.map(({ done }) => done));
    const { next = [], calls } = (await journal.handOver()) ?? {};
    assert.deepEqual([next, calls], [[1, 1, 2, 2, 1], []]);
    assert.equal(await journal.handOver(), undefined, "they are given away once");
    const loop = new EngineLoop(
      { create: realCore(), store, transport: noNetwork, clock: systemClock, random: new CountingRandom() },
      { device: new Uint8Array(16), drains: true },
      new Listener(),
    );
    const late = callOf({ eventData: { n: 3 } });
    loop.enqueue([late.call]);
    await loop.start(EPOCH, next);
    await late.done;
    assert.deepEqual(late.position, { epoch: EPOCH, lane: 2, seq: 2 });
    assert.equal((await records(store)).length, 0);
    const { items } = readPage(await loop.command(2, pageArgs(new Uint8Array(0), 100)));
    assert.deepEqual(
      items.map(({ eventData }) => eventData),
      [{ n: 1 }, { n: 3 }, { n: 2 }],
    );
    await loop.close();
  });
});
