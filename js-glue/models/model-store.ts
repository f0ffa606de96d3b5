/**
 * Model files on this device: the one in use, the one before it, and what has been downloaded of the next.
 *
 * Records below `models`: a head a name (which file is in use, which one was), and the files' blocks under the file's own
 * SHA-256. Files never change; swapping writes the head alone, in one transaction that expects the head it read, so a
 * power cut at any moment leaves the old model or the new one. A file is hashed again whenever it is read: a damaged one
 * gives way to the version before it.
 */

import { fromHex, joinBytes, sameBytes, toHex } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Crypto, Expectation, KeyRange, Store } from "../core/ports.ts";
import { below, blobRecords, jsonBytes, modelKey, RECORD_BYTES, readBlob, readJson, recordKey } from "./blobs.ts";

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
    typeof bytes === "number" &&
    typeof sha256 === "string" &&
    /^[0-9a-f]{64}$/.test(sha256);
  return good ? { version, quant, bytes, sha256 } : undefined;
}

const headKey = (name: string): Uint8Array => modelKey("h", name);
const filePrefix = (name: string, sha256: string): Uint8Array =>
  modelKey("f", name, fromHex(sha256) ?? new Uint8Array(32));

export class ModelStore {
  readonly #store: Store;
  readonly #crypto: Crypto;

  constructor(store: Store, crypto: Crypto) {
    this.#store = store;
    this.#crypto = crypto;
  }

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
    if (!(await this.#file(name, model))) throw failure("checksum", `model ${name} ${model.version} is not whole here`);
    await this.#replace(name, (head) => {
      if (head?.current.sha256 === model.sha256) return { ...head, current: model };
      return { current: model, previous: head?.current };
    });
  }

  /** Back to the version before. Rejects with `not_found` when there is none. */
  async rollback(name: string): Promise<StoredModel> {
    const head = await this.#replace(name, (now) => {
      if (!now?.previous) throw failure("not_found", `there is no earlier version of model ${name}`);
      return { current: now.previous, previous: undefined };
    });
    return head.current;
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

  async #file(name: string, { sha256, bytes }: StoredModel): Promise<Uint8Array | undefined> {
    const file = await readBlob(this.#store, filePrefix(name, sha256));
    if (file?.length !== bytes) return undefined;
    return toHex(await this.#crypto.sha256(file)) === sha256 ? file : undefined;
  }

  async #readHead(name: string): Promise<{ readonly head: ModelHead | undefined; readonly expect: Expectation }> {
    const key = headKey(name);
    const found = await readJson(this.#store, key);
    const expect: Expectation = found
      ? { kind: "equals", key, value: found.bytes }
      : { kind: "absent", key, value: new Uint8Array(0) };
    const { current, previous } = (found?.value ?? {}) as Record<string, unknown>;
    const now = readStored(current);
    return { head: now && { current: now, previous: readStored(previous) }, expect };
  }

  async #replace(name: string, change: (head: ModelHead | undefined) => ModelHead): Promise<ModelHead> {
    for (let attempt = 1; ; attempt++) {
      const { head, expect } = await this.#readHead(name);
      const next = change(head);
      const kept = new Set([next.current.sha256, next.previous?.sha256]);
      // A file that is neither in use nor the one before is let go in the same transaction.
      const gone = [head?.previous, head?.current].filter((one) => one && !kept.has(one.sha256));
      const deletes = gone.map((one): KeyRange => below(filePrefix(name, one?.sha256 ?? "")));
      const puts = [{ key: headKey(name), value: jsonBytes(next) }];
      try {
        await this.#store.commit({ level: "strict", expects: [expect], deletes, puts });
        return next;
      } catch (error) {
        if ((error as { code?: unknown }).code !== "storage_conflict" || attempt >= SWAPS_MAX) throw error;
      }
    }
  }
}

/** 128 bits of the SHA-256 of every 4 KiB of a file, one after another: what a delta update compares. */
export async function blockHashes(crypto: Crypto, file: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < file.length; at += BLOCK_BYTES) {
    parts.push((await crypto.sha256(file.subarray(at, at + BLOCK_BYTES))).subarray(0, BLOCK_HASH_BYTES));
  }
  return joinBytes(...parts);
}

export const BLOCK_BYTES = 4_096;
export const BLOCK_HASH_BYTES = 16;
export const sameHash = sameBytes;
