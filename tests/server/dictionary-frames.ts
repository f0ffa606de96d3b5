/** Dictionaries made by hand, and segments that refer to them (src/wire/dictionary.h, codec 3 of src/wire/segment.h). */

import { Bytes, hash64, MADE_AT, type Mark, type Segment, sealed, type TestEvent } from "./frames.ts";

const TAIL_PATH = 0xffffffff;
const CODEC_ROWS_DICTIONARY = 3;
const MATCH_MIN = 4;
const RUN_MASK = 15;

export interface TestDictionary {
  readonly id: bigint;
  readonly bytes: Uint8Array;
  /** As a device sends it. */
  readonly packed: Uint8Array;
}

/** A dictionary of these texts. */
export function dictionaryOf(...texts: readonly string[]): TestDictionary {
  const out = new Bytes().u8(0x44).u8(1).varint(1).le(TAIL_PATH, 4).varint(texts.length);
  for (const text of texts) out.raw(new TextEncoder().encode(text)).u8(0);
  const bytes = out.take();
  return { id: hash64(bytes), bytes, packed: packedDictionary(bytes) };
}

/** Any bytes, packed as a dictionary is. */
export const packedDictionary = (bytes: Uint8Array): Uint8Array =>
  new Bytes().varint(bytes.length).raw(block(bytes)).take();

/** Events as a segment that only a reader with this dictionary can open. */
export const segmentWith = (
  { id, bytes }: TestDictionary,
  stream: Segment["stream"],
  before: Mark,
  events: readonly TestEvent[],
): Segment =>
  sealed(stream, before, events, MADE_AT, (rows) => ({
    codec: CODEC_ROWS_DICTIONARY,
    body: new Bytes().u64(id).raw(block(rows, bytes)).take(),
  }));

/** One lz4 block: the longest stretch that the text shares with the prefix is referred to, the rest stands in it. */
function block(text: Uint8Array, prefix: Uint8Array = new Uint8Array()): Uint8Array {
  const { at, from, size } = longestShared(text, prefix);
  const out = new Bytes();
  if (size < MATCH_MIN) return sequence(out, text).take();
  sequence(out, text.subarray(0, at), { offset: at + prefix.length - from, size });
  return sequence(out, text.subarray(at + size)).take();
}

function longestShared(text: Uint8Array, prefix: Uint8Array): { at: number; from: number; size: number } {
  let best = { at: 0, from: 0, size: 0 };
  for (let at = 0; at < text.length; at++)
    for (let from = 0; from < prefix.length; from++) {
      let size = 0;
      while (at + size < text.length && from + size < prefix.length && text[at + size] === prefix[from + size]) size++;
      if (size > best.size) best = { at, from, size };
    }
  return best;
}

function sequence(out: Bytes, literals: Uint8Array, match?: { offset: number; size: number }): Bytes {
  const size = match ? match.size - MATCH_MIN : 0;
  out.u8((Math.min(RUN_MASK, literals.length) << 4) | Math.min(RUN_MASK, size));
  length(out, literals.length).raw(literals);
  return match ? length(out.le(match.offset, 2), size) : out;
}

/** What of a length does not fit the token. */
function length(out: Bytes, value: number): Bytes {
  if (value < RUN_MASK) return out;
  let rest = value - RUN_MASK;
  for (; rest >= 255; rest -= 255) out.u8(255);
  return out.u8(rest);
}
