/**
 * When each event was called for, stored, pushed and acknowledged, as the engine's trace tells it.
 *
 * Only what this page has done itself is in its trace: an event that a worker or another tab pushed has no times of that.
 */

import type { TraceEntry } from "../browser/client.ts";
import { DURABILITIES, type Durability, formatEventId, LANES, type LaneName, type Position } from "../core/events.ts";
import type { Accepted, Input, Notice, Output } from "../core/io.ts";
import { parseEventId, VERDICT_KINDS } from "../core/verdicts.ts";

/** Times are milliseconds of `performance.now()`. */
export interface TimelineEvent {
  id: string;
  readonly eventType: string;
  readonly entity: string;
  readonly lane: LaneName;
  readonly level: Durability;
  /** Of its data, as JSON. */
  readonly bytes: number;
  readonly calledAt: number;
  storedAt?: number;
  pushedAt?: number;
  settledAt?: number;
  verdict?: string;
}

const encoder = new TextEncoder();
const EVENTS_MAX = 1_000;
const FIELDS = 6; // of a call's text (core/calls.ts)

/** Nothing of these is known any more. */
const EARLIER = { lane: "normal", level: "strict", bytes: 0, calledAt: 0 } as const;

/** An event, and where it stands once it is stored. */
interface Call {
  readonly event: TimelineEvent;
  stream?: Map<number, TimelineEvent>;
  seq?: number;
}

const streamOf = ({ epoch, lane }: Pick<Position, "epoch" | "lane">): string => `${epoch}/${lane}`;

export class Timeline {
  /** By the number of the call; the oldest come first. */
  readonly #calls = new Map<number, Call>();
  readonly #streams = new Map<string, Map<number, TimelineEvent>>();
  /** What a transaction stores, and the push whose answer it carries out. */
  readonly #covers = new Map<number, readonly Accepted[]>();
  readonly #answers = new Map<number, number>();
  readonly #sends = new Map<number, number>();
  /** When the push was sent whose answer is being carried out. */
  #cause: number | undefined;
  /** Is told of each run of calls: those that are followed, and how many there were. */
  called: ((events: readonly TimelineEvent[], count: number) => unknown) | undefined;

  /** Newest first. */
  get events(): readonly TimelineEvent[] {
    return [...this.#calls.values()].map(({ event }) => event).reverse();
  }

  /** Follows an event that an earlier page has stored. It is not shown: its times are that page's. */
  resume(id: string): TimelineEvent | undefined {
    const place = parseEventId(id);
    if (!place) return undefined;
    const event: TimelineEvent = { id, eventType: "", entity: "", ...EARLIER };
    this.#streamAt(place).set(place.seq, event);
    return event;
  }

  hear({ at, direction, entry }: TraceEntry): void {
    if (direction === "in") this.#input(at, entry as Input);
    else if (direction === "out") this.#output(at, entry as Output);
    else for (const open of [this.#covers, this.#answers, this.#sends]) open.clear(); // the instance that knew them is gone
  }

  #input(at: number, input: Input): void {
    this.#cause = undefined;
    if (input.kind === "enqueue") this.#called(at, input);
    else if (input.kind === "response") this.#cause = taken(this.#sends, input.request);
    else if (input.kind === "sendFailed") this.#sends.delete(input.request);
    else if (input.kind === "persistFailed") for (const open of [this.#covers, this.#answers]) open.delete(input.tx);
    else if (input.kind === "persisted") {
      this.#cause = taken(this.#answers, input.tx);
      for (const run of taken(this.#covers, input.tx) ?? []) this.#stored(at, run);
    }
  }

  #output(at: number, output: Output): void {
    if (output.kind === "send" && !output.pull) this.#sends.set(output.request, at);
    else if (output.kind === "abort") this.#sends.delete(output.request);
    else if (output.kind === "persist") {
      if (output.covers.length > 0) this.#covers.set(output.tx, output.covers);
      if (this.#cause !== undefined) this.#answers.set(output.tx, this.#cause);
    } else if (output.kind === "deliver" && output.notice.notice === "settled") this.#settled(at, output.notice);
  }

  #called(at: number, { first, count, text }: Extract<Input, { readonly kind: "enqueue" }>): void {
    // Of a long run only the last calls are kept anyway.
    const fields = new TextDecoder().decode(text).split("\0");
    const events: TimelineEvent[] = [];
    for (let i = Math.max(0, count - EVENTS_MAX); i < count; i++) {
      const [urgency = "", eventType = "", , entity = "", , json = ""] = fields.slice(i * FIELDS, (i + 1) * FIELDS);
      const [lane, level] = [LANES[Number(urgency[0])] ?? "normal", DURABILITIES[Number(urgency[1])] ?? "strict"];
      const event = { id: "", eventType, entity, lane, level, bytes: encoder.encode(json).length, calledAt: at };
      this.#calls.set(first + i, { event });
      events.push(event);
    }
    this.called?.(events, count);
    for (const [number, { stream, seq = 0 }] of this.#calls) {
      if (this.#calls.size <= EVENTS_MAX) break;
      this.#calls.delete(number);
      stream?.delete(seq);
    }
  }

  #stored(at: number, { first, count, epoch, lane, seq }: Accepted): void {
    const stream = this.#streamAt({ epoch, lane });
    for (let i = 0; i < count; i++) {
      const call = this.#calls.get(first + i);
      if (!call) continue;
      Object.assign(call, { stream, seq: seq + i });
      Object.assign(call.event, { id: formatEventId({ epoch, lane, seq: seq + i }), storedAt: at });
      stream.set(seq + i, call.event);
    }
  }

  #streamAt(place: Pick<Position, "epoch" | "lane">): Map<number, TimelineEvent> {
    const key = streamOf(place);
    const stream = this.#streams.get(key) ?? new Map<number, TimelineEvent>();
    this.#streams.set(key, stream);
    return stream;
  }

  #settled(at: number, notice: Extract<Notice, { readonly notice: "settled" }>): void {
    const stream = this.#streams.get(streamOf(notice));
    if (!stream) return;
    const exceptions = new Map(
      notice.exceptions.map(({ seq, verdict }) => [seq, VERDICT_KINDS[verdict] ?? "rejected"]),
    );
    const settle = (seq: number, event: TimelineEvent): void => {
      const verdict = exceptions.get(seq) ?? "applied";
      if (this.#cause !== undefined) event.pushedAt ??= Math.max(this.#cause, event.storedAt ?? this.#cause);
      event.verdict = verdict;
      event.settledAt = at;
      if (verdict !== "deferred") stream.delete(seq);
    };
    for (const [seq, event] of [...stream])
      if (exceptions.has(seq) || (!notice.late && seq <= notice.upto)) settle(seq, event);
  }
}

function taken<K, V>(from: Map<K, V>, key: K): V | undefined {
  const value = from.get(key);
  from.delete(key);
  return value;
}

/** The value that so many of 100 do not exceed; undefined of none. */
export function percentile(values: readonly number[], of100: number): number | undefined {
  if (values.length === 0) return undefined;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((of100 / 100) * sorted.length) - 1)];
}
