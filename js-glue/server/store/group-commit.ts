/**
 * Writes that come while another is under way, written together: the busier the server, the larger the groups, and a lone
 * write waits for nobody. (Group commit; DeWitt et al., Implementation Techniques for Main Memory Database Systems, 1984.)
 */

import { failure } from "../../core/errors.ts";

/** The next group is put together while the last one is at the disk. */
const IN_FLIGHT_MAX = 2;
const GROUP_MAX = 32;
/** Callers that wait; far more than the server's shedding lets come so far. */
const WAITING_MAX = 10_000;
/** What one statement brings, in the caller's measure; a single write may weigh more. */
const WEIGHT_MAX = 10_000;

interface Waiting<T> {
  readonly item: T;
  readonly key: string;
  readonly weight: number;
  readonly done: (written: boolean) => void;
  readonly failed: (error: unknown) => void;
}

export interface GroupOptions<T> {
  /** Two writes of one key are never under way together. */
  key(item: T): string;
  weight(item: T): number;
}

export class GroupCommit<T> {
  readonly #write: (items: readonly T[]) => Promise<boolean>;
  readonly #options: GroupOptions<T>;
  readonly #busy = new Set<string>();
  #waiting: Waiting<T>[] = [];
  #inFlight = 0;

  /**
   * `write` writes all of its items or none: true when it has, false when one of them cannot be. Writing again what is written
   * must give false.
   */
  constructor(write: (items: readonly T[]) => Promise<boolean>, options: GroupOptions<T>) {
    this.#write = write;
    this.#options = options;
  }

  /** How many writes are in no statement yet. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Resolves as `write` does for this item alone, or rejects as it does; `server_busy` when too many wait. */
  commit(item: T): Promise<boolean> {
    if (this.#waiting.length >= WAITING_MAX)
      return Promise.reject(failure("server_busy", "too many writes wait for the database"));
    return new Promise((done, failed) => {
      this.#waiting.push({ item, key: this.#options.key(item), weight: this.#options.weight(item), done, failed });
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#inFlight < IN_FLIGHT_MAX) {
      const group = this.#form();
      if (group.length === 0) return;
      this.#inFlight++;
      for (const { key } of group) this.#busy.add(key);
      void this.#together(group).finally(() => {
        this.#inFlight--;
        for (const { key } of group) this.#busy.delete(key);
        this.#pump();
      });
    }
  }

  #form(): readonly Waiting<T>[] {
    const group: Waiting<T>[] = [];
    const keys = new Set<string>();
    let weight = 0;
    const left: Waiting<T>[] = [];
    for (const one of this.#waiting) {
      const fits = group.length < GROUP_MAX && (group.length === 0 || weight + one.weight <= WEIGHT_MAX);
      if (!fits || keys.has(one.key) || this.#busy.has(one.key)) {
        left.push(one);
        continue;
      }
      keys.add(one.key);
      group.push(one);
      weight += one.weight;
    }
    this.#waiting = left;
    return group;
  }

  // Whatever stops a group stops perhaps one of it: then each goes alone, and nobody pays for another's mistake. An item that
  // was written after all, its answer lost, is told false.
  async #together(group: readonly Waiting<T>[]): Promise<void> {
    try {
      if (group.length > 1 && (await this.#write(group.map(({ item }) => item)))) {
        for (const { done } of group) done(true);
        return;
      }
    } catch {
      // each alone says why
    }
    await Promise.all(group.map(({ item, done, failed }) => this.#write([item]).then(done, failed)));
  }
}
