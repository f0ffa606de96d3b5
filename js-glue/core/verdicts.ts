/** The core's numbers for what becomes of an event, and ids back into positions. */

import { LANES, type Position, type VerdictKind } from "./events.ts";

/** The position an id names, or undefined when it is not one of ours. */
export function parseEventId(text: string): Position | undefined {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)) return undefined;
  const hex = text.replaceAll("-", "");
  const lane = Number.parseInt(hex.slice(16, 18), 16);
  const seq = Number.parseInt(hex.slice(18), 16);
  if (lane >= LANES.length || seq === 0 || !Number.isSafeInteger(seq)) return undefined;
  return { epoch: BigInt(`0x${hex.slice(0, 16)}`), lane, seq };
}

export const VERDICT_KINDS: readonly VerdictKind[] = ["applied", "rejected", "deferred", "void", "duplicate"];

/** Reasons for passing a number without its content, by the core's number. */
export const VOID_REASONS = ["lost", "sampled", "consent", "discarded", "replaced"] as const;
