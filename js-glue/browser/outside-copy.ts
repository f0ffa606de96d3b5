/** Where the copy of the install id lies: outside IndexedDB, so that both are not emptied by one accident. */

import { fromHex, toHex } from "../core/bytes.ts";
import { INSTALL_ID_BYTES } from "./genesis.ts";
import type { OutsideCopy } from "./install.ts";

/** OPFS where there is one, else localStorage, else nothing. */
export function outsideCopy(database: string): OutsideCopy {
  const file = `install-${encodeURIComponent(database)}`;
  const valid = (bytes: Uint8Array | undefined): Uint8Array | undefined =>
    bytes?.length === INSTALL_ID_BYTES ? bytes : undefined;
  const folder = (): Promise<FileSystemDirectoryHandle> | undefined => globalThis.navigator?.storage?.getDirectory?.();
  const local = (): Storage | undefined => {
    try {
      return globalThis.localStorage;
    } catch {
      return undefined; // a browser that blocks site data throws at the mere mention
    }
  };
  return {
    async read() {
      try {
        const handle = await (await folder())?.getFileHandle(file);
        if (handle) {
          const bytes = valid(new Uint8Array(await (await handle.getFile()).arrayBuffer()));
          if (bytes) return bytes;
        }
      } catch {
        // No such file, or no OPFS in this mode: the other place may have it.
      }
      const hex = local()?.getItem(file) ?? "";
      return valid(fromHex(hex));
    },
    async write(installId) {
      try {
        const handle = await (await folder())?.getFileHandle(file, { create: true });
        if (handle && "createWritable" in handle) {
          const stream = await handle.createWritable();
          await stream.write(installId.slice());
          await stream.close();
          return;
        }
      } catch {
        // Private modes refuse OPFS; the other place will do.
      }
      try {
        local()?.setItem(file, toHex(installId));
      } catch {
        // Full or refused: the device then looks new after a wipe, which docs/storage.md says.
      }
    },
  };
}

/** Removes the copy wherever it lies. */
export async function forgetInstall(database: string): Promise<void> {
  const file = `install-${encodeURIComponent(database)}`;
  try {
    await (await globalThis.navigator?.storage?.getDirectory?.())?.removeEntry(file);
  } catch {
    // There was none, or no OPFS in this mode.
  }
  try {
    globalThis.localStorage?.removeItem(file);
  } catch {
    // Site data is blocked: then there was none.
  }
}
