/**
 * What devices have learned from their own events, so that their segments may refer to it on the way (docs/protocol.md). A
 * dictionary is used for the pushes of its own device alone, and only for the principal the device belongs to.
 *
 * Nothing that is kept needs one. Where it is gone, a push that names it is answered `undecodable` and comes again without.
 */

import { failure, OfflineSyncError } from "../core/errors.ts";
import type { Caller } from "./auth.ts";
import { checkOwner } from "./context.ts";
import { RecentDevices } from "./recent-devices.ts";
import type { DictionaryId } from "./session.ts";
import { DICTIONARY_SCHEMA, type Dictionary, dictionaryOf, putDictionary } from "./store/dictionaries.ts";
import { isBuried } from "./store/privacy.ts";
import type { Store, Writes } from "./store/store.ts";

/** Devices whose dictionary stays in memory, of those that used theirs last. */
const DEVICES_MAX = 1_000;
/** Another process may have erased or revoked a device: what is in memory here is read again after this time, or gone. */
const MEMORY_MS_MAX = 600_000;

interface Known extends Dictionary {
  /** Whose the device was; it may change hands. */
  readonly principal: string;
  /** When it was read or given. */
  readonly since: number;
}

export interface DictionariesOptions {
  readonly store: Store;
  readonly idOf: DictionaryId;
  /** These very bytes are not needed any more, nor what the core has made of them. */
  readonly drop: (packed: Uint8Array) => void;
  readonly now: () => number;
}

export class Dictionaries {
  readonly #options: DictionariesOptions;
  /** By device; the one used last comes last. */
  readonly #known = new Map<string, Known>();

  constructor(options: DictionariesOptions) {
    this.#options = options;
  }

  /**
   * The packed bytes of the device's dictionary, if it has this id. Rejects as `checkOwner` throws where the device is somebody
   * else's, and as the database does.
   */
  async find(caller: Caller, device: Uint8Array, id: bigint): Promise<Uint8Array | undefined> {
    const known = this.#recall(caller, device);
    if (known?.id === id) return known.packed;
    const { store } = this.#options;
    if (!(await store.hasSchema(DICTIONARY_SCHEMA))) return undefined;
    const stored = await store.read(async (reads) => {
      const record = await reads.device(caller.tenant, device);
      if (!record) return undefined;
      checkOwner(record, caller);
      return dictionaryOf(reads.connection, caller.tenant, device);
    });
    if (stored?.id !== id || !this.#isWhole(stored)) return undefined;
    this.#remember(caller, device, stored);
    return stored.packed;
  }

  /**
   * Makes this the device's dictionary and returns its id. Rejects with the core's code for bytes that are none, with
   * `unknown_device` and `erased`, as `checkOwner` throws, and with `not_found` where the schema has no place for it.
   */
  async keep(caller: Caller, device: Uint8Array, body: Uint8Array): Promise<bigint> {
    const { store, idOf, drop, now } = this.#options;
    if (!(await store.hasSchema(DICTIONARY_SCHEMA))) throw failure("not_found", "no dictionaries are kept here yet");
    // A copy: the body may be a view into all that the connection has read.
    const packed = Uint8Array.from(body);
    const id = idOf(packed);
    try {
      await store.write(async (tx) => {
        await lockOwn(tx, caller, device);
        await putDictionary(tx.connection, caller.tenant, device, { id, packed }, now());
      });
    } catch (error) {
      drop(packed);
      throw error;
    }
    this.#remember(caller, device, { id, packed });
    return id;
  }

  /** After a revocation or an erasure, so that nothing of it stays in memory here. */
  forget(): void {
    for (const key of [...this.#known.keys()]) this.#leave(key);
  }

  /** The same for what another process may have revoked or erased, ten minutes later at most. To be called now and then. */
  expire(): void {
    for (const [key, known] of [...this.#known]) if (this.#isOld(known)) this.#leave(key);
  }

  #isOld({ since }: Known): boolean {
    return this.#options.now() - since >= MEMORY_MS_MAX;
  }

  // Another process may have been sent a newer one.
  #recall({ tenant, principal }: Caller, device: Uint8Array): Dictionary | undefined {
    const key = RecentDevices.key(tenant, device);
    const known = this.#known.get(key);
    if (known?.principal !== principal || this.#isOld(known)) return undefined;
    this.#known.delete(key);
    this.#known.set(key, known);
    return known;
  }

  #remember({ tenant, principal }: Caller, device: Uint8Array, { id, packed }: Dictionary): void {
    const key = RecentDevices.key(tenant, device);
    this.#leave(key);
    this.#known.set(key, { principal, id, packed, since: this.#options.now() });
    if (this.#known.size <= DEVICES_MAX) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#leave(oldest);
  }

  #leave(key: string): void {
    const known = this.#known.get(key);
    this.#known.delete(key);
    if (known) this.#options.drop(known.packed);
  }

  // Damaged, or packed as this release does not know it: as good as gone.
  #isWhole({ id, packed }: Dictionary): boolean {
    const { idOf, drop } = this.#options;
    try {
      const whole = idOf(packed) === id;
      if (!whole) drop(packed);
      return whole;
    } catch (error) {
      if (error instanceof OfflineSyncError && error.fault === "peer") return false;
      throw error;
    }
  }
}

// As a push locks its device, but one that was never here stays unknown.
async function lockOwn(tx: Writes, caller: Caller, device: Uint8Array): Promise<void> {
  const record = await tx.device(caller.tenant, device, true);
  if (record) return checkOwner(record, caller);
  if (await isBuried(tx.connection, caller.tenant, caller.principal, device))
    throw failure("erased", "this subject was erased; nothing of it is taken");
  throw failure("unknown_device", "there is no such device");
}
