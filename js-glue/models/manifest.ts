/**
 * What a registry says of its models, and why it may be believed.
 *
 * A publisher signs a statement per file (name, version, size, SHA-256, what it needs, how it was measured); the registry
 * signs the list of statements with their roll-out. Both are Ed25519 over the very bytes that travel, by keys the app has
 * pinned; nothing of either is parsed before its signature fits. Both end: who holds back what is newer can do so only
 * until the old list, or the old statement, has expired.
 */

import { joinBytes, utf8 } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import {
  compareVersions,
  type DeviceCaps,
  fits,
  fromBase64,
  isShort,
  isTime,
  MANIFEST_BYTES_MAX,
  MANIFEST_ENTRIES_MAX,
  type ModelStatement,
  malformed,
  manifestMessage,
  parseObject,
  type Rollout,
  readRollout,
  readStatement,
  statementMessage,
} from "../core/model-statement.ts";
import type { Crypto } from "../core/ports.ts";

/** Checks signatures and hashes; see `webVerifier`. */
export interface Verifier extends Crypto {
  /** `key`: 32 raw bytes. Rejects with `signature` where the host cannot check at all: never skipped. */
  verify(key: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

/** One model of a manifest. */
export interface ManifestEntry {
  readonly id: string;
  readonly status: "canary" | "active";
  readonly rollout: Rollout;
  readonly statement: ModelStatement;
}

/** What a registry has published, checked. */
export interface Manifest {
  /** Milliseconds since 1970; an older manifest than one seen before is not taken. */
  readonly issuedAt: number;
  /** From when on it is refused; undefined = it names no end, as lists of earlier releases do. */
  readonly expiresAt?: number | undefined;
  readonly entries: readonly ManifestEntry[];
}

/** Pinned keys as the app writes them: base64 of 32 bytes. */
export function readKeys(keys: readonly string[]): readonly Uint8Array[] {
  return keys.map((text) => {
    const key = fromBase64(text, 32);
    if (!key) throw failure("invalid_argument", "a pinned key is the base64 of 32 bytes");
    return key;
  });
}

async function checkSignature(
  verifier: Verifier,
  keys: readonly Uint8Array[],
  signature: unknown,
  message: Uint8Array,
  what: string,
): Promise<void> {
  const bytes = fromBase64(signature, 64);
  if (bytes) for (const key of keys) if (await verifier.verify(key, bytes, message)) return;
  throw failure("signature", `${what} is not signed by a pinned key`);
}

/** Signature first, then shape; throws `signature`, `malformed` or `limit_exceeded`, and believes nothing before. */
export async function readManifest(text: string, keys: readonly Uint8Array[], verifier: Verifier): Promise<Manifest> {
  if (text.length > MANIFEST_BYTES_MAX) {
    throw failure("limit_exceeded", "the manifest is too large", { detail: MANIFEST_BYTES_MAX });
  }
  const { body, signature } = parseObject(text, "the envelope");
  if (typeof body !== "string") throw malformed("the envelope holds no body");
  await checkSignature(verifier, keys, signature, manifestMessage(body), "the manifest");
  const { format, issuedAt, expiresAt, models } = parseObject(body, "the body");
  if (format !== 1) throw failure("version_not_supported", "the manifest has another format");
  if (!isTime(issuedAt)) throw malformed("issuedAt");
  if (expiresAt !== undefined && !isTime(expiresAt)) throw malformed("expiresAt");
  if (!Array.isArray(models)) throw malformed("models");
  if (models.length > MANIFEST_ENTRIES_MAX) {
    throw failure("limit_exceeded", "the manifest names too many models", { detail: MANIFEST_ENTRIES_MAX });
  }
  const entries: ManifestEntry[] = [];
  for (const model of models as unknown[]) {
    const { id, status, rollout, statement, signature: signed } = (model ?? {}) as Record<string, unknown>;
    if (!isShort(id) || (status !== "canary" && status !== "active") || typeof statement !== "string") {
      throw malformed("an entry");
    }
    await checkSignature(verifier, keys, signed, statementMessage(statement), `model ${id}`);
    entries.push({ id, status, rollout: readRollout(rollout), statement: readStatement(statement) });
  }
  return { issuedAt, expiresAt, entries };
}

/** Throws `expired` when `expiresAt` has come; what names no end has none. */
export function checkExpiry(what: string, expiresAt: number | undefined, now: number): void {
  if (expiresAt === undefined || now < expiresAt) return;
  throw failure("expired", `${what} has expired`, { detail: expiresAt });
}

/** Where this device stands in a roll-out, 0 to 99; the same device stands elsewhere for another salt. */
export async function rolloutPlace(crypto: Crypto, device: Uint8Array, salt: string): Promise<number> {
  const digest = await crypto.sha256(joinBytes(device, utf8(salt)));
  return new DataView(digest.buffer, digest.byteOffset, 4).getUint32(0) % 100;
}

export interface Choice {
  readonly device: Uint8Array;
  readonly caps: DeviceCaps;
  readonly quant: "int8" | "int4";
}

/**
 * The newest version of `slug` meant for this device: capabilities met, in the roll-out's share, native to the kernels; of
 * its files the wanted quantisation, else whatever there is. Decided here, so the server learns nothing of the device.
 */
export async function chooseEntry(
  { entries }: Manifest,
  slug: string,
  { device, caps, quant }: Choice,
  crypto: Crypto,
): Promise<ManifestEntry | undefined> {
  let best: ManifestEntry | undefined;
  for (const entry of entries) {
    const { statement, rollout } = entry;
    if (statement.slug !== slug || statement.runtime !== "native" || !fits(statement.minCaps, caps)) continue;
    if ((await rolloutPlace(crypto, device, rollout.salt)) >= rollout.percent) continue;
    const newer = best ? compareVersions(statement.version, best.statement.version) : 1;
    if (newer > 0 || (newer === 0 && statement.quant === quant)) best = entry;
  }
  return best;
}
