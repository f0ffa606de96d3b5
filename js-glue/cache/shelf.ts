/**
 * Where cached content lies: a database of its own, so that no item ever shares a transaction, or a fate, with unsent work.
 *
 * Three object stores: `index` (one small record an item, to list them without their content), `body` (chunks of at most
 * 48,000 bytes: browsers move larger values into files of their own, where one that is lost takes a whole cursor with it),
 * `keys` (the cabinet). The first chunk carries the index record as well, so that most items are read by one request for
 * one key. Version 0.1 of the library kept chunks bare; they are read and stay as they are until they are written again.
 */

import { joinBytes } from "../core/bytes.ts";
import { asFailure, failure } from "../core/errors.ts";
import type { Cabinet } from "../crypto/cabinet.ts";

export interface IndexRecord {
  readonly contentType: string;
  readonly contentId: string;
  readonly kind: "json" | "text" | "bytes";
  /** Of the content itself. */
  readonly bytes: number;
  /** On disk. */
  readonly stored: number;
  readonly chunks: number;
  readonly version: number;
  readonly sealed: boolean;
  readonly priority: number;
  readonly pinned: boolean;
  readonly etag: string | undefined;
  readonly cachedAt: number;
  /** Milliseconds since 1970; undefined = never. */
  readonly expiresAt: number | undefined;
}

export const CHUNK_BYTES_MAX = 48_000;

type Bytes = Uint8Array<ArrayBuffer>;

/** What stands under [key, 0]. */
interface FirstChunk {
  readonly index: IndexRecord;
  readonly chunk: Bytes;
}

interface Found {
  readonly index: IndexRecord;
  readonly body: Bytes;
}

const bodyRange = (key: string, from: number): IDBKeyRange =>
  IDBKeyRange.bound([key, from], [key, Number.MAX_SAFE_INTEGER]);

const joined = (parts: readonly Bytes[]): Bytes => (parts.length === 1 && parts[0] ? parts[0] : joinBytes(...parts));

function opened(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => {
      for (const store of ["index", "body", "keys"]) request.result.createObjectStore(store);
    };
    request.onblocked = () => reject(failure("storage_blocked", "another tab keeps the cache's database open"));
    request.onerror = () => reject(asFailure(request.error, "storage_failed"));
    request.onsuccess = () => resolve(request.result);
  });
}

/** Resolves when the transaction has ended, never on a request's success; quota raises no error, only an abort. */
function ended(tx: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => {
      const quota = tx.error?.name === "QuotaExceededError";
      reject(
        quota
          ? failure("storage_quota", "the browser refused to store more", { cause: tx.error })
          : asFailure(tx.error, "storage_failed"),
      );
    };
  });
}

/** Everything has been asked for: the browser need not wait for the last answer before it starts to write. */
function committed(tx: IDBTransaction): Promise<void> {
  const end = ended(tx);
  tx.commit();
  return end;
}

function asked<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(asFailure(request.error, "storage_failed"));
  });
}

export class Shelf {
  readonly #name: string;
  #db: Promise<IDBDatabase> | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  /** One attempt over a fresh connection when the browser closed ours behind our back. */
  async #begin<T>(stores: string[], mode: IDBTransactionMode, work: (tx: IDBTransaction) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      this.#db ??= opened(this.#name).then((db) => {
        db.onclose = () => {
          this.#db = undefined;
        };
        db.onversionchange = () => {
          this.#db = undefined;
          db.close();
        };
        return db;
      });
      const opening = this.#db;
      try {
        const db = await opening;
        return await work(db.transaction(stores, mode, { durability: "relaxed" }));
      } catch (error) {
        if (this.#db === opening && !(error instanceof DOMException && error.name === "InvalidStateError")) {
          await opening.catch(() => {
            this.#db = undefined;
          });
          throw asFailure(error, "storage_failed");
        }
        this.#db = undefined;
        if (attempt > 0) throw asFailure(error, "storage_failed");
      }
    }
  }

  async read(key: string): Promise<Found | undefined> {
    const found = await this.#begin(["body"], "readonly", async (tx) => {
      const bodies = tx.objectStore("body");
      const first = await asked<FirstChunk | Bytes | undefined>(bodies.get([key, 0]));
      if (first === undefined || first instanceof Uint8Array) return first;
      if (first.index.chunks === 1) return { index: first.index, body: first.chunk };
      const more = await asked<Bytes[]>(bodies.getAll(bodyRange(key, 1)));
      return { index: first.index, body: joined([first.chunk, ...more.slice(0, first.index.chunks - 1)]) };
    });
    return found instanceof Uint8Array ? this.#readBare(key) : found;
  }

  /** Chunks without an index record of their own. */
  #readBare(key: string): Promise<Found | undefined> {
    return this.#begin(["index", "body"], "readonly", async (tx) => {
      const index = asked<IndexRecord | undefined>(tx.objectStore("index").get(key));
      const chunks = asked<(FirstChunk | Bytes)[]>(tx.objectStore("body").getAll(bodyRange(key, 0)));
      const [record, all] = await Promise.all([index, chunks]);
      if (!record) return undefined;
      const parts = all.slice(0, record.chunks).map((part) => (part instanceof Uint8Array ? part : part.chunk));
      return { index: record, body: joined(parts) };
    });
  }

  /** The item in, the victims out, in one transaction. */
  write(key: string, index: IndexRecord, body: Bytes, victims: readonly string[]): Promise<void> {
    return this.#begin(["index", "body"], "readwrite", (tx) => {
      const bodies = tx.objectStore("body");
      this.#drop(tx, victims);
      // Chunks of an earlier, longer version. Another tab's may be left; readers take no more than the index names.
      if (index.version > 1) bodies.delete(bodyRange(key, index.chunks));
      const first: FirstChunk = { index, chunk: body.slice(0, CHUNK_BYTES_MAX) };
      bodies.put(first, [key, 0]);
      for (let chunk = 1; chunk < index.chunks; chunk++)
        bodies.put(body.slice(chunk * CHUNK_BYTES_MAX, (chunk + 1) * CHUNK_BYTES_MAX), [key, chunk]);
      tx.objectStore("index").put(index, key);
      return committed(tx);
    });
  }

  /** What the index says of an item, changed. Resolves with the new record, or nothing when there is no such item. */
  change(key: string, change: Partial<IndexRecord>): Promise<IndexRecord | undefined> {
    return this.#begin(["index", "body"], "readwrite", async (tx) => {
      const bodies = tx.objectStore("body");
      const first = asked<FirstChunk | Bytes | undefined>(bodies.get([key, 0]));
      const [chunk, old] = await Promise.all([first, asked<IndexRecord | undefined>(tx.objectStore("index").get(key))]);
      if (!chunk || !old) return undefined;
      const index = { ...old, ...change };
      bodies.put({ index, chunk: chunk instanceof Uint8Array ? chunk : chunk.chunk } satisfies FirstChunk, [key, 0]);
      tx.objectStore("index").put(index, key);
      await committed(tx);
      return index;
    });
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.#begin(["index", "body"], "readwrite", (tx) => {
      this.#drop(tx, keys);
      return committed(tx);
    });
  }

  #drop(tx: IDBTransaction, keys: readonly string[]): void {
    for (const key of keys) {
      tx.objectStore("body").delete(bodyRange(key, 0));
      tx.objectStore("index").delete(key);
    }
  }

  list(): Promise<readonly (readonly [string, IndexRecord])[]> {
    return this.#begin(["index"], "readonly", async (tx) => {
      const store = tx.objectStore("index");
      const [keys, records] = await Promise.all([asked(store.getAllKeys()), asked<IndexRecord[]>(store.getAll())]);
      return records.map((record, i) => [String(keys[i]), record] as const);
    });
  }

  clear(): Promise<void> {
    return this.#begin(["index", "body", "keys"], "readwrite", (tx) => {
      for (const store of ["index", "body", "keys"]) tx.objectStore(store).clear();
      return ended(tx);
    });
  }

  readonly cabinet: Cabinet = {
    get: (name) => this.#begin(["keys"], "readonly", (tx) => asked<unknown>(tx.objectStore("keys").get(name))),
    put: (entries) =>
      this.#begin(["keys"], "readwrite", (tx) => {
        const store = tx.objectStore("keys");
        for (const [name, value] of entries) {
          if (value === undefined) store.delete(name);
          else store.put(value, name);
        }
        return ended(tx);
      }),
    names: () =>
      this.#begin(["keys"], "readonly", async (tx) => (await asked(tx.objectStore("keys").getAllKeys())).map(String)),
  };

  async close(): Promise<void> {
    const db = await this.#db?.catch(() => undefined);
    db?.close();
    this.#db = undefined;
  }
}
