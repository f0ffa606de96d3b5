/** Opens the one IndexedDB of an engine and says what is wrong when it cannot. */

import { asFailure, failure } from "../core/errors.ts";

/** The first byte of a record's key names its object store (src/queue/keys.h, docs/storage.md). */
export const OBJECT_STORES: Readonly<Record<number, string>> = {
  109: "meta", // m
  115: "segments", // s
  120: "deadletters", // x
  100: "docs", // d
  99: "conflicts", // c
  105: "cache_index", // i
  98: "cache_body", // b
  111: "models", // o
};

const DATABASE_VERSION = 1;
const BLOCKED_MS_MAX = 5_000;
/** Some browsers never answer at all; work must not wait for them for ever. */
const SILENT_MS_MAX = 15_000;

/** One database per name and subject: another user's work is never within reach. */
export const databaseName = (name: string, subject: string): string =>
  subject === "" ? `oas:${name}` : `oas:${name}:${subject}`;

export interface OpenedDatabase {
  readonly db: IDBDatabase;
  /** It did not exist before. */
  readonly fresh: boolean;
}

export interface OpenDatabaseOptions {
  /** Called inside the transaction that creates the database; its puts exist exactly when the database does. */
  readonly create?: ((meta: IDBObjectStore) => void) | undefined;
}

/**
 * Rejects with `storage_blocked` when another tab keeps an older version open for 5 s, else with `storage_failed`; with
 * `not_found` when there is no database and `create` is not given.
 */
export function openDatabase(name: string, { create }: OpenDatabaseOptions): Promise<OpenedDatabase> {
  return new Promise((resolve, reject) => {
    if (typeof indexedDB === "undefined") {
      reject(failure("storage_failed", "this browser offers no IndexedDB here"));
      return;
    }
    let over = false;
    let fresh = false;
    const give_up = (error: Error): void => {
      over = true;
      clearTimeout(timer);
      reject(error);
    };
    let timer = setTimeout(() => give_up(failure("storage_failed", "IndexedDB does not answer")), SILENT_MS_MAX);
    const request = indexedDB.open(name, DATABASE_VERSION);
    request.onupgradeneeded = () => {
      if (!create) {
        request.transaction?.abort();
        return;
      }
      fresh = true;
      const db = request.result;
      for (const store of Object.values(OBJECT_STORES)) db.createObjectStore(store);
      if (request.transaction) create(request.transaction.objectStore("meta"));
    };
    request.onblocked = () => {
      clearTimeout(timer);
      const blocked = failure("storage_blocked", "another tab keeps an older version of the database open");
      timer = setTimeout(() => give_up(blocked), BLOCKED_MS_MAX);
    };
    request.onerror = () => {
      if (!create && request.error?.name === "AbortError") give_up(failure("not_found", "there is no database"));
      else give_up(asFailure(request.error, "storage_failed"));
    };
    request.onsuccess = () => {
      if (over) {
        request.result.close(); // it answered after all, but whoever asked has gone on without it
        return;
      }
      over = true;
      clearTimeout(timer);
      resolve({ db: request.result, fresh });
    };
  });
}
