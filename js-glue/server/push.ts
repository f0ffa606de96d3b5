/**
 * One sync request: everything it causes happens in one database transaction, and the answer names only what that
 * transaction made true.
 *
 *   open → lock the device, read its rows → plan → run handlers → write → commit → answer
 *
 * The device's row is the lock, so pushes of one device come one after another and its streams need no order of their own.
 */

import { sameBytes, toHex } from "../core/bytes.ts";
import { failure, numberOf, OfflineSyncError } from "../core/errors.ts";
import { formatEventId, LANES, type Position } from "../core/events.ts";
import { VERDICT_KINDS } from "../core/verdicts.ts";
import { blockRows, eventsOfBlocks, planWith } from "./analytics-blocks.ts";
import type { Caller } from "./auth.ts";
import { checkOwner } from "./context.ts";
import type { Dictionaries } from "./dictionaries.ts";
import { DOCUMENT_EVENT } from "./documents/names.ts";
import type { Handlers, Subject } from "./handlers.ts";
import type { Logger } from "./log.ts";
import type { Insight } from "./operations/insight.ts";
import type { Load } from "./operations/load.ts";
import type { Metrics } from "./operations/metrics.ts";
import { streamFigures } from "./operations/reply-figures.ts";
import { step } from "./operations/trace.ts";
import { quickPush } from "./quick-push.ts";
import type { RecentDevices } from "./recent-devices.ts";
import { NeedsCare, runEvent, type Verdict } from "./run-event.ts";
import type {
  EventGroup,
  OpenSession,
  PlannedBlock,
  PlannedEvent,
  ServerSession,
  SessionRows,
  SessionWrites,
  VoidWrite,
} from "./session.ts";
import { Kind, VoidReason } from "./session.ts";
import { isBuried } from "./store/privacy.ts";
import { LostRace } from "./store/sql-store.ts";
import type { DeadLetter, DeferredEvent, DeviceRecord, InboxEvent, Reads, Store, Writes } from "./store/store.ts";

export interface SyncOptions {
  readonly store: Store;
  readonly openSession: OpenSession;
  readonly dictionaries: Dictionaries;
  readonly handlers: Handlers;
  readonly recent: RecentDevices;
  /** Whether analytics may be kept as blocks. Rejects as the database does. */
  readonly takeBlocks: () => Promise<boolean>;
  readonly now: () => number;
  /** Everything committed before this time is covered by a backup. */
  readonly horizon: () => number;
  readonly credit: number;
  readonly load: Load;
  readonly metrics: Metrics;
  readonly insight: Insight;
  readonly log: Logger;
}

export interface Exchange {
  readonly reply: Uint8Array;
  readonly device: Uint8Array;
  readonly applied: number;
  readonly rejected: number;
  readonly deferred: number;
  readonly duplicate: number;
  /** Deferred events of this device may be released now. */
  readonly release: boolean;
  readonly verdicts: readonly { readonly lane: number; readonly kind: number }[];
  /** Applied events that were not looked at one by one and are not among the verdicts. */
  readonly groups: readonly EventGroup[];
  readonly voids: readonly VoidWrite[];
}

const nothing = { release: false, verdicts: [], groups: [], voids: [] };
const VOID_NAMES = Object.keys(VoidReason);
const PROBES_MAX = 64;
/** A deferred event that waits for others is looked at this often, in case nothing else wakes it. */
export const WAIT_LOOK_MS = 60_000;
/** The first retry of an event whose handler failed. */
export const RETRY_FIRST_MS = 1_000;

/**
 * Carries one request out and returns the frame to send. Rejects with an `OfflineSyncError` for a request that is bad as a
 * whole (`unknown_device` for another subject's device), and as the database does when it is in trouble: then nothing
 * moved. `device`, when given, must be the frame's own.
 */
export async function exchange(
  options: SyncOptions,
  subject: Caller,
  request: Uint8Array,
  device?: Uint8Array,
): Promise<Exchange> {
  let session = open(options, request);
  try {
    if (subject.device && !sameBytes(subject.device, session.device))
      throw failure("unknown_device", "there is no such device");
    options.load.admit(laneOf(session));
    if (device && !sameBytes(device, session.device)) throw failure("unknown_device", "the frame is another device's");
    const start = performance.now();
    if (session.missingDictionary !== 0n) session = await reopen(options, subject, request, session);
    const done =
      (await answerFromSnapshot(options, subject, session)) ??
      (await step("push", { streams: session.needs.length }, () => applyPush(options, subject, session)));
    count(options, subject, session, done, (performance.now() - start) / 1_000);
    return done;
  } finally {
    session.close();
  }
}

async function applyPush(options: SyncOptions, subject: Caller, session: ServerSession): Promise<Exchange> {
  const plain = await quickPush(options, subject, session);
  if (plain) {
    const groups = [...plain.groups, ...groupsOf(plain.blocks)];
    const applied = { ...counts([]), applied: countOf(groups) };
    return { ...nothing, ...applied, groups, device: session.device, reply: session.reply(context(options)) };
  }
  try {
    return await writeExchange(options, subject, session, false);
  } catch (error) {
    if (!(error instanceof NeedsCare)) throw error;
    return await writeExchange(options, subject, session, true);
  }
}

// Only after the commit: what was rolled back did not happen.
function count(
  { metrics, insight }: SyncOptions,
  { tenant }: Subject,
  { planned }: ServerSession,
  done: Exchange,
  seconds: number,
): void {
  metrics.exchange({
    pull: done.verdicts.length + done.groups.length === 0,
    seconds,
    applied: done.groups.map(({ lane, count }) => [LANES[lane] ?? "", count]),
    verdicts: done.verdicts.map(({ lane, kind }) => [LANES[lane] ?? "", VERDICT_KINDS[kind] ?? ""]),
    streams: streamFigures(done.reply),
    voids: done.voids.map(({ reason, from, to }) => [VOID_NAMES[reason] ?? "", to - from + 1]),
    recovered: planned.filter(({ recovered }) => recovered).length,
  });
  insight.events(tenant, planned);
  for (const group of done.groups) insight.add(tenant, group, group.count);
  done.verdicts.forEach(({ kind }, i) => {
    if (planned[i]?.type === DOCUMENT_EVENT) metrics.documentEdit(VERDICT_KINDS[kind] ?? "");
  });
}

// A request is as urgent as its most urgent stream. One that only asks is let in with the urgent ones: it costs little, and
// what it learns ends work.
const laneOf = ({ needs }: ServerSession): number =>
  needs.some(({ stored, hashesAt }) => hashesAt.some((seq) => seq !== stored))
    ? Math.min(...needs.map(({ stream }) => stream.lane))
    : 0;

// To whoever asks, bytes that are no request are malformed; that they are not ours either matters only in answers.
function open({ openSession }: SyncOptions, request: Uint8Array, dictionary?: Uint8Array): ServerSession {
  try {
    return openSession(request, dictionary);
  } catch (error) {
    if (error instanceof OfflineSyncError && error.code === "foreign_reply")
      throw failure("malformed", "the body is no sync request", { cause: error });
    throw error;
  }
}

// With the dictionary that a segment names, if it is the device's own; else the session stays as it is. Only a request that
// names one is opened twice: the first time its segments were not decoded, which costs a tenth of loading a dictionary.
async function reopen(
  options: SyncOptions,
  subject: Caller,
  request: Uint8Array,
  session: ServerSession,
): Promise<ServerSession> {
  const packed = await options.dictionaries.find(subject, session.device, session.missingDictionary);
  if (!packed) return session;
  session.close();
  return open(options, request, packed);
}

// A request that brings nothing new needs no lock and no commit: pulls, and pushes that were answered before.
async function answerFromSnapshot(
  options: SyncOptions,
  subject: Caller,
  session: ServerSession,
): Promise<Exchange | undefined> {
  // Every segment and void makes the core ask for the hash at its end.
  if (session.needs.some(({ stored, hashesAt }) => hashesAt.some((seq) => seq !== stored))) return undefined;
  return options.store.read(async (reads) => {
    const device = await reads.device(subject.tenant, session.device);
    if (!device) return undefined;
    checkOwner(device, subject);
    await plan(reads, subject, session, device, options);
    const writes = session.writes();
    if (writes.streams.length + writes.voids.length > 0 || session.planned.length > 0) return undefined;
    return { ...counts([]), ...nothing, device: session.device, reply: session.reply(context(options)) };
  });
}

function writeExchange(
  options: SyncOptions,
  subject: Caller,
  session: ServerSession,
  careful: boolean,
): Promise<Exchange> {
  return options.store.write(async (tx) => {
    const device = await lockDevice(tx, subject, session.device, options);
    await plan(tx, subject, session, device, options);
    const verdicts = await runAll(tx, options, subject, session, careful);
    const writes = session.writes();
    const now = options.now();
    if (!(await tx.moveStreams(subject.tenant, session.device, writes.streams, now))) throw new LostRace();
    await writeVoids(tx, subject, session.device, writes, now);
    const deferred = await writeEvents(tx, subject, session, device, verdicts, now);
    const release = device.deferredCount + deferred > 0;
    const groups = groupsOf(session.blocks);
    return {
      ...counts(verdicts),
      applied: counts(verdicts).applied + countOf(groups),
      groups,
      device: session.device,
      reply: session.reply(context(options)),
      release,
      verdicts: verdicts.map(({ kind }, i) => ({ lane: session.planned[i]!.id.lane, kind })),
      voids: writes.voids,
    };
  });
}

/** The device's row, locked; made at first contact. Rejects as `checkOwner` throws, and with `erased`. */
export async function lockDevice(
  tx: Writes,
  subject: Caller,
  device: Uint8Array,
  options: Pick<SyncOptions, "now" | "metrics">,
): Promise<DeviceRecord> {
  let record = await tx.device(subject.tenant, device, true);
  if (!record) {
    const now = options.now();
    if (await isBuried(tx.connection, subject.tenant, subject.principal, device))
      throw failure("erased", "this subject was erased; nothing of it is taken");
    const made = await tx.bindDevice(subject.tenant, device, subject.principal, now);
    if (made) options.metrics.deviceRegistered();
    if (made)
      await tx.audit(subject.tenant, [
        { at: now, actor: subject.principal, action: "device.bind", subject: toHex(device) },
      ]);
    record = await tx.device(subject.tenant, device, true);
  }
  if (!record) throw new LostRace();
  checkOwner(record, subject);
  return record;
}

async function plan(
  reads: Reads,
  { tenant }: Subject,
  session: ServerSession,
  device: DeviceRecord,
  { store, handlers, takeBlocks }: SyncOptions,
): Promise<void> {
  const { incarnation } = store;
  const blocks = await takeBlocks();
  const streams = await reads.streamRows(tenant, session.device, session.needs);
  const deferred = device.deferredCount > 0 ? await reads.deferredRows(tenant, session.device) : [];
  const late =
    device.lateHead > session.lateSeen ? await reads.lateVerdicts(tenant, session.device, session.lateSeen) : [];
  let rows: SessionRows = { incarnation, streams, deferred, late };
  for (let probes = 0; ; probes++) {
    const probe = planWith(session, rows, handlers, blocks);
    if (!probe) return;
    if (probes >= PROBES_MAX) throw failure("internal", "the core keeps asking for hashes");
    const more = await reads.hashes(tenant, session.device, probe.stream, probe.from, probe.to);
    rows = {
      ...rows,
      streams: rows.streams.map((row) => {
        if (row.stream.epoch !== probe.stream.epoch || row.stream.lane !== probe.stream.lane) return row;
        const hashes = new Map([...row.hashes, ...more].map((mark) => [mark.seq, mark]));
        return { ...row, hashes: [...hashes.values()].sort((a, b) => a.seq - b.seq) };
      }),
    };
  }
}

async function runAll(
  tx: Writes,
  options: SyncOptions,
  subject: Subject,
  session: ServerSession,
  careful: boolean,
): Promise<readonly Verdict[]> {
  const { planned } = session;
  const verdicts: Verdict[] = [];
  const replacedHere = replacedBy(session);
  await options.handlers.prepare(subject, planned, tx.connection);
  for (const [index, event] of planned.entries()) {
    let verdict: Verdict;
    if (event.refused !== 0) verdict = { kind: Kind.rejected, code: event.refused, message: "refused unread" };
    else if (!session.stillRuns(index)) verdict = { kind: Kind.deferred, code: 0, message: "" };
    else
      verdict = await runEvent(tx, subject, session.device, event, {
        handlers: options.handlers,
        careful,
        now: options.now(),
        replacedHere,
      });
    session.outcome(index, verdict.kind, verdict.code);
    verdicts.push(verdict);
  }
  return verdicts;
}

// Voids are not events, so the plan does not list them; only a push with re-issued events needs to know them early.
function replacedBy(session: ServerSession): (id: Position) => boolean {
  if (!session.planned.some((event) => event.replaces)) return () => false;
  const voids = session.writes().voids.filter(({ reason }) => reason === VoidReason.replaced);
  return ({ epoch, lane, seq }) =>
    voids.some(({ stream, from, to }) => stream.epoch === epoch && stream.lane === lane && from <= seq && seq <= to);
}

async function writeVoids(
  tx: Writes,
  { tenant, principal }: Subject,
  device: Uint8Array,
  { voids, recovered }: SessionWrites,
  now: number,
): Promise<void> {
  await tx.insertVoids(tenant, device, voids, now);
  await tx.markRecovered(tenant, device, recovered, now);
  await tx.audit(
    tenant,
    voids.map(({ stream, from, to, reason }) => ({
      at: now,
      actor: principal,
      action: "stream.void",
      subject: toHex(device),
      detail: JSON.stringify({ from: formatEventId({ ...stream, seq: from }), to, reason }),
    })),
  );
}

async function writeEvents(
  tx: Writes,
  { tenant, principal }: Subject,
  session: ServerSession,
  device: DeviceRecord,
  verdicts: readonly Verdict[],
  now: number,
): Promise<number> {
  const { planned } = session;
  const blocks = blockRows(session.blocks, device.arrivalHead + planned.length + 1);
  if (planned.length + blocks.length === 0) return 0;
  const inbox: InboxEvent[] = [];
  const exceptions: { readonly id: Position; readonly kind: number; readonly code: number }[] = [];
  const deferred: DeferredEvent[] = [];
  const letters: DeadLetter[] = [];
  planned.forEach((event, i) => {
    const verdict = verdicts[i]!;
    const arrival = device.arrivalHead + i + 1;
    inbox.push(inboxRow(event, verdict, arrival, now));
    if (verdict.kind === Kind.applied) return;
    exceptions.push({ id: event.id, kind: verdict.kind, code: verdict.code });
    if (verdict.kind === Kind.deferred) deferred.push(deferredRow(event, verdict, arrival, now));
    if (verdict.kind === Kind.rejected) letters.push(deadLetterRow(session.device, principal, event, verdict, now));
  });
  await tx.insertEvents(tenant, session.device, inbox);
  await tx.insertBlocks(tenant, session.device, principal, blocks, now);
  await tx.insertVerdicts(tenant, session.device, exceptions, now);
  await tx.insertDeferred(tenant, session.device, deferred);
  await tx.insertDeadLetters(tenant, letters);
  const heads = {
    arrivalHead: device.arrivalHead + planned.length + eventsOfBlocks(session.blocks),
    lateHead: device.lateHead,
    deferredCount: device.deferredCount + deferred.length,
  };
  await tx.advanceDevice(tenant, session.device, heads, now);
  return deferred.length;
}

const inboxRow = (event: PlannedEvent, verdict: Verdict, arrival: number, now: number): InboxEvent => ({
  id: event.id,
  arrival,
  hash: event.hash,
  status: verdict.kind,
  code: verdict.code,
  type: event.type,
  module: event.module,
  entity: event.entity,
  hlc: event.hlc,
  recovered: event.recovered,
  receivedAt: now,
  payload: event.json,
});

// An event that ran and failed is tried again soon; one that waits for others is released by them.
const deferredRow = (event: PlannedEvent, verdict: Verdict, arrival: number, now: number): DeferredEvent => {
  const ran = verdict.message !== "";
  return {
    id: event.id,
    arrival,
    entityHash: event.entityHash,
    after: event.after,
    dedupeKey: event.dedupeKey,
    // An event that ran has taken the other's place already.
    replaces: ran ? undefined : event.replaces,
    tries: ran ? 1 : 0,
    nextAt: now + (ran ? RETRY_FIRST_MS : WAIT_LOOK_MS),
    reason: ran ? verdict.message : null,
  };
};

export const deadLetterRow = (
  device: Uint8Array,
  principal: string,
  event: {
    readonly id: Position;
    readonly type: string;
    readonly module: string;
    readonly entity: string;
    readonly hlc: bigint;
    readonly json: Uint8Array;
  },
  verdict: Verdict,
  now: number,
): DeadLetter => ({
  device,
  id: event.id,
  principal,
  type: event.type,
  module: event.module,
  entity: event.entity,
  hlc: event.hlc,
  payload: event.json,
  code: verdict.code || numberOf("rejected"),
  message: verdict.message,
  createdAt: now,
});

const counts = (verdicts: readonly Verdict[]): Pick<Exchange, "applied" | "rejected" | "deferred" | "duplicate"> => {
  const of = (kind: number): number => verdicts.filter((verdict) => verdict.kind === kind).length;
  return {
    applied: of(Kind.applied),
    rejected: of(Kind.rejected),
    deferred: of(Kind.deferred),
    duplicate: of(Kind.duplicate),
  };
};

const groupsOf = (blocks: readonly PlannedBlock[]): readonly EventGroup[] =>
  blocks.flatMap(({ stream, groups }) => groups.map((group) => ({ lane: stream.lane, ...group })));

const countOf = (groups: readonly EventGroup[]): number => groups.reduce((sum, { count }) => sum + count, 0);

const context = ({ store, now, horizon, credit, load }: SyncOptions) => ({
  incarnation: store.incarnation,
  serverTime: now(),
  horizon: horizon(),
  credit: load.credit(credit),
  retryAfterMs: 0,
});
