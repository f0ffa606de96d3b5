/** What the application does with an event, and what it may answer. */

import { toHex } from "../core/bytes.ts";
import { errorInfo } from "../core/error-codes.ts";
import { type ErrorCode, failure, numberOf } from "../core/errors.ts";
import { formatEventId, LANES, type LaneName, type Position } from "../core/events.ts";
import type { Tx } from "./store/database.ts";

/** Whose event it is. Both come from the credential, never from the event. */
export interface Subject {
  readonly tenant: string;
  readonly principal: string;
}

/** What a handler sees. `eventData` is parsed at first use; `json` holds the client's own bytes. */
export class SyncEvent {
  readonly id: string;
  readonly tenant: string;
  readonly principal: string;
  readonly deviceId: string;
  readonly eventType: string;
  readonly moduleId: string;
  /** Empty when the event belongs to none. */
  readonly entity: string;
  readonly priority: LaneName;
  /** When the device made it, by its own clock, in milliseconds since 1970. */
  readonly madeAt: number;
  /** It was given up as lost before and has turned up after all. */
  readonly recovered: boolean;
  /** It stands in for an earlier one that was refused or renumbered: what its device has seen since says nothing of it. */
  readonly again: boolean;
  readonly json: Uint8Array;
  #parsed: { readonly value: unknown } | undefined;

  constructor(subject: Subject, device: Uint8Array, event: RunnableEvent) {
    this.id = formatEventId(event.id);
    this.tenant = subject.tenant;
    this.principal = subject.principal;
    this.deviceId = toHex(device);
    this.eventType = event.type;
    this.moduleId = event.module;
    this.entity = event.entity;
    this.priority = LANES[event.id.lane] ?? "normal";
    this.madeAt = Number(event.hlc >> 16n);
    this.recovered = event.recovered;
    this.again = event.replaces !== undefined;
    this.json = event.json;
  }

  get eventData(): unknown {
    this.#parsed ??= { value: JSON.parse(new TextDecoder().decode(this.json)) as unknown };
    return this.#parsed.value;
  }
}

/** The part of an event that running it needs. */
export interface RunnableEvent {
  readonly id: Position;
  readonly type: string;
  readonly module: string;
  readonly entity: string;
  readonly hlc: bigint;
  readonly recovered: boolean;
  /** The event it stands in for. */
  readonly replaces?: Position | undefined;
  readonly json: Uint8Array;
}

/**
 * Runs inside the transaction that also moves the stream's watermark, so its effect happens exactly once. It must reach
 * nothing but `tx`: after a lost race it runs again. Throw `Reject` to refuse the event for good; anything else thrown
 * means "not now": the event is kept and tried again later.
 */
export type Handler = (event: SyncEvent, tx: Tx) => unknown;

/** The event is refused for good; it becomes a dead letter that keeps its bytes and this reason. */
export class Reject extends Error {
  override readonly name = "Reject";
  readonly code: ErrorCode;
  constructor(reason: ErrorCode | (string & {}), message?: string) {
    const known = errorInfo(reason as ErrorCode)?.code;
    super(message ?? reason);
    this.code = known ?? "rejected";
  }
  get number(): number {
    return numberOf(this.code);
  }
}

/** Runs in the event's transaction after the event was refused and all that its handler wrote was undone. */
export type Refused = (event: SyncEvent, tx: Tx) => Promise<void>;

/** Runs in the transaction of these events before any of them does, to take locks in one order for all. */
export type Prepare = (subject: Subject, events: readonly Pick<RunnableEvent, "entity">[], tx: Tx) => Promise<void>;

export interface OwnHandler {
  readonly handle: Handler;
  readonly refused: Refused;
  readonly prepare: Prepare;
}

export class Handlers {
  readonly #byType = new Map<string, Handler>();
  readonly #own = new Map<string, OwnHandler>();
  #fallback: Handler | undefined;

  /** One handler a type; "*" takes every type that has none. Throws `invalid_argument` for a second one. */
  on(type: string, handler: Handler): void {
    if (type === "*" ? this.#fallback !== undefined : this.#byType.has(type))
      throw failure("invalid_argument", `there is a handler for ${type} already`);
    if (type === "*") this.#fallback = handler;
    else this.#byType.set(type, handler);
  }

  /** A handler of the server's own. */
  own(type: string, own: OwnHandler): void {
    this.on(type, own.handle);
    this.#own.set(type, own);
  }

  refused(type: string): Refused | undefined {
    return this.#own.get(type)?.refused;
  }

  /** Before the first of the events runs. Rejects as the database does. */
  async prepare(subject: Subject, events: readonly Pick<RunnableEvent, "type" | "entity">[], tx: Tx): Promise<void> {
    for (const [type, { prepare }] of this.#own) {
      const some = events.filter((event) => event.type === type);
      if (some.length > 0) await prepare(subject, some, tx);
    }
  }

  of(type: string): Handler | undefined {
    return this.#byType.get(type) ?? this.#fallback;
  }
}
