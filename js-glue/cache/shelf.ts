/**
 * Where cached content lies: a database of its own, so that no item ever shares a transaction, or a fate, with unsent work.
 *
 * Three object stores: `index` (one small record an item, to list them without their content), `body` (chunks of at most
 * 48,000 bytes: browsers move larger values into files of their own, where one that is lost takes a whole cursor with it),
 * `keys` (the cabinet). The first chunk carries the index record as well, so that most items are read by one request for
 * one key, and a new item is stored with one: its record in `index` is owed, and written with others a moment later. What a
 * page that died still owed is found when the cache is opened. Earlier builds kept chunks bare; they are read and stay as
 * they are until they are written again.
 */

import { joinBytes } from "../core/bytes.ts";
import { asFailure, failure } from "../core/errors.ts";
import type { Cabinet } from "../crypto/cabinet.ts";
import { asked, committed, ended } from "./transaction.ts";

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
const OWED_MAX = 64;
const OWED_FOR_MS = 100;

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

export class Shelf {
  readonly #name: string;
  #db: Promise<IDBDatabase> | undefined;
  /**
   * Index records that only first chunks carry so far. One is forgotten before a transaction that writes or removes its item, so
   * that no payment undoes it.
   */
  readonly #owed = new Map<string, IndexRecord>();
  #paying: ReturnType<typeof setTimeout> | undefined;

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
  async write(key: string, index: IndexRecord, body: Bytes, victims: readonly string[]): Promise<void> {
    const alone = index.version === 1 && victims.length === 0;
    const put = (tx: IDBTransaction): Promise<void> => {
      const bodies = tx.objectStore("body");
      if (!alone) {
        this.#drop(tx, victims);
        // Chunks of an earlier, longer version. Another tab's may be left; readers take no more than the index names.
        bodies.delete(bodyRange(key, index.chunks));
        tx.objectStore("index").put(index, key);
      }
      const first: FirstChunk = { index, chunk: body.slice(0, CHUNK_BYTES_MAX) };
      bodies.put(first, [key, 0]);
      for (let chunk = 1; chunk < index.chunks; chunk++)
        bodies.put(body.slice(chunk * CHUNK_BYTES_MAX, (chunk + 1) * CHUNK_BYTES_MAX), [key, chunk]);
      return committed(tx);
    };
    await this.#instead([key, ...victims], () => this.#begin(alone ? ["body"] : ["index", "body"], "readwrite", put));
    if (alone) this.#owe(key, index);
  }

  #owe(key: string, index: IndexRecord): void {
    this.#owed.set(key, index);
    // A failure costs nothing: the records stay owed, and a later list, close or open writes them.
    const pay = (): void => void this.#pay().catch(() => undefined);
    if (this.#owed.size >= OWED_MAX) pay();
    else this.#paying ??= setTimeout(pay, OWED_FOR_MS);
  }

  /** Writes what is owed, but for items that another tab has removed. Opens no database, since it may have been deleted. */
  async #pay(): Promise<void> {
    clearTimeout(this.#paying);
    this.#paying = undefined;
    if (this.#owed.size === 0 || !this.#db) return;
    const due = [...this.#owed];
    await this.#begin(["index", "body"], "readwrite", (tx) => {
      const [bodies, indexes] = [tx.objectStore("body"), tx.objectStore("index")];
      for (const [key, index] of due) {
        const held = bodies.getKey([key, 0]);
        const listed = indexes.getKey(key);
        listed.onsuccess = () => {
          if (held.result === undefined || this.#owed.get(key) !== index) return;
          if (listed.result === undefined) return void indexes.put(index, key);
          // Another tab wrote this item too, and what the item itself says is true.
          const first: IDBRequest<FirstChunk | Bytes> = bodies.get([key, 0]);
          first.onsuccess = () => {
            if (!(first.result instanceof Uint8Array)) indexes.put(first.result.index, key);
          };
        };
      }
      return ended(tx);
    });
    for (const [key, index] of due) if (this.#owed.get(key) === index) this.#owed.delete(key);
  }

  /** What a page that died still owed is owed again; `list` names it even where the disk has no room for the index. */
  async recover(): Promise<void> {
    await this.#begin(["index", "body"], "readonly", async (tx) => {
      const bodies = tx.objectStore("body");
      const [listed, chunks] = await Promise.all([
        asked(tx.objectStore("index").getAllKeys()),
        asked(bodies.getAllKeys()),
      ]);
      const known = new Set(listed.map(String));
      const missing = (chunks as [string, number][]).filter(([key, chunk]) => chunk === 0 && !known.has(key));
      for (const [key] of missing) {
        const first = await asked<FirstChunk | Bytes>(bodies.get([key, 0]));
        if (!(first instanceof Uint8Array)) this.#owed.set(key, first.index);
      }
    });
  }

  /** What is owed of these items is forgotten while `work` writes or removes them, and owed as before when it could not. */
  async #instead<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const owed = [...this.#owed].filter(([key]) => keys.includes(key));
    for (const key of keys) this.#owed.delete(key);
    try {
      return await work();
    } catch (error) {
      for (const [key, index] of owed) if (!this.#owed.has(key)) this.#owed.set(key, index);
      throw error;
    }
  }

  /** What is said of an item, changed. Resolves with the new record, or nothing when there is no such item. */
  change(key: string, change: Partial<IndexRecord>): Promise<IndexRecord | undefined> {
    const write = async (tx: IDBTransaction): Promise<IndexRecord | undefined> => {
      const [bodies, indexes] = [tx.objectStore("body"), tx.objectStore("index")];
      const first = await asked<FirstChunk | Bytes | undefined>(bodies.get([key, 0]));
      if (!first) return undefined;
      const bare = first instanceof Uint8Array;
      const old = bare ? await asked<IndexRecord | undefined>(indexes.get(key)) : first.index;
      if (!old) return undefined;
      const index = { ...old, ...change };
      bodies.put({ index, chunk: bare ? first : first.chunk } satisfies FirstChunk, [key, 0]);
      indexes.put(index, key);
      await committed(tx);
      return index;
    };
    return this.#instead([key], () => this.#begin(["index", "body"], "readwrite", write));
  }

  remove(keys: readonly string[]): Promise<void> {
    return this.#instead(keys, () =>
      this.#begin(["index", "body"], "readwrite", (tx) => {
        this.#drop(tx, keys);
        return committed(tx);
      }),
    );
  }

  #drop(tx: IDBTransaction, keys: readonly string[]): void {
    for (const key of keys) {
      tx.objectStore("body").delete(bodyRange(key, 0));
      tx.objectStore("index").delete(key);
    }
  }

  async list(): Promise<readonly (readonly [string, IndexRecord])[]> {
    await this.#pay().catch(() => undefined); // on a full disk, say; what is owed is listed all the same
    const listed = await this.#begin(["index"], "readonly", async (tx) => {
      const store = tx.objectStore("index");
      const [keys, records] = await Promise.all([asked(store.getAllKeys()), asked<IndexRecord[]>(store.getAll())]);
      return records.map((record, i) => [String(keys[i]), record] as const);
    });
    return [...new Map([...listed, ...this.#owed])];
  }

  clear(): Promise<void> {
    this.#owed.clear();
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
    await this.#pay().catch(() => undefined); // found when it is opened again
    const db = await this.#db?.catch(() => undefined);
    db?.close();
    this.#db = undefined;
  }
}
