/**
 * Re-encrypts what older keys sealed, record by record, and then lets those keys go. May stop anywhere and start again:
 * each record is either still sealed with its old key, which is still there, or already with the new one.
 */

import type { KeyRing } from "./key-ring.ts";
import type { Place } from "./seal.ts";

/** A sealed record and the place it is sealed to. */
export interface SealedRecord {
  readonly place: Place;
  readonly sealed: Uint8Array;
}

/** The records one ring has sealed, wherever they lie. */
export interface SealedRecords {
  /** In a fixed order, from behind `after`; an empty page is the end. */
  page(after: SealedRecord | undefined): Promise<readonly SealedRecord[]>;
  /** Only if the record still reads `record.sealed`; false when it has changed meanwhile. */
  replace(record: SealedRecord, sealed: Uint8Array): Promise<boolean>;
}

/**
 * `fresh` begins with a new key; without it an interrupted rotation is taken up again. Resolves with the records that were
 * sealed anew. Broken records are left as they are, and so are their keys.
 */
export async function rotate(
  ring: KeyRing,
  records: SealedRecords,
  { fresh }: { readonly fresh: boolean },
): Promise<number> {
  if (fresh) await ring.rotate();
  let changed = 0;
  let left = 0;
  for (let last: SealedRecord | undefined; ; ) {
    const page = await records.page(last);
    for (const record of page) {
      if (!ring.isStale(record.sealed)) continue;
      const plain = await ring.open(record.place, record.sealed).catch(() => undefined);
      const replaced = plain && (await records.replace(record, await ring.seal(record.place, plain)));
      if (replaced) changed++;
      else left++;
    }
    last = page.at(-1);
    if (!last) break;
  }
  // A record that changed under us may have been sealed by a context that has not seen the new key yet.
  if (left === 0) await ring.retire();
  return changed;
}
