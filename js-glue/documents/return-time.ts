/**
 * When to connect again after the stream of pokes was lost: not before the server asked for, and never together with others.
 *
 * The server tells each stream its own moment (`retry:` with every heartbeat, `Retry-After` with a refusal), spread over as long as
 * the number of its devices needs. Above that waits full jitter that doubles with every failure, so that devices nobody could
 * tell anything are spread as well.
 */

const FIRST_MS = 1_000;
const MOST_MS = 30_000;
const ASKED_MS_MAX = 600_000;

export class ReturnTime {
  #failures = 0;
  #askedMs = 0;

  /** One line of the stream. */
  heard(line: string): void {
    this.#failures = 0;
    const asked = /^retry: ?(\d{1,9})\s*$/.exec(line)?.[1];
    if (asked !== undefined) this.#asked(Number(asked));
  }

  /** `retryAfter`: the header's seconds. Where a proxy says a date, or nothing, we decide alone. */
  refused(retryAfter: string | null): void {
    this.#asked(1_000 * Number(retryAfter ?? 0));
  }

  /** How long to wait now, in milliseconds; `random` is in [0, 1). What was asked for holds once. */
  next(random: number): number {
    const most = Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(this.#failures++, 10));
    const asked = this.#askedMs;
    this.#askedMs = 0;
    return asked + random * most;
  }

  #asked(ms: number): void {
    this.#askedMs = ms > 0 ? Math.min(ms, ASKED_MS_MAX) : 0;
  }
}
