/** The store over either database: opens it, brings its schema up to date, retries lost races. */

import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../../core/errors.ts";
import { step } from "../operations/trace.ts";
import type { Incarnation } from "../session.ts";
import { BLOCKS_SCHEMA } from "./blocks.ts";
import type { Database } from "./database.ts";
import { type FastLane, fastLane } from "./fast-lane.ts";
import { HISTORY_SCHEMA, startInstall } from "./install.ts";
import { levelKnown, type MigrateOptions, migrate, migrationLevel } from "./migrations.ts";
import { PostgresDatabase } from "./postgres.ts";
import { SqlReads } from "./reads.ts";
import { fenceTenants } from "./row-security.ts";
import { SqliteDatabase } from "./sqlite.ts";
import type { Reads, Store, Writes } from "./store.ts";
import { SqlWrites } from "./writes.ts";

const RACES_MAX = 5;
/** A schema that is behind is looked at so often, to see whether somebody has brought it up to date. */
const LOOK_MS = 1_000;

/** Thrown by `work` to roll everything back and begin again with fresh rows. */
export class LostRace extends Error {
  override readonly name = "LostRace";
}

export interface OpenStoreOptions {
  readonly now: () => number;
  /** Whether and how far the schema is brought up to date. Default: as far as this build knows. */
  readonly schema?: Omit<MigrateOptions, "now">;
  readonly onIdleError: (error: Error) => void;
  readonly restored?: boolean;
  readonly connectionsMax?: number;
  /**
   * PostgreSQL's row level security as a second fence between tenants. Stays on once it is on; false takes it down, and
   * undefined leaves it as it is.
   */
  readonly rowSecurity?: boolean;
  /** Told how long each writing transaction took. */
  readonly onCommit?: (seconds: number) => void;
}

class SqlStore implements Store {
  readonly #database: Database;
  readonly incarnation: Incarnation;
  readonly #known: number;
  #level: number;
  #lookedAt = 0;
  get kind(): "sqlite" | "postgres" {
    return this.#database.dialect.name;
  }

  readonly fastLane: FastLane | undefined;
  readonly #onCommit: (seconds: number) => void;

  constructor(
    database: Database,
    incarnation: Incarnation,
    level: { readonly known: number; readonly found: number },
    onCommit: (seconds: number) => void,
  ) {
    this.#database = database;
    this.#onCommit = onCommit;
    const lone = database instanceof PostgresDatabase ? database.lone() : undefined;
    this.fastLane = lone && fastLane(lone, database.dialect, () => this.#hasBlocks);
    this.incarnation = incarnation;
    this.#known = level.known;
    this.#level = level.found;
  }

  get migrationLevel(): number {
    return this.#level;
  }

  get #hasBlocks(): boolean {
    return this.#level >= BLOCKS_SCHEMA;
  }

  async hasSchema(level: number): Promise<boolean> {
    if (level > this.#known) return false;
    if (level > this.#level && performance.now() - this.#lookedAt > LOOK_MS) {
      this.#lookedAt = performance.now();
      this.#level = await this.#database.snapshot(migrationLevel);
    }
    return level <= this.#level;
  }

  async write<T>(work: (writes: Writes) => Promise<T>): Promise<T> {
    const { dialect } = this.#database;
    for (let race = 1; ; race++) {
      try {
        const start = performance.now();
        const result = await step("store.write", { race }, () =>
          this.#database.transaction((connection) => work(new SqlWrites(connection, dialect, this.#hasBlocks))),
        );
        this.#onCommit((performance.now() - start) / 1_000);
        return result;
      } catch (error) {
        if (!this.isRace(error) || race >= RACES_MAX) throw error;
        // Whoever lost tries again at another moment than the next loser.
        await sleep(Math.random() * 10 * 2 ** race);
      }
    }
  }

  pressure(): { readonly waiting: number; readonly max: number } {
    const { waiting, max } = this.#database.pressure();
    return { waiting: waiting + (this.fastLane?.waiting ?? 0), max };
  }

  backUp(folder: string, at: number): Promise<string | undefined> {
    return this.#database instanceof SqliteDatabase ? this.#database.backUp(folder, at) : Promise.resolve(undefined);
  }

  read<T>(work: (reads: Reads) => Promise<T>): Promise<T> {
    const { dialect } = this.#database;
    return this.#database.snapshot((connection) => work(new SqlReads(connection, dialect, this.#hasBlocks)));
  }

  isTrouble(error: unknown): boolean {
    return this.#database.isTrouble(error) || this.isRace(error);
  }

  isRace(error: unknown): boolean {
    return error instanceof LostRace || this.#database.isRace(error);
  }

  close(): Promise<void> {
    return this.#database.close();
  }
}

/** `sqlite:<file>`, `sqlite::memory:` or `postgres://...`. Throws `invalid_argument` for anything else. */
async function openDatabase(url: string, options: OpenStoreOptions): Promise<Database> {
  if (/^postgres(ql)?:\/\//.test(url)) {
    return PostgresDatabase.open(url, {
      connectionsMax: options.connectionsMax ?? 10,
      onIdleError: options.onIdleError,
    });
  }
  const path = /^sqlite:(.+)$/.exec(url)?.[1];
  if (path === undefined) throw failure("invalid_argument", "the database must be sqlite:<file> or postgres://...");
  return SqliteDatabase.open(path);
}

/** Rejects with `invalid_argument` for an unknown kind of database, and as the driver and the migrations do. */
export async function openStore(url: string, options: OpenStoreOptions): Promise<Store> {
  const database = await openDatabase(url, options);
  try {
    const schema = options.schema ?? {};
    const level = { known: levelKnown(schema), found: await migrate(database, { ...schema, now: options.now }) };
    if (database instanceof PostgresDatabase && (await fenceTenants(database, options.rowSecurity))) database.fence();
    const file = database instanceof SqliteDatabase ? database.file : undefined;
    const now = options.now();
    const hasHistory = level.found >= HISTORY_SCHEMA;
    const restored = options.restored ?? false;
    const incarnation = await startInstall(database, { now, restored, file, hasHistory });
    return new SqlStore(database, incarnation, level, options.onCommit ?? (() => undefined));
  } catch (error) {
    await database.close();
    throw error;
  }
}
