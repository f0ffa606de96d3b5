/** One reading a second of what the queue does, over the last five minutes. */

import type { SyncStatus } from "../browser/status.ts";
import type { TimelineEvent } from "./timeline.ts";

export interface Reading {
  /** Seconds since 1970. */
  readonly at: number;
  readonly waiting: number;
  /** A second. */
  readonly applied: number;
  /** Milliseconds from the call to the acknowledgement, half of those acknowledged since the reading before; null of none. */
  readonly answered: number | null;
}

const READINGS_MAX = 300;

export class Metrics {
  readonly #readings: Reading[] = [];
  #before: { readonly at: number; readonly applied: number } | undefined;

  /** Oldest first. */
  get readings(): readonly Reading[] {
    return this.#readings;
  }

  /** `now` is of `performance.now()`, as the times of the events are. */
  read({ pending, applied }: SyncStatus, events: readonly TimelineEvent[], now: number, wall: number): void {
    const before = this.#before ?? { at: now, applied };
    const seconds = (now - before.at) / 1_000;
    const lengths = events
      .filter(({ settledAt = Number.NEGATIVE_INFINITY }) => settledAt > before.at && settledAt <= now)
      .map(({ calledAt, settledAt = now }) => settledAt - calledAt);
    this.#readings.push({
      at: wall / 1_000,
      waiting: pending,
      applied: seconds > 0 ? Math.max(0, applied - before.applied) / seconds : 0,
      answered: lengths.sort((a, b) => a - b)[(lengths.length - 1) >> 1] ?? null,
    });
    if (this.#readings.length > READINGS_MAX) this.#readings.shift();
    this.#before = { at: now, applied };
  }
}

/** Of a row of readings; undefined where there is none. */
export function summary(values: readonly (number | null)[]): { now?: number; mean?: number; most?: number } {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return {};
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const last = values.at(-1);
  return { mean, most: Math.max(...known), ...(typeof last === "number" ? { now: last } : {}) };
}
