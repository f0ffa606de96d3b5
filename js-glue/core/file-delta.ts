/**
 * The difference between two files whose content comes in rows: what changed, and where the rest lies in the old file.
 *
 *   delta = (varint literal bytes, the bytes, varint copied bytes, varint their place in the old file)*
 *
 * Pieces of 32 bytes are looked up: a row of a table of recommendations is 64 bytes of ids and 32 of weights, in tensors that
 * begin at multiples of 64, so a row costs its own bytes and some ten to say where, also behind rows that were added. A delta
 * is never believed: whoever applies one compares the whole file's signed hash afterwards.
 */

import { sameBytes } from "./bytes.ts";
import { failure } from "./errors.ts";

const PIECE_BYTES = 32;

const pieceAt = (file: Uint8Array, at: number): Uint8Array => file.subarray(at, at + PIECE_BYTES);
const nameOf = (piece: Uint8Array): string => String.fromCharCode(...piece);

function pushVarint(out: number[], value: number): void {
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
  out.push(rest);
}

/** Linear in both sizes; `from` should be a file of the same kind, else the delta is about as large as `to`. */
export function makeDelta(from: Uint8Array, to: Uint8Array): Uint8Array<ArrayBuffer> {
  const places = new Map<string, number>();
  for (let at = 0; at + PIECE_BYTES <= from.length; at += PIECE_BYTES) {
    const name = nameOf(pieceAt(from, at));
    if (!places.has(name)) places.set(name, at);
  }
  const out: number[] = [];
  let literalFrom = 0;
  for (let at = 0; at < to.length; ) {
    const piece = pieceAt(to, at);
    const same = sameBytes(pieceAt(from, at), piece) ? at : places.get(nameOf(piece));
    if (same === undefined) {
      at += piece.length;
      continue;
    }
    let size = piece.length;
    for (let next = pieceAt(to, at + size); next.length > 0; next = pieceAt(to, at + size)) {
      if (!sameBytes(pieceAt(from, same + size), next)) break;
      size += next.length;
    }
    writePair(out, to.subarray(literalFrom, at), size, same);
    at += size;
    literalFrom = at;
  }
  if (literalFrom < to.length) writePair(out, to.subarray(literalFrom), 0, 0);
  return Uint8Array.from(out);
}

function writePair(out: number[], literal: Uint8Array, copied: number, place: number): void {
  pushVarint(out, literal.length);
  for (const byte of literal) out.push(byte);
  pushVarint(out, copied);
  pushVarint(out, place);
}

/** The new file, of exactly `size` bytes. Throws `malformed` for anything that does not come out so. */
export function applyDelta(from: Uint8Array, delta: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(size);
  let [at, read] = [0, 0];
  const varint = (): number => {
    for (let [value, scale] = [0, 1]; scale <= 0x80 ** 4; scale *= 0x80) {
      const byte = delta[read++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    throw failure("malformed", "the delta holds no number where one should be", { detail: read });
  };
  const put = (source: Uint8Array, place: number, bytes: number): void => {
    if (place + bytes > source.length || at + bytes > size)
      throw failure("malformed", "the delta reaches beyond a file", { detail: read });
    file.set(source.subarray(place, place + bytes), at);
    at += bytes;
  };
  while (read < delta.length) {
    const before = at;
    const literal = varint();
    put(delta, read, literal);
    read += literal;
    const copied = varint();
    put(from, varint(), copied);
    if (at === before) throw failure("malformed", "the delta says nothing", { detail: read });
  }
  if (at !== size) throw failure("malformed", "the delta ends before the file does", { detail: at });
  return file;
}
