/**
 * Hints between the processes of one deployment: "something happened for this topic". A lost hint costs time and nothing else:
 * cursors and watermarks are the truth, and clients look by themselves every now and then.
 *
 * Topics travel as digests, so that neither Redis nor PostgreSQL holds a name.
 */

import { createHash } from "node:crypto";

export interface Bus {
  readonly kind: "local" | "redis" | "postgres";
  /** Never throws and never waits. */
  publish(topics: readonly string[]): void;
  close(): Promise<void>;
}

export type Listener = (topics: readonly string[]) => void;

/** The topic of one subject: 22 characters. */
export const topicOf = (tenant: string, principal: string): string =>
  createHash("sha256").update(`${tenant}\0${principal}`).digest("base64url").slice(0, 22);

export const localBus = (): Bus => ({ kind: "local", publish: () => undefined, close: () => Promise.resolve() });

const GATHER_MS = 10;
/** PostgreSQL takes less than 8,000 bytes. */
const TOPICS_MAX = 300;

/**
 * At most one message in ten milliseconds, so that a burst of pushes is one; the first after a silence goes out at once. Topics
 * beyond 300 wait for the next one.
 */
export class Gatherer {
  readonly #send: (message: string) => void;
  readonly #topics = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #sentAt = 0;

  constructor(send: (message: string) => void) {
    this.#send = send;
  }

  add(topics: readonly string[]): void {
    for (const topic of topics) if (this.#topics.size < TOPICS_MAX * 100) this.#topics.add(topic);
    this.#timer ??= setTimeout(() => this.#flush(), Math.max(0, this.#sentAt + GATHER_MS - performance.now()));
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #flush(): void {
    this.#timer = undefined;
    const some = [...this.#topics].slice(0, TOPICS_MAX);
    for (const topic of some) this.#topics.delete(topic);
    this.#sentAt = performance.now();
    this.#send(some.join(" "));
    if (this.#topics.size > 0) this.#timer = setTimeout(() => this.#flush(), GATHER_MS);
  }
}

/** The topics of a message; empty for one of another shape: whoever can write to the channel need not be us. */
export const topicsOf = (message: string | undefined): readonly string[] =>
  message !== undefined && message.length < 8_000
    ? message.split(" ").filter((topic) => /^[\w-]{22}$/.test(topic))
    : [];
