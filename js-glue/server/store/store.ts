/**
 * What the server keeps, in its own words. Every operation names the tenant first; none can reach another tenant's rows.
 *
 * All operations run inside a transaction or a snapshot and reject with the driver's error. One conformance suite
 * (tests/server/store-conformance.test.ts) holds for every database.
 */

import type { Position } from "../../core/events.ts";
import type {
  DeferredRow,
  Incarnation,
  LateVerdict,
  Mark,
  StreamNeed,
  StreamRef,
  StreamRow,
  StreamWrite,
  VoidWrite,
} from "../session.ts";
import type { AnalyticsBlock } from "./blocks.ts";
import type { Connection, Dialect } from "./database.ts";
import type { FastLane } from "./fast-lane.ts";

export interface DeviceRecord {
  readonly device: Uint8Array;
  readonly principal: string;
  readonly deviceType: string | null;
  readonly platform: string | null;
  readonly online: boolean;
  readonly networkType: string | null;
  /** SPKI of its P-256 key, base64; a device that has one signs its requests. */
  readonly publicKey: string | null;
  /** Arrival numbers of events and numbers of late verdicts are dense per device, from 1. */
  readonly arrivalHead: number;
  readonly lateHead: number;
  readonly deferredCount: number;
  readonly registeredAt: number;
  readonly seenAt: number;
  readonly revokedAt: number | null;
}

export interface DeviceProfile {
  readonly deviceType?: string | undefined;
  readonly platform?: string | undefined;
  readonly userAgent?: string | undefined;
  /** JSON text. */
  readonly capabilities?: string | undefined;
  readonly capsDigest?: string | undefined;
  readonly publicKey?: string | undefined;
  readonly appVersion?: string | undefined;
}

/** One row of the inbox. */
export interface InboxEvent {
  readonly id: Position;
  readonly arrival: number;
  readonly hash: bigint;
  /** The verdict, see `Kind`. */
  readonly status: number;
  readonly code: number;
  readonly type: string;
  readonly module: string;
  readonly entity: string;
  readonly hlc: bigint;
  readonly recovered: boolean;
  readonly receivedAt: number;
  readonly payload: Uint8Array;
}

export interface DeferredEvent {
  readonly id: Position;
  readonly arrival: number;
  readonly entityHash: number;
  readonly after: readonly Position[];
  readonly dedupeKey: string;
  readonly replaces: Position | undefined;
  readonly tries: number;
  readonly nextAt: number;
  readonly reason: string | null;
}

export interface DeadLetter {
  readonly device: Uint8Array;
  readonly id: Position;
  readonly principal: string;
  readonly type: string;
  readonly module: string;
  readonly entity: string;
  readonly hlc: bigint;
  readonly payload: Uint8Array;
  readonly code: number;
  readonly message: string;
  readonly createdAt: number;
}

export interface ApiKey {
  readonly tenant: string;
  readonly prefix: string;
  readonly principal: string;
  readonly name: string;
  readonly sha256: Uint8Array;
  readonly scopes: readonly string[];
  readonly revokedAt: number | null;
}

export interface AuditEntry {
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail?: string;
}

export interface HistoryFilter {
  readonly after: number;
  readonly limit: number;
  readonly lane?: number | undefined;
  readonly type?: string | undefined;
  readonly since?: number | undefined;
}

export interface EventCounts {
  readonly applied: number;
  readonly rejected: number;
  readonly deferred: number;
  readonly duplicate: number;
}

export interface Reads {
  readonly connection: Connection;
  readonly dialect: Dialect;
  /** False on a schema from before there were blocks of analytics. */
  readonly hasBlocks: boolean;
  /** Read-only unless `lock`: then nobody else changes this device until the transaction ends. */
  device(tenant: string, device: Uint8Array, lock?: boolean): Promise<DeviceRecord | undefined>;
  /** In order of their ids, those behind `after`; of one principal, or of all when undefined. */
  devices(
    tenant: string,
    principal: string | undefined,
    limit: number,
    after?: Uint8Array,
  ): Promise<readonly DeviceRecord[]>;
  /** One row per need, in their order; streams never seen stand at number 0. */
  streamRows(tenant: string, device: Uint8Array, needs: readonly StreamNeed[]): Promise<StreamRow[]>;
  hashes(tenant: string, device: Uint8Array, stream: StreamRef, from: number, to: number): Promise<readonly Mark[]>;
  marks(tenant: string, device: Uint8Array, limit: number): Promise<readonly (StreamRef & Mark)[]>;
  deferredRows(tenant: string, device: Uint8Array): Promise<readonly DeferredRow[]>;
  /** Oldest first, with what is needed to run them. */
  deferredEvents(tenant: string, device: Uint8Array): Promise<readonly DeferredEvent[]>;
  /** Devices, of all tenants, with a deferred event that is due. */
  devicesDue(now: number, limit: number): Promise<readonly { readonly tenant: string; readonly device: Uint8Array }[]>;
  lateVerdicts(tenant: string, device: Uint8Array, after: number): Promise<readonly LateVerdict[]>;
  event(tenant: string, device: Uint8Array, id: Position): Promise<InboxEvent | undefined>;
  /** In order of arrival. */
  history(tenant: string, device: Uint8Array, filter: HistoryFilter): Promise<readonly InboxEvent[]>;
  counts(tenant: string, device: Uint8Array): Promise<EventCounts>;
  isVoid(tenant: string, device: Uint8Array, id: Position, reason: number): Promise<boolean>;
  /** Open ones, oldest first: `offset` behind the first made at `createdAt` or later; of one principal, or of all when undefined. */
  deadLetters(
    tenant: string,
    principal: string | undefined,
    after: { readonly createdAt: number; readonly offset: number },
    limit: number,
  ): Promise<readonly DeadLetter[]>;
  deadLetter(tenant: string, device: Uint8Array, id: Position): Promise<DeadLetter | undefined>;
  apiKey(prefix: string): Promise<ApiKey | undefined>;
  hasApiKey(tenant: string): Promise<boolean>;
}

export interface Writes extends Reads {
  /** Creates the device for this principal; false when it exists already, whoever it belongs to. */
  bindDevice(tenant: string, device: Uint8Array, principal: string, now: number): Promise<boolean>;
  describeDevice(tenant: string, device: Uint8Array, profile: DeviceProfile): Promise<void>;
  setOnline(
    tenant: string,
    device: Uint8Array,
    online: boolean,
    networkType: string | null,
    now: number,
  ): Promise<void>;
  /** Heads and counts of a locked device. */
  advanceDevice(
    tenant: string,
    device: Uint8Array,
    heads: Pick<DeviceRecord, "arrivalHead" | "lateHead" | "deferredCount">,
    now: number,
  ): Promise<void>;
  /** Compare-and-set of all; false when any stream stands elsewhere (then roll back). */
  moveStreams(tenant: string, device: Uint8Array, moves: readonly StreamWrite[], now: number): Promise<boolean>;
  insertEvents(tenant: string, device: Uint8Array, events: readonly InboxEvent[]): Promise<void>;
  insertBlocks(
    tenant: string,
    device: Uint8Array,
    principal: string,
    blocks: readonly AnalyticsBlock[],
    now: number,
  ): Promise<void>;
  /** Every verdict but plain `applied`. */
  insertVerdicts(
    tenant: string,
    device: Uint8Array,
    verdicts: readonly { readonly id: Position; readonly kind: number; readonly code: number }[],
    now: number,
  ): Promise<void>;
  insertDeferred(tenant: string, device: Uint8Array, events: readonly DeferredEvent[]): Promise<void>;
  insertVoids(tenant: string, device: Uint8Array, voids: readonly VoidWrite[], now: number): Promise<void>;
  markRecovered(tenant: string, device: Uint8Array, ids: readonly Position[], now: number): Promise<void>;
  insertDeadLetters(tenant: string, letters: readonly DeadLetter[]): Promise<void>;
  /** True when it was open and is closed now. */
  closeDeadLetter(tenant: string, device: Uint8Array, id: Position, as: string, now: number): Promise<boolean>;
  /** True when this event owns the key now; an expired owner makes room. */
  claimKey(
    tenant: string,
    device: Uint8Array,
    key: string,
    id: Position,
    now: number,
    expiresAt: number | null,
  ): Promise<boolean>;
  keyOwner(tenant: string, device: Uint8Array, key: string, now: number): Promise<Position | undefined>;
  /** The last word on a deferred event, with its number in the device's late log. */
  settleDeferred(
    tenant: string,
    device: Uint8Array,
    event: DeferredEvent,
    verdict: { readonly kind: number; readonly code: number; readonly lateNumber: number },
    now: number,
  ): Promise<void>;
  postponeDeferred(
    tenant: string,
    device: Uint8Array,
    arrival: number,
    tries: number,
    nextAt: number,
    reason: string,
  ): Promise<void>;
  insertApiKey(key: ApiKey, now: number): Promise<void>;
  audit(tenant: string, entries: readonly AuditEntry[]): Promise<void>;
}

/** The server's database, whichever it is. Made by `openStore`. */
export interface Store {
  /** All or nothing, durable when it resolves; lost races are tried again, at most five times. */
  write<T>(work: (writes: Writes) => Promise<T>): Promise<T>;
  /** Undefined where every push takes the usual way. */
  readonly fastLane: FastLane | undefined;
  /** Reads of one state of the database. */
  read<T>(work: (reads: Reads) => Promise<T>): Promise<T>;
  /** True for trouble with the database itself: answer 503, nothing happened or nobody knows. */
  isTrouble(error: unknown): boolean;
  /** True for a transaction that lost against another one and may be tried again. */
  isRace(error: unknown): boolean;
  /** Writes a copy named after the time into the folder and returns its file; undefined where the database has its own ways. */
  backUp(folder: string, at: number): Promise<string | undefined>;
  /** Callers waiting for their turn, and how many are served at once. */
  pressure(): { readonly waiting: number; readonly max: number };
  readonly kind: "sqlite" | "postgres";
  readonly incarnation: Incarnation;
  /** The newest migration found in the database. */
  readonly migrationLevel: number;
  /** True when this migration has run and this process knows it. Rejects as the database does. */
  hasSchema(level: number): Promise<boolean>;
  close(): Promise<void>;
}
