/** The reading half of the IndexedDB store, apart because nothing reads before the engine runs. */

import type { KeyRange, StoredRecord } from "../core/ports.ts";
import { abortCause, begin, ConnectionLost, idbRange, storeOf } from "./indexeddb-store.ts";

const asBytes = (key: IDBValidKey | undefined): Uint8Array =>
  key instanceof ArrayBuffer ? new Uint8Array(key) : new Uint8Array(0);

interface RecordReader {
  getAllRecords?(options: {
    query: IDBKeyRange | IDBValidKey;
    count: number;
  }): IDBRequest<{ readonly key: IDBValidKey; readonly value: unknown }[]>;
}

type Records = Promise<readonly StoredRecord[]>;

/** `persevere` runs the work on a connection that is open. Rejects as it does. */
export function scan(
  persevere: (work: (db: IDBDatabase) => Records) => Records,
  range: KeyRange,
  limit: number,
  unreadable: ((key: Uint8Array) => void) | undefined,
): Records {
  return persevere((db) => read(db, range, limit)).catch((error: unknown) => {
    if (error instanceof ConnectionLost) throw error;
    return persevere((db) => readSingly(db, range, limit, unreadable));
  });
}

/** At most `limit` records of the range, in one transaction. */
function read(db: IDBDatabase, range: KeyRange, limit: number): Records {
  const name = storeOf(range.from);
  const tx = begin(db, [name], "readonly", false);
  const store = tx.objectStore(name);
  const query = idbRange(range);
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(abortCause(tx.error));
    tx.onabort = fail;
    const records = (store as RecordReader).getAllRecords?.({ query, count: limit });
    if (records) {
      // Nothing more is asked: a writer who waits for this one need not wait until the answer was looked at, too.
      tx.commit?.();
      records.onsuccess = () =>
        resolve(records.result.map(({ key, value }) => ({ key: asBytes(key), value: value as Uint8Array })));
      records.onerror = (event) => {
        event.preventDefault();
        reject(records.error);
      };
      return;
    }
    const keys = store.getAllKeys(query, limit);
    const values = store.getAll(query, limit);
    values.onsuccess = () =>
      resolve(keys.result.map((key, i) => ({ key: asBytes(key), value: values.result[i] as Uint8Array })));
    for (const request of [keys, values]) {
      request.onerror = (event) => {
        event.preventDefault();
        reject(request.error);
      };
    }
  });
}

/** One bad value makes the browser refuse a whole page of records; read alone, it hides no other. */
async function readSingly(
  db: IDBDatabase,
  range: KeyRange,
  limit: number,
  unreadable: ((key: Uint8Array) => void) | undefined,
): Records {
  const name = storeOf(range.from);
  const found: StoredRecord[] = [];
  let from = range.from;
  for (;;) {
    const keys = await settle(
      begin(db, [name], "readonly", false)
        .objectStore(name)
        .getAllKeys(idbRange({ ...range, from }), limit),
    );
    for (const key of keys) {
      const bytes = asBytes(key);
      const value = await readOne(db, name, key).catch((error: unknown) => {
        if (error instanceof ConnectionLost) throw error;
        unreadable?.(bytes);
        return undefined;
      });
      if (value instanceof Uint8Array) found.push({ key: bytes, value });
      if (found.length === limit) return found;
    }
    const last = keys.at(-1);
    if (keys.length < limit || last === undefined) return found;
    from = new Uint8Array([...asBytes(last), 0]);
  }
}

async function readOne(db: IDBDatabase, name: string, key: IDBValidKey): Promise<unknown> {
  return settle(begin(db, [name], "readonly", false).objectStore(name).get(key));
}

function settle<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = (event) => {
      event.preventDefault(); // a bad record must not abort the transaction it was read in
      reject(request.error);
    };
  });
}
