/**
 * Rows into PostgreSQL by COPY in its binary form: the cheapest way in for both ends, because nothing becomes text on the way.
 *
 * Format: https://www.postgresql.org/docs/current/sql-copy.html (binary format). Each value has the column's exact width.
 */

import type pg from "pg";
import type { SqlValue } from "./database.ts";

/** A column's type on the wire. */
export type WireType = "int2" | "int4" | "int8" | "text" | "bytea";

const SIGNATURE = Buffer.from("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", "latin1");
const END = 0xffff;
const SIZES = { int2: 2, int4: 4, int8: 8 } as const;
const NULL_LENGTH = -1;

const bytesOf = (value: SqlValue): number =>
  typeof value === "string" ? Buffer.byteLength(value) : (value as Uint8Array).length;

/** All rows as one message. Values must fit their types: integers as number or bigint, text, bytes, null, booleans as 0 or 1. */
export function encodeRows(types: readonly WireType[], rows: readonly (readonly SqlValue[])[]): Buffer {
  let size = SIGNATURE.length + 2;
  for (const row of rows) {
    size += 2 + 4 * types.length;
    types.forEach((type, i) => {
      const value = row[i] ?? null;
      if (value !== null) size += type === "text" || type === "bytea" ? bytesOf(value) : SIZES[type];
    });
  }
  const out = Buffer.allocUnsafe(size);
  SIGNATURE.copy(out);
  let at = SIGNATURE.length;
  for (const row of rows) {
    at = out.writeUInt16BE(types.length, at);
    for (let i = 0; i < types.length; i++) at = encodeValue(out, at, types[i]!, row[i] ?? null);
  }
  out.writeUInt16BE(END, at);
  return out;
}

function encodeValue(out: Buffer, at: number, type: WireType, value: SqlValue): number {
  if (value === null) return out.writeInt32BE(NULL_LENGTH, at);
  if (type === "text") {
    const length = out.write(String(value), at + 4);
    out.writeInt32BE(length, at);
    return at + 4 + length;
  }
  if (type === "bytea") {
    const bytes = value as Uint8Array;
    out.writeInt32BE(bytes.length, at);
    out.set(bytes, at + 4);
    return at + 4 + bytes.length;
  }
  const after = out.writeInt32BE(SIZES[type], at);
  if (type === "int2") return out.writeInt16BE(Number(value), after);
  if (type === "int4") return out.writeInt32BE(Number(value), after);
  if (typeof value === "bigint") return out.writeBigInt64BE(value, after);
  // Two halves cost less than a bigint.
  const number = Number(value);
  out.writeInt32BE(Math.floor(number / 2 ** 32), after);
  return out.writeUInt32BE(number >>> 0, after + 4);
}

interface CopyConnection {
  query(sql: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
}

/** What `pg` drives: it asks for the statement, then for the data, then tells the end. */
class CopyIn {
  readonly done: Promise<void>;
  readonly #sql: string;
  readonly #rows: Buffer;
  #resolve!: () => void;
  #reject!: (error: Error) => void;
  #failed: Error | undefined;

  constructor(sql: string, rows: Buffer) {
    this.#sql = sql;
    this.#rows = rows;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }
  submit(connection: CopyConnection): void {
    connection.query(this.#sql);
  }
  handleCopyInResponse(connection: CopyConnection): void {
    connection.sendCopyFromChunk(this.#rows);
    connection.endCopyFrom();
  }
  handleCommandComplete(): void {
    // The end of the statement; ReadyForQuery follows and settles.
  }
  handleError(error: Error): void {
    this.#failed ??= error;
    // A connection that is gone sends no ReadyForQuery; settling twice is harmless.
    this.#reject(error);
  }
  handleReadyForQuery(): void {
    if (this.#failed) this.#reject(this.#failed);
    else this.#resolve();
  }
}

/** `names` are ours and never a client's. Rejects with the driver's error; nothing was written then. */
export function copyIn(
  client: pg.PoolClient,
  table: string,
  names: readonly string[],
  types: readonly WireType[],
  rows: readonly (readonly SqlValue[])[],
): Promise<void> {
  const copy = new CopyIn(`COPY ${table} (${names.join(", ")}) FROM STDIN (FORMAT binary)`, encodeRows(types, rows));
  client.query(copy as unknown as pg.Submittable);
  return copy.done;
}
