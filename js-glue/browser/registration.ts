/** Tells the server what this device is and can do: once, again when it changes, and when the application asks. */

import { fnv1a32, utf8 } from "../core/bytes.ts";
import { formatDeviceId } from "../core/device-id.ts";
import { asFailure } from "../core/errors.ts";
import type { Store } from "../core/ports.ts";
import { deviceType, readCapabilities } from "./capabilities.ts";
import { REGISTRATION_KEY, readNote, writeNote } from "./records.ts";
import type { FetchTransport } from "./transport.ts";

/** This device as the server knows it. */
export interface Device {
  readonly deviceId: string;
  /** The server knows the device and its present capabilities. */
  readonly registered: boolean;
}

const TIMEOUT_MS = 15_000;
const REPEAT_MS = 7 * 24 * 3_600_000;

/** `force` = even when nothing has changed. Without an answer the device stays unregistered: work is queued all the same. */
export async function registerDevice(
  store: Store,
  transport: FetchTransport,
  device: Uint8Array,
  wall: number,
  force: boolean,
): Promise<Device> {
  const deviceId = formatDeviceId(device);
  const platform = (globalThis.navigator as { userAgentData?: { platform?: string } } | undefined)?.userAgentData;
  const body = {
    deviceId,
    deviceType: deviceType(),
    ...(platform?.platform ? { platform: platform.platform } : {}),
    capabilities: await readCapabilities(),
  };
  const { storage: _, ...declared } = body.capabilities; // the fill level changes all the time and tells nothing new
  const digest = fnv1a32(utf8(JSON.stringify({ ...body, capabilities: declared })));
  const note = await readNote(store, REGISTRATION_KEY);
  const at = typeof note?.at === "number" ? note.at : 0;
  const fresh = note?.digest === digest && at <= wall && wall - at < REPEAT_MS;
  if (fresh && !force) return { deviceId, registered: true };
  try {
    const response = await transport.post("/device/register", body, TIMEOUT_MS);
    await response.body?.cancel();
    if (!response.ok) return { deviceId, registered: false };
    await writeNote(store, REGISTRATION_KEY, { digest, at: wall });
    return { deviceId, registered: true };
  } catch (error) {
    if (asFailure(error, "offline").fault === "bug") throw error;
    return { deviceId, registered: false };
  }
}
