/**
 * The record the page writes while the core is still on its way (docs/storage.md): calls with their numbers.
 *
 *   'J' u8 | version u8 | wall ms u64 | epoch u64 | next u64 x5 | fnv1a u32 over all that follows | text
 *
 * Little-endian. `next` is the first number per lane of this record; the text is that of an Enqueue. The key is
 * 's' 'j' epoch n, big-endian, so records of one epoch lie in the order they were written.
 */

import { fnv1a32 } from "./bytes.ts";
import { failure } from "./errors.ts";

const HEAD_BYTES = 2 + 8 + 8 + 40 + 4;
const VERSION = 1;

/** So that a record stays below the 48,000 bytes beyond which browsers move values into files of their own. */
export const JOURNAL_TEXT_BYTES_MAX = 47_000;

export interface JournalRecord {
  readonly wall: number;
  readonly epoch: bigint;
  readonly next: readonly number[];
  readonly text: Uint8Array;
}

export function journalKey(epoch: bigint, n: number): Uint8Array {
  const key = new Uint8Array(14);
  const view = new DataView(key.buffer);
  key[0] = 0x73; // 's'
  key[1] = 0x6a; // 'j'
  view.setBigUint64(2, epoch);
  view.setUint32(10, n);
  return key;
}

export function writeJournalRecord({ wall, epoch, next, text }: JournalRecord): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + text.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x4a; // 'J'
  bytes[1] = VERSION;
  view.setBigUint64(2, BigInt(wall), true);
  view.setBigUint64(10, epoch, true);
  for (let lane = 0; lane < 5; lane++) view.setBigUint64(18 + 8 * lane, BigInt(next[lane] ?? 1), true);
  view.setUint32(58, fnv1a32(text), true);
  bytes.set(text, HEAD_BYTES);
  return bytes;
}

/** For tools and tests; the core takes records over itself. */
export function readJournalRecord(bytes: Uint8Array): JournalRecord {
  if (bytes.length < HEAD_BYTES || bytes[0] !== 0x4a) throw failure("malformed", "not a journal record");
  if (bytes[1] !== VERSION) throw failure("version_not_supported", "a journal record of another version");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = bytes.slice(HEAD_BYTES);
  if (view.getUint32(58, true) !== fnv1a32(text)) throw failure("checksum", "a damaged journal record");
  const next = [0, 1, 2, 3, 4].map((lane) => Number(view.getBigUint64(18 + 8 * lane, true)));
  return { wall: Number(view.getBigUint64(2, true)), epoch: view.getBigUint64(10, true), next, text };
}
