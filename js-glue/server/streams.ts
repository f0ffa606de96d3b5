/**
 * Open event streams (SSE) of this process, and the pokes they get. A poke says "look", and may bring what there is to see; a
 * second one before the first was sent is the same poke, and then says "look" alone.
 */

import type { ServerResponse } from "node:http";
import type { Identity } from "./auth.ts";
import { type Bus, topicOf } from "./bus/bus.ts";
import { HttpProblem } from "./http/problem.ts";
import { Arrivals, returnSpreadMs } from "./operations/arrivals.ts";
import type { Metrics } from "./operations/metrics.ts";

const BEAT_MS = 20_000;
const SLICES = 40;
/** A stream that does not take what it was sent for so long is closed. */
const UNDRAINED_MS = 30_000;
const STREAMS_PER_SUBJECT_MAX = 50;
const RETRY_MS = 1_000;
/** The credential of a stream is looked at again before it gets news, when that was done longer ago. */
const HELD_MS = 5_000;
/** Of a poke that only says "look". */
const NO_NEWS = "{}";
/** Streams that were lost together come back at no more than this rate. */
const RETURNS_PER_SECOND = 250;
/** Streams opened a second, and at once after a silence; whoever comes beyond them is told when to come back. */
const OPENED_PER_SECOND = 500;
const OPENED_AT_ONCE = 2_000;

interface Stream {
  readonly response: ServerResponse;
  readonly topic: string;
  /** When in the round of heartbeats its turn is. */
  readonly slice: number;
  /** When the credential ends; undefined = it does not. */
  readonly expiresAt: number | undefined;
  /** Whether its credential still is the subject's; rejects where it is no more. */
  readonly holds: () => Promise<boolean>;
  /** When that was so last. */
  heldAt: number;
  pending: boolean;
  /** Since when it takes nothing. */
  blockedAt: number | undefined;
  warned: boolean;
}

export class Streams {
  readonly #byTopic = new Map<string, Set<Stream>>();
  readonly #parked = new Map<string, Set<() => void>>();
  readonly #metrics: Metrics;
  readonly #now: () => number;
  readonly #beat: NodeJS.Timeout;
  readonly #arrivals = new Arrivals(OPENED_PER_SECOND, OPENED_AT_ONCE);
  #bus: Bus | undefined;
  /** Topics to be told at the end of this turn of the event loop, and with what news. */
  readonly #due = new Map<string, string>();
  #count = 0;
  #slice = 0;
  #sent = 0;

  constructor(metrics: Metrics, now: () => number) {
    this.#metrics = metrics;
    this.#now = now;
    // A slice of the streams at a time: ten thousand writes at once would hold everybody up.
    this.#beat = setInterval(() => this.#heartbeat(), BEAT_MS / SLICES);
    this.#beat.unref();
  }

  connect(bus: Bus): void {
    this.#bus = bus;
  }

  get count(): number {
    return this.#count;
  }

  /** Throws `rate_limited` when the subject has fifty already, `overloaded` in a crowd. The headers go out at once. */
  open({ tenant, principal, expiresAt }: Identity, holds: Stream["holds"]): (response: ServerResponse) => void {
    const topic = topicOf(tenant, principal);
    if ((this.#byTopic.get(topic)?.size ?? 0) >= STREAMS_PER_SUBJECT_MAX)
      throw new HttpProblem("rate_limited", `a subject has at most ${STREAMS_PER_SUBJECT_MAX} streams`, {
        retryAfterMs: 60_000,
      });
    const wait = this.#arrivals.admit(performance.now());
    if (wait > 0) {
      this.#metrics.shed("stream");
      throw new HttpProblem("overloaded", "many streams are being opened", { retryAfterMs: Math.ceil(wait) });
    }
    return (response) => {
      const stream: Stream = {
        response,
        slice: this.#count % SLICES,
        topic,
        expiresAt,
        holds,
        heldAt: this.#now(),
        pending: false,
        blockedAt: undefined,
        warned: false,
      };
      const streams = this.#byTopic.get(topic) ?? new Set();
      this.#byTopic.set(topic, streams.add(stream));
      this.#metrics.streamConnections(++this.#count);
      response.on("close", () => {
        streams.delete(stream);
        if (streams.size === 0) this.#byTopic.delete(topic);
        this.#metrics.streamConnections(--this.#count);
      });
      response.on("drain", () => this.#drained(stream));
      // Whoever was away may have missed anything: the first poke is part of the greeting.
      response.write(this.#retry());
      this.#poke(stream);
    };
  }

  /** Resolves with true at the next poke of the subject, with false after `ms`. */
  wait(tenant: string, principal: string, ms: number): Promise<boolean> {
    const topic = topicOf(tenant, principal);
    const parked = this.#parked.get(topic) ?? new Set();
    if (parked.size >= STREAMS_PER_SUBJECT_MAX)
      return Promise.reject(
        new HttpProblem("rate_limited", "too many requests of this subject are waiting", { retryAfterMs: 60_000 }),
      );
    this.#parked.set(topic, parked);
    return new Promise((resolve) => {
      const end = (poked: boolean): void => {
        clearTimeout(timer);
        parked.delete(wake);
        if (parked.size === 0) this.#parked.delete(topic);
        resolve(poked);
      };
      const wake = (): void => end(true);
      const timer = setTimeout(() => end(false), ms);
      parked.add(wake);
    });
  }

  /** Whether streams of the subject are open here, or of anybody. */
  isHeard(tenant: string, principal?: string): boolean {
    return principal === undefined ? this.#count > 0 : this.#byTopic.has(topicOf(tenant, principal));
  }

  /**
   * Something of the subject's changed: its streams here are told, and the other processes. After the commit only. `news` is JSON
   * on one line.
   */
  notify(tenant: string, principal: string, news = NO_NEWS): void {
    if (this.#due.size === 0) setImmediate(() => this.#tell());
    const topic = topicOf(tenant, principal);
    this.#due.set(topic, this.#due.has(topic) ? NO_NEWS : news);
  }

  #tell(): void {
    const due = [...this.#due];
    this.#due.clear();
    for (const [topic, news] of due) this.#deliver(topic, "local", news);
    this.#bus?.publish(due.map(([topic]) => topic));
  }

  /** From the bus: another process has told its own streams. */
  hear(topics: readonly string[]): void {
    for (const topic of topics) this.#deliver(topic, "bus");
  }

  /** Says good-bye to all, each with another moment to come back at. */
  close(): void {
    clearInterval(this.#beat);
    for (const streams of this.#byTopic.values())
      for (const { response } of streams) response.end(`${this.#retry()}event: bye\ndata: {}\n\n`);
    for (const parked of this.#parked.values()) for (const wake of [...parked]) wake();
  }

  // When to come back after a loss, spread over all. Each heartbeat says it anew, because a server that dies cannot.
  #retry(): string {
    const spread = returnSpreadMs(this.#count, RETURNS_PER_SECOND);
    return `retry: ${RETRY_MS + Math.round(Math.random() * spread)}\n\n`;
  }

  #deliver(topic: string, from: "local" | "bus", news = NO_NEWS): void {
    const streams = this.#byTopic.get(topic);
    const parked = this.#parked.get(topic);
    if (parked) for (const wake of [...parked]) wake();
    if (!streams) return;
    for (const stream of streams)
      if (news === NO_NEWS || this.#now() - stream.heldAt < HELD_MS) this.#poke(stream, news);
      else void this.#pokeIfHeld(stream, news);
    this.#metrics.poke(from, news === NO_NEWS ? "nothing" : "changes", streams.size);
  }

  /** News are content: a credential that was revoked meanwhile gets none, as if it had asked. */
  async #pokeIfHeld(stream: Stream, news: string): Promise<void> {
    const isHeld = await stream.holds().catch(() => false);
    if (stream.response.destroyed || stream.response.writableEnded) return;
    if (isHeld) stream.heldAt = this.#now();
    this.#poke(stream, isHeld ? news : NO_NEWS);
  }

  #poke(stream: Stream, news = NO_NEWS): void {
    if (stream.blockedAt !== undefined) {
      stream.pending = true;
      return;
    }
    this.#write(stream, `id: ${++this.#sent}\nevent: poke\ndata: ${news}\n\n`);
  }

  #write(stream: Stream, text: string): void {
    if (!stream.response.write(text)) stream.blockedAt = this.#now();
  }

  #drained(stream: Stream): void {
    stream.blockedAt = undefined;
    if (!stream.pending) return;
    stream.pending = false;
    this.#poke(stream);
  }

  #heartbeat(): void {
    const now = this.#now();
    this.#slice = (this.#slice + 1) % SLICES;
    for (const streams of this.#byTopic.values())
      for (const stream of [...streams]) {
        if (stream.slice !== this.#slice) continue;
        const { response, expiresAt, blockedAt } = stream;
        if (
          (blockedAt !== undefined && now - blockedAt > UNDRAINED_MS) ||
          (expiresAt !== undefined && expiresAt <= now)
        ) {
          response.destroy();
          continue;
        }
        if (blockedAt !== undefined) continue;
        if (expiresAt !== undefined && expiresAt - now < 3 * BEAT_MS && !stream.warned) {
          stream.warned = true;
          this.#write(stream, `event: auth\ndata: {"expiresInMs":${expiresAt - now}}\n\n`);
        } else this.#write(stream, this.#retry());
      }
  }
}
