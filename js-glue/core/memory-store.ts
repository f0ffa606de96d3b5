/** A store that lasts as long as its context: for tests, and for browsers that refuse IndexedDB. */

import { compareBytes, sameBytes } from "./bytes.ts";
import { failure } from "./errors.ts";
import type { Expectation, KeyRange, Store, StoredRecord, WriteBatch } from "./ports.ts";

/** Storage that ends with the page: for tests, and where there is no other. */
export class MemoryStore implements Store {
  /** In key order. */
  #records: StoredRecord[] = [];
  #closed = false;

  commit({ expects, deletes, puts, guard }: WriteBatch): Promise<void> {
    if (this.#closed) return Promise.reject(failure("closed", "the store is closed"));
    if (!expects.every((expectation) => this.#holds(expectation))) {
      return Promise.reject(failure("storage_conflict", "another context changed the record first"));
    }
    for (const range of deletes) this.#erase(range);
    for (const { key, value } of puts) this.#put(key, value);
    if (guard) this.#put(guard.key, guard.value);
    return Promise.resolve();
  }

  scan({ from, to }: KeyRange, limit: number): Promise<readonly StoredRecord[]> {
    if (this.#closed) return Promise.reject(failure("closed", "the store is closed"));
    const first = this.#search(from);
    const found = this.#records.slice(first, Math.min(this.#search(to), first + limit));
    return Promise.resolve(found.map(({ key, value }) => ({ key: key.slice(), value: value.slice() })));
  }

  close(): void {
    this.#closed = true;
  }

  /** Index of the first record whose key is not below `key`. */
  #search(key: Uint8Array): number {
    let low = 0;
    let high = this.#records.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (compareBytes(this.#records[middle]?.key ?? key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #find(key: Uint8Array): StoredRecord | undefined {
    const record = this.#records[this.#search(key)];
    return record && sameBytes(record.key, key) ? record : undefined;
  }

  #holds({ kind, key, value }: Expectation): boolean {
    const found = this.#find(key);
    if (kind === "absent") return found === undefined;
    return found !== undefined && (kind === "present" || sameBytes(found.value, value));
  }

  #put(key: Uint8Array, value: Uint8Array): void {
    const at = this.#search(key);
    const replaces = this.#find(key) ? 1 : 0;
    this.#records.splice(at, replaces, { key: key.slice(), value: value.slice() });
  }

  #erase({ from, to }: KeyRange): void {
    const first = this.#search(from);
    this.#records.splice(first, Math.max(0, this.#search(to) - first));
  }
}
