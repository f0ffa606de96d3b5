/** What every route works with: the store, the core, the handlers and the clock. */

import { fromHex, toHex } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Identity } from "./auth.ts";
import type { Handlers } from "./handlers.ts";
import type { Logger } from "./log.ts";
import type { OpenSession } from "./session.ts";
import type { DeviceRecord, Reads, Store } from "./store/store.ts";

export interface Server {
  readonly store: Store;
  readonly handlers: Handlers;
  readonly openSession: OpenSession;
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

/** UUID-shaped text of the 16 bytes. */
export function formatDeviceId(device: Uint8Array): string {
  const hex = toHex(device);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** The bytes of a device id, with or without dashes. */
export function parseDeviceId(text: string): Uint8Array | undefined {
  const bytes = fromHex(text.replace(/^(.{8})-(.{4})-(.{4})-(.{4})-/, "$1$2$3$4"));
  return bytes?.length === 16 ? bytes : undefined;
}

/**
 * The device, if this identity may see it. Throws `unknown_device` alike for ids that do not exist, are malformed, or
 * belong to someone else. An administrator sees every device of its tenant.
 */
export async function ownDevice(reads: Reads, identity: Identity, deviceId: string): Promise<DeviceRecord> {
  const id = parseDeviceId(deviceId);
  const device = id && (await reads.device(identity.tenant, id));
  if (!device || (device.principal !== identity.principal && !identity.scopes.includes("admin")))
    throw failure("unknown_device", "there is no such device");
  return device;
}
