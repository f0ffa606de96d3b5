/**
 * Deferred events: run when what they wait for has passed, or when it is time to try a failed handler again. Each final
 * verdict gets the next number of the device's late log, which every answer carries until the client has stored it.
 */

import { numberOf } from "../core/errors.ts";
import type { Position } from "../core/events.ts";
import type { Handlers, Subject } from "./handlers.ts";
import type { Logger } from "./log.ts";
import { deadLetterRow, RETRY_FIRST_MS, WAIT_LOOK_MS } from "./push.ts";
import { afterRefusal, type Runnable, runEvent, type Verdict } from "./run-event.ts";
import type { DeferredRow } from "./session.ts";
import { Kind } from "./session.ts";
import type { DeferredEvent, DeviceRecord, Store, Writes } from "./store/store.ts";

export interface ReleaseOptions {
  readonly store: Store;
  readonly handlers: Handlers;
  readonly releasable: (deferred: readonly DeferredRow[], marks: readonly Position[]) => readonly number[];
  readonly now: () => number;
  /** Failed tries of one event before it becomes a dead letter. */
  readonly triesMax: number;
  readonly log: Logger;
}

const RETRY_MAX_MS = 300_000;
const STREAMS_MAX = 100_000;
/** How long an event waits for an earlier one of its entity that this server has not seen. */
const ORDER_WAIT_MAX_MS = 24 * 3_600_000;
/** Events of one transaction; a longer backlog takes several. */
const RUN_MAX = 100;

interface Round {
  readonly device: DeviceRecord;
  lateHead: number;
  deferredCount: number;
  ran: number;
}

/**
 * Runs what may run, each event at most once a call, and returns how many came to an end. Rejects as the database does.
 */
export async function releaseDevice(options: ReleaseOptions, tenant: string, device: Uint8Array): Promise<number> {
  let settled = 0;
  for (;;) {
    const round = await options.store.write((tx) => releaseRound(tx, options, tenant, device));
    settled += round.settled;
    if (round.ran < RUN_MAX) return settled;
  }
}

async function releaseRound(
  tx: Writes,
  options: ReleaseOptions,
  tenant: string,
  id: Uint8Array,
): Promise<{ readonly ran: number; readonly settled: number }> {
  const device = await tx.device(tenant, id, true);
  if (!device || device.deferredCount === 0) return { ran: 0, settled: 0 };
  const now = options.now();
  const round: Round = { device, lateHead: device.lateHead, deferredCount: device.deferredCount, ran: 0 };
  const marks = await tx.marks(tenant, id, STREAMS_MAX);
  let waiting = [...(await tx.deferredEvents(tenant, id))];
  const tried = new Set<number>();
  const lapsed = await lapsedOrders(tx, tenant, id, waiting, now);
  for (let progress = true; progress && round.ran < RUN_MAX; ) {
    progress = false;
    const rows = waiting.map(({ id: event, arrival, entityHash, after }) => ({
      event,
      entity: entityHash,
      after: lapsed.has(arrival) ? [] : after,
    }));
    const ready = options.releasable(rows, marks).map((index) => waiting[index]!);
    for (const event of ready) {
      // One that failed keeps its place: nothing of its entity passes it before its time has come.
      if (tried.has(event.arrival) || (event.tries > 0 && event.nextAt > now) || round.ran >= RUN_MAX) continue;
      tried.add(event.arrival);
      round.ran++;
      if (!(await runDeferred(tx, options, tenant, round, event, now))) continue;
      waiting = waiting.filter((other) => other !== event);
      progress = true;
    }
  }
  // Whatever still waits for others need not be looked at again for a while.
  for (const event of waiting)
    if (!tried.has(event.arrival) && event.tries === 0 && event.nextAt <= now)
      await tx.postponeDeferred(tenant, id, event.arrival, 0, now + WAIT_LOOK_MS, event.reason ?? "");
  await tx.advanceDevice(tenant, id, { ...round, arrivalHead: device.arrivalHead }, device.seenAt);
  return { ran: round.ran, settled: round.lateHead - device.lateHead };
}

/** What some of them wait for may never come, because its profile was rolled back: after a day they go without it. */
async function lapsedOrders(
  tx: Writes,
  tenant: string,
  device: Uint8Array,
  waiting: readonly DeferredEvent[],
  now: number,
): Promise<ReadonlySet<number>> {
  const lapsed = new Set<number>();
  for (const { id, arrival, after, nextAt } of waiting) {
    if (after.length === 0 || nextAt > now) continue;
    const row = await tx.event(tenant, device, id);
    if (row && now - row.receivedAt > ORDER_WAIT_MAX_MS) lapsed.add(arrival);
  }
  return lapsed;
}

async function runDeferred(
  tx: Writes,
  { handlers, triesMax, log }: ReleaseOptions,
  tenant: string,
  round: Round,
  deferred: DeferredEvent,
  now: number,
): Promise<boolean> {
  const { device } = round;
  const subject: Subject = { tenant, principal: device.principal };
  const row = await tx.event(tenant, device.device, deferred.id);
  if (!row) throw new Error("a deferred event has no row in the inbox");
  const event: Runnable = { ...row, json: row.payload, dedupeKey: deferred.dedupeKey, replaces: deferred.replaces };
  let verdict: Verdict = await runEvent(tx, subject, device.device, event, {
    handlers,
    careful: true,
    now,
    replacedHere: () => false,
  });
  const tries = deferred.tries + 1;
  if (verdict.kind === Kind.deferred) {
    if (tries < triesMax) {
      const nextAt = now + Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(tries - 1, 20));
      await tx.postponeDeferred(tenant, device.device, deferred.arrival, tries, nextAt, verdict.message);
      return false;
    }
    log.warn({ tries, type: row.type }, "a handler kept failing; the event is a dead letter now");
    verdict = {
      kind: Kind.rejected,
      code: numberOf("rejected"),
      message: `the handler failed ${tries} times: ${verdict.message}`,
    };
    await afterRefusal(tx, subject, device.device, event, handlers);
  }
  if (verdict.kind === Kind.rejected)
    await tx.insertDeadLetters(tenant, [deadLetterRow(device.device, device.principal, event, verdict, now)]);
  round.lateHead++;
  round.deferredCount--;
  const late = { kind: verdict.kind, code: verdict.code, lateNumber: round.lateHead };
  await tx.settleDeferred(tenant, device.device, deferred, late, now);
  return true;
}
