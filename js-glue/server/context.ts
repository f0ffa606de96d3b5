/** What every route works with: the store, the core, the handlers and the clock. */

import { fromHex, sameBytes } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { OpenSegment } from "./analytics-blocks.ts";
import type { ApiKeys, Caller, Identity } from "./auth.ts";
import type { Dictionaries } from "./dictionaries.ts";
import type { CursorNotes } from "./documents/cursor-notes.ts";
import type { Documents } from "./documents/documents.ts";
import type { Handlers } from "./handlers.ts";
import { HttpProblem } from "./http/problem.ts";
import type { DeviceTokens } from "./identity/device-token.ts";
import type { Logger } from "./log.ts";
import type { ModelRegistry } from "./models/registry.ts";
import type { Insight } from "./operations/insight.ts";
import type { Load } from "./operations/load.ts";
import type { Maintenance } from "./operations/maintenance.ts";
import type { Metrics } from "./operations/metrics.ts";
import type { RecentDevices } from "./recent-devices.ts";
import type { OpenSession } from "./session.ts";
import type { DeviceRecord, Reads, Store } from "./store/store.ts";
import type { Streams } from "./streams.ts";

export interface Server {
  readonly store: Store;
  readonly metrics: Metrics;
  readonly load: Load;
  readonly streams: Streams;
  readonly insight: Insight;
  readonly maintenance: Maintenance;
  readonly deviceTokens: DeviceTokens;
  readonly syncIntervalMs: number;
  readonly apiKeys: ApiKeys;
  readonly handlers: Handlers;
  readonly recent: RecentDevices;
  readonly documents: Documents;
  readonly cursors: CursorNotes;
  readonly models: ModelRegistry;
  readonly openSession: OpenSession;
  readonly dictionaries: Dictionaries;
  readonly openSegment: OpenSegment;
  readonly takeBlocks: () => Promise<boolean>;
  readonly checkJson: (json: Uint8Array) => void;
  readonly entityHash: (entity: string) => number;
  readonly now: () => number;
  readonly horizon: () => number;
  /** Events wanted in the next push. */
  readonly credit: number;
  readonly log: Logger;
  readonly draining: () => boolean;
  /** Deferred events of the device may run now; done in the background. */
  readonly release: (tenant: string, device: Uint8Array) => void;
}

/** The bytes of a device id, with or without dashes. */
export function parseDeviceId(text: string): Uint8Array | undefined {
  const bytes = fromHex(text.replace(/^(.{8})-(.{4})-(.{4})-(.{4})-/, "$1$2$3$4"));
  return bytes?.length === 16 ? bytes : undefined;
}

/**
 * The device, if this identity may see it. Throws `unknown_device` alike for ids that do not exist, are malformed, or
 * belong to someone else. An administrator sees every device of its tenant. `signed: false` is for what the owner of a lost
 * device must be able to do without it.
 */
export async function ownDevice(
  reads: Reads,
  identity: Identity,
  deviceId: string,
  { signed = true }: { readonly signed?: boolean } = {},
): Promise<DeviceRecord> {
  const id = parseDeviceId(deviceId);
  const device = id && (await reads.device(identity.tenant, id));
  if (!device) throw failure("unknown_device", "there is no such device");
  if (!identity.scopes.includes("admin"))
    checkOwner(device, signed ? identity : { ...identity, signedBy: device.device });
  return device;
}

/** Who acts when this identity acts on that device: an administrator needs neither its credential nor its key. */
export const onBehalf = (identity: Identity, { device, principal }: DeviceRecord): Caller =>
  identity.scopes.includes("admin")
    ? { tenant: identity.tenant, principal, signedBy: device }
    : { tenant: identity.tenant, principal, device: identity.device, signedBy: identity.signedBy };

/**
 * Throws `unknown_device` for another principal's device or another device than the credential's own, `device_revoked`, and
 * `signature_needed` when the device has a key of its own and did not sign this request.
 */
export function checkOwner(
  record: Pick<DeviceRecord, "device" | "principal" | "publicKey" | "revokedAt">,
  { principal, device, signedBy }: Caller,
): void {
  if (record.principal !== principal || (device && !sameBytes(device, record.device)))
    throw failure("unknown_device", "there is no such device");
  if (record.revokedAt !== null) throw new HttpProblem("device_revoked", "the device is revoked");
  if (record.publicKey !== null && !(signedBy && sameBytes(signedBy, record.device)))
    throw new HttpProblem("signature_needed", "this device signs its requests");
}
