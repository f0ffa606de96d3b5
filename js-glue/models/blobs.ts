/**
 * Values larger than one record, in the store `models`: cut into records below the size at which browsers move a value to
 * a side file, written and replaced in one transaction.
 */

import { joinBytes, utf8 } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import { MODEL_BYTES_MAX } from "../core/model-statement.ts";
import type { KeyRange, Store, StoredRecord } from "../core/ports.ts";

/** 11 blocks of 4 KiB; records stay below 48 kB. */
export const RECORD_BYTES = 45_056;
export const BLOB_BYTES_MAX = MODEL_BYTES_MAX;
const RECORDS_MAX = Math.ceil(BLOB_BYTES_MAX / RECORD_BYTES);

/** `o` (the object store `models`), one letter for what it is, and a name. Names hold no U+0000. */
export function modelKey(letter: string, name: string, ...parts: readonly Uint8Array[]): Uint8Array {
  if (name === "" || name.length > 200 || name.includes("\0")) {
    throw failure("invalid_argument", "a model's name is 1 to 200 characters without U+0000");
  }
  return joinBytes(utf8(`o${letter}${name}\0`), ...parts);
}

/** The least key behind every key that begins with `prefix`, which holds a byte below 0xFF. */
export function behind(prefix: Uint8Array): Uint8Array {
  let end = prefix.length;
  while (prefix[end - 1] === 0xff) end--;
  const key = prefix.slice(0, end);
  key[end - 1] = (key[end - 1] ?? 0) + 1;
  return key;
}

/** Every key that begins with `prefix`. */
export const below = (prefix: Uint8Array): KeyRange => ({ from: prefix, to: behind(prefix) });

export function recordKey(prefix: Uint8Array, index: number): Uint8Array {
  return joinBytes(prefix, Uint8Array.of(index >> 8, index & 0xff));
}

export function blobRecords(prefix: Uint8Array, bytes: Uint8Array): StoredRecord[] {
  if (bytes.length > BLOB_BYTES_MAX) throw failure("limit_exceeded", "too large to store", { detail: BLOB_BYTES_MAX });
  return Array.from({ length: Math.max(1, Math.ceil(bytes.length / RECORD_BYTES)) }, (_, i) => ({
    key: recordKey(prefix, i),
    value: bytes.slice(i * RECORD_BYTES, (i + 1) * RECORD_BYTES),
  }));
}

/** The whole value, or undefined when there is none. */
export async function readBlob(store: Store, prefix: Uint8Array): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const records = await store.scan(below(prefix), RECORDS_MAX);
  return records.length === 0 ? undefined : joinBytes(...records.map(({ value }) => value));
}

const decoder = new TextDecoder();

/** A JSON record, or undefined when it is absent or damaged; with its bytes, for the expectation of the next write. */
export async function readJson(
  store: Store,
  key: Uint8Array,
): Promise<{ readonly value: unknown; readonly bytes: Uint8Array } | undefined> {
  const [record] = await store.scan({ from: key, to: joinBytes(key, Uint8Array.of(0)) }, 1);
  if (!record) return undefined;
  try {
    return { value: JSON.parse(decoder.decode(record.value)) as unknown, bytes: record.value };
  } catch {
    return { value: undefined, bytes: record.value }; // damaged: whoever reads it begins anew
  }
}

export const jsonBytes = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
