/**
 * Who this installation is, and whether its database is the one it had.
 *
 * The install id is drawn once, in the transaction that creates the database, and stands in its `genesis` record. A copy
 * lies outside IndexedDB (OPFS, else localStorage), written once. When the two disagree, the database was emptied behind
 * our back: the copy wins, so the server still knows the device, and the loss is reported. Once they agree, the record
 * says so: a database that still has it was not emptied, and a start need not wait for the other place.
 */

import { after, joinBytes, sameBytes, utf8 } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Crypto, Expectation, Level, Store } from "../core/ports.ts";
import { GENESIS_KEY, INSTALL_ID_BYTES, readGenesis, writeGenesis } from "./genesis.ts";

/** The state of a genesis record whose copy was found to be the same, at its second byte. */
const AGREED = 2;

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
  let lost = false;
  for (;;) {
    const record = (await store.scan({ from: GENESIS_KEY, to: after(GENESIS_KEY) }, 1))[0]?.value;
    const own = readGenesis(record);
    if (own && record?.[1] === AGREED) return { installId: own, lost };
    const copy = await outside.read();
    if (own && !copy) {
      await outside.write(own);
      if (!(await outside.read())) return { installId: own, lost }; // no place to keep it: tried again next time
    }
    if (own && record && (!copy || sameBytes(own, copy))) {
      const agreed = record.slice();
      agreed[1] = AGREED;
      // On a full disk it is found out once more next time.
      await replace(store, record, agreed, "durable").catch(() => undefined);
      return { installId: own, lost };
    }
    const { installId, wall } = fresh();
    const next = copy ?? installId;
    const value = writeGenesis(next, wall);
    if (copy) value[1] = AGREED;
    const taken = await replace(store, record, value, "strict");
    if (!taken) continue; // another tab was first: look again
    // Without a copy an emptied database cannot be told from a new one; without genesis it can.
    lost ||= copy !== undefined || record === undefined;
    if (copy) return { installId: next, lost };
  }
}

/** False when the record is no longer `before`. */
function replace(store: Store, before: Uint8Array | undefined, value: Uint8Array, level: Level): Promise<boolean> {
  const expects: Expectation = before
    ? { kind: "equals", key: GENESIS_KEY, value: before }
    : { kind: "absent", key: GENESIS_KEY, value: new Uint8Array(0) };
  return store.commit({ level, expects: [expects], deletes: [], puts: [{ key: GENESIS_KEY, value }] }).then(
    () => true,
    (error: unknown) => {
      if ((error as { code?: unknown }).code === "storage_conflict") return false;
      throw error;
    },
  );
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
