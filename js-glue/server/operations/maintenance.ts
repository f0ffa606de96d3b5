/**
 * Work that nobody waits for: sealing the audit log, writing statistics, removing what has expired, copying the database.
 * Every process may run it; each step is safe beside itself in another process.
 */

import { errorFields, type Logger } from "../log.ts";
import { SEAL_ROWS_MAX, sealAudit, tenantsToSeal } from "../store/audit.ts";
import { cleanUp } from "../store/cleanup.ts";
import type { Store } from "../store/store.ts";
import type { Folded } from "./folding.ts";
import type { Insight } from "./insight.ts";
import type { Metrics } from "./metrics.ts";

export interface MaintenanceOptions {
  readonly store: Store;
  readonly insight: Insight;
  readonly metrics: Metrics;
  readonly now: () => number;
  readonly log: Logger;
  /** Milliseconds between clean-ups; 0 = never by itself. */
  readonly cleanupIntervalMs: number;
  readonly retentionDays: number;
  /** Where copies of an SQLite database go; undefined = none are made. */
  readonly backupFolder: string | undefined;
  /** Runs what else is due, such as erasures. */
  readonly jobs: () => Promise<void>;
  /** Folds documents and removes changes nobody needs, of one tenant or of all. */
  readonly fold: (tenant: string | undefined, dryRun: boolean) => Promise<Folded>;
}

const TICK_MS = 10_000;
const TENANTS_MAX = 1_000;

export class Maintenance {
  readonly #options: MaintenanceOptions;
  readonly #timers: NodeJS.Timeout[] = [];
  #running: Promise<void> = Promise.resolve();
  #backedUpTo = 0;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    if (options.cleanupIntervalMs === 0) return;
    this.#timers.push(
      setInterval(() => this.#soon("statistics and seals", () => this.tick()), TICK_MS),
      setInterval(
        () => this.#soon("clean-up", () => this.#cleanAll()),
        Math.min(options.cleanupIntervalMs, 2 ** 31 - 1),
      ),
    );
    for (const timer of this.#timers) timer.unref();
  }

  /** Everything committed before this time is in the last copy; 0 = there is none. */
  get backedUpTo(): number {
    return this.#backedUpTo;
  }

  /** Seals audit rows, writes statistics, runs jobs. Rejects as the database does. */
  async tick(): Promise<void> {
    const { store, insight, jobs } = this.#options;
    await insight.flush();
    const tenants = await store.read(({ connection }) => tenantsToSeal(connection, TENANTS_MAX));
    for (const tenant of tenants) await this.seal(tenant);
    await jobs();
  }

  async seal(tenant: string): Promise<void> {
    const { store } = this.#options;
    for (;;) {
      const sealed = await store.write((tx) => sealAudit(tx.connection, tx.dialect, tenant));
      if (sealed < SEAL_ROWS_MAX) return;
    }
  }

  /** Rows removed by table, of one tenant or of all. */
  async cleanUp(tenant: string | undefined, dryRun: boolean): Promise<Readonly<Record<string, number>>> {
    const { store, now, retentionDays, metrics, fold } = this.#options;
    const rows = await cleanUp(store, { now: now(), tenant, retentionDays, dryRun });
    const removed = { ...rows, change: (await fold(tenant, dryRun)).changes };
    if (!dryRun) for (const [table, rows] of Object.entries(removed)) metrics.maintenance(table, rows);
    return removed;
  }

  /** A copy of an SQLite database beside the others; returns its file, or undefined where copies are made otherwise. */
  async backUp(): Promise<string | undefined> {
    const { store, backupFolder, now } = this.#options;
    if (backupFolder === undefined) return undefined;
    const at = now();
    const file = await store.backUp(backupFolder, at);
    if (file !== undefined) this.#backedUpTo = at;
    return file;
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#running;
  }

  async #cleanAll(): Promise<void> {
    const removed = await this.cleanUp(undefined, false);
    const backup = await this.backUp();
    this.#options.log.info({ removed, ...(backup === undefined ? {} : { backup }) }, "maintenance");
  }

  #soon(what: string, work: () => Promise<void>): void {
    this.#running = this.#running.then(work).catch((error: unknown) => {
      this.#options.log.warn(errorFields(error), `maintenance failed: ${what}`);
    });
  }
}
