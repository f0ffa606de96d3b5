/**
 * The data keys of one subject on one device, in one of three modes (docs/security.md says what each protects):
 *
 *   device      keys the browser will not export, usable by this origin without asking anyone
 *   passphrase  keys wrapped by one derived from a passphrase, which is never stored
 *   server      keys wrapped by one the server releases, forgotten after `unlockTtlMs`
 *
 * New records use the current key; older keys stay until nothing is sealed with them any more. Forgetting the keys is how
 * what they sealed is erased.
 */

import { toHex } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Cabinet } from "./cabinet.ts";
import { type DataKey, KEY_ID_BYTES, keyIdOf, type Place, seal, unseal } from "./seal.ts";

/** Where data keys come from; docs/security.md says what each mode protects from. */
export type KeyMode =
  | { readonly kind: "device" }
  | { readonly kind: "passphrase" }
  | {
      readonly kind: "server";
      /** 32 bytes, released to this device and subject. */
      readonly release: () => Promise<Uint8Array>;
      readonly unlockTtlMs: number;
    };

/** OWASP's figure for PBKDF2 with SHA-256, 2023. */
export const PBKDF2_ROUNDS = 600_000;
/** Far below where random nonces of 96 bits could meet: 2^20 records give a chance of 2^-57. */
export const RECORDS_PER_KEY_MAX = 2 ** 20;
const SALT_BYTES = 16;

/** What stands in the cabinet under "ring". */
interface RingRecord {
  readonly mode: KeyMode["kind"];
  /** The newest last. */
  readonly ids: readonly string[];
  readonly salt: Uint8Array;
  readonly rounds: number;
}

const asBuffer = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>;
const draw = (count: number): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(count));
const AES = { name: "AES-GCM", length: 256 } as const;

const isRing = (value: unknown): value is RingRecord =>
  typeof value === "object" && value !== null && Array.isArray((value as RingRecord).ids);

/** The data keys of one subject on one device: seals, opens, rotates, locks, forgets. */
export class KeyRing {
  readonly #cabinet: Cabinet;
  readonly #mode: KeyMode;
  #record: RingRecord;
  #keys = new Map<string, CryptoKey>();
  #wrapping: CryptoKey | undefined;
  #lockAt = Number.POSITIVE_INFINITY;
  #sealed = 0;
  /** Grows with every lock and forget: work begun before must not finish after. */
  #generation = 0;

  private constructor(cabinet: Cabinet, mode: KeyMode, record: RingRecord) {
    this.#cabinet = cabinet;
    this.#mode = mode;
    this.#record = record;
  }

  /** Rejects with `invalid_argument` when the device's keys are of another mode. Device keys are ready at once. */
  static async open(cabinet: Cabinet, mode: KeyMode): Promise<KeyRing> {
    const found = await cabinet.get("ring");
    const fresh: RingRecord = { mode: mode.kind, ids: [], salt: draw(SALT_BYTES), rounds: PBKDF2_ROUNDS };
    const record = isRing(found) ? found : fresh;
    if (record.mode !== mode.kind) throw failure("invalid_argument", `the keys here are of mode ${record.mode}`);
    if (record.rounds < PBKDF2_ROUNDS) throw failure("invalid_argument", "too few rounds protect these keys");
    const ring = new KeyRing(cabinet, mode, record);
    if (mode.kind === "device") await ring.#load();
    return ring;
  }

  get locked(): boolean {
    if (performance.now() >= this.#lockAt) this.lock();
    return this.#keys.size === 0;
  }

  /** The ids of all keys, the current one last. */
  get ids(): readonly string[] {
    return this.#record.ids;
  }

  /** Rejects with `wrong_key`, and nothing has changed then. The first unlock of a device makes the first key. */
  async unlock(passphrase?: string): Promise<void> {
    if (this.#mode.kind === "passphrase") {
      if (!passphrase) throw failure("invalid_argument", "a passphrase is needed", { path: "passphrase" });
      const { salt, rounds } = this.#record;
      const base = await crypto.subtle.importKey("raw", new TextEncoder().encode(passphrase), "PBKDF2", false, [
        "deriveKey",
      ]);
      const algorithm = { name: "PBKDF2", hash: "SHA-256", salt: asBuffer(salt), iterations: rounds };
      this.#wrapping = await crypto.subtle.deriveKey(algorithm, base, AES, false, ["wrapKey", "unwrapKey"]);
    } else if (this.#mode.kind === "server") {
      const released = await this.#mode.release();
      if (released.length !== 32) throw failure("wrong_key", "the released key has not 32 bytes");
      this.#wrapping = await crypto.subtle.importKey("raw", asBuffer(released), AES.name, false, [
        "wrapKey",
        "unwrapKey",
      ]);
      this.#lockAt = performance.now() + this.#mode.unlockTtlMs;
    }
    await this.#load();
  }

  /** Drops the keys from memory. Device keys need no secret to come back: `unlock()` does it. */
  lock(): void {
    this.#generation++;
    this.#keys = new Map();
    this.#wrapping = undefined;
    this.#lockAt = Number.POSITIVE_INFINITY;
  }

  /** Logout and erasure: what was sealed with these keys cannot be read again, here or from a copy of the disk. */
  async forget(): Promise<void> {
    this.lock();
    const names = await this.#cabinet.names();
    await this.#cabinet.put(new Map(names.map((name) => [name, undefined])));
    this.#record = { ...this.#record, ids: [], salt: draw(SALT_BYTES) };
  }

  /** Rejects with `key_locked`. Makes a new key when the current one has sealed enough. */
  async seal(place: Place, plain: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const generation = this.#unlocked();
    if (++this.#sealed > RECORDS_PER_KEY_MAX) await this.rotate();
    const sealed = await seal(this.#current(), place, plain);
    if (generation !== this.#generation) throw failure("key_locked", "the keys were locked meanwhile");
    return sealed;
  }

  /** Rejects with `key_locked`, `key_missing` or `seal_broken`; never with content that fails its check. */
  async open(place: Place, sealed: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    const generation = this.#unlocked();
    const id = keyIdOf(sealed);
    const key = this.#keys.get(id);
    if (!key) throw failure("key_missing", `there is no key ${id} here`);
    const plain = await unseal(key, place, sealed);
    if (generation !== this.#generation) throw failure("key_locked", "the keys were locked meanwhile");
    return plain;
  }

  /** True when the record is sealed with an older key. */
  isStale(sealed: Uint8Array): boolean {
    return keyIdOf(sealed) !== this.#record.ids.at(-1);
  }

  /** A new key for all new records. The older ones stay until `retire`. */
  async rotate(): Promise<void> {
    this.#unlocked();
    await this.#mint();
  }

  /** Deletes every key but the current one: call it when no record is stale any more. */
  async retire(): Promise<void> {
    this.#unlocked();
    const current = this.#record.ids.slice(-1);
    const entries = new Map<string, unknown>(this.#record.ids.slice(0, -1).map((id) => [`key:${id}`, undefined]));
    const record = { ...this.#record, ids: current };
    await this.#cabinet.put(entries.set("ring", record));
    for (const id of this.#keys.keys()) if (id !== current[0]) this.#keys.delete(id);
    this.#record = record;
  }

  #unlocked(): number {
    if (this.locked) throw failure("key_locked", "unlock the keys first");
    return this.#generation;
  }

  #current(): DataKey {
    const id = this.#record.ids.at(-1) ?? "";
    const key = this.#keys.get(id);
    if (!key) throw failure("key_locked", "unlock the keys first");
    return { id, key };
  }

  async #load(): Promise<void> {
    // Another tab may have made or retired keys since.
    const found = await this.#cabinet.get("ring");
    if (isRing(found)) this.#record = found;
    const keys = new Map<string, CryptoKey>();
    for (const id of this.#record.ids) {
      const stored = await this.#cabinet.get(`key:${id}`);
      if (stored === undefined) continue; // what it sealed answers `key_missing`
      keys.set(id, await this.#unwrap(stored));
    }
    this.#keys = keys;
    if (!keys.has(this.#record.ids.at(-1) ?? "")) await this.#mint();
  }

  async #unwrap(stored: unknown): Promise<CryptoKey> {
    if (this.#mode.kind === "device") return stored as CryptoKey;
    const bytes = stored as Uint8Array<ArrayBuffer>;
    const algorithm = { name: "AES-GCM", iv: bytes.subarray(0, 12) };
    try {
      if (!this.#wrapping) throw failure("key_locked", "unlock the keys first");
      return await crypto.subtle.unwrapKey("raw", bytes.subarray(12), this.#wrapping, algorithm, AES, false, [
        "encrypt",
        "decrypt",
      ]);
    } catch (error) {
      this.lock();
      throw failure("wrong_key", "this does not open the keys of this device", { cause: error });
    }
  }

  async #mint(): Promise<void> {
    const id = toHex(draw(KEY_ID_BYTES));
    const wrapped = this.#mode.kind !== "device";
    const made = await crypto.subtle.generateKey(AES, wrapped, ["encrypt", "decrypt"]);
    const [stored, key] = wrapped ? await this.#wrap(made) : [made, made];
    const record = { ...this.#record, ids: [...this.#record.ids, id] };
    // On disk before its first use: a record must never outlive the only copy of its key.
    await this.#cabinet.put(
      new Map<string, unknown>([
        [`key:${id}`, stored],
        ["ring", record],
      ]),
    );
    this.#record = record;
    this.#keys.set(id, key);
    this.#sealed = 0;
  }

  async #wrap(made: CryptoKey): Promise<readonly [Uint8Array, CryptoKey]> {
    if (!this.#wrapping) throw failure("key_locked", "unlock the keys first");
    const iv = draw(12);
    const wrapped = new Uint8Array(await crypto.subtle.wrapKey("raw", made, this.#wrapping, { name: "AES-GCM", iv }));
    const stored = new Uint8Array([...iv, ...wrapped]);
    return [stored, await this.#unwrap(stored)];
  }
}
