/**
 * What happened to this page's queue, for a report that the simulator can replay (docs/testing.md): when there was a call, how
 * large and how urgent, what the network did, when the tab came and went. What an event says is never in it, nor its type,
 * and entities are numbered.
 *
 * A page that dies leaves its part in `sessionStorage`; the next page of the tab goes on from there.
 */

import type { TraceEntry } from "../browser/client.ts";
import type { Input, Output } from "../core/io.ts";
import type { Timeline, TimelineEvent } from "./timeline.ts";

/** How the network of a page stands, as far as the page knows. */
export type NetworkMode = "online" | "offline" | "captive" | "error" | "unauthorized";

/**
 * What a page knows and its engine cannot: how the network was switched, and that it was the request, or only its reply, that
 * has just been lost.
 */
export type TraceNote =
  | { readonly kind: "network"; readonly mode: NetworkMode }
  | { readonly kind: "lost"; readonly what: "request" | "reply" };

type Outcome =
  | { readonly outcome: "answered" | "request_lost" | "reply_lost" | "foreign" }
  | { readonly outcome: "status"; readonly status: number; readonly retryAfterMs: number };
interface Call {
  readonly kind: "call";
  readonly lane: string;
  readonly level: string;
  /** 0 = none. */
  readonly entity: number;
  readonly bytes: number;
  readonly stored: boolean;
  readonly verdict: "unknown" | "applied" | "rejected" | "other";
  /** While the server has not settled it; never in a file. */
  readonly id?: string;
}
type Happening =
  | Call
  | { readonly kind: "opened" | "killed" | "trap" }
  | { readonly kind: "network"; readonly mode: NetworkMode }
  | ({ readonly kind: "request" } & Partial<Outcome>); // no outcome yet
interface Entry {
  readonly at: number;
  what: Happening;
  /** Of a call: what becomes of it. */
  readonly event?: TimelineEvent | undefined;
}

/** What one page leaves for the next. */
interface Left {
  readonly started: number;
  readonly until: number;
  readonly leftOut: number;
  readonly mode: NetworkMode;
  readonly entities: readonly number[];
  readonly entries: readonly (Happening & { readonly at: number })[];
}

/** Stands for a call of this page; its event knows all of it. */
const CALL: Call = { kind: "call", lane: "", level: "", entity: 0, bytes: 0, stored: false, verdict: "unknown" };
const ENTRIES_MAX = 4_000; // a reader takes 5,000,
const DAY_MS = 86_400_000; // and a day
const MAGIC = [79, 65, 83]; // "OAS" begins every answer that is ours (src/wire/frame.h)

const hashOf = (name: string): number =>
  [...name].reduce((hash, char) => (Math.imul(hash, 31) + (char.codePointAt(0) ?? 0)) >>> 0, 7);
const isOurs = (body: Uint8Array): boolean => MAGIC.every((byte, i) => body[i] === byte);

export class Recorder {
  readonly #timeline: Timeline;
  readonly #key: string;
  readonly #entries: Entry[] = [];
  readonly #sends = new Map<number, Entry>();
  /** Numbers of entities, by a hash: their names go nowhere. */
  readonly #entities = new Map<number, number>();
  /** Wall clock of the beginning. */
  #started: number;
  #leftOut = 0;
  #mode: NetworkMode = "online";
  #lost: "request" | "reply" | undefined;

  constructor(timeline: Timeline, database: string, openedAt: number) {
    this.#timeline = timeline;
    this.#key = `oas-trace:${database}`;
    this.#started = Math.round(performance.timeOrigin + openedAt);
    this.#resume();
    this.#add(openedAt, { kind: "opened" });
  }

  /** `count` were made at once, the last of which are followed. What there is to say of them is worked out when it is asked for. */
  called(events: readonly TimelineEvent[], count: number): void {
    const at = this.#moment(events[0]?.calledAt ?? 0);
    for (const event of events) this.#entries.push({ at, what: CALL, event });
    this.#leftOut += count - events.length;
    this.#bound();
  }

  hear({ at, direction, entry }: TraceEntry): void {
    if (direction === "in") this.#input(at, entry as Input);
    else if (direction === "out") this.#output(at, entry as Output);
    else if (entry instanceof Error) {
      this.#sends.clear();
      this.#add(at, { kind: "trap" });
    }
  }

  note(note: TraceNote, at: number): void {
    if (note.kind === "lost") this.#lost = note.what;
    else this.#switched(at, note.mode);
  }

  /** The file's text: one entry a line, of the last day. */
  export(): string {
    const all = this.#written();
    const end = all.at(-1)?.at ?? 0;
    const kept = all.filter(({ at }) => end - at <= DAY_MS);
    const begin = kept[0]?.at ?? 0;
    const head = {
      format: "offline-ai-sync/trace",
      version: 1,
      startedAt: new Date(this.#started + begin).toISOString(),
      leftOut: this.#leftOut + all.length - kept.length,
    };
    const lines = kept.map((entry) => JSON.stringify({ ...entry, at: entry.at - begin, id: undefined }));
    return `${JSON.stringify(head).slice(0, -1)},"entries":[\n${lines.join(",\n")}\n]}\n`;
  }

  /** For the next page of this tab. */
  leave(): void {
    const entries = this.#written(); // numbers entities that have none yet
    const left: Left = {
      started: this.#started,
      until: this.#moment(performance.now()),
      leftOut: this.#leftOut,
      mode: this.#mode,
      entities: [...this.#entities.keys()],
      entries,
    };
    try {
      sessionStorage.setItem(this.#key, JSON.stringify(left));
    } catch {
      // No room, or no storage at all: the next page's trace begins with that page.
    }
  }

  #resume(): void {
    let left: Left;
    try {
      left = JSON.parse(sessionStorage.getItem(this.#key) ?? "") as Left;
      sessionStorage.removeItem(this.#key);
    } catch {
      return; // nothing was left, or there is no storage
    }
    [this.#started, this.#leftOut, this.#mode] = [left.started, left.leftOut, left.mode];
    left.entities.forEach((hash, i) => this.#entities.set(hash, i + 1));
    for (const { at, ...what } of left.entries) {
      const event = what.kind === "call" && what.id !== undefined ? this.#timeline.resume(what.id) : undefined;
      this.#entries.push({ at, what, event });
    }
    this.#entries.push({ at: left.until, what: { kind: "killed" } });
  }

  #input(at: number, input: Input): void {
    if (input.kind === "response") {
      const { status, retryAfterMs, body } = input;
      if (status !== 200) this.#answered(input.request, { outcome: "status", status, retryAfterMs });
      else this.#answered(input.request, { outcome: isOurs(body) ? "answered" : "foreign" });
    } else if (input.kind === "sendFailed") {
      this.#answered(input.request, { outcome: this.#lost === "reply" ? "reply_lost" : "request_lost" });
    } else if (input.kind === "connectivity" && input.online === (this.#mode === "offline")) {
      this.#switched(at, input.online ? "online" : "offline");
    }
  }

  #output(at: number, output: Output): void {
    if (output.kind === "send") this.#sends.set(output.request, this.#add(at, { kind: "request" }));
  }

  #answered(request: number, outcome: Outcome): void {
    const entry = this.#sends.get(request);
    this.#sends.delete(request);
    this.#lost = undefined;
    if (entry) entry.what = { kind: "request", ...outcome };
  }

  #switched(at: number, mode: NetworkMode): void {
    if (mode !== this.#mode) this.#add(at, { kind: "network", mode });
    this.#mode = mode;
  }

  #callOf({ lane, level, entity, bytes }: TimelineEvent): Call {
    return { kind: "call", lane, level, entity: this.#numberOf(entity), bytes, stored: false, verdict: "unknown" };
  }

  #numberOf(entity: string): number {
    if (entity === "") return 0;
    const hash = hashOf(entity);
    const number = this.#entities.get(hash) ?? this.#entities.size + 1;
    if (number > ENTRIES_MAX) return 0;
    this.#entities.set(hash, number);
    return number;
  }

  /** Milliseconds since the beginning, never less than those of the entry before. */
  #moment(at: number): number {
    const moment = Math.round(performance.timeOrigin + at - this.#started);
    return Math.max(0, moment, this.#entries.at(-1)?.at ?? 0);
  }

  #add(at: number, what: Happening): Entry {
    const entry: Entry = { at: this.#moment(at), what };
    this.#entries.push(entry);
    this.#bound();
    return entry;
  }

  #bound(): void {
    const over = Math.max(0, this.#entries.length - ENTRIES_MAX);
    if (over > 0) this.#entries.splice(0, over);
    this.#leftOut += over;
  }

  /** As they stand now; requests that nobody has answered yet are no news. */
  #written(): (Happening & { readonly at: number })[] {
    const known = this.#entries.filter(({ what }) => what.kind !== "request" || what.outcome !== undefined);
    return known.map(({ at, what, event }) => {
      if (what.kind !== "call" || !event) return { at, ...what };
      return { at, ...callNow(what === CALL ? this.#callOf(event) : what, event) };
    });
  }
}

function callNow({ id: _, ...call }: Call, { id, storedAt, verdict }: TimelineEvent): Call {
  const stored = call.stored || storedAt !== undefined;
  if (verdict === undefined || verdict === "deferred") return { ...call, stored, ...(id === "" ? {} : { id }) };
  return { ...call, stored, verdict: verdict === "applied" || verdict === "rejected" ? verdict : "other" };
}
