/** What the application is told about its queue. */

import type { ErrorCode } from "../core/errors.ts";
import type { Durability, LaneName } from "../core/events.ts";
import type { PHASES } from "../core/io.ts";

/** What sending is doing; docs/queue.md says what each means. */
export type SyncPhase = "starting" | (typeof PHASES)[number] | "stopped";

/**
 * `ok`; `memory` = IndexedDB cannot be opened, nothing survives this page; `lost` = the database was emptied behind our
 * back since the last visit.
 */
export type StorageState = "opening" | "ok" | "memory" | "lost";

/** The queue in figures: created = pending + applied + dead letters + voided. */
export interface SyncStatus {
  readonly phase: SyncPhase;
  /** Why the last attempt failed. */
  readonly reason?: ErrorCode | undefined;
  readonly storage: StorageState;
  /** Why storage is not `ok`. */
  readonly storageReason?: ErrorCode | undefined;
  /** The strongest level this page can promise right now. */
  readonly durability: Durability;
  /** Stored here, not yet acknowledged by the server. */
  readonly pending: number;
  readonly pendingByLane: Readonly<Record<LaneName, number>>;
  /** Work waits for a credential, or for a decision. */
  readonly parked: boolean;
  readonly created: number;
  readonly applied: number;
  readonly deadLetters: number;
  readonly voided: number;
  /** At the server, waiting for an earlier event of their entity. */
  readonly deferred: number;
  readonly attempts: number;
  /** `performance.now()` of the next attempt. */
  readonly nextAttemptAt?: number | undefined;
  /** Wall clock of the oldest pending event. */
  readonly oldestUnsentAt?: number | undefined;
}

export const FIRST_STATUS: SyncStatus = {
  phase: "starting",
  storage: "opening",
  durability: "strict",
  pending: 0,
  pendingByLane: { critical: 0, high: 0, normal: 0, low: 0, analytics: 0 },
  parked: false,
  created: 0,
  applied: 0,
  deadLetters: 0,
  voided: 0,
  deferred: 0,
  attempts: 0,
};
