/**
 * One record under one key: AES-256-GCM with a random nonce, bound to its place.
 *
 *   'E' | version 1 | key id, 8 bytes | nonce, 12 bytes | ciphertext with its tag of 16 bytes
 *
 * The place goes in as additional data, so a record that was moved, renamed or exchanged for an older one is refused like
 * a changed byte. Nonces are drawn, never counted: a counter comes back with a restored profile and repeats itself.
 */

import { toHex } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";

/** Where a record belongs. Every part is bound; `version` is what the index says the record's version is. */
export interface Place {
  readonly tenant: string;
  readonly device: string;
  readonly store: string;
  readonly record: string;
  readonly version: number;
}

export const KEY_ID_BYTES = 8;
const NONCE_BYTES = 12;
const HEAD_BYTES = 2 + KEY_ID_BYTES + NONCE_BYTES;
export const TAG_BYTES = 16;
export const SEAL_OVERHEAD_BYTES = HEAD_BYTES + TAG_BYTES;
const MAGIC = 0x45;
const VERSION = 1;
const BOUND_AS = "oas-seal-1";

export interface DataKey {
  /** Random, 16 hex digits: names the key in every record, tells nothing about it. */
  readonly id: string;
  readonly key: CryptoKey;
}

const encoder = new TextEncoder();
const HEX = Array.from({ length: 256 }, (_, byte) => toHex(Uint8Array.of(byte)));

/** Length and text of every part: no two places give the same bytes. Into one buffer, since every record comes through here. */
function bind({ tenant, device, store, record, version }: Place): Uint8Array<ArrayBuffer> {
  const parts = [tenant, device, store, record, String(version)];
  const bound = new Uint8Array(BOUND_AS.length + parts.reduce((sum, { length }) => sum + 4 + 3 * length, 0));
  const lengths = new DataView(bound.buffer);
  let at = encoder.encodeInto(BOUND_AS, bound).written;
  for (const part of parts) {
    const { written } = encoder.encodeInto(part, bound.subarray(at + 4));
    lengths.setUint32(at, written, true);
    at += 4 + written;
  }
  return bound.subarray(0, at);
}

const asBuffer = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>;

export const drawNonce = (): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(NONCE_BYTES));

export async function seal({ id, key }: DataKey, place: Place, plain: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const nonce = drawNonce();
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: bind(place) };
  const sealed = await crypto.subtle.encrypt(algorithm, key, asBuffer(plain));
  const record = new Uint8Array(HEAD_BYTES + sealed.byteLength);
  record[0] = MAGIC;
  record[1] = VERSION;
  for (let i = 0; i < KEY_ID_BYTES; i++) record[2 + i] = Number.parseInt(id.slice(2 * i, 2 * i + 2), 16);
  record.set(nonce, 2 + KEY_ID_BYTES);
  record.set(new Uint8Array(sealed), HEAD_BYTES);
  return record;
}

/** The id of the key a record was sealed with. Throws `seal_broken` for what is no record of ours. */
export function keyIdOf(sealed: Uint8Array): string {
  if (sealed.length < SEAL_OVERHEAD_BYTES || sealed[0] !== MAGIC || sealed[1] !== VERSION)
    throw failure("seal_broken", "this is no sealed record");
  let id = "";
  for (let at = 2; at < 2 + KEY_ID_BYTES; at++) id += HEX[sealed[at] ?? 0];
  return id;
}

/** Rejects with `seal_broken` unless exactly these bytes were sealed with this key for this place. */
export async function unseal(key: CryptoKey, place: Place, sealed: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  keyIdOf(sealed);
  const iv = asBuffer(sealed.subarray(2 + KEY_ID_BYTES, HEAD_BYTES));
  const algorithm = { name: "AES-GCM", iv, additionalData: bind(place) };
  try {
    return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, asBuffer(sealed.subarray(HEAD_BYTES))));
  } catch (error) {
    throw failure("seal_broken", "the record was changed, moved or replaced", { cause: error });
  }
}
