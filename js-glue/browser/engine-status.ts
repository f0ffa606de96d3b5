/** The engine's figures in the words of the public status. */

import { failureOf } from "../core/errors.ts";
import { LANES, type LaneName } from "../core/events.ts";
import { type EngineStatus, PHASES } from "../core/io.ts";
import type { SyncStatus } from "./status.ts";

const byLane = (counts: readonly number[]): SyncStatus["pendingByLane"] =>
  Object.fromEntries(LANES.map((lane, i) => [lane, counts[i] ?? 0])) as Record<LaneName, number>;

/** The engine's figures over what the page itself knows. */
export function withEngine(before: SyncStatus, engine: EngineStatus): SyncStatus {
  const phase = PHASES[engine.phase] ?? "idle";
  return {
    ...before,
    phase,
    reason: engine.reason === 0 ? undefined : failureOf(engine.reason).code,
    pending: engine.pending.reduce((sum, count) => sum + count, 0),
    pendingByLane: byLane(engine.pending),
    parked: phase === "parked",
    created: engine.created,
    applied: engine.applied,
    deadLetters: engine.dead,
    voided: engine.voided,
    deferred: engine.deferred,
    attempts: engine.attempts,
    nextAttemptAt: engine.nextAttempt || undefined,
    oldestUnsentAt: engine.oldestUnsent || undefined,
  };
}
