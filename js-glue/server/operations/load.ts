/**
 * How busy this process is, and whom it turns away: less urgent lanes first, `critical` last of all.
 *
 * Signals are the delay of the event loop, callers waiting for a database connection, and requests in flight. The level
 * goes up one step a second while any of them is over its threshold, and down when all are below half of it, so that one slow
 * moment turns nobody away.
 *
 *   level 0 serves all; 1 sheds analytics and low; 2 also normal; 3 also high; 4 also critical
 */

import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { LANES } from "../../core/events.ts";
import { HttpProblem } from "../http/problem.ts";
import { Turns } from "./arrivals.ts";
import type { Metrics } from "./metrics.ts";

export interface Pressure {
  /** 90th percentile over the last second: one slow turn is no overload. */
  readonly loopDelayMs: number;
  readonly poolWaiting: number;
  readonly poolMax: number;
  readonly inFlight: number;
}

export const LEVEL_MAX = 4;
const STEP_MS = 1_000;
/** Thresholds for level 1; each further level doubles them. */
const LOOP_DELAY_MS = 100;
const POOL_FACTOR = 4;
const IN_FLIGHT = 1_000;
/** The most urgent level at which a lane is still served, by lane number. */
const SERVED_UPTO = [3, 2, 1, 0, 0] as const;
/** One full segment always fits. */
const CREDIT_MIN = 1_000;
const RETRY_MS = 2_000;
/** Requests that were turned away come back at no more than this rate. */
const RETURNS_PER_SECOND = 500;

/** The level after one second under this pressure: pure. */
export function nextLevel(level: number, { loopDelayMs, poolWaiting, poolMax, inFlight }: Pressure): number {
  const over = (at: number): boolean => {
    const factor = 2 ** at;
    return (
      loopDelayMs > LOOP_DELAY_MS * factor ||
      poolWaiting > POOL_FACTOR * poolMax * factor ||
      inFlight > IN_FLIGHT * factor
    );
  };
  if (level < LEVEL_MAX && over(level)) return level + 1;
  // Half of what brought us here.
  if (level > 0 && !over(level - 2)) return level - 1;
  return level;
}

export interface LoadOptions {
  readonly pool: () => { readonly waiting: number; readonly max: number };
  readonly metrics: Metrics;
  /** Default true; false = the level stays where `set` puts it. */
  readonly measure?: boolean;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #delay: IntervalHistogram | undefined;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #turns = new Turns(RETURNS_PER_SECOND);
  #inFlight = 0;
  #level = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    if (options.measure === false) return;
    this.#delay = monitorEventLoopDelay({ resolution: 10 });
    this.#delay.enable();
    this.#timer = setInterval(() => this.#step(), STEP_MS);
    this.#timer.unref();
  }

  get level(): number {
    return this.#level;
  }
  get inFlight(): number {
    return this.#inFlight;
  }

  /** A request begins; call the result when it has ended. */
  enter(): () => void {
    this.#inFlight++;
    return () => {
      this.#inFlight--;
    };
  }

  /** Throws `overloaded`, with the time to wait, when requests of this lane are turned away now. */
  admit(lane: number): void {
    if (this.#level <= (SERVED_UPTO[lane] ?? 0)) return;
    this.#options.metrics.shed(LANES[lane] ?? "normal");
    // Spread out, so that those turned away do not come back as one: over the longer, the more of them there are.
    const spread = RETRY_MS * this.#level * (0.5 + Math.random());
    const retryAfterMs = Math.round(spread + this.#turns.next(performance.now()));
    throw new HttpProblem("overloaded", "the server serves more urgent work first", { retryAfterMs });
  }

  /** Events wanted in the next push; never less than one segment. */
  credit(full: number): number {
    return Math.max(CREDIT_MIN, Math.floor(full / 2 ** this.#level));
  }

  /** For tests and for operators who know better. */
  set(level: number): void {
    this.#level = Math.max(0, Math.min(LEVEL_MAX, level));
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delay?.disable();
  }

  #step(): void {
    const { waiting, max } = this.#options.pool();
    const loopDelayMs = (this.#delay?.percentile(90) ?? 0) / 1e6;
    this.#delay?.reset();
    this.#level = nextLevel(this.#level, {
      loopDelayMs,
      poolWaiting: waiting,
      poolMax: max,
      inFlight: this.#inFlight,
    });
    this.#options.metrics.load(this.#level, loopDelayMs, waiting);
  }
}
