/**
 * Forward-only, numbered schema changes. Each runs once, in a transaction of its own, while a row lock keeps other
 * processes waiting. A text that changed after it ran is refused: a migration is history.
 */

import { createHash } from "node:crypto";
import { failure } from "../../core/errors.ts";
import postgres001 from "../migrations/postgres/001-foundation.sql";
import postgres002 from "../migrations/postgres/002-operations.sql";
import postgres003 from "../migrations/postgres/003-insight.sql";
import postgres004 from "../migrations/postgres/004-documents.sql";
import postgres005 from "../migrations/postgres/005-models.sql";
import postgres006 from "../migrations/postgres/006-edit-parts.sql";
import postgres007 from "../migrations/postgres/007-analytics-blocks.sql";
import postgres008 from "../migrations/postgres/008-dictionary.sql";
import postgres009 from "../migrations/postgres/009-space-history.sql";
import sqlite001 from "../migrations/sqlite/001-foundation.sql";
import sqlite002 from "../migrations/sqlite/002-operations.sql";
import sqlite003 from "../migrations/sqlite/003-insight.sql";
import sqlite004 from "../migrations/sqlite/004-documents.sql";
import sqlite005 from "../migrations/sqlite/005-models.sql";
import sqlite006 from "../migrations/sqlite/006-edit-parts.sql";
import sqlite007 from "../migrations/sqlite/007-analytics-blocks.sql";
import sqlite008 from "../migrations/sqlite/008-dictionary.sql";
import sqlite009 from "../migrations/sqlite/009-space-history.sql";
import type { Connection, Database } from "./database.ts";
import { int, text } from "./rows.ts";
import { expectedSchema, type Schema, verifySchema } from "./schema.ts";

interface Migration {
  readonly id: number;
  readonly name: string;
  readonly sql: { readonly sqlite: string; readonly postgres: string };
}

const MIGRATIONS: readonly Migration[] = [
  { id: 1, name: "foundation", sql: { sqlite: sqlite001, postgres: postgres001 } },
  { id: 2, name: "operations", sql: { sqlite: sqlite002, postgres: postgres002 } },
  { id: 3, name: "insight", sql: { sqlite: sqlite003, postgres: postgres003 } },
  { id: 4, name: "documents", sql: { sqlite: sqlite004, postgres: postgres004 } },
  { id: 5, name: "models", sql: { sqlite: sqlite005, postgres: postgres005 } },
  { id: 6, name: "edit-parts", sql: { sqlite: sqlite006, postgres: postgres006 } },
  { id: 7, name: "analytics-blocks", sql: { sqlite: sqlite007, postgres: postgres007 } },
  { id: 8, name: "dictionary", sql: { sqlite: sqlite008, postgres: postgres008 } },
  { id: 9, name: "space-history", sql: { sqlite: sqlite009, postgres: postgres009 } },
];

/** The newest migration of this build. */
export const MIGRATION_LEVEL = MIGRATIONS.at(-1)?.id ?? 0;

const checksum = (source: string): string => createHash("sha256").update(source).digest("hex");

// Comments go first: a semicolon inside one would cut a statement in two. No migration has one inside a string.
const statementsOf = (sql: string): string[] =>
  sql
    .replace(/--[^\n]*/g, "")
    .split(";")
    .map((statement) => statement.trim())
    .filter(Boolean);

const ATTEMPTS_MAX = 20;

const BOOKKEEPING = [
  "CREATE TABLE IF NOT EXISTS schema_migration (id bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, ms bigint NOT NULL, applied_at bigint NOT NULL)",
  "CREATE TABLE IF NOT EXISTS schema_lock (id bigint PRIMARY KEY)",
  "INSERT INTO schema_lock (id) VALUES (1) ON CONFLICT DO NOTHING",
];

export interface MigrateOptions {
  readonly now: () => number;
  /**
   * False = the schema is taken as it is: somebody else brings it up to date. It may then be one migration behind, and what
   * needs that one is refused by name until it is there.
   */
  readonly apply?: boolean;
  /** Knows no migration above this one, as an earlier release did. For tests of upgrades. */
  readonly upTo?: number;
}

/** The newest migration that a release with these options knows. */
export const levelKnown = ({ upTo = MIGRATION_LEVEL }: Pick<MigrateOptions, "upTo">): number => upTo;

/**
 * Brings the schema up to date, checks it and returns its level, which a newer release may have raised above ours. Rejects with
 * `storage_failed` when a migration that has run reads differently now, when the schema is too far behind and is to be left
 * alone, and when something of it is missing; with the driver's error when a migration fails.
 */
export async function migrate(database: Database, options: MigrateOptions): Promise<number> {
  await prepare(database);
  const known = MIGRATIONS.filter(({ id }) => id <= levelKnown(options));
  for (const migration of known) {
    await database.transaction(async (connection) => {
      await connection.query(`SELECT id FROM schema_lock WHERE id = 1${database.dialect.forUpdate}`);
      await apply(connection, migration, options);
    });
  }
  return database.snapshot(async (connection) => {
    const level = await migrationLevel(connection);
    await verifySchema(connection, schemaAt(connection.dialect, Math.min(level, levelKnown(options))));
    return level;
  });
}

/** What a database must have whose newest migration, of those known, is this one. */
export const schemaAt = (dialect: "sqlite" | "postgres", level: number): Schema =>
  expectedSchema(
    MIGRATIONS.filter(({ id }) => id <= level).map(({ sql }) => statementsOf(sql[dialect])),
    level,
  );

export async function migrationLevel(connection: Connection): Promise<number> {
  const [row] = await connection.query("SELECT COALESCE(max(id), 0) AS level FROM schema_migration");
  return row ? int(row, "level") : 0;
}

// Two processes that start at once may both try to make the tables; PostgreSQL lets one fail. The other has won then.
async function prepare(database: Database): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await database.transaction(async (connection) => {
        for (const sql of BOOKKEEPING) await connection.run(sql);
      });
      return;
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      const isMade = code === "23505" || code === "42P07" || code === "42710"; // the row, the table or its type
      if (attempt >= ATTEMPTS_MAX || (!isMade && !database.isRace(error))) throw error;
    }
  }
}

async function apply(
  connection: Connection,
  { id, name, sql }: Migration,
  { apply: wanted = true, now, ...options }: MigrateOptions,
): Promise<void> {
  const source = sql[connection.dialect];
  const [row] = await connection.query("SELECT checksum FROM schema_migration WHERE id = $1", [id]);
  if (row) {
    if (text(row, "checksum") === checksum(source)) return;
    throw failure("storage_failed", `migration ${id} (${name}) is not the one this database was made with`);
  }
  if (!wanted && id === levelKnown(options)) return;
  if (!wanted)
    throw failure(
      "storage_failed",
      `migration ${id} (${name}) has not run; a server that may migrate must start first`,
    );
  const start = performance.now();
  for (const statement of statementsOf(source)) await connection.run(statement);
  const ms = Math.round(performance.now() - start);
  await connection.run(
    "INSERT INTO schema_migration (id, name, checksum, ms, applied_at) VALUES ($1, $2, $3, $4, $5)",
    [id, name, checksum(source), ms, now()],
  );
}
