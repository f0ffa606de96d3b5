/** The package as the test page has it; used for types only, so nothing of it is bundled into the tests. */

import type { OfflineSync, OfflineSyncError, open, Receipt } from "../../js-glue/browser/index.ts";

export interface PageGlobals {
  lib: { readonly open: typeof open; readonly OfflineSyncError: typeof OfflineSyncError };
  engine: OfflineSync;
  receipts: Receipt[];
}
