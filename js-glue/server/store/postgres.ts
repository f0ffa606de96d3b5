/**
 * PostgreSQL behind the database port: a pool of connections, READ COMMITTED for writes (rows are locked by hand),
 * REPEATABLE READ for snapshots.
 */

import pg from "pg";
import type { Columns, Connection, Database, Dialect, Row, SqlValue } from "./database.ts";
import { packColumns } from "./database.ts";
import { SERVER_ITSELF } from "./row-security.ts";
import { text } from "./rows.ts";
import { currentTenant } from "./tenant.ts";

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

class PostgresConnection implements Connection {
  readonly dialect = "postgres";
  readonly #client: pg.PoolClient;
  #depth = 0;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    const result = await this.#client.query<Row>(sql, [...params]);
    return result.rows;
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    const result = await this.#client.query(sql, [...params]);
    return result.rowCount ?? 0;
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
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    });
    // Without a listener a database that goes away takes this process with it.
    pool.on("error", onIdleError);
    return new PostgresDatabase(pool);
  }

  transaction<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#within("BEGIN", work);
  }

  snapshot<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#within("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", work);
  }

  isRace(error: unknown): boolean {
    const code = sqlState(error);
    return code === "40001" || code === "40P01";
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
      const result = await work(new PostgresConnection(client));
      await client.query("COMMIT");
      return result;
    } catch (error) {
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
