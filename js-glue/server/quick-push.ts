/**
 * The push that nearly every push is: a known device, nothing waiting, no handler to run, no event refused or given up. It is
 * decided by the same core from the same rows and written by one statement; anything else takes the usual way in push.ts.
 */

import { blockRows, eventsOfBlocks } from "./analytics-blocks.ts";
import type { Caller } from "./auth.ts";
import { checkOwner } from "./context.ts";
import type { Handlers } from "./handlers.ts";
import { RecentDevices } from "./recent-devices.ts";
import type { PlainPlan, ServerSession } from "./session.ts";
import type { DeviceHead, PushRows } from "./store/reads.ts";
import type { Store } from "./store/store.ts";

export interface QuickOptions {
  readonly store: Store;
  readonly handlers: Handlers;
  readonly now: () => number;
  readonly recent: RecentDevices;
  readonly takeBlocks: () => Promise<boolean>;
}

/** What was applied, every event of the push; undefined when nothing happened. Rejects as `exchange` does. */
export async function quickPush(
  options: QuickOptions,
  subject: Caller,
  session: ServerSession,
): Promise<PlainPlan | undefined> {
  const { store, recent } = options;
  const lane = store.fastLane;
  if (!lane) return undefined;
  const key = RecentDevices.key(subject.tenant, session.device);
  const known = recent.rows(key, session.needs);
  if (known?.head && isOwner(known.head, subject)) {
    const done = await attempt(options, subject, session, known);
    if (done) return done;
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
): Promise<PlainPlan | undefined> {
  const { store, handlers, recent, now } = options;
  const { tenant } = subject;
  const { head, streams } = rows;
  if (!head) return undefined;
  checkOwner(head, subject);
  if (head.deferredCount > 0 || head.lateHead > session.lateSeen) return undefined;
  const sessionRows = { incarnation: store.incarnation, streams, deferred: [], late: [] };
  const plan = session.planPlain(sessionRows, await options.takeBlocks());
  if (!plan || isAwaited(plan, handlers)) return undefined;
  const { moves, events, blocks } = plan;
  const done = await store.fastLane!.apply({
    tenant,
    before: head,
    moves,
    events,
    blocks: blockRows(blocks, head.arrivalHead + events.count + 1),
    now: now(),
  });
  if (!done) return undefined;
  recent.moved(RecentDevices.key(tenant, session.device), rows, moves, events.count + eventsOfBlocks(blocks));
  return plan;
}

const isAwaited = ({ groups, blocks }: PlainPlan, handlers: Handlers): boolean =>
  [groups, ...blocks.map((block) => block.groups)].some((some) => some.some(({ type }) => handlers.of(type)));
