/** Runs in the page: the conformance suite on real IndexedDB, and what only a browser can do to a store. */

import { type OpenedDatabase, openDatabase } from "../../js-glue/browser/database.ts";
import * as reader from "../../js-glue/browser/indexeddb-read.ts";
import { IndexedDbStore } from "../../js-glue/browser/indexeddb-store.ts";
import { utf8 } from "../../js-glue/core/bytes.ts";
import type { StoredRecord, WriteBatch } from "../../js-glue/core/ports.ts";
import { type StoreCase, storeCases } from "../glue/store-conformance.ts";

const key = utf8;
const put = (at: string, ...bytes: number[]): StoredRecord => ({ key: key(at), value: Uint8Array.from(bytes) });
const batch = (parts: Partial<WriteBatch>): WriteBatch => ({
  level: "strict",
  expects: [],
  deletes: [],
  puts: [],
  ...parts,
});
const absent = (at: string) => ({ kind: "absent", key: key(at), value: new Uint8Array(0) }) as const;

let databases = 0;
const names: string[] = [];

interface Opened {
  readonly store: IndexedDbStore;
  readonly opened: OpenedDatabase;
  readonly emptied: () => number;
  readonly unreadable: () => number;
}

async function fresh(): Promise<Opened> {
  const name = `conformance-${databases++}`;
  names.push(name);
  const create = (): void => undefined;
  const opened = await openDatabase(name, { create });
  let emptied = 0;
  let unreadable = 0;
  const store = new IndexedDbStore(opened, {
    reopen: () => openDatabase(name, { create }),
    reader: () => Promise.resolve(reader),
    emptied: () => {
      emptied++;
    },
    unreadable: () => {
      unreadable++;
    },
  });
  return { store, opened, emptied: () => emptied, unreadable: () => unreadable };
}

async function text(store: IndexedDbStore, from: string, to: string): Promise<string> {
  const records = await store.scan({ from: key(from), to: key(to) }, 256);
  return records.map((record) => `${new TextDecoder().decode(record.key)}=${[...record.value]}`).join(" ");
}

function same(found: unknown, wanted: unknown): void {
  if (found !== wanted) throw new Error(`found ${String(found)}, wanted ${String(wanted)}`);
}

const code = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => "not refused",
    (error: unknown) => (error as { code?: unknown }).code,
  );

type Begin = IDBDatabase["transaction"];

/** Changes the next readwrite transaction, whoever begins it. */
async function withNextWrite<T>(
  change: (begin: () => IDBTransaction) => IDBTransaction,
  work: () => Promise<T>,
): Promise<T> {
  const original: Begin = IDBDatabase.prototype.transaction;
  let changed = false;
  IDBDatabase.prototype.transaction = function patched(this: IDBDatabase, ...args: Parameters<Begin>) {
    const begin = (): IDBTransaction => original.apply(this, args);
    if (changed || args[1] !== "readwrite") return begin();
    changed = true;
    return change(begin);
  };
  try {
    return await work();
  } finally {
    IDBDatabase.prototype.transaction = original;
  }
}

const browserCases: readonly { readonly name: string; run(opened: Opened): Promise<void> }[] = [
  {
    name: "a closed connection is opened again",
    async run({ store, opened }) {
      opened.db.close();
      await store.commit(batch({ puts: [put("ma", 1)] }));
      same(await text(store, "m", "n"), "ma=1");
    },
  },
  {
    name: "a transaction that ends without a cause is replayed",
    async run({ store }) {
      const abortSoon = (begin: () => IDBTransaction): IDBTransaction => {
        const tx = begin();
        queueMicrotask(() => tx.abort());
        return tx;
      };
      const write = batch({ expects: [absent("ma")], puts: [put("ma", 1)], guard: put("mt", 1) });
      await withNextWrite(abortSoon, () => store.commit(write));
      same(await text(store, "m", "n"), "ma=1 mt=1");
    },
  },
  {
    name: "a batch that was written is not taken for another writer's when its end was not seen",
    async run({ store }) {
      const loseTheEnd = (begin: () => IDBTransaction): IDBTransaction => {
        const tx = begin();
        Object.defineProperty(tx, "oncomplete", {
          set: () => tx.addEventListener("complete", (event) => tx.onabort?.call(tx, event)),
        });
        return tx;
      };
      const write = batch({ expects: [absent("ma")], puts: [put("ma", 1)], guard: put("mt", 1) });
      await withNextWrite(loseTheEnd, () => store.commit(write));
      same(await text(store, "m", "n"), "ma=1 mt=1");
      same(
        await code(store.commit(batch({ expects: [absent("ma")], puts: [put("ma", 2)], guard: put("mt", 2) }))),
        "storage_conflict",
      );
    },
  },
  {
    name: "a full disk is storage_quota, with nothing written",
    async run({ store }) {
      const full = (begin: () => IDBTransaction): IDBTransaction => {
        const tx = begin();
        Object.defineProperty(tx, "error", { value: new DOMException("full", "QuotaExceededError") });
        queueMicrotask(() => tx.abort());
        return tx;
      };
      same(
        await withNextWrite(full, () => code(store.commit(batch({ expects: [absent("mb")], puts: [put("ma", 1)] })))),
        "storage_quota",
      );
      same(await text(store, "m", "n"), "");
    },
  },
  {
    name: "a database deleted meanwhile is noticed",
    async run({ store, opened, emptied }) {
      await store.commit(batch({ puts: [put("ma", 1)] }));
      await new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase(opened.db.name);
        request.onsuccess = resolve;
        request.onerror = reject;
      });
      await store.commit(batch({ puts: [put("mb", 2)] }));
      same(await text(store, "m", "n"), "mb=2");
      same(emptied(), 1);
    },
  },
  {
    name: "one unreadable record hides no other",
    async run({ store, unreadable }) {
      await store.commit(batch({ puts: [put("sa", 1), put("sb", 2), put("sc", 3)] }));
      const prototype = IDBObjectStore.prototype as unknown as Record<string, unknown>;
      const originals = ["get", "getAll", "getAllRecords"].map((name) => [name, prototype[name]] as const);
      const failing = (): never => {
        throw new DOMException("Failed to read large IndexedDB value", "UnknownError");
      };
      const get = IDBObjectStore.prototype.get;
      prototype["getAll"] = failing;
      prototype["getAllRecords"] = failing;
      prototype["get"] = function patched(this: IDBObjectStore, at: IDBValidKey) {
        if (at instanceof ArrayBuffer && new Uint8Array(at)[1] === 0x62) failing();
        return get.call(this, at as IDBValidKey);
      };
      try {
        same(await text(store, "s", "t"), "sa=1 sc=3");
        same(unreadable(), 1);
      } finally {
        for (const [name, original] of originals) prototype[name] = original;
      }
    },
  },
];

export async function runStoreCases(): Promise<readonly { readonly name: string; readonly error?: string }[]> {
  const results: { name: string; error?: string }[] = [];
  const suite: readonly (StoreCase | (typeof browserCases)[number])[] = [...storeCases, ...browserCases];
  for (const one of suite) {
    const opened = await fresh();
    try {
      await (storeCases.includes(one as StoreCase)
        ? (one as StoreCase).run(opened.store)
        : (one as (typeof browserCases)[number]).run(opened));
      results.push({ name: one.name });
    } catch (error) {
      results.push({ name: one.name, error: String((error as Error).stack ?? error) });
    }
    opened.store.close();
  }
  for (const name of names) indexedDB.deleteDatabase(name);
  return results;
}

(globalThis as { runStoreCases?: typeof runStoreCases }).runStoreCases = runStoreCases;
