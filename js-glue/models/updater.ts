/**
 * Brings a model up to date: the blocks this device lacks, then one swap.
 *
 * Of a table of recommendations the changed rows are loaded, where the registry says them; of every other file the blocks
 * that changed. What an earlier version already holds is not loaded again; what an interrupted attempt has loaded is kept. Whole-file
 * SHA-256 and whatever `accept` asks come before the swap; when pieces do not add up, the file is loaded whole, once.
 * Until the swap's transaction has ended the old version answers, whatever happens; what has expired is taken no more,
 * but never taken away.
 */

import { joinBytes, toHex } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import { applyDelta } from "../core/file-delta.ts";
import { blockHashes, compareVersions } from "../core/model-statement.ts";
import { RECORD_BYTES } from "./blobs.ts";
import { KnownBlocks } from "./known-blocks.ts";
import {
  type Choice,
  checkExpiry,
  chooseEntry,
  type Manifest,
  type ManifestEntry,
  readManifest,
  type Verifier,
} from "./manifest.ts";
import type { ModelStore } from "./model-store.ts";

/** The way to one registry; a path is below its base. Rejects with `offline` when there is no answer. */
export interface Registry {
  /** Tells this registry from others, in storage. */
  readonly name: string;
  /** The signed manifest, as text. */
  manifest(): Promise<string>;
  /** The list of hashes of a file's blocks. */
  blocks(id: string): Promise<Uint8Array>;
  /** What makes the file out of the one with this SHA-256 (core/file-delta.ts); undefined = load it otherwise. */
  delta?(id: string, from: string): Promise<Uint8Array | undefined>;
  /** Bytes `from` up to, not including, `to`. */
  range(id: string, from: number, to: number): Promise<Uint8Array>;
}

/** What an update did. */
export interface UpdateReport {
  readonly updated: boolean;
  readonly version: string;
  /** Bytes of the file that travelled, its block hashes included. */
  readonly loaded: number;
  readonly total: number;
}

export interface UpdaterOptions {
  readonly store: ModelStore;
  readonly registry: Registry;
  readonly verifier: Verifier;
  readonly keys: readonly Uint8Array[];
  /** The host's clock, in milliseconds since 1970. */
  readonly now: () => number;
  /** Rejects for a file that cannot be used here, though it is the one that was signed: then it never comes into use. */
  readonly accept?: ((file: Uint8Array, entry: ManifestEntry) => Promise<void> | void) | undefined;
}

/** Brings models up to date from a registry, block by block; the old one answers until the new one is whole. */
export class ModelUpdater {
  readonly #options: UpdaterOptions;

  constructor(options: UpdaterOptions) {
    this.#options = options;
  }

  /**
   * Rejects as `readManifest` does; with `rewound` for a manifest older than one this device has seen, or without an end
   * where one with an end was seen; with `expired` for one whose end has come.
   */
  async manifest(): Promise<Manifest> {
    const { store, registry, keys, verifier } = this.#options;
    const manifest = await readManifest(await registry.manifest(), keys, verifier);
    await store.sawManifest(registry.name, manifest);
    checkExpiry("the registry's manifest", manifest.expiresAt, this.#now(manifest));
    return manifest;
  }

  /** No clock is believed that says the list in hand is not written yet: one set back makes nothing valid again. */
  #now({ issuedAt }: Manifest): number {
    return Math.max(this.#options.now(), issuedAt);
  }

  /**
   * Undefined when the registry has nothing of this name for this device. A version that was retired is replaced by what
   * the registry has now, older or not. Rejects with `expired` when the statement of what is to be had has expired, also
   * when it is what this device has: somebody may be holding back what is newer.
   */
  async update(name: string, choice: Choice): Promise<UpdateReport | undefined> {
    const { store, verifier } = this.#options;
    const manifest = await this.manifest();
    const entry = await chooseEntry(manifest, name, choice, verifier);
    if (!entry) return undefined;
    const { version, sha256, bytes, expiresAt } = entry.statement;
    checkExpiry(`the statement of model ${name} ${version}`, expiresAt, this.#now(manifest));
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
    const { sha256 } = entry.statement;
    let loaded = await this.#stage(name, entry, true);
    try {
      await this.#swap(name, entry);
    } catch (error) {
      if ((error as { code?: unknown }).code !== "checksum") throw error;
      // The pieces do not add up: begin again with nothing but the registry's own bytes.
      await store.discard(name, sha256);
      loaded += await this.#stage(name, entry, false);
      await this.#swap(name, entry).catch(async (refused: unknown) => {
        await store.discard(name, sha256);
        throw refused;
      });
    }
    return loaded;
  }

  async #swap(name: string, entry: ManifestEntry): Promise<void> {
    const { store, accept } = this.#options;
    const { version, quant, bytes, sha256 } = entry.statement;
    const model = { version, quant, bytes, sha256 };
    await accept?.(await store.stagedFile(name, model), entry);
    await store.swap(name, model);
  }

  /** Stores every record of the file that is missing; returns the bytes that travelled. */
  async #stage(name: string, entry: ManifestEntry, reuse: boolean): Promise<number> {
    const { store, registry } = this.#options;
    const { bytes, sha256 } = entry.statement;
    const staged = await store.staged(name, sha256, bytes);
    const isThere = (index: number, size: number): boolean => staged.get(index)?.length === size;
    const records = Array.from({ length: Math.ceil(bytes / RECORD_BYTES) }, (_, index) => {
      const from = index * RECORD_BYTES;
      return { index, from, to: Math.min(bytes, from + RECORD_BYTES) };
    }).filter(({ index, from, to }) => !isThere(index, to - from));
    if (records.length === 0) return 0;
    const rows = reuse ? await this.#patched(name, entry) : undefined;
    if (rows?.file) {
      for (const { index, from, to } of records) await store.stage(name, sha256, index, rows.file.slice(from, to));
      return rows.loaded;
    }
    const known = reuse ? await this.#knownBlocks(name, entry) : undefined;
    let loaded = (rows?.loaded ?? 0) + (known?.listBytes ?? 0);
    for (const { index, from, to } of records) {
      const parts: Uint8Array[] = [];
      for (const run of known?.runs(from, to) ?? [{ from, to, local: undefined }]) {
        const part = run.local ?? (await registry.range(entry.id, run.from, run.to));
        if (part.length !== run.to - run.from) {
          throw failure("truncated", "the registry sent another number of bytes", { detail: part.length });
        }
        if (!run.local) loaded += part.length;
        parts.push(part);
      }
      await store.stage(name, sha256, index, joinBytes(...parts));
    }
    return loaded;
  }

  /** The file made from the one in use by its changed rows; without `file` when what came does not make it. */
  async #patched(
    name: string,
    { id, statement }: ManifestEntry,
  ): Promise<{ readonly file?: Uint8Array; readonly loaded: number } | undefined> {
    const { store, registry, verifier } = this.#options;
    const current = statement.kind === "history" && registry.delta ? await store.open(name) : undefined;
    const delta = current && (await registry.delta?.(id, current.model.sha256));
    if (!current || !delta) return undefined;
    const loaded = delta.length;
    let file: Uint8Array;
    try {
      file = applyDelta(current.file, delta, statement.bytes);
    } catch {
      return { loaded }; // nonsense: the blocks have hashes that were signed
    }
    return toHex(await verifier.sha256(file)) === statement.sha256 ? { file, loaded } : { loaded };
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
    return new KnownBlocks(wanted, await blockHashes(verifier, current.file), current.file);
  }
}
