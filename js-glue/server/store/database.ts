/**
 * The two SQL databases behind one small port: transactions, snapshots, savepoints and queries.
 *
 * One dialect of parameters ($1, $2, ...) serves both. Integers come back as `number` where that is exact, else as
 * `bigint`; byte columns as `Uint8Array`. What differs in SQL text is in `Dialect`.
 */

import type { WireType } from "./copy-in.ts";

/** What a column may hold, and a parameter be. */
export type SqlValue = string | number | bigint | boolean | Uint8Array | null;
/** One row, by column. */
export type Row = Readonly<Record<string, SqlValue>>;

/** What an application's handler gets: the transaction of the event it handles. */
export interface Tx {
  readonly dialect: "sqlite" | "postgres";
  /** Rows of a SELECT or RETURNING; empty otherwise. Rejects with the driver's error. */
  query(sql: string, params?: readonly SqlValue[]): Promise<readonly Row[]>;
  /** The number of rows an INSERT, UPDATE or DELETE touched. Rejects with the driver's error. */
  run(sql: string, params?: readonly SqlValue[]): Promise<number>;
}

export interface Connection extends Tx {
  /** Undoes everything `work` wrote when it rejects, and rejects with the same error. */
  savepoint<T>(work: () => Promise<T>): Promise<T>;
  /** Inserts rows by the database's own bulk protocol where it has one that may be used here; false = nothing was done. */
  copy(
    table: string,
    names: readonly string[],
    types: readonly WireType[],
    rows: readonly (readonly SqlValue[])[],
  ): Promise<boolean>;
}

/** The SQL type of a column in a list of rows handed over as one parameter. */
export type ColumnType = "int" | "text" | "bytes";

export interface Dialect {
  readonly name: "sqlite" | "postgres";
  /** Appended to a SELECT that locks the rows it reads. */
  readonly forUpdate: string;
  /**
   * A table expression named `r` over rows of `columns`, from two parameters: `$rows` (JSON text) and `$blob` (all byte
   * columns one after another). Both parameters are made by `packRows`.
   */
  rows(columns: Columns, rows: number, blob: number): string;
  packRows(columns: Columns, rows: readonly (readonly SqlValue[])[]): readonly [string, Uint8Array];
}

/** Column names with types, in order. */
export type Columns = readonly (readonly [name: string, type: ColumnType])[];

export interface Database {
  readonly dialect: Dialect;
  /** All or nothing; durable when it resolves. Rejects with what `work` rejected with, or with the driver's error. */
  transaction<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  /** Reads only, all of one state of the database. */
  snapshot<T>(work: (connection: Connection) => Promise<T>): Promise<T>;
  /** True for errors that a retry of the whole transaction may cure: lost serialisation races and deadlocks. */
  isRace(error: unknown): boolean;
  /** True for errors of the database or the way to it, as opposed to errors of a statement. */
  isTrouble(error: unknown): boolean;
  /** A text that is different in another installation of the database; empty when the database has none. */
  identity(): Promise<string>;
  /** Callers waiting for a connection, and how many there are at most. */
  pressure(): { readonly waiting: number; readonly max: number };
  /** Waits for what runs, then closes. Nothing may be begun after it. */
  close(): Promise<void>;
}

const numberText = (value: SqlValue): string => {
  if (typeof value === "boolean") return value ? "1" : "0";
  if (typeof value === "number" || typeof value === "bigint") return value.toString();
  return "null";
};

/** Lays byte columns end to end and replaces each by (offset from 1, length), which both databases can cut out again. */
export function packColumns(
  columns: Columns,
  rows: readonly (readonly SqlValue[])[],
  shape: (cells: readonly (readonly [name: string, json: string])[]) => string,
): readonly [string, Uint8Array] {
  let size = 0;
  for (const row of rows)
    for (let c = 0; c < columns.length; c++) if (columns[c]![1] === "bytes") size += (row[c] as Uint8Array).length;
  const blob = new Uint8Array(size);
  let at = 0;
  const texts: string[] = [];
  for (const row of rows) {
    const cells: (readonly [string, string])[] = [];
    columns.forEach(([name, type], c) => {
      const value = row[c] ?? null;
      if (type === "bytes") {
        const bytes = value as Uint8Array;
        blob.set(bytes, at);
        cells.push([`${name}_at`, String(at + 1)], [`${name}_size`, String(bytes.length)]);
        at += bytes.length;
      } else {
        cells.push([name, type === "int" ? numberText(value) : JSON.stringify(value)]);
      }
    });
    texts.push(shape(cells));
  }
  return [`[${texts.join(",")}]`, blob];
}
