/**
 * Events that reach the server one by one, as JSON instead of in a stream of their device: POST events/queue, the
 * singleton's `queueEvent`, and dead letters tried again. They go the same way as pushed ones: inbox, handler, verdict.
 *
 * The server numbers them in a stream of its own per device. Its epoch depends on the incarnation, so a restored server
 * never issues a number twice.
 */

import { createHash } from "node:crypto";
import { asFailure, failure } from "../core/errors.ts";
import { formatEventId, LANES, type Position } from "../core/events.ts";
import { VERDICT_KINDS } from "../core/verdicts.ts";
import type { Caller } from "./auth.ts";
import type { Handlers } from "./handlers.ts";
import type { Insight } from "./operations/insight.ts";
import type { Metrics } from "./operations/metrics.ts";
import { deadLetterRow, lockDevice, RETRY_FIRST_MS, WAIT_LOOK_MS } from "./push.ts";
import { type Runnable, runEvent, type Verdict } from "./run-event.ts";
import type { Incarnation } from "./session.ts";
import { DEFERRED_PER_DEVICE_MAX, Kind } from "./session.ts";
import { LostRace } from "./store/sql-store.ts";
import type { Store, Writes } from "./store/store.ts";

export interface SingleEvent {
  readonly device: Uint8Array;
  readonly lane: number;
  readonly type: string;
  readonly module: string;
  readonly entity: string;
  readonly json: Uint8Array;
  readonly dedupeKey: string;
  readonly replaces?: Position | undefined;
  /** The same key again gives the first event's answer. */
  readonly idempotencyKey?: string | undefined;
  /** Numbered by the caller: the same number again is the same event. */
  readonly position?: Position | undefined;
}

export interface QueueOptions {
  readonly store: Store;
  readonly handlers: Handlers;
  readonly entityHash: (entity: string) => number;
  readonly checkJson: (json: Uint8Array) => void;
  readonly now: () => number;
  readonly metrics: Metrics;
  readonly insight: Insight;
}

export interface Queued {
  readonly id: Position;
  readonly kind: number;
  readonly code: number;
  readonly message: string;
  /** The answer is an earlier event's. */
  readonly repeated: boolean;
}

const IDEMPOTENCY_MS = 7 * 24 * 3_600_000;
const CLOCK_COUNTER_BITS = 16n;

/**
 * Stores and runs one event. Rejects with `unknown_device`, `gap` for a number out of line, `too_many_deferred`, the
 * checker's code for bad JSON, and as the database does.
 */
export async function queueEvent(options: QueueOptions, subject: Caller, event: SingleEvent): Promise<Queued> {
  options.checkJson(event.json);
  const start = performance.now();
  const { queued, hlc } = await options.store.write((tx) => queueInside(tx, options, subject, event));
  if (queued.repeated) return queued;
  options.metrics.exchange({
    pull: false,
    seconds: (performance.now() - start) / 1_000,
    applied: [],
    verdicts: [[LANES[queued.id.lane] ?? "", VERDICT_KINDS[queued.kind] ?? ""]],
    streams: [],
    voids: [],
    recovered: 0,
  });
  options.insight.events(subject.tenant, [{ type: event.type, module: event.module, hlc }]);
  return queued;
}

async function queueInside(
  tx: Writes,
  options: QueueOptions,
  subject: Caller,
  event: SingleEvent,
): Promise<{ readonly queued: Queued; readonly hlc: bigint }> {
  const now = options.now();
  const { tenant } = subject;
  const record = await lockDevice(tx, subject, event.device, options);
  const earlier = async (id: Position): Promise<Queued | undefined> => {
    const row = await tx.event(tenant, event.device, id);
    return row && { id, kind: row.status, code: row.code, message: "", repeated: true };
  };
  const idempotency = event.idempotencyKey && `idempotency:${event.idempotencyKey}`;
  if (idempotency) {
    const owner = await tx.keyOwner(tenant, event.device, idempotency, now);
    const answer = owner && (await earlier(owner));
    if (answer) return { queued: answer, hlc: 0n };
  }

  const stream = event.position ?? { epoch: serverEpoch(event.device, options.store.incarnation), lane: event.lane };
  const need = { stream, stored: 0, hashesAt: [], markOnly: true };
  const mark = (await tx.streamRows(tenant, event.device, [need]))[0]?.mark ?? { seq: 0, hash: 0n };
  const id: Position = { epoch: stream.epoch, lane: stream.lane, seq: event.position?.seq ?? mark.seq + 1 };
  if (id.seq <= mark.seq) {
    const queued = (await earlier(id)) ?? { id, kind: Kind.void, code: 0, message: "", repeated: true };
    return { queued, hlc: 0n };
  }
  if (id.seq > mark.seq + 1) throw failure("gap", `the stream goes on at ${mark.seq + 1}`, { detail: mark.seq + 1 });

  const entityHash = options.entityHash(event.entity);
  const waiting = record.deferredCount > 0 && entityHash !== 0 ? await tx.deferredRows(tenant, event.device) : [];
  const mustWait = waiting.some(({ entity }) => entity === entityHash);
  if (record.deferredCount >= DEFERRED_PER_DEVICE_MAX) throw asFailure(undefined, "too_many_deferred");
  const runnable: Runnable = {
    ...event,
    id,
    replaces: event.replaces,
    hlc: BigInt(now) << CLOCK_COUNTER_BITS,
    recovered: false,
  };
  const verdict: Verdict = mustWait
    ? { kind: Kind.deferred, code: 0, message: "" }
    : await runEvent(tx, subject, event.device, runnable, {
        handlers: options.handlers,
        careful: true,
        now,
        replacedHere: () => false,
      });

  const hash = chain(mark.hash, event.json);
  const after = { seq: id.seq, hash };
  if (!(await tx.moveStreams(tenant, event.device, [{ stream, before: mark, after }], now))) throw new LostRace();
  if (idempotency) await tx.claimKey(tenant, event.device, idempotency, id, now, now + IDEMPOTENCY_MS);
  const arrival = record.arrivalHead + 1;
  await tx.insertEvents(tenant, event.device, [
    {
      ...runnable,
      arrival,
      hash,
      status: verdict.kind,
      code: verdict.code,
      receivedAt: now,
      payload: event.json,
    },
  ]);
  const isDeferred = verdict.kind === Kind.deferred;
  if (verdict.kind !== Kind.applied)
    await tx.insertVerdicts(tenant, event.device, [{ id, kind: verdict.kind, code: verdict.code }], now);
  if (isDeferred)
    await tx.insertDeferred(tenant, event.device, [
      {
        id,
        arrival,
        entityHash,
        after: [],
        dedupeKey: event.dedupeKey,
        replaces: mustWait ? event.replaces : undefined,
        tries: mustWait ? 0 : 1,
        nextAt: now + (mustWait ? WAIT_LOOK_MS : RETRY_FIRST_MS),
        reason: mustWait ? null : verdict.message,
      },
    ]);
  if (verdict.kind === Kind.rejected)
    await tx.insertDeadLetters(tenant, [deadLetterRow(event.device, subject.principal, runnable, verdict, now)]);
  const deferredCount = record.deferredCount + (isDeferred ? 1 : 0);
  await tx.advanceDevice(tenant, event.device, { arrivalHead: arrival, lateHead: record.lateHead, deferredCount }, now);
  const { kind, code, message } = verdict;
  return { queued: { id, kind, code, message, repeated: false }, hlc: runnable.hlc };
}

const digest = (...parts: readonly (string | Uint8Array)[]): bigint => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest().readBigUInt64LE();
};

// Only the server extends these streams, so any chain over the bytes will do.
const chain = (before: bigint, json: Uint8Array): bigint => digest(before.toString(16), json);

const serverEpoch = (device: Uint8Array, { mintedAt, random }: Incarnation): bigint =>
  digest("server stream", device, `${mintedAt}/${random}`);

export const queuedId = ({ id }: Queued): string => formatEventId(id);
