/**
 * Calls of the application on their way to storage: their text, and what becomes of them.
 *
 * The text is what crosses the border: per event six fields, each ended by U+0000 (src/engine/io.h, Enqueue). JSON text
 * never holds U+0000, and the envelope's fields are checked for it, so nothing needs escaping.
 */

import { failure, type OfflineSyncError } from "./errors.ts";
import { DURABILITIES, type Durability, LANES, type LaneName, type Position } from "./events.ts";
import type { StoredRecord } from "./ports.ts";
import { toEnvelopeField, toJson } from "./validate.ts";

/** One event as the application hands it in. */
export interface QueuedEvent {
  readonly eventType: string;
  readonly moduleId?: string | undefined;
  /** Anything JSON can carry, at most 40,000 bytes of it. Copied before `queueEvent` returns. */
  readonly eventData: unknown;
  /** Default: normal. `analytics` goes last, and the server keeps it in blocks (docs/server.md). */
  readonly priority?: LaneName | undefined;
  /** Events of one device that name the same entity are applied in the order they were made. */
  readonly entity?: string | undefined;
  /** Two events with equal keys are one event. Without a key, two equal events are two events. */
  readonly dedupeKey?: string | undefined;
  readonly durability?: Durability | undefined;
}

/** One checked event, waiting to be stored. Answered exactly once. */
export interface Call {
  readonly text: string;
  readonly lane: number;
  /** Records of the host's own, written in the transaction that stores the event. */
  readonly riders?: readonly StoredRecord[] | undefined;
  stored(position: Position): void;
  failed(error: OfflineSyncError): void;
}

/** The event as the core wants it. Throws what is wrong with it, before anything is stored. */
export function encodeEvent(event: QueuedEvent, level: Durability): { readonly text: string; readonly lane: number } {
  if (typeof event !== "object" || event === null) throw failure("invalid_argument", "queueEvent wants an object");
  const lane = LANES.indexOf(event.priority ?? "normal");
  if (lane < 0) {
    throw failure("unknown_priority", `priority is one of ${LANES.join(", ")}`, { path: "priority" });
  }
  const durability = Math.min(DURABILITIES.indexOf(level), 2);
  if (durability < 0) {
    throw failure("invalid_argument", `durability is one of ${DURABILITIES.join(", ")}`, { path: "durability" });
  }
  const fields = [
    `${lane}${durability}`,
    toEnvelopeField("eventType", event.eventType, true),
    toEnvelopeField("moduleId", event.moduleId),
    toEnvelopeField("entity", event.entity),
    toEnvelopeField("dedupeKey", event.dedupeKey),
    toJson(event.eventData),
  ];
  return { lane, text: `${fields.join("\0")}\0` };
}

const encoder = /* @__PURE__ */ new TextEncoder();
let scratch = new Uint8Array(0);

/** The texts of all calls as one run of bytes, by one `encodeInto`. The view is valid until the next call. */
export function encodeTexts(calls: readonly Call[]): Uint8Array {
  let text = "";
  for (const call of calls) text += call.text;
  if (scratch.length < text.length * 3) scratch = new Uint8Array(Math.max(text.length * 3, 65_536));
  const { written } = encoder.encodeInto(text, scratch);
  const bytes = scratch.subarray(0, written);
  if (scratch.length > 4_000_000) scratch = new Uint8Array(0); // one burst must not keep its memory for ever
  return bytes;
}
