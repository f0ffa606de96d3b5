/** The core's cache service as calls: packing, and who has to go (src/cache/service.h). */

import { failureOf } from "../core/errors.ts";
import type { ContentCore } from "../core/load.ts";

const Op = { pack: 1, unpack: 2, touch: 3, put: 4, erase: 5, budget: 6 } as const;

/** 64 bits of a key, as two 32-bit FNV-1a runs: names an item to the core, which sees no text. */
function writeKey(view: DataView, key: string): void {
  let low = 0x811c9dc5;
  let high = 0x01000193;
  for (let i = 0; i < key.length; i++) {
    low = Math.imul(low ^ key.charCodeAt(i), 0x01000193);
    high = Math.imul(high ^ key.charCodeAt(i), 0x811c9dc5) + i;
  }
  view.setUint32(0, low >>> 0, true);
  view.setUint32(4, high >>> 0, true);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  bytes.push(value);
  return bytes;
}

export class CachePolicy {
  readonly #core: ContentCore;
  /** What the core calls an item, and what we call it. */
  readonly #names = new Map<string, string>();

  constructor(core: ContentCore) {
    this.#core = core;
  }

  pack(content: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.#call(Op.pack, content).slice();
  }

  /** A view of the content, dead after the next call of anything here: copied or decoded at once. */
  unpack(packed: Uint8Array): Uint8Array<ArrayBuffer> {
    return this.#call(Op.unpack, packed);
  }

  touch(key: string): void {
    this.#call(Op.touch, this.#key(key));
  }

  erase(key: string): void {
    const name = this.#key(key);
    this.#call(Op.erase, name);
    this.#names.delete(name.join());
  }

  /** Takes the item in; the keys that must go, which may be its own. */
  put(key: string, bytes: number, priority: number, pinned: boolean): string[] {
    const name = this.#key(key);
    this.#names.set(name.join(), key);
    return this.#victims(this.#call(Op.put, Uint8Array.from([...name, ...varint(bytes), priority, pinned ? 1 : 0])));
  }

  setBudget(bytes: number): string[] {
    return this.#victims(this.#call(Op.budget, Uint8Array.from(varint(bytes))));
  }

  close(): void {
    this.#core.delete();
  }

  #key(key: string): Uint8Array {
    const bytes = new Uint8Array(8);
    writeKey(new DataView(bytes.buffer), key);
    return bytes;
  }

  #call(op: number, input: Uint8Array): Uint8Array<ArrayBuffer> {
    this.#core.input(input.length).set(input);
    const output = this.#core.call(op);
    if (typeof output === "number") throw failureOf(output);
    return output as Uint8Array<ArrayBuffer>;
  }

  #victims(output: Uint8Array): string[] {
    const keys: string[] = [];
    for (let at = 0; at < output.length; at += 8) {
      const name = output.slice(at, at + 8).join();
      const key = this.#names.get(name);
      this.#names.delete(name);
      if (key !== undefined) keys.push(key);
    }
    return keys;
  }
}
