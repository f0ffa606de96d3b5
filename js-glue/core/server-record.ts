/**
 * What the core keeps of the server it speaks to (src/queue/records.h), as far as documents ask for it.
 *
 *   version u8 | minted at i64 | random u64 | late cursor varint | horizon i64 | verify varint | ...
 *
 * Little-endian. `verify` is not 0 while streams are still being compared with a restored server.
 */

import { utf8 } from "./bytes.ts";

export const SERVER_KEY: Uint8Array = /* @__PURE__ */ utf8("ms");

const VERSION = 1;
const HEAD_BYTES = 1 + 8 + 8;
const RADIX = 36;

/** The incarnation in a cursor, which is text for nobody but its server. */
export const incarnationOf = (cursor: string): string => cursor.split(".", 2).join(".");

/** The incarnation whose streams are all compared, as cursors name it; undefined while that is going on, or cannot be read. */
export function comparedServer(record: Uint8Array): string | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  let at = HEAD_BYTES;
  while (at < record.length && view.getUint8(at) >= 0x80) at++;
  at += 1 + 8;
  if (record[0] !== VERSION || at >= record.length || view.getUint8(at) !== 0) return undefined;
  return [view.getBigInt64(1, true), view.getBigUint64(9, true)].map((part) => part.toString(RADIX)).join(".");
}
