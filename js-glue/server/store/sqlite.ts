/**
 * SQLite behind the database port: `node:sqlite` where this Node has it, else `@photostructure/sqlite`, the same API.
 *
 * One connection writes, one transaction at a time, in the order asked for; another reads snapshots. Every commit is
 * synced to disk before it resolves (WAL, synchronous=FULL).
 */

import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../../core/errors.ts";
import type { WireType } from "./copy-in.ts";
import type { Columns, Connection, Database, Dialect, Row, SqlValue } from "./database.ts";
import { packColumns } from "./database.ts";

/** The part of the API that both modules have. */
interface Statement {
  all(...params: readonly (null | number | bigint | string | Uint8Array)[]): unknown[];
  run(...params: readonly (null | number | bigint | string | Uint8Array)[]): { changes: number | bigint };
  setReadBigInts(enabled: boolean): void;
}
interface DatabaseSync {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}
type DatabaseSyncClass = new (path: string, options?: { readOnly?: boolean }) => DatabaseSync;

async function loadDriver(): Promise<DatabaseSyncClass> {
  for (const name of ["node:sqlite", "@photostructure/sqlite"]) {
    try {
      // A variable keeps bundlers from resolving what may not be there.
      const module: { DatabaseSync: DatabaseSyncClass } = await import(name);
      return module.DatabaseSync;
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code !== "ERR_MODULE_NOT_FOUND" && code !== "ERR_UNKNOWN_BUILTIN_MODULE") throw error;
    }
  }
  throw failure("invalid_argument", "SQLite needs Node 22.13 or later, or the package @photostructure/sqlite");
}

const dialect: Dialect = {
  name: "sqlite",
  forUpdate: "", // BEGIN IMMEDIATE has locked everything already
  rows(columns, rows, blob) {
    let at = 0;
    const cells = columns.map(([name, type]) => {
      if (type !== "bytes") return `value->>${at++} AS ${name}`;
      at += 2;
      return `substr($${blob}, value->>${at - 2}, value->>${at - 1}) AS ${name}`;
    });
    return `(SELECT ${cells.join(", ")} FROM json_each($${rows})) AS r`;
  },
  packRows: (columns: Columns, rows) =>
    packColumns(columns, rows, (cells) => `[${cells.map(([, json]) => json).join(",")}]`),
};

const exact = (value: unknown): SqlValue => {
  if (typeof value !== "bigint") return value as SqlValue;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

/** Rows of one statement of `copy`. */
const ROWS_AT_ONCE = 25;

class SqliteConnection implements Connection {
  readonly dialect = "sqlite";
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, Statement>();
  #depth = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  async query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    const rows = this.#statement(sql).all(...bound(params)) as Record<string, unknown>[];
    for (const row of rows) for (const name in row) if (typeof row[name] === "bigint") row[name] = exact(row[name]);
    return rows as unknown as readonly Row[];
  }

  async run(sql: string, params: readonly SqlValue[] = []): Promise<number> {
    return Number(this.#statement(sql).run(...bound(params)).changes);
  }

  async savepoint<T>(work: () => Promise<T>): Promise<T> {
    const name = `oas_${++this.#depth}`;
    this.exec(`SAVEPOINT ${name}`);
    try {
      const result = await work();
      this.exec(`RELEASE ${name}`);
      return result;
    } catch (error) {
      this.exec(`ROLLBACK TO ${name}; RELEASE ${name}`);
      throw error;
    } finally {
      this.#depth--;
    }
  }

  // Nothing becomes JSON on the way, and no call leaves the process. Each call and each bound value costs about as much as
  // the row itself: rows share statements, and what is the same in all of them is bound once.
  async copy(
    table: string,
    names: readonly string[],
    _types: readonly WireType[],
    rows: readonly (readonly SqlValue[])[],
  ): Promise<boolean> {
    const columns = [...names.keys()];
    const shared = columns.filter((c) => rows.every((row) => row[c] === rows[0]?.[c]));
    const own = columns.filter((c) => !shared.includes(c));
    const order = [...shared, ...own].map((c) => names[c]).join(", ");
    // A parameter with a number has a name, which is looked up among all others that have one: a bare `?` has none.
    const tuple = `(${[...shared.map((_, i) => `?${i + 1}`), ...own.map(() => "?")].join(", ")})`;
    const insert = (count: number): Statement =>
      this.#statement(`INSERT INTO ${table} (${order}) VALUES ${Array(count).fill(tuple).join(", ")}`);
    const run = (statement: Statement, some: typeof rows): void => {
      const values = shared.map((c) => some[0]![c]!);
      for (const row of some) for (const c of own) values.push(row[c]!);
      statement.run(...bound(values));
    };
    let at = 0;
    if (rows.length >= ROWS_AT_ONCE) {
      const many = insert(ROWS_AT_ONCE);
      for (; at + ROWS_AT_ONCE <= rows.length; at += ROWS_AT_ONCE) run(many, rows.slice(at, at + ROWS_AT_ONCE));
    }
    for (const row of rows.slice(at)) run(insert(1), [row]);
    return true;
  }

  get inTransaction(): boolean {
    try {
      // Fails inside a transaction, and does nothing outside of one.
      this.#db.exec("BEGIN; ROLLBACK");
      return false;
    } catch {
      return true; // that is the answer
    }
  }

  exec(sql: string): void {
    this.#db.exec(sql);
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (!statement) {
      // An application may build SQL text by hand; its statements must not pile up for ever.
      if (this.#statements.size >= 500) this.#statements.clear();
      statement = this.#db.prepare(numbered(sql));
      statement.setReadBigInts(true);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

// SQLite takes `$1` for a name and numbers names by first use; `?1` is the position that PostgreSQL's `$1` means.
const numbered = (sql: string): string =>
  sql.replace(/'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\$(\d+)/g, (all: string, n?: string) => (n ? `?${n}` : all));

type Bound = null | number | bigint | string | Uint8Array;

const bound = (params: readonly SqlValue[]): readonly Bound[] =>
  params.some((value) => typeof value === "boolean")
    ? params.map((value) => (typeof value === "boolean" ? Number(value) : value))
    : (params as readonly Bound[]);

interface Job {
  readonly work: (connection: Connection) => Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Transactions of one commit at most. */
const GROUP_MAX = 64;

/** Never rejects. Each job is all or nothing by itself; all that succeeded become durable together. */
async function group(connection: SqliteConnection, jobs: readonly Job[]): Promise<void> {
  if (jobs.length === 1) {
    const [{ work, resolve, reject }] = jobs as readonly [Job];
    await within(connection, "BEGIN IMMEDIATE", work).then(resolve, reject);
    return;
  }
  const settle: (() => void)[] = [];
  try {
    await within(connection, "BEGIN IMMEDIATE", async () => {
      for (const { work, resolve, reject } of jobs) {
        try {
          const value = await connection.savepoint(() => work(connection));
          settle.push(() => resolve(value));
        } catch (error) {
          // Where SQLite has rolled back everything by itself, nobody's work is there any more.
          if (!connection.inTransaction) throw error;
          settle.push(() => reject(error));
        }
      }
    });
  } catch (error) {
    for (const { reject } of jobs) reject(error);
    return;
  }
  for (const end of settle) end();
}

export class SqliteDatabase implements Database {
  readonly dialect = dialect;
  readonly #writer: SqliteConnection;
  readonly #reader: SqliteConnection | undefined;
  readonly #path: string;
  readonly #jobs: Job[] = [];
  #draining = false;
  #writing: Promise<unknown> = Promise.resolve();
  #reading: Promise<unknown> = Promise.resolve();

  private constructor(path: string, writer: SqliteConnection, reader: SqliteConnection | undefined) {
    this.#path = path;
    this.#writer = writer;
    this.#reader = reader;
  }

  /** `path` is a file, made when missing, or ":memory:". Rejects with the driver's error. */
  static async open(path: string): Promise<SqliteDatabase> {
    const Driver = await loadDriver();
    const open = async (): Promise<SqliteConnection> => {
      const connection = new SqliteConnection(new Driver(path));
      await whenFree(() =>
        connection.exec(
          `PRAGMA busy_timeout = ${BLOCK_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
        ),
      );
      return connection;
    };
    return new SqliteDatabase(path, await open(), path === ":memory:" ? undefined : await open());
  }

  /** The file, for what lies beside it; undefined for a database in memory. */
  get file(): string | undefined {
    return this.#path === ":memory:" ? undefined : this.#path;
  }

  transaction<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#jobs.push({ work, resolve: resolve as (value: unknown) => void, reject });
      if (this.#draining) return;
      this.#draining = true;
      // Whatever arrived in the same turn of the event loop shares one commit, and with it one flush of the disk.
      this.#writing = new Promise<void>((done) => setImmediate(() => void this.#drain().then(done)));
    });
  }

  async #drain(): Promise<void> {
    while (this.#jobs.length > 0) {
      await group(this.#writer, this.#jobs.splice(0, GROUP_MAX));
      // A turn for those who have been answered, and for those who come next.
      if (this.#jobs.length > 0) await new Promise((resolve) => setImmediate(resolve));
    }
    this.#draining = false;
  }

  snapshot<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const reader = this.#reader;
    if (!reader) return this.transaction(work);
    const turn = this.#reading.then(() => within(reader, "BEGIN", work));
    this.#reading = turn.catch(ignored);
    return turn;
  }

  isRace(error: unknown): boolean {
    return isBusy(error);
  }

  isTrouble(error: unknown): boolean {
    const code = errcodeOf(error);
    return code === undefined ? isClosed(error) : TROUBLE.has(code);
  }

  pressure(): { readonly waiting: number; readonly max: number } {
    return { waiting: this.#jobs.length, max: GROUP_MAX };
  }

  /**
   * A copy of one state of the database, made while others read and write; the newest seven are kept. Only a whole copy gets
   * its final name.
   */
  async backUp(folder: string, at: number): Promise<string> {
    await mkdir(folder, { recursive: true });
    const file = join(folder, `${at}.sqlite`);
    await rm(`${file}.part`, { force: true });
    const Driver = await loadDriver();
    const copy = new SqliteConnection(new Driver(this.#path));
    try {
      await whenFree(() => copy.exec(`VACUUM INTO '${`${file}.part`.replaceAll("'", "''")}'`));
    } finally {
      copy.close();
    }
    await rename(`${file}.part`, file);
    const copies = (await readdir(folder)).filter((name) => /^\d+\.sqlite$/.test(name));
    copies.sort((a, b) => Number.parseInt(b, 10) - Number.parseInt(a, 10));
    for (const old of copies.slice(COPIES_KEPT)) await rm(join(folder, old), { force: true });
    return file;
  }

  async identity(): Promise<string> {
    return "";
  }

  async close(): Promise<void> {
    await Promise.all([this.#writing, this.#reading]);
    this.#reader?.close();
    this.#writer.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    this.#writer.close();
  }
}

// SQLite's result codes (sqlite.org/rescode.html), without the extended part. Words would not do: what an application's
// handler throws may contain any of them.
const BUSY = 5;
const TROUBLE: ReadonlySet<number> = new Set([
  7, // NOMEM
  8, // READONLY
  10, // IOERR
  11, // CORRUPT
  13, // FULL
  14, // CANTOPEN
  26, // NOTADB
]);

function errcodeOf(error: unknown): number | undefined {
  const { code, errcode } = error instanceof Error ? (error as { code?: unknown; errcode?: unknown }) : {};
  return code === "ERR_SQLITE_ERROR" && typeof errcode === "number" ? errcode & 0xff : undefined;
}

const isClosed = (error: unknown): boolean =>
  error instanceof Error && (error as { code?: unknown }).code === "ERR_INVALID_STATE";

const isBusy = (error: unknown): boolean => errcodeOf(error) === BUSY;

const COPIES_KEPT = 7;

/** 16 MB of log before it is folded into the file: pages that every push writes are then copied a quarter as often. */
const CHECKPOINT_PAGES = 4_000;

// Another process, or another connection of this one, holds the write lock. SQLite itself would wait by blocking this
// thread, and with it whoever is to release the lock; so it waits briefly and we wait for the rest.
const BLOCK_MS = 20;
const FREE_MS_MAX = 10_000;

async function whenFree(work: () => void): Promise<void> {
  const start = performance.now();
  for (let wait = 1; ; wait = Math.min(wait * 2, 50)) {
    try {
      work();
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() - start > FREE_MS_MAX) throw error;
      await sleep(wait);
    }
  }
}

// The caller of the transaction gets the error; the queue behind it only needs to know that it ended.
const ignored = (): undefined => undefined;

async function within<T>(
  connection: SqliteConnection,
  begin: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  await whenFree(() => connection.exec(begin));
  try {
    const result = await work(connection);
    connection.exec("COMMIT");
    return result;
  } catch (error) {
    rollback(connection);
    throw error;
  }
}

function rollback(connection: SqliteConnection): void {
  try {
    connection.exec("ROLLBACK");
  } catch {
    // SQLite has rolled back by itself (a full disk, an I/O error); the first error is the one that tells.
  }
}
