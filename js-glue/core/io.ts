/** Inputs and outputs of the engine, field by field as in src/engine/io.h; codec.ts gives them their bytes. */

import type { StoredRecord, WriteBatch } from "./ports.ts";

export const Op = {
  drain: 0,
  status: 1,
  pending: 2,
  deadLetters: 3,
  deadLetterRetry: 4,
  deadLetterDrop: 5,
  compact: 6,
  close: 7,
  giveUp: 8,
  dictionary: 9,
  trap: 255,
} as const;
export type Op = (typeof Op)[keyof typeof Op];

export interface StartInput {
  readonly kind: "start";
  readonly device: Uint8Array;
  readonly epoch: bigint;
  /** Next free number per lane. */
  readonly next: readonly number[];
  readonly seed: Uint8Array;
  readonly durability: number;
  readonly drains: boolean;
}

export type Input =
  | StartInput
  | { readonly kind: "enqueue"; readonly first: number; readonly count: number; readonly text: Uint8Array }
  | { readonly kind: "loaded"; readonly load: number; readonly records: readonly StoredRecord[] }
  | { readonly kind: "loadFailed"; readonly load: number }
  | { readonly kind: "persisted"; readonly tx: number }
  | { readonly kind: "persistFailed"; readonly tx: number; readonly failure: number; readonly code: number }
  | {
      readonly kind: "response";
      readonly request: number;
      readonly status: number;
      readonly retryAfterMs: number;
      readonly body: Uint8Array;
    }
  | { readonly kind: "sendFailed"; readonly request: number }
  | { readonly kind: "woke" }
  | { readonly kind: "connectivity"; readonly online: boolean; readonly tokenFresh: boolean }
  | { readonly kind: "peer"; readonly bytes: Uint8Array }
  | { readonly kind: "command"; readonly command: number; readonly op: Op; readonly args: Uint8Array }
  | { readonly kind: "gone"; readonly owner: bigint };

/** A run of calls with consecutive numbers, the first of which is given. */
export interface Accepted {
  readonly first: number;
  readonly count: number;
  readonly epoch: bigint;
  readonly lane: number;
  readonly seq: number;
}

export interface PersistOutput {
  readonly kind: "persist";
  readonly tx: number;
  readonly batch: WriteBatch;
  /** The calls it stores. */
  readonly covers: readonly Accepted[];
}

export interface LoadOutput {
  readonly kind: "load";
  readonly load: number;
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly recordsMax: number;
}

export interface SendOutput {
  readonly kind: "send";
  readonly request: number;
  readonly pull: boolean;
  readonly timeoutMs: number;
  readonly body: Uint8Array;
}

export interface EngineStatus {
  /** Index into PHASES. */
  readonly phase: number;
  readonly reason: number;
  /** Per lane. */
  readonly pending: readonly number[];
  readonly created: number;
  readonly applied: number;
  readonly dead: number;
  readonly voided: number;
  readonly deferred: number;
  readonly attempts: number;
  readonly nextAttempt: number;
  readonly oldestUnsent: number;
}

export interface SettledException {
  readonly seq: number;
  readonly verdict: number;
  readonly code: number;
}

export type Notice =
  | ({ readonly notice: "accepted" } & Accepted)
  | { readonly notice: "failed"; readonly command: number; readonly code: number; readonly detail: number }
  | { readonly notice: "result"; readonly command: number; readonly bytes: Uint8Array }
  | {
      readonly notice: "settled";
      readonly epoch: bigint;
      readonly lane: number;
      readonly from: number;
      readonly upto: number;
      readonly late: boolean;
      readonly exceptions: readonly SettledException[];
    }
  | { readonly notice: "status"; readonly status: EngineStatus }
  | { readonly notice: "needToken" };

export interface LogOutput {
  readonly kind: "log";
  readonly severity: number;
  readonly code: number;
  readonly detail: number;
}

export type Output =
  | PersistOutput
  | LoadOutput
  | SendOutput
  | { readonly kind: "abort"; readonly request: number }
  | { readonly kind: "tell"; readonly bytes: Uint8Array }
  | { readonly kind: "deliver"; readonly notice: Notice }
  | LogOutput
  | { readonly kind: "wake"; readonly at: number }
  | { readonly kind: "follow"; readonly owner: bigint };

export const PHASES = ["idle", "following", "sending", "waiting", "offline", "parked"] as const;
export const SEVERITIES = ["debug", "info", "warning", "error"] as const;
