// What a starting engine asks for is on its way before it asks; and nothing it must not see is handed out.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../js-glue/browser/platform.ts";
import { after, utf8 } from "../../js-glue/core/bytes.ts";
import { failure } from "../../js-glue/core/errors.ts";
import { EngineLoop } from "../../js-glue/core/loop.ts";
import type { Channel, KeyRange, Store, StoredRecord, Transport, WriteBatch } from "../../js-glue/core/ports.ts";
import { ReadAhead } from "../../js-glue/core/read-ahead.ts";
import { CountingRandom, callOf, Listener, realCore, settle, TestStore } from "./helpers.ts";

const EPOCH = 77n;
const LEASE = { from: utf8("ml"), to: after(utf8("ml")) };
const META = { from: utf8("m"), to: utf8("n") };
const JOURNALS = { from: utf8("sj"), to: utf8("sk") };
const PENDING = { from: utf8("sp\0"), to: utf8("sp\x05") };

const batch = (...puts: readonly string[]): WriteBatch => ({
  level: "durable",
  expects: [],
  deletes: [],
  puts: puts.map((key) => ({ key: utf8(key), value: utf8("value") })),
});
const keysOf = (records: readonly StoredRecord[]): string[] =>
  records.map(({ key }) => new TextDecoder().decode(key).replaceAll("\0", "0"));

/** Notes which ranges are read, and answers a wave of questions at a time. */
class SlowStore implements Store {
  readonly inner: Store;
  readonly asked: string[] = [];
  #waiting: (() => void)[] = [];
  constructor(inner: Store) {
    this.inner = inner;
  }
  /** How many waves it takes until `until` holds. */
  async waves(until: () => boolean): Promise<number> {
    for (let waves = 0; waves < 50; waves++) {
      await settle();
      if (until()) return waves;
      for (const answer of this.#waiting.splice(0)) answer();
    }
    throw new Error("it never came to an end");
  }
  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
  async commit(one: WriteBatch): Promise<void> {
    await this.#turn();
    return this.inner.commit(one);
  }
  async scan(range: KeyRange, limit: number): Promise<readonly StoredRecord[]> {
    this.asked.push(new TextDecoder().decode(range.from.subarray(0, 2)));
    await this.#turn();
    return this.inner.scan(range, limit);
  }
  close(): void {
    this.inner.close();
  }
}

const create = realCore();

/** Waves of storage from the start of an engine to its first request. */
async function wavesToFirstRequest(stored: TestStore, wrap: (store: Store) => Store): Promise<number> {
  const slow = new SlowStore(stored);
  let sent = false;
  const transport: Transport = {
    send: () => {
      sent = true;
      return Promise.reject(new TypeError("no network"));
    },
    renew: () => Promise.resolve(false),
  };
  const loop = new EngineLoop(
    { create, store: wrap(slow), transport, clock: systemClock, random: new CountingRandom(7) },
    { device: new Uint8Array(16).fill(3), drains: true },
    new Listener(),
  );
  await loop.start(EPOCH, [1, 1, 1, 1, 1]);
  const waves = await slow.waves(() => sent);
  const closing = loop.close();
  let closed = false;
  void closing.then(() => {
    closed = true;
  });
  await slow.waves(() => closed);
  return waves;
}

/** A store with events that another engine has queued and left. */
async function queued(): Promise<TestStore> {
  const store = new TestStore();
  const loop = new EngineLoop(
    {
      create,
      store,
      transport: { send: () => Promise.reject(new TypeError("no network")), renew: () => Promise.resolve(false) },
      clock: systemClock,
      random: new CountingRandom(),
    },
    { device: new Uint8Array(16).fill(3), drains: false },
    new Listener(),
  );
  await loop.start(1n, [1, 1, 1, 1, 1]);
  const fate = callOf({ eventData: { n: 1 } });
  loop.enqueue([fate.call]);
  await fate.done;
  await loop.close();
  return store;
}

describe("ReadAhead", () => {
  test("an engine with a queue comes to its first request in a third of the ways to the disk", async () => {
    const without = await wavesToFirstRequest(await queued(), (store) => store);
    const ahead = await wavesToFirstRequest(await queued(), (store) => new ReadAhead(store));
    assert.equal(without, 6);
    assert.equal(ahead, 2);
  });

  test("what is read ahead of a round is handed out once", async () => {
    const store = new TestStore();
    await store.commit(batch("mx", "sp\0a"));
    const ahead = new ReadAhead(store);
    assert.deepEqual(await ahead.scan(LEASE, 1), []);
    await settle();
    await store.commit(batch("my")); // another context
    await ahead.commit(batch("ml"));
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["mx"]);
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["ml", "mx", "my"]);
    assert.deepEqual(keysOf(await ahead.scan(PENDING, 4)), ["sp0a"]);
  });

  test("nothing of it outlives a write of this context", async () => {
    const store = new TestStore();
    const ahead = new ReadAhead(store);
    await ahead.scan(LEASE, 1);
    await ahead.commit(batch("ml"));
    await settle();
    await ahead.commit(batch("mx", "sp\0a"));
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["ml", "mx"]);
    assert.deepEqual(keysOf(await ahead.scan(PENDING, 4)), ["sp0a"]);
  });

  test("nor a lease that was refused", async () => {
    const store = new TestStore();
    const ahead = new ReadAhead(store);
    await ahead.scan(LEASE, 1);
    await settle();
    await store.commit(batch("ml", "mx"));
    const taking: WriteBatch = {
      ...batch("ml"),
      expects: [{ kind: "absent", key: utf8("ml"), value: new Uint8Array(0) }],
    };
    await assert.rejects(ahead.commit(taking), { code: "storage_conflict" });
    await settle();
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["ml", "mx"]);
  });

  test("nor one that somebody holds; that one holds it is asked once more", async () => {
    const store = new TestStore();
    await store.commit(batch("ml"));
    const ahead = new ReadAhead(store);
    await ahead.scan({ from: utf8("me"), to: utf8("mf") }, 256);
    await settle();
    await store.commit({ ...batch(), deletes: [LEASE] }); // it lets go before the session looks
    assert.deepEqual(await ahead.scan(LEASE, 1), []);
    await store.commit(batch("ml"));
    assert.equal((await ahead.scan(LEASE, 1)).length, 1);
    await settle();
    await store.commit(batch("mx"));
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["ml", "mx"]);
  });

  test("nor one that somebody held in the beginning", async () => {
    const store = new TestStore();
    await store.commit(batch("ml", "mx"));
    const ahead = new ReadAhead(store);
    await settle();
    await store.commit({ ...batch("my"), deletes: [LEASE] }); // the holder has done its work, and nothing was heard of it yet
    assert.deepEqual(await ahead.scan(LEASE, 1), []);
    await ahead.commit(batch("ml"));
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["mx", "my"]); // read beside the taking
  });

  test("a round that came to nothing leaves nothing to the next one", async () => {
    const store = new TestStore();
    const ahead = new ReadAhead(store);
    await ahead.scan(LEASE, 1);
    await settle();
    await store.commit(batch("mx", "sp\0a"));
    await ahead.scan(LEASE, 1);
    await ahead.commit(batch("ml"));
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["mx"]);
    assert.deepEqual(keysOf(await ahead.scan(PENDING, 4)), ["sp0a"]);
  });

  test("segments are not asked for before meta is there", async () => {
    const slow = new SlowStore(new TestStore());
    const ahead = new ReadAhead(slow);
    await settle();
    assert.deepEqual(slow.asked, ["m"]);
    await slow.waves(() => slow.asked.length === 3);
    assert.deepEqual(slow.asked, ["m", "sj", "sp"]);
    let written = false;
    void ahead.commit(batch("mx")).then(() => {
      written = true; // what was read is gone with it
    });
    await slow.waves(() => written);
    slow.asked.length = 0;
    const lease = ahead.scan(LEASE, 1);
    await settle();
    assert.deepEqual(slow.asked, ["ml", "m"]);
    await slow.waves(() => slow.asked.length === 4);
    assert.deepEqual(slow.asked, ["ml", "m", "sj", "sp"]);
    await lease;
  });

  test("all that a start asks of meta is answered from one reading, until a session begins its round", async () => {
    const store = new TestStore();
    await store.commit(batch("me1", "mg", "mx"));
    const ahead = new ReadAhead(store);
    await settle();
    await store.commit(batch("me2", "my")); // another context, of which nothing was heard yet
    assert.deepEqual(keysOf(await ahead.scan({ from: utf8("mg"), to: after(utf8("mg")) }, 1)), ["mg"]);
    assert.deepEqual(keysOf(await ahead.scan({ from: utf8("me"), to: utf8("mf") }, 256)), ["me1"]);
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["me1", "mg", "mx"]);
    assert.deepEqual(await ahead.scan(LEASE, 1), []);
    await ahead.commit(batch("ml"));
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["me1", "mg", "mx"]);
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["me1", "me2", "mg", "ml", "mx", "my"]);
  });

  test("what another context tells meanwhile makes it ask anew, and reaches the engine", async () => {
    const store = new TestStore();
    let tell: (bytes: Uint8Array) => void = () => undefined;
    const channel: Channel = {
      post: () => undefined,
      listen: (heard) => {
        tell = heard;
      },
      close: () => undefined,
    };
    const ahead = new ReadAhead(store, channel);
    await settle();
    await store.commit(batch("mx", "sp\0a"));
    tell(utf8("before there is an engine"));
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["mx"]);
    await ahead.scan(LEASE, 1);
    await settle();
    const heard: Uint8Array[] = [];
    ahead.channel?.listen((bytes) => heard.push(bytes));
    await store.commit(batch("my"));
    tell(utf8("later"));
    assert.deepEqual(heard, [utf8("later")]);
    assert.deepEqual(keysOf(await ahead.scan(META, 256)), ["mx", "my"]);
  });

  test("a meta larger than one reading is asked of storage, part by part", async () => {
    const store = new TestStore();
    const many = Array.from({ length: 300 }, (_, i) => `me${String(i).padStart(3, "0")}`);
    await store.commit(batch(...many));
    const ahead = new ReadAhead(store);
    await settle();
    await store.commit(batch("me300"));
    assert.equal((await ahead.scan({ from: utf8("me"), to: utf8("mf") }, 999)).length, 301);
  });

  test("a larger question is asked of storage unless the answer was whole", async () => {
    const store = new TestStore();
    await store.commit(batch("sp\0a", "sp\0b", "sp\0c", "sp\0d"));
    const ahead = new ReadAhead(store);
    await ahead.scan(LEASE, 1);
    assert.equal((await ahead.scan(PENDING, 2)).length, 2);
    await ahead.scan(LEASE, 1); // the page is 2 now
    assert.equal((await ahead.scan(PENDING, 4)).length, 4);
    await ahead.scan(LEASE, 1);
    assert.deepEqual(await ahead.scan(JOURNALS, 99), []);
    await ahead.scan(PENDING, 1_000); // a list for the application: no reason to read so much ahead
    const limits: number[] = [];
    const scan = store.scan.bind(store);
    store.scan = (range, limit) => {
      limits.push(limit);
      return scan(range, limit);
    };
    await ahead.scan(LEASE, 1);
    await settle();
    assert.deepEqual(limits, [1, 256, 32, 24]);
  });

  test("a reading that failed is tried once more, when it is asked for", async () => {
    const store = new TestStore();
    const scan = store.scan.bind(store);
    let broken = true;
    store.scan = (range, limit) => (broken ? Promise.reject(failure("storage_failed", "no")) : scan(range, limit));
    const ahead = new ReadAhead(store);
    await assert.rejects(ahead.scan(LEASE, 1), { code: "storage_failed" });
    await settle();
    broken = false;
    assert.deepEqual(await ahead.scan(META, 256), []);
    assert.deepEqual(await ahead.scan(PENDING, 4), []);
  });
});
