/**
 * Model files on this device: the one in use, the one before it, and what has been downloaded of the next.
 *
 * Records below `models`: a head a name (which file is in use, which one was), and the files' records under the file's own
 * SHA-256. Files never change; swapping writes the head and lets every other file go, in one transaction that expects the
 * head it read, so a power cut at any moment leaves the old model or the new one. A file is hashed again whenever it is
 * read: a damaged one gives way to the version before it.
 */

import { compareBytes, sameBytes, toHex } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import { hashBytes, isTime } from "../core/model-statement.ts";
import type { Crypto, Expectation, KeyRange, Store } from "../core/ports.ts";
import {
  behind,
  below,
  blobRecords,
  jsonBytes,
  modelKey,
  RECORD_BYTES,
  readBlob,
  readJson,
  recordKey,
} from "./blobs.ts";

/** One file, by what tells it from others. */
export interface StoredModel {
  readonly version: string;
  readonly quant: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

export interface ModelHead {
  readonly current: StoredModel;
  readonly previous: StoredModel | undefined;
}

const SWAPS_MAX = 5; // other contexts that may get in between, before we give up

function readStored(value: unknown): StoredModel | undefined {
  const { version, quant, bytes, sha256 } = (value ?? {}) as Record<string, unknown>;
  const good =
    typeof version === "string" &&
    typeof quant === "string" &&
    Number.isInteger(bytes) &&
    typeof sha256 === "string" &&
    /^[0-9a-f]{64}$/.test(sha256);
  return good ? { version, quant, bytes: bytes as number, sha256 } : undefined;
}

const headKey = (name: string): Uint8Array => modelKey("h", name);
const filePrefix = (name: string, sha256: string): Uint8Array => modelKey("f", name, hashBytes(sha256));
const seenKey = (registry: string): Uint8Array => modelKey("m", registry);

const expectationOf = (key: Uint8Array, found: { readonly bytes: Uint8Array } | undefined): Expectation =>
  found ? { kind: "equals", key, value: found.bytes } : { kind: "absent", key, value: new Uint8Array(0) };

/** Every file of this name but these: what is between them. */
function otherFiles(name: string, kept: readonly StoredModel[]): readonly KeyRange[] {
  const all = below(modelKey("f", name));
  const prefixes = kept.map(({ sha256 }) => filePrefix(name, sha256)).sort(compareBytes);
  const starts = [all.from, ...prefixes.map(behind)];
  return starts.map((from, i): KeyRange => ({ from, to: prefixes[i] ?? all.to }));
}

/** Model files on this device: the one in use, the one before, and one that is being loaded. */
export class ModelStore {
  readonly #store: Store;
  readonly #crypto: Crypto;

  constructor(store: Store, crypto: Crypto) {
    this.#store = store;
    this.#crypto = crypto;
  }

  /** Which files are here; undefined when there is none. */
  async head(name: string): Promise<ModelHead | undefined> {
    return (await this.#readHead(name)).head;
  }

  /** The file in use, whole and hashed; the one before it when that is damaged. Undefined when there is neither. */
  async open(name: string): Promise<{ readonly file: Uint8Array; readonly model: StoredModel } | undefined> {
    const head = await this.head(name);
    for (const model of [head?.current, head?.previous]) {
      const file = model && (await this.#file(name, model));
      if (file) return { file, model };
    }
    return undefined;
  }

  /** Puts a file in use that has been checked already. Rejects with `checksum` when it is not what `model` says. */
  async install(name: string, model: StoredModel, file: Uint8Array): Promise<void> {
    if (toHex(await this.#crypto.sha256(file)) !== model.sha256 || file.length !== model.bytes) {
      throw failure("checksum", `model ${name} ${model.version} is not the file its description names`);
    }
    const puts = blobRecords(filePrefix(name, model.sha256), file);
    await this.#store.commit({ level: "durable", expects: [], deletes: [], puts });
    await this.swap(name, model);
  }

  /** Makes staged records the file in use. Rejects with `checksum` while they are not whole. */
  async swap(name: string, model: StoredModel): Promise<void> {
    await this.#replace(name, model, (head) => ({
      current: model,
      previous: head?.current.sha256 === model.sha256 ? head.previous : head?.current,
    }));
  }

  /** Back to the version before. Rejects with `not_found` when there is none, with `checksum` when it is damaged. */
  async rollback(name: string): Promise<StoredModel> {
    const { current } = await this.#replace(name, undefined, (head) => {
      if (!head?.previous) throw failure("not_found", `there is no earlier version of model ${name}`);
      return { current: head.previous, previous: undefined };
    });
    return current;
  }

  /** The file as it was staged. Rejects with `checksum` while it is not whole. */
  async stagedFile(name: string, model: StoredModel): Promise<Uint8Array> {
    const file = await this.#file(name, model);
    if (!file) throw failure("checksum", `model ${name} ${model.version} is not whole here`);
    return file;
  }

  /** Keeps one record of a file that is being downloaded; `index` counts records of 45,056 bytes. */
  stage(name: string, sha256: string, index: number, bytes: Uint8Array): Promise<void> {
    const put = { key: recordKey(filePrefix(name, sha256), index), value: bytes };
    return this.#store.commit({ level: "durable", expects: [], deletes: [], puts: [put] });
  }

  /** What has been staged so far, by record number. */
  async staged(name: string, sha256: string, bytes: number): Promise<ReadonlyMap<number, Uint8Array>> {
    const prefix = filePrefix(name, sha256);
    const records = await this.#store.scan(below(prefix), Math.ceil(bytes / RECORD_BYTES) + 1);
    return new Map(
      records.map(({ key, value }) => [((key[prefix.length] ?? 0) << 8) | (key[prefix.length + 1] ?? 0), value]),
    );
  }

  /** Forgets what was staged of a file that turned out to be wrong. */
  discard(name: string, sha256: string): Promise<void> {
    const deletes = [below(filePrefix(name, sha256))];
    return this.#store.commit({ level: "durable", expects: [], deletes, puts: [] });
  }

  /** Every version and everything staged. */
  remove(name: string): Promise<void> {
    const deletes = [below(modelKey("f", name)), below(headKey(name))];
    return this.#store.commit({ level: "durable", expects: [], deletes, puts: [] });
  }

  /**
   * Notes a manifest of this registry. Rejects with `rewound` when a newer one was seen, or this one names no end of its
   * validity and an earlier one did: whoever plays back a list from before there were ends must not win by it.
   */
  async sawManifest(
    registry: string,
    { issuedAt, expiresAt }: { readonly issuedAt: number; readonly expiresAt?: number | undefined },
  ): Promise<void> {
    const key = seenKey(registry);
    await this.#insisting(async () => {
      const found = await readJson(this.#store, key);
      const { issuedAt: at, ends } = (found?.value ?? {}) as Record<string, unknown>;
      const seen = isTime(at) ? at : 0;
      if (issuedAt < seen) throw failure("rewound", "the registry shows an older manifest", { detail: seen });
      if (expiresAt === undefined && ends === true)
        throw failure("rewound", "the registry shows a manifest from before they had an end", { detail: seen });
      const value = jsonBytes({ issuedAt, ends: expiresAt !== undefined });
      if (found && sameBytes(found.bytes, value)) return;
      const puts = [{ key, value }];
      await this.#store.commit({ level: "durable", expects: [expectationOf(key, found)], deletes: [], puts });
    });
  }

  async #file(name: string, { sha256, bytes }: StoredModel): Promise<Uint8Array | undefined> {
    const file = await readBlob(this.#store, filePrefix(name, sha256));
    if (file?.length !== bytes) return undefined;
    return toHex(await this.#crypto.sha256(file)) === sha256 ? file : undefined;
  }

  async #readHead(name: string): Promise<{ readonly head: ModelHead | undefined; readonly expect: Expectation }> {
    const key = headKey(name);
    const found = await readJson(this.#store, key);
    const expect = expectationOf(key, found);
    const { current, previous } = (found?.value ?? {}) as Record<string, unknown>;
    const now = readStored(current);
    return { head: now && { current: now, previous: readStored(previous) }, expect };
  }

  /** `wanted` = undefined: whatever `change` puts in use. Never a file that is not whole. */
  async #replace(
    name: string,
    wanted: StoredModel | undefined,
    change: (head: ModelHead | undefined) => ModelHead,
  ): Promise<ModelHead> {
    return this.#insisting(async () => {
      // The head first: whoever takes a file away meanwhile changes the head, and then we begin again.
      const { head, expect } = await this.#readHead(name);
      const next = change(head);
      await this.stagedFile(name, wanted ?? next.current);
      const deletes = otherFiles(name, [next.current, ...(next.previous ? [next.previous] : [])]);
      const puts = [{ key: headKey(name), value: jsonBytes(next) }];
      await this.#store.commit({ level: "strict", expects: [expect], deletes, puts });
      return next;
    });
  }

  /** Reads and writes again when another context got in between. */
  async #insisting<T>(change: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++)
      try {
        return await change();
      } catch (error) {
        if ((error as { code?: unknown }).code !== "storage_conflict" || attempt >= SWAPS_MAX) throw error;
      }
  }
}
