/**
 * The store on IndexedDB: one readwrite transaction per batch, strict where asked, over the needed object stores only.
 *
 * Keys are the engine's keys, whole, as binary keys: IndexedDB sorts those bytewise. A request's success is not
 * durability; only the transaction's end is. Quota raises no `error`, only `abort`. Browsers close connections behind
 * our back (a frozen tab, a storage process that died): then the outcome of the batch in hand is unknown, and it is
 * replayed over a fresh connection, byte for byte, unless its guard says that it was written.
 */

import { sameBytes } from "../core/bytes.ts";
import { asFailure, failure, type OfflineSyncError } from "../core/errors.ts";
import type { Expectation, KeyRange, Store, StoredRecord, WriteBatch } from "../core/ports.ts";
import { OBJECT_STORES, type OpenedDatabase } from "./database.ts";

type Reader = Pick<typeof import("./indexeddb-read.ts"), "scan">;

export interface IndexedDbStoreOptions {
  /** Opens another connection, however the first was opened. */
  readonly reopen: () => Promise<OpenedDatabase>;
  /** Brings the reading half. */
  readonly reader: () => Promise<Reader>;
  /** The database was gone when the connection was opened again. */
  readonly emptied?: () => void;
  /** A record could not be read and was left out. */
  readonly unreadable?: (key: Uint8Array) => void;
}

/** Waits before each attempt with a fresh connection; with the last one the caller is told. */
const REOPEN_MS = [0, 50, 250, 1_000, 3_000] as const;

/** The connection broke, so the end of the transaction was not seen. */
export class ConnectionLost extends Error {
  constructor(
    /** False when the transaction never began. */
    readonly begun: boolean,
    options?: ErrorOptions,
  ) {
    super("the storage connection was lost", options);
  }
}

// IndexedDB takes any buffer; the types know that SharedArrayBuffer is none.
const asKey = (key: Uint8Array): IDBValidKey => key as Uint8Array<ArrayBuffer>;

export function storeOf(key: Uint8Array): string {
  const name = OBJECT_STORES[key[0] ?? 0];
  if (!name) throw failure("internal", `no object store for keys that begin with ${key[0]}`);
  return name;
}

export function idbRange({ from, to }: KeyRange): IDBKeyRange | IDBValidKey {
  const single = to.length === from.length + 1 && to[from.length] === 0 && sameBytes(from, to.subarray(0, from.length));
  return single ? asKey(from) : IDBKeyRange.bound(asKey(from), asKey(to), false, true);
}

/** What made the browser roll the transaction back, in our words. */
export function abortCause(error: DOMException | null): OfflineSyncError | ConnectionLost {
  switch (error?.name) {
    case "QuotaExceededError":
      return failure("storage_quota", "the browser refused to store more", { cause: error });
    // Nobody said why: the connection or its storage process went away, before or after the data reached the disk.
    case undefined:
    case "AbortError":
    case "UnknownError":
    case "InvalidStateError":
    case "TimeoutError":
      return new ConnectionLost(true, { cause: error });
    default:
      return asFailure(error, "storage_failed");
  }
}

export class IndexedDbStore implements Store {
  readonly #options: IndexedDbStoreOptions;
  #reader: Reader | undefined;
  #db: IDBDatabase | undefined;
  #opening: Promise<IDBDatabase> | undefined;
  #closed = false;

  constructor(opened: OpenedDatabase, options: IndexedDbStoreOptions) {
    this.#options = options;
    this.#adopt(opened.db);
  }

  commit(batch: WriteBatch): Promise<void> {
    let begun = false;
    return this.#persevere(
      (db) => write(db, batch, begun),
      (lost) => {
        begun ||= lost.begun;
      },
    ).catch((error: unknown) => {
      if (!(error instanceof ConnectionLost)) throw asFailure(error, "storage_failed");
      throw failure(begun ? "storage_unknown" : "storage_failed", "the storage connection was lost", { cause: error });
    });
  }

  async scan(range: KeyRange, limit: number): Promise<readonly StoredRecord[]> {
    try {
      // Kept: import() takes a task of the event loop, also for what is there already.
      this.#reader ??= await this.#options.reader();
      return await this.#reader.scan((work) => this.#persevere(work), range, limit, this.#options.unreadable);
    } catch (error) {
      throw asFailure(error, "storage_failed");
    }
  }

  close(): void {
    this.#closed = true;
    this.#db?.close();
    this.#db = undefined;
  }

  #adopt(db: IDBDatabase): IDBDatabase {
    this.#db = db;
    const forget = (): void => {
      if (this.#db === db) this.#db = undefined;
    };
    db.onclose = forget;
    db.onversionchange = () => {
      // Another tab wants to upgrade or to delete; transactions that have begun still end.
      db.close();
      forget();
    };
    return db;
  }

  async #reopen(): Promise<IDBDatabase> {
    const { db, fresh } = await this.#options.reopen();
    if (fresh) this.#options.emptied?.();
    return this.#adopt(db);
  }

  async #persevere<T>(work: (db: IDBDatabase) => Promise<T>, noticed?: (lost: ConnectionLost) => void): Promise<T> {
    let last: unknown;
    for (const wait of [...REOPEN_MS, undefined]) {
      if (this.#closed) throw failure("closed", "the store is closed");
      try {
        if (!this.#db) {
          this.#opening ??= this.#reopen().finally(() => {
            this.#opening = undefined;
          });
          await this.#opening;
        }
        if (!this.#db) throw new ConnectionLost(false);
        return await work(this.#db);
      } catch (error) {
        // A database that cannot be opened is as good as a lost connection: the next attempt may find it.
        const lost = error instanceof ConnectionLost ? error : this.#db ? undefined : new ConnectionLost(false);
        if (!lost) throw error;
        noticed?.(lost);
        last = lost === error ? error : new ConnectionLost(false, { cause: error });
      }
      this.#db?.close();
      this.#db = undefined;
      if (wait !== undefined) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    throw last;
  }
}

export function begin(
  db: IDBDatabase,
  stores: readonly string[],
  mode: IDBTransactionMode,
  strict: boolean,
): IDBTransaction {
  try {
    return db.transaction([...stores], mode, mode === "readwrite" ? { durability: strict ? "strict" : "relaxed" } : {});
  } catch (error) {
    // The connection is closing or closed.
    if (error instanceof DOMException && error.name === "InvalidStateError") {
      throw new ConnectionLost(false, { cause: error });
    }
    throw error;
  }
}

/** One attempt. `replay` = an earlier one may have written the batch. */
function write(db: IDBDatabase, batch: WriteBatch, replay: boolean): Promise<void> {
  const { expects, deletes, puts, guard, level } = batch;
  const keys = [...expects, ...puts, ...(guard ? [guard] : [])].map(({ key }) => key);
  const names = new Set([...keys, ...deletes.map(({ from }) => from)].map(storeOf));
  if (names.size === 0) return Promise.resolve();
  const tx = begin(db, [...names], "readwrite", level === "strict");
  return new Promise((resolve, reject) => {
    let refused: OfflineSyncError | undefined;
    const refuse = (error: OfflineSyncError): void => {
      if (refused) return;
      refused = error;
      tx.abort();
    };
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(refused ?? abortCause(tx.error));
    const apply = (): void => {
      try {
        check(tx, expects, () => refuse(failure("storage_conflict", "another context changed the record first")));
        for (const range of deletes) tx.objectStore(storeOf(range.from)).delete(idbRange(range));
        for (const { key, value } of guard ? [...puts, guard] : puts) {
          tx.objectStore(storeOf(key)).put(value, asKey(key));
        }
        if (expects.length === 0) tx.commit?.();
      } catch (error) {
        refuse(asFailure(error, "storage_failed"));
      }
    };
    if (!replay || !guard) {
      apply();
      return;
    }
    const earlier = tx.objectStore(storeOf(guard.key)).get(asKey(guard.key));
    earlier.onsuccess = () => {
      if (!(earlier.result instanceof Uint8Array && sameBytes(earlier.result, guard.value))) apply();
    };
  });
}

/**
 * Requests of one transaction run in order and it cannot end before their callbacks have, so the writes may follow at
 * once: a miss still rolls all of them back.
 */
function check(tx: IDBTransaction, expects: readonly Expectation[], missed: () => void): void {
  for (const { kind, key, value } of expects) {
    const store = tx.objectStore(storeOf(key));
    const request: IDBRequest = kind === "equals" ? store.get(asKey(key)) : store.getKey(asKey(key));
    request.onsuccess = () => {
      const found: unknown = request.result;
      const holds =
        kind === "equals"
          ? found instanceof Uint8Array && sameBytes(found, value)
          : (found !== undefined) === (kind === "present");
      if (!holds) missed();
    };
  }
}
