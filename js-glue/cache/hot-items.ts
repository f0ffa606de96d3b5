/** The last items that were read, decoded: a repeated read costs no storage and no key. */

import type { IndexRecord } from "./shelf.ts";

export interface HotItem {
  readonly index: IndexRecord;
  readonly value: unknown;
}

const BYTES_MAX = 8_000_000;
const ITEMS_MAX = 500;

export class HotItems {
  /** In order of last use. */
  readonly #items = new Map<string, HotItem>();
  #bytes = 0;

  get(key: string): HotItem | undefined {
    const item = this.#items.get(key);
    if (!item) return undefined;
    this.#items.delete(key);
    this.#items.set(key, item);
    return item;
  }

  put(key: string, item: HotItem): void {
    this.delete(key);
    this.#items.set(key, item);
    this.#bytes += item.index.bytes;
    for (const oldest of this.#items.keys()) {
      if (this.#bytes <= BYTES_MAX && this.#items.size <= ITEMS_MAX) return;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    this.#bytes -= this.#items.get(key)?.index.bytes ?? 0;
    this.#items.delete(key);
  }

  clear(): void {
    this.#items.clear();
    this.#bytes = 0;
  }
}
