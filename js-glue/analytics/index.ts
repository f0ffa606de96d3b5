/**
 * offline-ai-sync/analytics: events about how an application is used, over the same durable queue as everything else.
 *
 * Nothing is stored before consent was given, and nothing waits any more once it is withdrawn. Calls carry session, page and
 * campaign as people know them from other libraries. Under storage pressure, and only then, new events are sampled before
 * they get a number; how many were dropped is on the next one that is kept.
 */

import type { QueuedEvent } from "../core/calls.ts";
import { failure } from "../core/errors.ts";
import { LANES } from "../core/events.ts";
import { Op } from "../core/io.ts";
import { VOID_REASONS } from "../core/verdicts.ts";

/** The part of the engine that is used; a queue with `queueEvent` alone keeps what waits when consent is withdrawn. */
export interface EventQueue {
  /** As the engine's: resolves when the event is stored. */
  queueEvent(event: QueuedEvent): Promise<unknown>;
  /** The engine's own, through which events that wait are given up. */
  readonly parts?: { host(): Promise<{ readonly loop: { command(op: Op, args: Uint8Array): Promise<Uint8Array> } }> };
  /** The engine's own: refused events. */
  readonly deadLetters?: {
    export(): Promise<readonly { readonly id: string; readonly eventType: string }[]>;
    drop(id: string): Promise<void>;
  };
}

/** What an application may set; everything has a default. */
export interface AnalyticsOptions {
  readonly moduleId?: string | undefined;
  /** Asked before every event; false = nothing is stored, nothing is kept for later. Default: consent must be given by `consent(true)`. */
  readonly consent?: (() => boolean) | undefined;
  /** A new session begins after so long without an event. Default 30 minutes. */
  readonly sessionIdleMs?: number | undefined;
  /** The share of the origin's quota above which events are sampled. Default 0.9. */
  readonly pressureFrom?: number | undefined;
  /** One of how many events is kept under pressure. Default 10. */
  readonly keepOneOf?: number | undefined;
  /** What is in use of what there is, 0 to 1. Default: asks the browser, at most every 30 s. */
  readonly usage?: (() => Promise<number>) | undefined;
  readonly now?: (() => number) | undefined;
}

/** What one call may ask for beside name and properties. */
export interface TrackOptions {
  readonly entity?: string | undefined;
  /** Equal events within so many milliseconds are one. Without it two equal clicks are two events. */
  readonly dedupeMs?: number | undefined;
  readonly durability?: QueuedEvent["durability"];
}

/** What became of a call: it was queued, or nothing was stored and why. */
export type Tracked = "queued" | "consent" | "sampled";

const TYPE_PREFIX = "analytics.";
const SESSION_IDLE_MS = 30 * 60_000;
const USAGE_MS = 30_000;
const CAMPAIGN = ["source", "medium", "campaign", "term", "content"] as const;

const pageNow = (): Record<string, string> => {
  const place = (globalThis as { location?: Location }).location;
  if (!place) return {};
  const { title = "", referrer = "" } = typeof document === "undefined" ? {} : document;
  return { url: place.href.split("#")[0] ?? "", path: place.pathname, title, referrer };
};

/** utm_source and its kin, without the prefix; nothing when there are none. */
export function campaignOf(url: string): Readonly<Record<string, string>> | undefined {
  if (!URL.canParse(url)) return undefined;
  const query = new URL(url).searchParams;
  const found = CAMPAIGN.flatMap((name) => {
    const value = query.get(`utm_${name}`);
    return value ? [[name, value.slice(0, 200)] as const] : [];
  });
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}

async function browserUsage(): Promise<number> {
  const { usage = 0, quota = 0 } = (await navigator.storage?.estimate?.()) ?? {};
  return quota > 0 ? usage / quota : 0;
}

/** How an application is used, as events of the queue. Nothing is stored before consent. */
export class Analytics {
  readonly #queue: EventQueue;
  readonly #options: AnalyticsOptions;
  readonly #now: () => number;
  #consented = false;
  #session: { readonly id: string; readonly startedAt: number; number: number } | undefined;
  #lastAt = Number.NEGATIVE_INFINITY;
  #campaign: Readonly<Record<string, string>> | undefined;
  #traits: Readonly<Record<string, unknown>> | undefined;
  #usage = 0;
  #usageAt = Number.NEGATIVE_INFINITY;
  #counted = 0;
  #dropped = 0;

  constructor(queue: EventQueue, options: AnalyticsOptions = {}) {
    const { keepOneOf = 10 } = options;
    if (!Number.isInteger(keepOneOf) || keepOneOf < 1)
      throw failure("invalid_argument", "keepOneOf is a whole number from 1");
    this.#queue = queue;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  /** Events dropped by sampling and not yet reported. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * Withdrawing it ends the session: what comes later is another visitor's as far as anyone can tell. And what waits in the lane
   * `analytics` is given up: it is neither stored nor sent any more, and neither are refused events. Resolves with how many
   * waited; rejects when storage fails, or the engine cannot run: then call it again. What is on its way at that moment arrives.
   */
  consent(given: boolean): Promise<number> {
    this.#consented = given;
    if (given) return Promise.resolve(0);
    this.#session = undefined;
    this.#traits = undefined;
    const done = this.#giveUp();
    done.catch(() => undefined); // nobody has to wait for it
    return done;
  }

  async #giveUp(): Promise<number> {
    const { parts, deadLetters } = this.#queue;
    const args = Uint8Array.of(LANES.indexOf("analytics"), VOID_REASONS.indexOf("consent"));
    const answer = parts && (await (await parts.host()).loop.command(Op.giveUp, args));
    for (const { id, eventType } of (await deadLetters?.export()) ?? [])
      if (eventType.startsWith(TYPE_PREFIX)) await deadLetters?.drop(id);
    return answer ? Number(new DataView(answer.buffer, answer.byteOffset).getBigUint64(0, true)) : 0;
  }

  #consents(): boolean {
    return this.#options.consent?.() ?? this.#consented;
  }

  /** Resolves when the event is stored, or when it was not taken; rejects like `queueEvent`. */
  async trackEvent(name: string, properties: unknown = {}, options: TrackOptions = {}): Promise<Tracked> {
    if (!this.#consents()) return "consent";
    if (!(await this.#keeps())) return "sampled";
    const at = this.#now();
    const { entity, dedupeMs, durability } = options;
    const text = dedupeMs ? JSON.stringify([name, properties, Math.floor(at / dedupeMs)]) : undefined;
    const dedupeKey = text && (await digest(text));
    if (!this.#consents()) return "consent"; // withdrawn meanwhile
    const session = this.#sessionAt(at);
    const dropped = this.#dropped;
    this.#dropped = 0;
    const eventData = {
      name,
      properties,
      time: at,
      session: { id: session.id, number: session.number },
      page: pageNow(),
      ...(this.#campaign && { campaign: this.#campaign }),
      ...(this.#traits && { traits: this.#traits }),
      ...(dropped > 0 && { dropped }),
    };
    await this.#queue.queueEvent({
      eventType: `${TYPE_PREFIX}${name}`.slice(0, 128),
      moduleId: this.#options.moduleId ?? "analytics",
      eventData,
      priority: "analytics",
      entity,
      durability: durability ?? "durable",
      dedupeKey,
    });
    return "queued";
  }

  /** A page was shown; takes campaign parameters from its address. */
  page(properties: Readonly<Record<string, unknown>> = {}): Promise<Tracked> {
    this.#campaign = campaignOf(pageNow()["url"] ?? "") ?? this.#campaign;
    return this.trackEvent("page", properties);
  }

  /** Goes with every event from now on, in memory only. Who the user is comes from the credential, never from here. */
  identify(traits: Readonly<Record<string, unknown>>): void {
    this.#traits = { ...this.#traits, ...traits };
  }

  #sessionAt(at: number): { readonly id: string; number: number } {
    const idle = at - this.#lastAt > (this.#options.sessionIdleMs ?? SESSION_IDLE_MS);
    this.#lastAt = at;
    if (!this.#session || idle) this.#session = { id: crypto.randomUUID(), startedAt: at, number: 0 };
    this.#session.number++;
    return this.#session;
  }

  async #keeps(): Promise<boolean> {
    const { usage = browserUsage, pressureFrom = 0.9, keepOneOf = 10 } = this.#options;
    const at = this.#now();
    if (at - this.#usageAt > USAGE_MS) {
      this.#usageAt = at;
      this.#usage = await usage().catch(() => 0);
    }
    if (this.#usage < pressureFrom) return true;
    if (this.#counted++ % keepOneOf === 0) return true;
    this.#dropped++;
    return false;
  }
}

async function digest(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  return Array.from(hash.subarray(0, 16), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
