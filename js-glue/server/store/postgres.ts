/**
 * PostgreSQL behind the database port: a pool of connections, READ COMMITTED for writes (rows are locked by hand),
 * REPEATABLE READ for snapshots.
 */

import pg from "pg";
import { copyIn, type WireType } from "./copy-in.ts";
import type { Columns, Connection, Database, Dialect, Row, SqlValue } from "./database.ts";
import { packColumns } from "./database.ts";
import { SERVER_ITSELF } from "./row-security.ts";
import { text } from "./rows.ts";
import { currentTenant, followTenants } from "./tenant.ts";

const sqlTypes = { int: "bigint", text: "text", bytes: "bytea" } as const;

const dialect: Dialect = {
  name: "postgres",
  forUpdate: " FOR UPDATE",
  rows(columns, rows, blob) {
    const cells = columns.map(([name, type]) =>
      type === "bytes" ? `substring($${blob}::bytea FROM ${name}_at FOR ${name}_size) AS ${name}` : name,
    );
    const record = columns.map(([name, type]) =>
      type === "bytes" ? `${name}_at int, ${name}_size int` : `${name} ${sqlTypes[type]}`,
    );
    return `(SELECT ${cells.join(", ")} FROM json_to_recordset($${rows}::json) AS q(${record.join(", ")})) AS r`;
  },
  packRows: (columns: Columns, rows) =>
    packColumns(columns, rows, (cells) => `{${cells.map(([name, json]) => `"${name}":${json}`).join(",")}}`),
};

const exact = (text: string): number | bigint => {
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : BigInt(text);
};
const INT8 = 20;

// `pg` takes a parser per type; its own default turns int8 into text. Only this pool is changed, not the whole module.
const types = {
  getTypeParser(oid: number, format?: "text" | "binary"): unknown {
    return oid === INT8 && format !== "binary" ? exact : pg.types.getTypeParser(oid, format);
  },
} as pg.CustomTypesConfig;

const STATEMENTS_MAX = 300;
const statements = new Map<string, { readonly name: string; uses: number }>();

// Parsing and planning cost more than running these statements. A text gets its name at its second use, and only the first
// few hundred do: an application may build SQL by hand.
function prepared(sql: string, params: readonly SqlValue[]): pg.QueryConfig {
  let statement = statements.get(sql);
  if (!statement && statements.size < STATEMENTS_MAX) {
    statement = { name: `oas_${statements.size}`, uses: 0 };
    statements.set(sql, statement);
  }
  const values = params as SqlValue[];
  if (!statement || statement.uses++ === 0) return { text: sql, values };
  return { name: statement.name, text: sql, values };
}

// A migration by another process may change what a prepared `SELECT *` returns; a fresh connection prepares it anew.
const isStalePlan = (error: unknown): boolean =>
  sqlState(error) === "0A000" && error instanceof Error && error.message.includes("cached plan");

class PostgresConnection implements Connection {
  readonly dialect = "postgres";
  readonly #client: pg.PoolClient;
  /** PostgreSQL refuses COPY into tables with row level security. */
  readonly #fenced: boolean;
  #depth = 0;

  constructor(client: pg.PoolClient, fenced: boolean) {
    this.#client = client;
    this.#fenced = fenced;
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    const result = await this.#client.query<Row>(prepared(sql, params));
    return result.rows;
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    const result = await this.#client.query(prepared(sql, params));
    return result.rowCount ?? 0;
  }

  async copy(
    table: string,
    names: readonly string[],
    types: readonly WireType[],
    rows: readonly (readonly SqlValue[])[],
  ): Promise<boolean> {
    if (this.#fenced) return false;
    await copyIn(this.#client, table, names, types, rows);
    return true;
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const name = `oas_${++this.#depth}`;
    await this.#client.query(`SAVEPOINT ${name}`);
    try {
      const result = await work();
      await this.#client.query(`RELEASE ${name}`);
      return result;
    } catch (error) {
      await this.#client.query(`ROLLBACK TO ${name}`);
      await this.#client.query(`RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth--;
    }
  }
}

class LoneConnection implements Connection {
  readonly dialect = "postgres";
  readonly #pool: pg.Pool;

  constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return (await this.#ask(sql, params)).rows;
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return (await this.#ask(sql, params)).rowCount ?? 0;
  }

  savepoint(): Promise<never> {
    return Promise.reject(new Error("a lone statement has no savepoints"));
  }

  copy(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async #ask(sql: string, params: readonly SqlValue[]): Promise<pg.QueryResult<Row>> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on("error", onError);
    try {
      return await client.query<Row>(prepared(sql, params));
    } catch (error) {
      if (isStalePlan(error)) broken ??= error as Error;
      throw error;
    } finally {
      client.off("error", onError);
      client.release(broken);
    }
  }
}

export interface PostgresOptions {
  readonly connectionsMax: number;
  /** Told of connections that broke while idle; the pool replaces them by itself. */
  readonly onIdleError: (error: Error) => void;
}

export class PostgresDatabase implements Database {
  readonly dialect = dialect;
  readonly #pool: pg.Pool;
  #fenced = false;

  private constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  /** From now on every transaction says whose rows it may see (store/row-security.ts). */
  fence(): void {
    this.#fenced = true;
    followTenants();
  }

  // One message: the fence costs no round trip.
  #begin(begin: string): string {
    if (!this.#fenced) return begin;
    return `${begin}; SET LOCAL oas.tenant = ${pg.escapeLiteral(currentTenant() ?? SERVER_ITSELF)}`;
  }

  /** Connects lazily; `url` is a postgres:// address. */
  static open(url: string, { connectionsMax, onIdleError }: PostgresOptions): PostgresDatabase {
    const pool = new pg.Pool({
      connectionString: url,
      max: connectionsMax,
      types,
      application_name: "offline-ai-sync",
      // Planning the statements of a push costs more than running them, and no value changes what plan is right.
      options: "-c plan_cache_mode=force_generic_plan",
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    });
    // Without a listener a database that goes away takes this process with it.
    pool.on("error", onIdleError);
    return new PostgresDatabase(pool);
  }

  /** Runs each statement by itself; undefined behind the fence, which needs a transaction to say whose rows it may see. */
  lone(): Connection | undefined {
    return this.#fenced ? undefined : new LoneConnection(this.#pool);
  }

  transaction<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#within("BEGIN", work);
  }

  snapshot<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#within("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", work);
  }

  isRace(error: unknown): boolean {
    const code = sqlState(error);
    return code === "40001" || code === "40P01" || isStalePlan(error);
  }

  isTrouble(error: unknown): boolean {
    const code = sqlState(error);
    // 08 connection, 53 resources, 57P shutdown, 58 system, XX internal; without SQLSTATE the socket itself failed.
    if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) return /^(08|53|57P|58|XX)/.test(code);
    if (code !== undefined && /^E[A-Z]+$/.test(code)) return true;
    return (
      error instanceof Error &&
      /Connection terminated|timeout exceeded|not queryable|Client has encountered/.test(error.message)
    );
  }

  /** System and timeline: both change when a backup is restored or a replica takes over. */
  async identity(): Promise<string> {
    try {
      return await this.snapshot(async (connection) => {
        const rows = await connection.query(
          "SELECT s.system_identifier, c.timeline_id FROM pg_control_system() s, pg_control_checkpoint() c",
        );
        return rows.map((row) => `${text(row, "system_identifier")}/${text(row, "timeline_id")}`).join();
      });
    } catch (error) {
      // Hosted databases may withhold these functions; then only a declared restore is noticed.
      if (this.isTrouble(error)) throw error;
      return "";
    }
  }

  pressure(): { readonly waiting: number; readonly max: number } {
    return { waiting: this.#pool.waitingCount, max: this.#pool.options.max };
  }

  close(): Promise<void> {
    return this.#pool.end();
  }

  async #within<T>(begin: string, work: (connection: Connection) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    // A connection that dies between two queries reports it here, and would end the process unheard.
    const onError = (error: Error): void => {
      broken = error;
    };
    client.on("error", onError);
    try {
      await client.query(this.#begin(begin));
      const result = await work(new PostgresConnection(client, this.#fenced));
      await client.query("COMMIT");
      return result;
    } catch (error) {
      if (isStalePlan(error)) broken ??= error as Error;
      try {
        await client.query("ROLLBACK");
      } catch (failed) {
        broken ??= failed instanceof Error ? failed : new Error(String(failed));
      }
      throw error;
    } finally {
      client.off("error", onError);
      client.release(broken);
    }
  }
}

const sqlState = (error: unknown): string | undefined => {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
};
