/** Blocks of analytics between the core's words and the store's: how they are made of a push, and read event by event. */

import { failure } from "../core/errors.ts";
import type { Handlers } from "./handlers.ts";
import type { PlannedBlock, ServerSession, SessionRows, StoredEvent } from "./session.ts";
import { Kind } from "./session.ts";
import { type AnalyticsBlock, BLOCK_LANE, blocksAfter, type StoredBlock } from "./store/blocks.ts";
import type { HistoryFilter, InboxEvent, Reads } from "./store/store.ts";

/** The events of one segment, in order. Throws an `OfflineSyncError` when the bytes are none. */
export type OpenSegment = (segment: Uint8Array) => readonly StoredEvent[];

/**
 * Plans with blocks where they are wanted and no handler waits for one of their events. Returns what `ServerSession.plan`
 * returns.
 */
export function planWith(
  session: ServerSession,
  rows: SessionRows,
  handlers: Handlers,
  takeBlocks: boolean,
): ReturnType<ServerSession["plan"]> {
  const probe = session.plan(rows, takeBlocks);
  if (probe || !session.blocks.some(({ groups }) => groups.some(({ type }) => handlers.of(type)))) return probe;
  return session.plan(rows, false);
}

export const eventsOfBlocks = (blocks: readonly PlannedBlock[]): number =>
  blocks.reduce((sum, { hashes }) => sum + hashes.length / 8, 0);

/** The rows of planned blocks, whose events arrive from number `arrival` on. */
export function blockRows(blocks: readonly PlannedBlock[], arrival: number): readonly AnalyticsBlock[] {
  let next = arrival;
  return blocks.map(({ stream, segments, hashes, groups }) => {
    const first = segments[0]?.first ?? 0;
    const last = segments.at(-1)?.last ?? 0;
    const row: AnalyticsBlock = {
      stream,
      first,
      last,
      arrival: next,
      kinds: groups.map(({ type, module, count }) => [type, module, count]),
      hashes,
      sizes: segments.map(({ bytes }) => bytes.length),
      body: segments.length === 1 ? segments[0]!.bytes : Buffer.concat(segments.map(({ bytes }) => bytes)),
    };
    next += last - first + 1;
    return row;
  });
}

function segmentAt(open: OpenSegment, body: Uint8Array, at: number, size: number): readonly StoredEvent[] {
  try {
    return open(body.subarray(at, at + size));
  } catch (error) {
    throw failure("storage_failed", "a block of analytics cannot be read", { cause: error });
  }
}

/** The block's events as rows of the inbox would say them. Throws `storage_failed` where its bytes are damaged. */
export function eventsOf(open: OpenSegment, { arrival, sizes, body, receivedAt }: StoredBlock): readonly InboxEvent[] {
  const events: InboxEvent[] = [];
  let at = 0;
  for (const size of sizes) {
    for (const { json, ...event } of segmentAt(open, body, at, size))
      events.push({
        ...event,
        arrival: arrival + events.length,
        status: Kind.applied,
        code: 0,
        recovered: false,
        receivedAt,
        payload: json,
      });
    at += size;
  }
  return events;
}

/** A page of the device's history in order of arrival, wherever its events are kept. */
export async function historyOf(
  open: OpenSegment,
  reads: Reads,
  tenant: string,
  device: Uint8Array,
  filter: HistoryFilter,
): Promise<readonly InboxEvent[]> {
  const { after, limit, lane, type } = filter;
  const rows = await reads.history(tenant, device, filter);
  if (!reads.hasBlocks || (lane !== undefined && lane !== BLOCK_LANE)) return rows;
  const packed: InboxEvent[] = [];
  for await (const block of blocksAfter(reads.connection, tenant, device, filter)) {
    for (const event of eventsOf(open, block))
      if (packed.length < limit && event.arrival > after && (type === undefined || event.type === type))
        packed.push(event);
    if (packed.length === limit) break;
  }
  return [...rows, ...packed].sort((a, b) => a.arrival - b.arrival).slice(0, limit);
}
