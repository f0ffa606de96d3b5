/**
 * Tables and their columns, and which of them hold rows of one person, read from the database itself: a table made by a later feature is exported and erased
 * with the others, without anybody having to remember it.
 */

import type { Connection, Row } from "./database.ts";
import { text } from "./rows.ts";

export interface PersonalTable {
  readonly name: string;
  readonly columns: readonly string[];
  /** Columns of the primary key, in order. */
  readonly key: readonly string[];
  /** Whose row it is stands in `principal_id`, or follows from the device. */
  readonly by: "principal" | "device";
}

export interface TableShape {
  readonly columns: ReadonlySet<string>;
  /** Columns of the primary key, in order. */
  readonly key: readonly string[];
}

/** Rows of these name a person only by a reference that erasure makes meaningless. */
const KEPT = new Set(["audit_log", "privacy_job"]);

const COLUMNS = {
  postgres: `SELECT c.relname::text AS table_name, a.attname::text AS column_name, COALESCE(array_position(i.indkey::int2[], a.attnum) + 1, 0) AS pk
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
   WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace ORDER BY 1, a.attnum`,
  sqlite: `SELECT m.name AS table_name, c.name AS column_name, c.pk AS pk FROM sqlite_master m JOIN pragma_table_info(m.name) c
   WHERE m.type = 'table' ORDER BY 1, c.cid`,
} as const;

async function rowsByTable(connection: Connection): Promise<ReadonlyMap<string, readonly Row[]>> {
  const byTable = new Map<string, Row[]>();
  for (const row of await connection.query(COLUMNS[connection.dialect])) {
    const name = text(row, "table_name");
    byTable.set(name, [...(byTable.get(name) ?? []), row]);
  }
  return byTable;
}

const keyOf = (rows: readonly Row[]): readonly string[] =>
  rows
    .filter((row) => Number(row["pk"]) > 0)
    .sort((a, b) => Number(a["pk"]) - Number(b["pk"]))
    .map((row) => text(row, "column_name"));

/** Columns and primary keys of every table there is, whoever's. */
export async function tablesOf(connection: Connection): Promise<ReadonlyMap<string, TableShape>> {
  const shapes = new Map<string, TableShape>();
  for (const [name, rows] of await rowsByTable(connection))
    shapes.set(name, { columns: new Set(rows.map((row) => text(row, "column_name"))), key: keyOf(rows) });
  return shapes;
}

/** In order of their names. Tables of the application are left to it: only those with `tenant_id` first in their key are ours. */
export async function personalTables(connection: Connection): Promise<readonly PersonalTable[]> {
  const tables: PersonalTable[] = [];
  for (const [name, { columns: names, key }] of await tablesOf(connection)) {
    const columns = [...names];
    if (key[0] !== "tenant_id" || KEPT.has(name)) continue;
    if (columns.includes("principal_id")) tables.push({ name, columns, key, by: "principal" });
    else if (columns.includes("device_id")) tables.push({ name, columns, key, by: "device" });
  }
  return tables;
}
