/**
 * Where a replica stands in a space's change order: opaque text that holds the incarnation, the number, and the sum over all
 * changes up to it. So a restored history is noticed, even one that went on to the same number.
 */

import type { Incarnation } from "../session.ts";

export interface Cursor {
  readonly n: number;
  readonly checksum: bigint;
}

const RADIX = 36;

export const formatCursor = ({ mintedAt, random }: Incarnation, { n, checksum }: Cursor): string =>
  [mintedAt, random, n, checksum].map((part) => part.toString(RADIX)).join(".");

/** Undefined for what is no cursor of this incarnation. */
export function parseCursor(incarnation: Incarnation, cursor: string): Cursor | undefined {
  const match = /^[0-9a-z]{1,11}\.[0-9a-z]{1,13}\.([0-9a-z]{1,11})\.([0-9a-z]{1,13})$/.exec(cursor);
  if (!match) return undefined;
  const [, n = "", checksum = ""] = match;
  const parsed = { n: Number.parseInt(n, RADIX), checksum: parseWord(checksum) };
  // Written back it must be the same text: a foreign incarnation, or a number too large, is not.
  return formatCursor(incarnation, parsed) === cursor ? parsed : undefined;
}

/** When the incarnation of the cursor was minted, whichever it is; undefined for what is no cursor. */
export const mintedAtOf = (cursor: string): number | undefined =>
  /^[0-9a-z]{1,11}\.[0-9a-z]{1,13}\./.test(cursor) ? Number.parseInt(cursor, RADIX) : undefined;

/** Whether it is a cursor of a server that this one was restored after. */
export const isOlder = (incarnation: Incarnation, cursor: string): boolean =>
  (mintedAtOf(cursor) ?? incarnation.mintedAt) < incarnation.mintedAt;

function parseWord(text: string): bigint {
  let word = 0n;
  for (const digit of text) word = word * BigInt(RADIX) + BigInt(Number.parseInt(digit, RADIX));
  return word;
}
