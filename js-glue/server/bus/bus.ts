/**
 * Hints between the processes of one deployment: "something happened for this topic". A lost hint costs time and nothing else:
 * cursors and watermarks are the truth, and clients look by themselves every now and then.
 *
 * Topics travel as digests, so that neither Redis nor PostgreSQL holds a name.
 */

import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

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

/** A message that takes longer than this holds up the next one no more: its way may be broken. */
const SENT_MS_MAX = 1_000;

/**
 * One message after the other and at most one in ten milliseconds, so that a burst of pushes is one; the first after a silence
 * goes out at once. Topics beyond 300 wait for the next one.
 */
export class Gatherer {
  readonly #send: (message: string) => unknown;
  readonly #topics = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #sending = false;
  #closed = false;
  #sentAt = 0;

  /** A promise that `send` returns is waited for; it must not reject. */
  constructor(send: (message: string) => unknown) {
    this.#send = send;
  }

  add(topics: readonly string[]): void {
    for (const topic of topics) if (this.#topics.size < TOPICS_MAX * 100) this.#topics.add(topic);
    this.#soon();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #soon(): void {
    if (this.#timer !== undefined || this.#sending || this.#closed || this.#topics.size === 0) return;
    const wait = Math.max(0, this.#sentAt + GATHER_MS - performance.now());
    this.#timer = setTimeout(() => void this.#flush(), wait);
  }

  async #flush(): Promise<void> {
    this.#timer = undefined;
    const some = [...this.#topics].slice(0, TOPICS_MAX);
    for (const topic of some) this.#topics.delete(topic);
    this.#sentAt = performance.now();
    this.#sending = true;
    await Promise.race([this.#send(some.join(" ")), sleep(SENT_MS_MAX, undefined, { ref: false })]);
    this.#sending = false;
    this.#soon();
  }
}

/** Around the messages of one process, which has told its own streams already when they come back to it. */
export class Envelope {
  readonly #mark = `@${randomUUID()}`;

  seal(message: string): string {
    return `${this.#mark} ${message}`;
  }

  /** Its topics; none for a message of this process. */
  open(message: string | undefined): readonly string[] {
    return message?.startsWith(this.#mark) ? [] : topicsOf(message);
  }
}

/** The topics of a message; empty for one of another shape: whoever can write to the channel need not be us. */
export const topicsOf = (message: string | undefined): readonly string[] =>
  message !== undefined && message.length < 8_000
    ? message.split(" ").filter((topic) => /^[\w-]{22}$/.test(topic))
    : [];
