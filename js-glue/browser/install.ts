/**
 * Who this installation is, and whether its database is the one it had.
 *
 * The install id is drawn once, in the transaction that creates the database, and stands in its `genesis` record. A copy
 * lies outside IndexedDB (OPFS, else localStorage), written once. When the two disagree, the database was emptied behind
 * our back: the copy wins, so the server still knows the device, and the loss is reported.
 */

import { after, joinBytes, sameBytes, utf8 } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Crypto, Store } from "../core/ports.ts";
import { GENESIS_KEY, INSTALL_ID_BYTES, readGenesis, writeGenesis } from "./genesis.ts";

/** The copy that does not live or die with the database. Neither call rejects. */
export interface OutsideCopy {
  read(): Promise<Uint8Array | undefined>;
  write(installId: Uint8Array): Promise<void>;
}

export interface Installation {
  readonly installId: Uint8Array;
  /** The database had been emptied. */
  readonly lost: boolean;
}

/** Brings genesis and copy together. Safe to run in several tabs at once: all of them come to the same id. */
export async function settleInstallation(
  store: Store,
  outside: OutsideCopy,
  fresh: () => { readonly installId: Uint8Array; readonly wall: number },
): Promise<Installation> {
  for (;;) {
    const [record, copy] = await Promise.all([
      store.scan({ from: GENESIS_KEY, to: after(GENESIS_KEY) }, 1).then((records) => records[0]?.value),
      outside.read(),
    ]);
    const own = readGenesis(record);
    if (own && copy && sameBytes(own, copy)) return { installId: own, lost: false };
    if (own && !copy) {
      await outside.write(own);
      return { installId: own, lost: false };
    }
    const { installId, wall } = fresh();
    const next = copy ?? installId;
    const batch = {
      level: "strict",
      expects: [
        record
          ? { kind: "equals" as const, key: GENESIS_KEY, value: record }
          : { kind: "absent" as const, key: GENESIS_KEY, value: new Uint8Array(0) },
      ],
      deletes: [],
      puts: [{ key: GENESIS_KEY, value: writeGenesis(next, wall) }],
    } as const;
    const settled = await store.commit(batch).then(
      () => true,
      (error: unknown) => {
        if ((error as { code?: unknown }).code === "storage_conflict") return false; // another tab was first: look again
        throw error;
      },
    );
    if (!settled) continue;
    if (!copy) await outside.write(next);
    // Without a copy an emptied database cannot be told from a new one; without genesis it can.
    return { installId: next, lost: copy !== undefined || record === undefined };
  }
}

/** hash(install id, server, subject): one shared tablet is one device per user and server, and the id tells neither. */
export async function deviceIdOf(
  crypto: Crypto,
  installId: Uint8Array,
  url: string,
  subject: string,
): Promise<Uint8Array> {
  const zero = new Uint8Array(1);
  const hash = await crypto.sha256(joinBytes(installId, zero, utf8(url), zero, utf8(subject)));
  if (hash.length < INSTALL_ID_BYTES) throw failure("internal", "the hash is too short");
  return hash.slice(0, INSTALL_ID_BYTES);
}
