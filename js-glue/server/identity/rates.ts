/**
 * How much one subject may send: a number of events a minute. A request counts one at the door and the rest once it is known
 * how many events it brought, so a push that goes over is answered, and the next one waits.
 */

import { RateLimiterMemory, type RateLimiterRes } from "rate-limiter-flexible";
import type { Subject } from "../handlers.ts";
import { HttpProblem } from "../http/problem.ts";

const WINDOW_S = 60;

export interface Rates {
  /** Rejects with `rate_limited`, which names the wait. */
  admit(subject: Subject): Promise<void>;
  /** What a request cost beyond the one it was admitted for. */
  charge(subject: Subject, events: number): void;
}

/** `eventsPerMinute` = 0: no limit. */
export function subjectRates(eventsPerMinute: number): Rates {
  if (eventsPerMinute === 0) return { admit: () => Promise.resolve(), charge: () => undefined };
  const limiter = new RateLimiterMemory({ points: eventsPerMinute, duration: WINDOW_S });
  const keyOf = ({ tenant, principal }: Subject): string => JSON.stringify([tenant, principal]);
  return {
    async admit(subject) {
      try {
        await limiter.consume(keyOf(subject), 1);
      } catch (refused) {
        if (refused instanceof Error) throw refused;
        const { msBeforeNext } = refused as RateLimiterRes;
        throw new HttpProblem("rate_limited", `more than ${eventsPerMinute} events a minute`, {
          retryAfterMs: Math.max(1_000, msBeforeNext),
        });
      }
    },
    charge(subject, events) {
      if (events > 0) void limiter.penalty(keyOf(subject), events);
    },
  };
}
