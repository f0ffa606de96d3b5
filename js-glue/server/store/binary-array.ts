/**
 * Arrays in PostgreSQL's binary form, which `pg` sends as they are: nothing becomes text on the way.
 *
 * Format: src/backend/utils/adt/arrayfuncs.c (array_recv): dimensions, flags, element type, then per dimension length and
 * lower bound, then each element behind its length. All big-endian.
 */

import type { WireType } from "./copy-in.ts";

export type Element = number | bigint | string | Uint8Array;

const OIDS: Readonly<Record<WireType, number>> = { int2: 21, int4: 23, int8: 20, text: 25, bytea: 17 };
const HEADER_BYTES = 20;
/** An empty array has no dimensions. */
const EMPTY_BYTES = 12;
const WIDTH = { int2: 2, int4: 4, int8: 8 } as const;

// Two halves cost less than a bigint.
function writeInt64(out: Buffer, value: number | bigint, at: number): number {
  if (typeof value === "bigint") return out.writeBigInt64BE(value, at);
  out.writeInt32BE(Math.floor(value / 2 ** 32), at);
  return out.writeUInt32BE(value >>> 0, at + 4);
}

function sizeOf(type: WireType, values: readonly Element[]): number {
  if (type !== "text" && type !== "bytea") return values.length * (4 + WIDTH[type]);
  let size = 4 * values.length;
  for (const value of values)
    size += typeof value === "string" ? Buffer.byteLength(value) : (value as Uint8Array).length;
  return size;
}

function writeElement(out: Buffer, type: WireType, value: Element, at: number): number {
  if (typeof value === "string") {
    const length = out.write(value, at + 4);
    out.writeInt32BE(length, at);
    return at + 4 + length;
  }
  if (typeof value === "object") {
    out.set(value, out.writeInt32BE(value.length, at));
    return at + 4 + value.length;
  }
  const width = WIDTH[type as keyof typeof WIDTH];
  const from = out.writeInt32BE(width, at);
  if (width === 2) return out.writeInt16BE(Number(value), from);
  return width === 4 ? out.writeInt32BE(Number(value), from) : writeInt64(out, value, from);
}

function header(type: WireType, count: number, bytes: number): Buffer {
  const out = Buffer.allocUnsafe(count === 0 ? EMPTY_BYTES : HEADER_BYTES + bytes);
  out.writeInt32BE(count === 0 ? 0 : 1, 0);
  out.writeInt32BE(0, 4);
  out.writeInt32BE(OIDS[type], 8);
  if (count === 0) return out;
  out.writeInt32BE(count, 12);
  out.writeInt32BE(1, 16);
  return out;
}

/** One dimension of `count` elements that are encoded already, part after part. */
export function joinElements(type: WireType, count: number, parts: readonly Uint8Array[]): Buffer {
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  const out = header(type, count, bytes);
  if (count === 0) return out;
  let at = HEADER_BYTES;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** One dimension, no nulls. Values must fit their type. */
export function encodeArray(type: WireType, values: readonly Element[]): Buffer {
  const out = header(type, values.length, sizeOf(type, values));
  let at = HEADER_BYTES;
  for (const value of values) at = writeElement(out, type, value, at);
  return out;
}
