/**
 * One sync request as the core sees it: what to read, what to run, what to write, what to answer. The core decides;
 * the server keeps the rows (src/sync/server_session.h has the contract).
 */

import type { Position } from "../core/events.ts";

export interface StreamRef {
  readonly epoch: bigint;
  readonly lane: number;
}

export interface Mark {
  readonly seq: number;
  readonly hash: bigint;
}

export interface Verdict {
  readonly seq: number;
  readonly kind: number;
  readonly code: number;
}

export interface StreamNeed {
  readonly stream: StreamRef;
  readonly stored: number;
  readonly hashesAt: readonly number[];
  readonly markOnly: boolean;
}

export interface HashProbe {
  readonly stream: StreamRef;
  readonly from: number;
  readonly to: number;
}

export interface VoidRow {
  readonly from: number;
  readonly to: number;
  readonly reason: number;
  readonly recovered: boolean;
}

export interface StreamRow {
  readonly stream: StreamRef;
  readonly mark: Mark;
  readonly hashes: readonly Mark[];
  readonly verdicts: readonly Verdict[];
  readonly voids: readonly VoidRow[];
}

export interface DeferredRow {
  readonly event: Position;
  readonly entity: number;
  readonly after: readonly Position[];
}

export interface LateVerdict {
  readonly number: number;
  readonly event: Position;
  readonly kind: number;
  readonly code: number;
}

export interface SessionRows {
  readonly incarnation: Incarnation;
  readonly streams: readonly StreamRow[];
  readonly deferred: readonly DeferredRow[];
  readonly late: readonly LateVerdict[];
}

export interface PlannedEvent {
  readonly id: Position;
  readonly hash: bigint;
  readonly hlc: bigint;
  readonly type: string;
  readonly module: string;
  readonly entity: string;
  /** What dependencies and deferred rows call the entity; 0 = none. */
  readonly entityHash: number;
  readonly dedupeKey: string;
  readonly replaces: Position | undefined;
  /** One JSON value, the client's own bytes. */
  readonly json: Uint8Array;
  /** Not 0: rejected with this code before anyone ran it. */
  readonly refused: number;
  readonly recovered: boolean;
  readonly run: boolean;
  readonly after: readonly Position[];
}

/** How many events of one lane, type and module there are; `hlc` is the first one's, the others lie close behind it. */
export interface EventGroup {
  readonly lane: number;
  readonly type: string;
  readonly module: string;
  readonly count: number;
  readonly hlc: bigint;
}

/** Events by column, each value behind its size as PostgreSQL's arrays have them (src/engine/event_columns.h). */
export interface EventColumns {
  readonly count: number;
  readonly epoch: Uint8Array;
  readonly lane: Uint8Array;
  readonly seq: Uint8Array;
  readonly hash: Uint8Array;
  readonly type: Uint8Array;
  readonly module: Uint8Array;
  readonly entity: Uint8Array;
  readonly hlc: Uint8Array;
  readonly json: Uint8Array;
}

/** A push all of which may be written as applied. */
export interface PlainPlan {
  readonly moves: readonly StreamWrite[];
  /** The events of `events`; those of blocks are counted there. */
  readonly groups: readonly EventGroup[];
  readonly events: EventColumns;
  readonly blocks: readonly PlannedBlock[];
}

/** Consecutive analytics events that simply apply, as the segments they came in. */
export interface PlannedBlock {
  readonly stream: StreamRef;
  /** Each begins where the one before it ends. */
  readonly segments: readonly { readonly first: number; readonly last: number; readonly bytes: Uint8Array }[];
  /** The rolling hash after each event, 8 bytes each, little-endian. */
  readonly hashes: Uint8Array;
  /** How many events of one type and module there are; `hlc` is the first one's. */
  readonly groups: readonly Omit<EventGroup, "lane">[];
}

/** An event read back from a segment. */
export type StoredEvent = Pick<PlannedEvent, "id" | "hash" | "hlc" | "type" | "module" | "entity" | "json">;

export interface StreamWrite {
  readonly stream: StreamRef;
  readonly before: Mark;
  readonly after: Mark;
}

export interface VoidWrite {
  readonly stream: StreamRef;
  readonly from: number;
  readonly to: number;
  readonly reason: number;
  readonly hashBefore: bigint;
  readonly hashAfter: bigint;
}

export interface SessionWrites {
  readonly streams: readonly StreamWrite[];
  readonly voids: readonly VoidWrite[];
  readonly recovered: readonly Position[];
}

export interface ReplyContext {
  readonly incarnation: Incarnation;
  readonly serverTime: number;
  readonly horizon: number;
  readonly credit: number;
  readonly retryAfterMs: number;
}

export interface Incarnation {
  readonly mintedAt: number;
  readonly random: bigint;
}

/** Lives until `close`; nothing it returned may be used after that. */
export interface ServerSession {
  readonly device: Uint8Array;
  /** Id of a dictionary that a segment names and that was not given, 0n = none. Streams of such segments are answered `undecodable`. */
  readonly missingDictionary: bigint;
  readonly lateSeen: number;
  readonly needs: readonly StreamNeed[];
  /**
   * Decides anew from these rows. Returns what else it must know, else `planned` and `blocks` are valid. With `takeBlocks`,
   * analytics that need nobody's decision come as blocks and are not among the planned events.
   */
  plan(rows: SessionRows, takeBlocks?: boolean): HashProbe | undefined;
  readonly planned: readonly PlannedEvent[];
  readonly blocks: readonly PlannedBlock[];
  /**
   * As `plan`, for a push that needs no further look at the store and whose events nobody has to run: then all there is to
   * write, and `planned` stays empty. Undefined for any other, which has to be planned as usual.
   */
  planPlain(rows: SessionRows, takeBlocks: boolean): PlainPlan | undefined;
  /** False for events that must not be run: refused, waiting, or behind one of their entity that came back deferred. */
  stillRuns(index: number): boolean;
  outcome(index: number, kind: number, code: number): void;
  /** What must be written, given the outcomes told so far; may be asked before any is. */
  writes(): SessionWrites;
  reply(context: ReplyContext): Uint8Array;
  close(): void;
}

/**
 * Opens a request frame, with the packed dictionary of the very device that sent it. Throws an `OfflineSyncError` with the core's
 * code when the request as a whole is bad, and for bytes that are no dictionary.
 */
export type OpenSession = (request: Uint8Array, dictionary?: Uint8Array) => ServerSession;

/** The id of a packed dictionary. Throws an `OfflineSyncError` with the core's code when the bytes are none. */
export type DictionaryId = (packed: Uint8Array) => bigint;

export const Kind = { applied: 0, rejected: 1, deferred: 2, void: 3, duplicate: 4 } as const;
export const VoidReason = { lost: 0, sampled: 1, consent: 2, discarded: 3, replaced: 4 } as const;

/** At most so many verdicts, and late verdicts, go into one answer. */
export const VERDICTS_MAX = 1_000;
export const DEFERRED_PER_DEVICE_MAX = 1_000;
export const PUSH_BYTES_MAX = 1_000_000;
