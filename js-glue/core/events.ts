/** What an event is called and how urgent it is: the words shared by page, worker, server and core. */

/** In order of urgency; the index is the core's lane number. */
export const PRIORITIES = ["critical", "high", "normal", "low"] as const;
/** How urgent an event is; more urgent ones are sent first. */
export type Priority = (typeof PRIORITIES)[number];

/** `analytics` comes after all of them; its events need nobody's decision one by one. */
export const LANES = [...PRIORITIES, "analytics"] as const;
/** A priority, or `analytics`. */
export type LaneName = (typeof LANES)[number];

/**
 * What a resolved promise means, weakest first. `memory` = survives nothing; `durable` = survives tab, worker and browser;
 * `strict` = also power loss, as far as the disk honours a flush; `replicated` = the server has committed it.
 */
export const DURABILITIES = ["memory", "durable", "strict", "replicated"] as const;
/** What a resolved promise means, from what survives nothing to what the server has committed (docs/concepts.md). */
export type Durability = (typeof DURABILITIES)[number];

export const EVENT_JSON_BYTES_MAX = 40_000;
export const JSON_DEPTH_MAX = 64;
export const JSON_KEYS_MAX = 10_000;
export const ENVELOPE_FIELD_BYTES_MAX = 256;
/** Calls accepted but not yet in a transaction. */
export const WAITING_EVENTS_MAX = 100_000;
export const WAITING_BYTES_MAX = 64_000_000;

/** Where one event stands: a number in one lane of one epoch. */
export interface Position {
  readonly epoch: bigint;
  readonly lane: number;
  readonly seq: number;
}

/** UUID-shaped text of epoch (8 bytes) | lane (1) | number (7), all big-endian. */
export function formatEventId({ epoch, lane, seq }: Position): string {
  const hex =
    epoch.toString(16).padStart(16, "0") + lane.toString(16).padStart(2, "0") + seq.toString(16).padStart(14, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** What became of an event at the server. */
export type VerdictKind = "applied" | "rejected" | "deferred" | "void" | "duplicate";
