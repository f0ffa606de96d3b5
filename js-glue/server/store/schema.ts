/**
 * What a database must have for this server: columns, primary keys and indexes, read from the texts of the migrations
 * themselves. Somebody may have dropped one by hand, or a copy may be damaged; then the start fails and names it, instead of
 * some push an hour later.
 *
 * More than is expected is no fault: the application's own tables, and what a newer release has added.
 */

import { failure } from "../../core/errors.ts";
import { type TableShape, tablesOf } from "./catalog.ts";
import type { Connection } from "./database.ts";
import { text } from "./rows.ts";

interface Table extends TableShape {
  readonly columns: Set<string>;
}

export interface Schema {
  readonly tables: Map<string, Table>;
  /** Name of the index, and whose it is. */
  readonly indexes: Map<string, string>;
}

/**
 * Tables that the first migration made for features to come, and the migration from which on they are used (and may have
 * another form). Before it nothing reads them, so they may be anything.
 */
const USED_FROM: Readonly<Record<string, number>> = { conflict_resolution_log: 4, edge_ai_models: 5 };
const PROBLEMS_SHOWN_MAX = 20;

/** What lies between the first parenthesis and its partner, cut at the commas that lie in no inner ones. */
function partsOf(statement: string): readonly string[] {
  const parts: string[] = [];
  let from = statement.indexOf("(") + 1;
  let depth = 1;
  for (let at = from; at < statement.length && depth > 0; at++) {
    const char = statement[at];
    if (char === "(") depth++;
    if (char === ")") depth--;
    if (depth > 0 && !(char === "," && depth === 1)) continue;
    parts.push(statement.slice(from, at).trim());
    from = at + 1;
  }
  return parts;
}

const wordsIn = (list: string): readonly string[] => [...list.matchAll(/\w+/g)].map(([word]) => word);

function tableOf(statement: string): Table {
  const columns = new Set<string>();
  let key: readonly string[] = [];
  for (const part of partsOf(statement)) {
    const named = /^PRIMARY KEY\s*\(([^)]*)\)/i.exec(part);
    if (named) {
      key = wordsIn(named[1] ?? "");
      continue;
    }
    const [column = ""] = part.split(/\s/);
    columns.add(column);
    if (/\bPRIMARY KEY\b/i.test(part)) key = [column];
  }
  return { columns, key };
}

/** One statement of a migration. Throws for a kind that nobody taught this function. */
function follow({ tables, indexes }: Schema, statement: string): void {
  const [, made] = /^CREATE TABLE (?:IF NOT EXISTS )?(\w+)/i.exec(statement) ?? [];
  if (made !== undefined) {
    tables.set(made, tableOf(statement));
    return;
  }
  const [, index, on] = /^CREATE (?:UNIQUE )?INDEX (\w+) ON (\w+)/i.exec(statement) ?? [];
  if (index !== undefined && on !== undefined) {
    indexes.set(index, on);
    return;
  }
  const [, changed, added] = /^ALTER TABLE (\w+) ADD COLUMN (\w+)/i.exec(statement) ?? [];
  if (changed !== undefined && added !== undefined) {
    tables.get(changed)?.columns.add(added);
    return;
  }
  const [, dropped] = /^DROP TABLE (\w+)$/i.exec(statement) ?? [];
  if (dropped !== undefined) {
    tables.delete(dropped);
    for (const [name, table] of indexes) if (table === dropped) indexes.delete(name);
    return;
  }
  if (/^(INSERT INTO|ALTER TABLE \w+ ALTER COLUMN \w+ SET STORAGE)\b/i.test(statement)) return;
  throw failure("internal", `the schema check does not understand: ${statement.slice(0, 60)}`);
}

/** What a release that knows the migrations up to `level` needs. */
export function expectedSchema(migrations: readonly (readonly string[])[], level: number): Schema {
  const schema: Schema = { tables: new Map(), indexes: new Map() };
  for (const statements of migrations) for (const statement of statements) follow(schema, statement);
  for (const [table, from] of Object.entries(USED_FROM)) if (level < from) schema.tables.delete(table);
  for (const [name, table] of schema.indexes) if (!schema.tables.has(table)) schema.indexes.delete(name);
  return schema;
}

/** What is missing, by name; empty when nothing is. */
export async function missingIn(connection: Connection, expected: Schema): Promise<readonly string[]> {
  const shapes = await tablesOf(connection);
  const indexes = await indexNames(connection);
  const missing: string[] = [];
  for (const [name, table] of expected.tables) {
    const found = shapes.get(name);
    if (!found) {
      missing.push(`table ${name}`);
      continue;
    }
    for (const column of table.columns) if (!found.columns.has(column)) missing.push(`column ${name}.${column}`);
    if (table.key.join() !== found.key.join()) missing.push(`primary key ${name} (${table.key.join(", ")})`);
  }
  for (const name of expected.indexes.keys()) if (!indexes.has(name)) missing.push(`index ${name}`);
  return missing;
}

/** Throws `storage_failed`, naming what is missing. */
export async function verifySchema(connection: Connection, expected: Schema): Promise<void> {
  const missing = await missingIn(connection, expected);
  if (missing.length === 0) return;
  const more = missing.length > PROBLEMS_SHOWN_MAX ? ` and ${missing.length - PROBLEMS_SHOWN_MAX} more` : "";
  throw failure(
    "storage_failed",
    `the database lacks ${missing.slice(0, PROBLEMS_SHOWN_MAX).join(", ")}${more}; put back a backup, or make it by hand`,
  );
}

// An index that PostgreSQL holds to be invalid is used by nobody.
const INDEXES = {
  postgres: `SELECT c.relname::text AS name FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
    WHERE c.relnamespace = current_schema()::regnamespace AND i.indisvalid`,
  sqlite: "SELECT name FROM sqlite_master WHERE type = 'index'",
} as const;

async function indexNames(connection: Connection): Promise<ReadonlySet<string>> {
  const rows = await connection.query(INDEXES[connection.dialect]);
  return new Set(rows.map((row) => text(row, "name")));
}
