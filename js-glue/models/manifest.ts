/**
 * What a registry says of its models, and why it may be believed.
 *
 * A publisher signs a statement per file (name, version, size, SHA-256, what it needs, how it was measured); the registry
 * signs the list of statements with their roll-out. Both are Ed25519 over the very bytes that travel, by keys the app has
 * pinned; nothing of either is parsed before its signature fits.
 */

import { fromHex, joinBytes, utf8 } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Crypto } from "../core/ports.ts";

export interface Verifier extends Crypto {
  /** `key`: 32 raw bytes. Rejects with `signature` where the host cannot check at all: never skipped. */
  verify(key: Uint8Array, signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

export interface Metric {
  readonly dataset: string;
  readonly split: string;
  readonly metric: string;
  readonly value: number;
  readonly baseline: number;
  readonly n: number;
  readonly ci95: number;
}

export interface ModelStatement {
  /** The model's name. */
  readonly slug: string;
  readonly kind: "text" | "numeric" | "history";
  readonly version: string;
  readonly runtime: string;
  readonly quant: string;
  readonly format: string;
  readonly bytes: number;
  readonly sha256: string;
  /** SHA-256 of the list of block hashes (model-store.ts). */
  readonly blocksSha256: string;
  readonly minCaps: Readonly<Record<string, boolean | number>>;
  readonly metrics: readonly Metric[];
  readonly licence: string;
  readonly attribution: string;
}

export interface Rollout {
  readonly percent: number;
  readonly salt: string;
}

export interface ManifestEntry {
  readonly id: string;
  readonly status: "canary" | "active";
  readonly rollout: Rollout;
  readonly statement: ModelStatement;
}

export interface Manifest {
  /** Milliseconds since 1970; an older manifest than one seen before is not taken. */
  readonly issuedAt: number;
  readonly entries: readonly ManifestEntry[];
}

export const MANIFEST_BYTES_MAX = 1_000_000;
export const MANIFEST_ENTRIES_MAX = 256;
const FILE_BYTES_MAX = 8_000_000;

const STATEMENT_PREFIX = utf8("offline-ai-sync model statement 1\n");
const MANIFEST_PREFIX = utf8("offline-ai-sync model manifest 1\n");

/** The bytes a publisher signs. */
export const statementMessage = (statement: string): Uint8Array<ArrayBuffer> =>
  joinBytes(STATEMENT_PREFIX, utf8(statement));
/** The bytes a registry signs. */
export const manifestMessage = (body: string): Uint8Array<ArrayBuffer> => joinBytes(MANIFEST_PREFIX, utf8(body));

const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function fromBase64(text: unknown, size: number): Uint8Array<ArrayBuffer> | undefined {
  if (typeof text !== "string" || !base64.test(text)) return undefined;
  try {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    return bytes.length === size ? bytes : undefined;
  } catch {
    return undefined; // not base64 after all
  }
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

const wrong = (what: string) => failure("malformed", `model manifest: ${what}`);

function parseObject(text: unknown, what: string): Record<string, unknown> {
  if (typeof text !== "string") throw wrong(`${what} is not text`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw failure("malformed", `model manifest: ${what} is not JSON`, { cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(`${what} is no object`);
  return value as Record<string, unknown>;
}

const short = (value: unknown): value is string => typeof value === "string" && value.length > 0 && value.length <= 200;
const hash = (value: unknown): value is string => typeof value === "string" && fromHex(value)?.length === 32;
const isCaps = (value: unknown): value is ModelStatement["minCaps"] =>
  typeof value === "object" &&
  value !== null &&
  Object.values(value).every((one) => typeof one === "boolean" || Number.isFinite(one));

/** Checks a statement's fields. Throws `malformed` or `limit_exceeded`. */
export function readStatement(text: unknown): ModelStatement {
  const value = parseObject(text, "a statement");
  for (const name of ["slug", "version", "runtime", "quant", "format", "licence", "attribution"]) {
    if (!short(value[name])) throw wrong(`statement.${name}`);
  }
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(value["slug"] as string)) throw wrong("statement.slug");
  if (!/^\d{1,6}\.\d{1,6}\.\d{1,6}$/.test(value["version"] as string)) throw wrong("statement.version");
  if (!["text", "numeric", "history"].includes(value["kind"] as string)) throw wrong("statement.kind");
  if (!hash(value["sha256"]) || !hash(value["blocksSha256"])) throw wrong("statement.sha256");
  const { bytes } = value;
  if (typeof bytes !== "number" || !Number.isInteger(bytes) || bytes < 1) throw wrong("statement.bytes");
  if (bytes > FILE_BYTES_MAX) throw failure("limit_exceeded", "the model is too large", { detail: FILE_BYTES_MAX });
  if (!isCaps(value["minCaps"])) throw wrong("statement.minCaps");
  if (!Array.isArray(value["metrics"])) throw wrong("statement.metrics");
  return value as unknown as ModelStatement;
}

function readRollout(value: unknown): Rollout {
  const { percent, salt } = (value ?? {}) as Record<string, unknown>;
  const good = typeof percent === "number" && Number.isInteger(percent) && percent >= 0 && percent <= 100;
  if (!good || typeof salt !== "string" || salt.length > 200) throw wrong("rollout");
  return { percent, salt };
}

/** Signature first, then shape; throws `signature`, `malformed` or `limit_exceeded`, and believes nothing before. */
export async function readManifest(text: string, keys: readonly Uint8Array[], verifier: Verifier): Promise<Manifest> {
  if (text.length > MANIFEST_BYTES_MAX) {
    throw failure("limit_exceeded", "the manifest is too large", { detail: MANIFEST_BYTES_MAX });
  }
  const { body, signature } = parseObject(text, "the envelope");
  if (typeof body !== "string") throw wrong("the envelope holds no body");
  await checkSignature(verifier, keys, signature, manifestMessage(body), "the manifest");
  const { format, issuedAt, models } = parseObject(body, "the body");
  if (format !== 1) throw failure("version_not_supported", "the manifest has another format");
  if (typeof issuedAt !== "number" || !Number.isFinite(issuedAt)) throw wrong("issuedAt");
  if (!Array.isArray(models)) throw wrong("models");
  if (models.length > MANIFEST_ENTRIES_MAX) {
    throw failure("limit_exceeded", "the manifest names too many models", { detail: MANIFEST_ENTRIES_MAX });
  }
  const entries: ManifestEntry[] = [];
  for (const model of models as unknown[]) {
    const { id, status, rollout, statement, signature: signed } = (model ?? {}) as Record<string, unknown>;
    if (!short(id) || (status !== "canary" && status !== "active") || typeof statement !== "string") {
      throw wrong("an entry");
    }
    await checkSignature(verifier, keys, signed, statementMessage(statement), `model ${id}`);
    entries.push({ id, status, rollout: readRollout(rollout), statement: readStatement(statement) });
  }
  return { issuedAt, entries };
}

/** Where this device stands in a roll-out, 0 to 99; the same device stands elsewhere for another salt. */
export async function rolloutPlace(crypto: Crypto, device: Uint8Array, salt: string): Promise<number> {
  const digest = await crypto.sha256(joinBytes(device, utf8(salt)));
  return new DataView(digest.buffer, digest.byteOffset, 4).getUint32(0) % 100;
}

/** Numeric comparison of `major.minor.patch`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** What this device is able to run; compared with a statement's `minCaps`, number by number and flag by flag. */
export type DeviceCaps = Readonly<Record<string, boolean | number>>;

export const fits = (minCaps: DeviceCaps, caps: DeviceCaps): boolean =>
  Object.entries(minCaps).every(([name, least]) => {
    const have = caps[name];
    return typeof least === "boolean" ? !least || have === true : typeof have === "number" && have >= least;
  });

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
