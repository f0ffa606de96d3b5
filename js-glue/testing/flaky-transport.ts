/** A transport whose weather a test decides: requests lost before the server, answers lost behind it, both late. */

import type { Clock, Transport, TransportReply, TransportRequest } from "../core/ports.ts";

/**
 * `clear`; `offline` = the server never sees the request; `reply-lost` = it does, but its answer is lost; or an answer
 * that somebody else gives in the server's place.
 */
export type Weather = "clear" | "offline" | "reply-lost" | TransportReply;

/** A transport around another one, with weather. */
export class FlakyTransport implements Transport {
  readonly #inner: Transport;
  readonly #clock: Clock | undefined;
  weather: Weather = "clear";
  latencyMs = 0;
  /** Requests made, whatever became of them. */
  requests = 0;

  constructor(inner: Transport, clock?: Clock) {
    this.#inner = inner;
    this.#clock = clock;
  }

  async send(request: TransportRequest): Promise<TransportReply> {
    this.requests++;
    const { weather } = this;
    const clock = this.#clock;
    if (clock && this.latencyMs > 0) {
      await new Promise<void>((resolve) => clock.alarm(clock.mono() + this.latencyMs, resolve));
    }
    if (weather === "offline") throw new TypeError("no network");
    if (typeof weather === "object") return weather;
    const reply = await this.#inner.send(request);
    if (weather === "reply-lost") throw new TypeError("the answer was lost");
    return reply;
  }

  renew(): Promise<boolean> {
    return this.#inner.renew();
  }
}
