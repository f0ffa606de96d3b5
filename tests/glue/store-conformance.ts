/**
 * What every Store must do, as a list of cases without a test runner: the same code runs in Node against the store in
 * memory and in a page against IndexedDB.
 */

import { after, sameBytes, utf8 } from "../../js-glue/core/bytes.ts";
import type { Expectation, KeyRange, Store, StoredRecord, WriteBatch } from "../../js-glue/core/ports.ts";

export interface StoreCase {
  readonly name: string;
  run(store: Store): Promise<void>;
}

const key = (text: string): Uint8Array => utf8(text);
const value = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const put = (at: string, ...bytes: number[]): StoredRecord => ({ key: key(at), value: value(...bytes) });
const range = (from: string, to: string): KeyRange => ({ from: key(from), to: key(to) });
const single = (at: string): KeyRange => ({ from: key(at), to: after(key(at)) });
const batch = (parts: Partial<WriteBatch>): WriteBatch => ({
  level: "strict",
  expects: [],
  deletes: [],
  puts: [],
  ...parts,
});
const expectation = (kind: Expectation["kind"], at: string, ...bytes: number[]): Expectation => ({
  kind,
  key: key(at),
  value: value(...bytes),
});

function same(found: unknown, wanted: unknown): void {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) {
    throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
  }
}

/** Keys and values of a range, as text and numbers. */
async function content(store: Store, from = "m", to = "n", limit = 256): Promise<unknown> {
  const records = await store.scan(range(from, to), limit);
  return records.map((record) => [new TextDecoder().decode(record.key), [...record.value]]);
}

async function refusal(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
  return "not refused";
}

export const storeCases: readonly StoreCase[] = [
  {
    name: "returns what was put, in byte order of the keys",
    async run(store) {
      await store.commit(batch({ puts: [put("mb", 2), put("ma", 1), { key: value(0x6d, 0xff), value: value(4) }] }));
      await store.commit(batch({ puts: [put("mab", 3)] }));
      const records = await store.scan({ from: key("m"), to: key("n") }, 256);
      same(
        records.map((record) => [...record.value]),
        [[1], [3], [2], [4]],
      );
    },
  },
  {
    name: "a range is half open and the limit is obeyed",
    async run(store) {
      await store.commit(batch({ puts: [put("ma", 1), put("mb", 2), put("mc", 3), put("md", 4)] }));
      same(await content(store, "mb", "md"), [
        ["mb", [2]],
        ["mc", [3]],
      ]);
      same(await content(store, "m", "n", 1), [["ma", [1]]]);
      same((await store.scan(single("mc"), 10)).length, 1);
      same(await content(store, "mx", "mz"), []);
    },
  },
  {
    name: "deletes come before puts, single and by range",
    async run(store) {
      await store.commit(batch({ puts: [put("ma", 1), put("mb", 2), put("mba", 3), put("mc", 4)] }));
      await store.commit(batch({ deletes: [range("mb", "mc")], puts: [put("mb", 9)] }));
      same(await content(store), [
        ["ma", [1]],
        ["mb", [9]],
        ["mc", [4]],
      ]);
      await store.commit(batch({ deletes: [single("ma")] }));
      same(await content(store), [
        ["mb", [9]],
        ["mc", [4]],
      ]);
    },
  },
  {
    name: "expectations that hold let the batch through",
    async run(store) {
      await store.commit(batch({ puts: [put("ma", 1, 2)] }));
      const expects = [
        expectation("equals", "ma", 1, 2),
        expectation("present", "ma"),
        expectation("absent", "mb"),
        expectation("absent", "sb"),
      ];
      await store.commit(batch({ expects, puts: [put("mb", 3)] }));
      same(await content(store), [
        ["ma", [1, 2]],
        ["mb", [3]],
      ]);
    },
  },
  {
    name: "one that does not hold refuses all of it, over all object stores",
    async run(store) {
      await store.commit(batch({ puts: [put("ma", 1)] }));
      const misses = [
        expectation("equals", "ma", 2),
        expectation("equals", "ma", 1, 0),
        expectation("equals", "mz", 1),
        expectation("present", "mz"),
        expectation("absent", "ma"),
      ];
      for (const miss of misses) {
        const parts = { puts: [put("mb", 3), put("sb", 3)], deletes: [single("ma")] };
        same(
          await refusal(store.commit(batch({ expects: [expectation("present", "ma"), miss], ...parts }))),
          "storage_conflict",
        );
      }
      same(await content(store), [["ma", [1]]]);
      same(await content(store, "s", "t"), []);
    },
  },
  {
    name: "an expectation sees the state before its own batch",
    async run(store) {
      await store.commit(batch({ expects: [expectation("absent", "ma")], puts: [put("ma", 1)] }));
      same(
        await refusal(store.commit(batch({ expects: [expectation("absent", "ma")], puts: [put("ma", 2)] }))),
        "storage_conflict",
      );
      await store.commit(batch({ expects: [expectation("equals", "ma", 1)], deletes: [single("ma")] }));
      same(await content(store), []);
    },
  },
  {
    name: "the guard is written with the batch",
    async run(store) {
      await store.commit(batch({ puts: [put("sa", 1)], guard: put("mt", 7) }));
      same(await content(store), [["mt", [7]]]);
      const refused = batch({ expects: [expectation("absent", "sa")], puts: [put("sb", 1)], guard: put("mt", 8) });
      same(await refusal(store.commit(refused)), "storage_conflict");
      same(await content(store), [["mt", [7]]]);
    },
  },
  {
    name: "an empty batch is no trouble",
    async run(store) {
      await store.commit(batch({}));
      same(await content(store), []);
    },
  },
  {
    name: "values are copied: neither side sees the other's later changes",
    async run(store) {
      const given = value(1, 2, 3);
      await store.commit(batch({ puts: [{ key: key("ma"), value: given }] }));
      given[0] = 9;
      const [first] = await store.scan(single("ma"), 1);
      if (first) first.value[1] = 9;
      const [second] = await store.scan(single("ma"), 1);
      if (!second || !sameBytes(second.value, value(1, 2, 3))) throw new Error("the value was changed from outside");
    },
  },
  {
    name: "a value that is a window into a larger buffer is stored alone",
    async run(store) {
      const large = new Uint8Array(100_000).fill(7);
      await store.commit(batch({ puts: [{ key: key("ma"), value: large.slice(10, 12) }] }));
      const [found] = await store.scan(single("ma"), 1);
      same([found?.value.length, found?.value.buffer.byteLength], [2, 2]);
    },
  },
  {
    name: "many commits at once all happen",
    async run(store) {
      const names = Array.from({ length: 50 }, (_, i) => `m${String(i).padStart(2, "0")}`);
      await Promise.all(names.map((name, i) => store.commit(batch({ level: "durable", puts: [put(name, i)] }))));
      same((await store.scan(range("m", "n"), 256)).length, 50);
    },
  },
  {
    name: "a page of 256 records and the pages behind it",
    async run(store) {
      const puts = Array.from({ length: 300 }, (_, i) => put(`s${String(i).padStart(3, "0")}`, i & 0xff));
      await store.commit(batch({ puts }));
      const first = await store.scan(range("s", "t"), 256);
      const last = first.at(-1);
      if (!last) throw new Error("no records");
      const rest = await store.scan({ from: after(last.key), to: key("t") }, 256);
      same([first.length, rest.length], [256, 44]);
    },
  },
  {
    name: "once closed it refuses",
    async run(store) {
      store.close();
      same(await refusal(store.commit(batch({ puts: [put("ma", 1)] }))), "closed");
      same(await refusal(store.scan(range("m", "n"), 1)), "closed");
    },
  },
];
