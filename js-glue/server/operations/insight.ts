/**
 * What happens per tenant and day: kinds of events, modules, and how long work waited offline. Counted in memory and added to
 * the database a few times a minute: a crash loses a few seconds of statistics, never an event.
 */

import type { PlannedEvent } from "../session.ts";
import type { Store } from "../store/store.ts";

const DAY_MS = 86_400_000;
/** Names per tenant, day and kind; further ones count as `other`. */
const NAMES_MAX = 200;
const TENANTS_MAX = 10_000;
const ROWS_MAX = 2_000;

const WAITS: readonly (readonly [string, number])[] = [
  ["under a second", 1_000],
  ["under a minute", 60_000],
  ["under an hour", 3_600_000],
  ["under a day", DAY_MS],
];

const waitName = (ms: number): string => WAITS.find(([, below]) => ms < below)?.[0] ?? "a day or more";

export class Insight {
  readonly #store: Store;
  readonly #now: () => number;
  /** tenant -> day, kind and name as one key -> count */
  #counts = new Map<string, Map<string, number>>();
  #flushing: Promise<void> = Promise.resolve();

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  events(tenant: string, events: readonly Pick<PlannedEvent, "type" | "module" | "hlc">[]): void {
    const now = this.#now();
    // Events of one push are much alike: a run of equal ones is counted at once.
    for (let from = 0; from < events.length; ) {
      const { type, module } = events[from]!;
      const waited = waitName(now - Number(events[from]!.hlc >> 16n));
      let to = from + 1;
      for (; to < events.length; to++) {
        const next = events[to]!;
        if (next.type !== type || next.module !== module || waitName(now - Number(next.hlc >> 16n)) !== waited) break;
      }
      this.add(tenant, events[from]!, to - from);
      from = to;
    }
  }

  /** So many events like this one. */
  add(tenant: string, { type, module, hlc }: Pick<PlannedEvent, "type" | "module" | "hlc">, count: number): void {
    const now = this.#now();
    this.#add(tenant, now, "event_type", type, count);
    if (module !== "") this.#add(tenant, now, "module", module, count);
    this.#add(tenant, now, "waited", waitName(now - Number(hlc >> 16n)), count);
  }

  #add(tenant: string, now: number, kind: string, name: string, count: number): void {
    let counts = this.#counts.get(tenant);
    if (!counts) {
      if (this.#counts.size >= TENANTS_MAX) return;
      counts = new Map();
      this.#counts.set(tenant, counts);
    }
    const day = Math.floor(now / DAY_MS);
    let key = `${day}\n${kind}\n${name}`;
    if (!counts.has(key) && counts.size >= NAMES_MAX * 3) key = `${day}\n${kind}\nother`;
    counts.set(key, (counts.get(key) ?? 0) + count);
  }

  /** Adds what was counted; what cannot be written now is kept for the next time. Rejects as the database does. */
  flush(): Promise<void> {
    const run = this.#flushing.then(() => this.#write());
    this.#flushing = run.catch(() => undefined); // the caller hears of it; the next flush begins afresh
    return run;
  }

  async #write(): Promise<void> {
    const taken = this.#counts;
    if (taken.size === 0) return;
    this.#counts = new Map();
    const rows = [...taken].flatMap(([tenant, counts]) =>
      [...counts].map(([key, count]) => [tenant, ...key.split("\n"), count] as const),
    );
    // One order for all writers: two processes never wait for each other in a circle.
    rows.sort((a, b) => (String(a) < String(b) ? -1 : 1));
    try {
      for (let at = 0; at < rows.length; at += ROWS_MAX)
        await this.#store.write(async ({ connection }) => {
          for (const [tenant, day = "0", kind = "", name = "", count] of rows.slice(at, at + ROWS_MAX))
            await connection.run(
              `INSERT INTO insight (tenant_id, day, kind, name, count) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (tenant_id, day, kind, name) DO UPDATE SET count = insight.count + excluded.count`,
              [tenant, Number(day), String(kind), String(name), Number(count)],
            );
        });
    } catch (error) {
      for (const [tenant, counts] of taken) if (!this.#counts.has(tenant)) this.#counts.set(tenant, counts);
      throw error;
    }
  }
}
