/**
 * The push that nearly every push is: a known device, nothing waiting, no handler to run, no event refused or given up. It is
 * decided by the same core from the same rows and written by one statement; anything else takes the usual way in push.ts.
 */

import { blockRows, eventsOfBlocks, planWith } from "./analytics-blocks.ts";
import type { Caller } from "./auth.ts";
import { checkOwner } from "./context.ts";
import type { Handlers } from "./handlers.ts";
import { RecentDevices } from "./recent-devices.ts";
import type { PlannedEvent, ServerSession, StreamWrite } from "./session.ts";
import { Kind } from "./session.ts";
import type { DeviceHead, PushRows } from "./store/reads.ts";
import type { InboxEvent, Store } from "./store/store.ts";

export interface QuickOptions {
  readonly store: Store;
  readonly handlers: Handlers;
  readonly now: () => number;
  readonly recent: RecentDevices;
  readonly takeBlocks: () => Promise<boolean>;
}

const isPlain = (handlers: Handlers, event: PlannedEvent): boolean =>
  event.run &&
  event.refused === 0 &&
  !event.recovered &&
  event.dedupeKey === "" &&
  event.replaces === undefined &&
  handlers.of(event.type) === undefined;

/** True when the push was applied, every event of it; false when nothing happened. Rejects as `exchange` does. */
export async function quickPush(options: QuickOptions, subject: Caller, session: ServerSession): Promise<boolean> {
  const { store, recent } = options;
  const lane = store.fastLane;
  if (!lane) return false;
  const key = RecentDevices.key(subject.tenant, session.device);
  const known = recent.rows(key, session.needs);
  if (known?.head && isOwner(known.head, subject)) {
    if (await attempt(options, subject, session, known)) return true;
    recent.forget(key);
  }
  return attempt(options, subject, session, await lane.read(subject.tenant, session.device, session.needs));
}

// What is remembered refuses nobody: keys and owners change, and then the rows say who may.
function isOwner(head: DeviceHead, subject: Caller): boolean {
  try {
    checkOwner(head, subject);
    return true;
  } catch {
    return false; // the rows are read, and the refusal, if it is one, comes from them
  }
}

async function attempt(
  options: QuickOptions,
  subject: Caller,
  session: ServerSession,
  rows: PushRows,
): Promise<boolean> {
  const { store, handlers, recent } = options;
  const { head, streams } = rows;
  if (!head) return false;
  checkOwner(head, subject);
  if (head.deferredCount > 0 || head.lateHead > session.lateSeen) return false;
  const sessionRows = { incarnation: store.incarnation, streams, deferred: [], late: [] };
  if (planWith(session, sessionRows, handlers, await options.takeBlocks())) return false;
  const { planned, blocks } = session;
  if (planned.length + blocks.length === 0 || !planned.every((event) => isPlain(handlers, event))) return false;
  const { streams: moves, voids, recovered } = session.writes();
  if (voids.length > 0 || recovered.length > 0 || moves.length === 0) return false;
  const done = await write(options, subject, head, moves, session);
  const arrived = planned.length + eventsOfBlocks(blocks);
  if (done) recent.moved(RecentDevices.key(subject.tenant, session.device), rows, moves, arrived);
  return done;
}

function write(
  { store, now }: QuickOptions,
  { tenant }: Caller,
  head: DeviceHead,
  moves: readonly StreamWrite[],
  { planned, blocks }: ServerSession,
): Promise<boolean> {
  const receivedAt = now();
  const events = planned.map(
    (event, i): InboxEvent => ({
      id: event.id,
      arrival: head.arrivalHead + i + 1,
      hash: event.hash,
      status: Kind.applied,
      code: 0,
      type: event.type,
      module: event.module,
      entity: event.entity,
      hlc: event.hlc,
      recovered: false,
      receivedAt,
      payload: event.json,
    }),
  );
  const rows = blockRows(blocks, head.arrivalHead + planned.length + 1);
  return store.fastLane!.apply({ tenant, before: head, moves, events, blocks: rows, now: receivedAt });
}
