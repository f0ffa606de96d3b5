/** How a device is called outside the core. */

import { toHex } from "./bytes.ts";

/** 16 bytes in the shape of a UUID. */
export function formatDeviceId(device: Uint8Array): string {
  const hex = toHex(device);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
