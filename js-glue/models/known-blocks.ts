/** Which blocks of a new file are at hand in the old one, wherever they lie there. */

import { joinBytes, toHex } from "../core/bytes.ts";
import { BLOCK_BYTES, BLOCK_HASH_BYTES } from "../core/model-statement.ts";

/** A part of the new file; `local` = its bytes, undefined = they must be loaded. */
export interface Run {
  readonly from: number;
  readonly to: number;
  readonly local: Uint8Array | undefined;
}

const hashAt = (hashes: Uint8Array, block: number): string =>
  toHex(hashes.subarray(block * BLOCK_HASH_BYTES, (block + 1) * BLOCK_HASH_BYTES));

export class KnownBlocks {
  /** What the list of wanted hashes cost. */
  readonly listBytes: number;
  readonly #wanted: Uint8Array;
  readonly #file: Uint8Array;
  readonly #places = new Map<string, number>();

  /** `wanted` and `own`: the block hashes of the new file and of `file`. */
  constructor(wanted: Uint8Array, own: Uint8Array, file: Uint8Array) {
    this.listBytes = wanted.length;
    this.#wanted = wanted;
    this.#file = file;
    for (let block = 0; block * BLOCK_HASH_BYTES < own.length; block++) this.#places.set(hashAt(own, block), block);
  }

  /** Covers [from, to), which begins at a block: neighbours of one kind are one run, so that they are one request. */
  runs(from: number, to: number): readonly Run[] {
    const runs: Run[] = [];
    for (let place = from; place < to; place += BLOCK_BYTES) {
      const end = Math.min(to, place + BLOCK_BYTES);
      const local = this.#block(place, end);
      const before = runs.at(-1);
      if (before && (before.local === undefined) === (local === undefined)) {
        const joined = before.local && local ? joinBytes(before.local, local) : undefined;
        runs[runs.length - 1] = { from: before.from, to: end, local: joined };
      } else {
        runs.push({ from: place, to: end, local });
      }
    }
    return runs;
  }

  #block(from: number, to: number): Uint8Array | undefined {
    const block = this.#places.get(hashAt(this.#wanted, from / BLOCK_BYTES));
    if (block === undefined) return undefined;
    const bytes = this.#file.subarray(block * BLOCK_BYTES, block * BLOCK_BYTES + to - from);
    return bytes.length === to - from ? bytes : undefined;
  }
}
