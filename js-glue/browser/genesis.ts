/** The record that says "this database is ours and was never emptied": written in the transaction that creates it. */

import { joinBytes, utf8 } from "../core/bytes.ts";

export const GENESIS_KEY = /* @__PURE__ */ utf8("mg");
export const INSTALL_ID_BYTES = 16;
const MADE = 1;

//   'G' u8 | state u8: 1 = made, 2 = agreed (install.ts) | install id 16 | created, wall ms u64, little-endian
export function writeGenesis(installId: Uint8Array, wall: number): Uint8Array<ArrayBuffer> {
  const created = new Uint8Array(8);
  new DataView(created.buffer).setBigUint64(0, BigInt(wall), true);
  return joinBytes(Uint8Array.of(0x47, MADE), installId, created);
}

export function readGenesis(record: Uint8Array | undefined): Uint8Array | undefined {
  if (record?.length !== 2 + INSTALL_ID_BYTES + 8 || record[0] !== 0x47) return undefined;
  return record.slice(2, 2 + INSTALL_ID_BYTES);
}
