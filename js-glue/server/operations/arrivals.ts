/**
 * A crowd at the door. So many a second come in, a burst among them at once; everybody else is told a moment of their own to come
 * back at, one behind the other, so the time over which a crowd is spread grows with the crowd and nobody meets it again.
 */

const SECOND_MS = 1_000;
const WAIT_MS_MAX = 600_000;

/** Moments for those turned away, so many a second. */
export class Turns {
  readonly #everyMs: number;
  #last = Number.NEGATIVE_INFINITY;

  constructor(perSecond: number) {
    this.#everyMs = SECOND_MS / perSecond;
  }

  /** How long, in milliseconds, the next one should stay away. `now` is any clock that never goes back. */
  next(now: number): number {
    this.#last = Math.min(Math.max(this.#last, now) + this.#everyMs, now + WAIT_MS_MAX);
    return this.#last - now;
  }
}

export class Arrivals {
  readonly #everyMs: number;
  readonly #burstMs: number;
  readonly #turns: Turns;
  /** When the door has caught up with those who came in. */
  #busyUntil = Number.NEGATIVE_INFINITY;

  /** `burst` come in at once after a silence. */
  constructor(perSecond: number, burst: number) {
    this.#everyMs = SECOND_MS / perSecond;
    this.#burstMs = burst * this.#everyMs;
    this.#turns = new Turns(perSecond);
  }

  /** 0 = come in; otherwise how long to stay away, in milliseconds. */
  admit(now: number): number {
    const busyUntil = Math.max(this.#busyUntil, now) + this.#everyMs;
    if (busyUntil - now > this.#burstMs) return this.#turns.next(now);
    this.#busyUntil = busyUntil;
    return 0;
  }
}

/** A small fleet may come back within seconds; a thousand devices take forty, so that nobody else feels it. */
const SPREAD_MS_MIN = 1_000;
const SPREAD_MS_CALM = 40_000;
const SPREAD_MS_PER_DEVICE = 40;

/** Over how long `count` streams that are lost together come back; never more than `perSecondMax` of them a second. */
export const returnSpreadMs = (count: number, perSecondMax: number): number =>
  Math.max(
    Math.min(Math.max(SPREAD_MS_MIN, count * SPREAD_MS_PER_DEVICE), SPREAD_MS_CALM),
    (count / perSecondMax) * SECOND_MS,
  );
