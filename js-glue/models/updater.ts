/**
 * Brings a model up to date: the blocks this device lacks, one record at a time, then one swap.
 *
 * What an earlier version already holds is not loaded again; what an interrupted attempt has loaded is kept. Whole-file
 * SHA-256 before the swap; when pieces do not add up, the file is loaded whole, once. Until the swap's transaction has
 * ended the old version answers, whatever happens.
 */

import { joinBytes, toHex } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import { RECORD_BYTES } from "./blobs.ts";
import {
  type Choice,
  chooseEntry,
  compareVersions,
  type Manifest,
  type ManifestEntry,
  readManifest,
  type Verifier,
} from "./manifest.ts";
import { BLOCK_BYTES, BLOCK_HASH_BYTES, blockHashes, type ModelStore, sameHash } from "./model-store.ts";

/** The way to one registry; a path is below its base. Rejects with `offline` when there is no answer. */
export interface Registry {
  manifest(): Promise<string>;
  blocks(id: string): Promise<Uint8Array>;
  /** Bytes `from` up to, not including, `to`. */
  range(id: string, from: number, to: number): Promise<Uint8Array>;
}

export interface UpdateReport {
  readonly updated: boolean;
  readonly version: string;
  /** Bytes of the file that travelled. */
  readonly loaded: number;
  readonly total: number;
}

export interface UpdaterOptions {
  readonly store: ModelStore;
  readonly registry: Registry;
  readonly verifier: Verifier;
  readonly keys: readonly Uint8Array[];
}

export class ModelUpdater {
  readonly #options: UpdaterOptions;
  #issuedAt = 0;

  constructor(options: UpdaterOptions) {
    this.#options = options;
  }

  /** Rejects as `readManifest` does, and with `rewound` for a manifest older than one seen before. */
  async manifest(): Promise<Manifest> {
    const { registry, keys, verifier } = this.#options;
    const manifest = await readManifest(await registry.manifest(), keys, verifier);
    if (manifest.issuedAt < this.#issuedAt) throw failure("rewound", "the registry shows an older manifest");
    this.#issuedAt = manifest.issuedAt;
    return manifest;
  }

  /**
   * Undefined when the registry has nothing of this name for this device. A version that was retired is replaced by what
   * the registry has now, older or not.
   */
  async update(name: string, choice: Choice): Promise<UpdateReport | undefined> {
    const { store, verifier } = this.#options;
    const manifest = await this.manifest();
    const entry = await chooseEntry(manifest, name, choice, verifier);
    if (!entry) return undefined;
    const { version, sha256, bytes } = entry.statement;
    const current = (await store.open(name))?.model;
    const listed = manifest.entries.some(({ statement }) => statement.sha256 === current?.sha256);
    const older = current && listed && compareVersions(version, current.version) < 0;
    if (current?.sha256 === sha256 || older) {
      return { updated: false, version: current?.version ?? version, loaded: 0, total: bytes };
    }
    const loaded = await this.#load(name, entry);
    return { updated: true, version, loaded, total: bytes };
  }

  async #load(name: string, entry: ManifestEntry): Promise<number> {
    const { store } = this.#options;
    const { version, quant, bytes, sha256 } = entry.statement;
    const model = { version, quant, bytes, sha256 };
    let loaded = await this.#stage(name, entry, true);
    try {
      await store.swap(name, model);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "checksum") throw error;
      // The pieces do not add up: begin again with nothing but the registry's own bytes.
      await store.discard(name, sha256);
      loaded += await this.#stage(name, entry, false);
      await store.swap(name, model).catch(async (refused: unknown) => {
        await store.discard(name, sha256);
        throw refused;
      });
    }
    return loaded;
  }

  /** Stores every record of the file that is missing; returns the bytes that travelled. */
  async #stage(name: string, entry: ManifestEntry, reuse: boolean): Promise<number> {
    const { store, registry } = this.#options;
    const { bytes, sha256 } = entry.statement;
    const known = reuse ? await this.#knownBlocks(name, entry) : undefined;
    const staged = await store.staged(name, sha256, bytes);
    let loaded = 0;
    for (let index = 0; index * RECORD_BYTES < bytes; index++) {
      const from = index * RECORD_BYTES;
      const to = Math.min(bytes, from + RECORD_BYTES);
      if (staged.get(index)?.length === to - from) continue;
      const local = known?.record(from, to);
      const record = local ?? (await registry.range(entry.id, from, to));
      if (record.length !== to - from) throw failure("truncated", "the registry sent another number of bytes");
      if (!local) loaded += record.length;
      await store.stage(name, sha256, index, record);
    }
    return loaded;
  }

  /** Blocks of the version in use, by hash, and which of them the new file is made of. */
  async #knownBlocks(name: string, { id, statement }: ManifestEntry): Promise<KnownBlocks | undefined> {
    const { store, registry, verifier } = this.#options;
    const current = await store.open(name);
    if (!current) return undefined;
    const wanted = await registry.blocks(id);
    if (toHex(await verifier.sha256(wanted)) !== statement.blocksSha256) {
      throw failure("checksum", `the block list of model ${name} is not the one that was signed`);
    }
    const own = await blockHashes(verifier, current.file);
    return new KnownBlocks(wanted, own, current.file);
  }
}

const at = (hashes: Uint8Array, block: number): Uint8Array =>
  hashes.subarray(block * BLOCK_HASH_BYTES, (block + 1) * BLOCK_HASH_BYTES);

class KnownBlocks {
  readonly #wanted: Uint8Array;
  readonly #own: Uint8Array;
  readonly #file: Uint8Array;
  readonly #places = new Map<string, number>();

  constructor(wanted: Uint8Array, own: Uint8Array, file: Uint8Array) {
    this.#wanted = wanted;
    this.#own = own;
    this.#file = file;
    for (let block = 0; block * BLOCK_HASH_BYTES < own.length; block++) {
      this.#places.set(toHex(at(own, block)), block);
    }
  }

  /** The record's bytes when every block of it is at hand. */
  record(from: number, to: number): Uint8Array | undefined {
    const parts: Uint8Array[] = [];
    for (let place = from; place < to; place += BLOCK_BYTES) {
      const hash = at(this.#wanted, place / BLOCK_BYTES);
      const block = this.#places.get(toHex(hash));
      if (block === undefined || !sameHash(at(this.#own, block), hash)) return undefined;
      const size = Math.min(BLOCK_BYTES, to - place);
      const part = this.#file.subarray(block * BLOCK_BYTES, block * BLOCK_BYTES + size);
      if (part.length !== size) return undefined;
      parts.push(part);
    }
    return joinBytes(...parts);
  }
}
