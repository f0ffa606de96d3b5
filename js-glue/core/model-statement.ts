/**
 * What a publisher says of one model file, as both ends of a registry read it, and the very bytes that are signed.
 *
 * A statement travels and is stored as text: what was signed is never written anew. Block hashes let a device ask for
 * the parts of a file it lacks.
 */

import { fromHex, joinBytes, utf8 } from "./bytes.ts";
import { failure } from "./errors.ts";

export interface Metric {
  readonly dataset: string;
  readonly datasetSha256: string;
  readonly split: string;
  readonly metric: string;
  readonly value: number;
  readonly baseline: number;
  readonly n: number;
  readonly ci95: number;
}

/** What a device must be able to do: a flag it must have, or a number it must reach. */
export type DeviceCaps = Readonly<Record<string, boolean | number>>;

/** What a publisher signs of one model file. */
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
  /** SHA-256 of the list of block hashes. */
  readonly blocksSha256: string;
  readonly minCaps: DeviceCaps;
  readonly metrics: readonly Metric[];
  readonly licence: string;
  readonly attribution: string;
  /** Milliseconds since 1970: when it was signed, and from when on no device takes the file any more. Absent: never. */
  readonly issuedAt?: number;
  readonly expiresAt?: number;
}

/** Which share of devices may have a model yet. */
export interface Rollout {
  /** Of all devices. */
  readonly percent: number;
  /** The same device stands elsewhere for another salt. */
  readonly salt: string;
}

export const MODEL_BYTES_MAX = 8_000_000; // kModelBytesMax
export const STATEMENT_CHARS_MAX = 32_000;
export const MANIFEST_BYTES_MAX = 1_000_000;
export const MANIFEST_ENTRIES_MAX = 256;
const METRICS_MAX = 64;
const CAPS_MAX = 32;

export const BLOCK_BYTES = 4_096;
/** Of each block's SHA-256. */
export const BLOCK_HASH_BYTES = 16;

const STATEMENT_PREFIX = utf8("offline-ai-sync model statement 1\n");
const MANIFEST_PREFIX = utf8("offline-ai-sync model manifest 1\n");

/** The bytes a publisher signs. */
export const statementMessage = (statement: string): Uint8Array<ArrayBuffer> =>
  joinBytes(STATEMENT_PREFIX, utf8(statement));
/** The bytes a registry signs. */
export const manifestMessage = (body: string): Uint8Array<ArrayBuffer> => joinBytes(MANIFEST_PREFIX, utf8(body));

type Fields = Readonly<Record<string, unknown>>;

export const malformed = (what: string, cause?: unknown) => failure("malformed", `model registry: ${what}`, { cause });

/** One JSON object. Throws `malformed`. */
export function parseObject(text: unknown, what: string): Fields {
  if (typeof text !== "string") throw malformed(`${what} is not text`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw malformed(`${what} is not JSON`, error);
  }
  if (!isObject(value)) throw malformed(`${what} is no object`);
  return value;
}

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isShort = (value: unknown): value is string =>
  typeof value === "string" && value.length > 0 && value.length <= 200 && !value.includes("\0");
const isHash = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);

const isCaps = (value: unknown): value is DeviceCaps =>
  isObject(value) &&
  Object.keys(value).length <= CAPS_MAX &&
  Object.values(value).every((one) => typeof one === "boolean" || Number.isFinite(one));

const isMetric = (value: unknown): value is Metric =>
  isObject(value) &&
  ["dataset", "split", "metric"].every((name) => isShort(value[name])) &&
  isHash(value["datasetSha256"]) &&
  ["value", "baseline", "n", "ci95"].every((name) => Number.isFinite(value[name]));

export const isTime = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

/** Checks a statement's fields. Throws `malformed` or `limit_exceeded`. */
export function readStatement(text: unknown): ModelStatement {
  const value = parseObject(text, "a statement");
  if ((text as string).length > STATEMENT_CHARS_MAX) {
    throw failure("limit_exceeded", "the statement is too long", { detail: STATEMENT_CHARS_MAX });
  }
  for (const name of ["format", "licence", "attribution"]) if (!isShort(value[name])) throw malformed(name);
  const shapes = {
    slug: /^[a-z0-9][a-z0-9-]{0,63}$/,
    version: /^\d{1,6}\.\d{1,6}\.\d{1,6}$/,
    runtime: /^[a-z0-9-]{1,32}$/,
    quant: /^[a-z0-9]{1,16}$/,
    kind: /^(text|numeric|history)$/,
  };
  for (const [name, shape] of Object.entries(shapes)) {
    const field = value[name];
    if (typeof field !== "string" || !shape.test(field)) throw malformed(`statement.${name}`);
  }
  if (!isHash(value["sha256"]) || !isHash(value["blocksSha256"])) throw malformed("statement.sha256");
  const { bytes, metrics } = value;
  if (typeof bytes !== "number" || !Number.isInteger(bytes) || bytes < 1) throw malformed("statement.bytes");
  if (bytes > MODEL_BYTES_MAX) throw failure("limit_exceeded", "the model is too large", { detail: MODEL_BYTES_MAX });
  for (const name of ["issuedAt", "expiresAt"])
    if (value[name] !== undefined && !isTime(value[name])) throw malformed(`statement.${name}`);
  if (!isCaps(value["minCaps"])) throw malformed("statement.minCaps");
  if (!Array.isArray(metrics) || metrics.length > METRICS_MAX || !metrics.every(isMetric)) {
    throw malformed("statement.metrics");
  }
  return value as unknown as ModelStatement;
}

/** Throws `malformed`. */
export function readRollout(value: unknown): Rollout {
  const { percent, salt } = isObject(value) ? value : {};
  const isPercent = typeof percent === "number" && Number.isInteger(percent) && percent >= 0 && percent <= 100;
  if (!isPercent || typeof salt !== "string" || salt.length > 200) throw malformed("rollout");
  return { percent, salt };
}

/** The name of one file in a registry. Unambiguous: a slug holds no dot and a version two. */
export const modelId = ({ slug, version, runtime, quant }: ModelStatement): string =>
  `${slug}-${version}-${runtime}-${quant}`;

/** Compares what a file needs with what a device has, number by number and flag by flag. */
export const fits = (minCaps: DeviceCaps, caps: DeviceCaps): boolean =>
  Object.entries(minCaps).every(([name, least]) => {
    const have = Object.hasOwn(caps, name) ? caps[name] : undefined;
    return typeof least === "boolean" ? !least || have === true : typeof have === "number" && have >= least;
  });

/** Numeric comparison of `major.minor.patch`. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (let i = 0; i < 3; i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** 128 bits of the SHA-256 of every 4 KiB of a file, one after another. */
export async function blockHashes(
  { sha256 }: { sha256(bytes: Uint8Array): Promise<Uint8Array> | Uint8Array },
  file: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < file.length; at += BLOCK_BYTES) {
    parts.push((await sha256(file.subarray(at, at + BLOCK_BYTES))).subarray(0, BLOCK_HASH_BYTES));
  }
  return joinBytes(...parts);
}

const base64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** Exactly `size` bytes of base64; undefined for anything else. */
export function fromBase64(text: unknown, size: number): Uint8Array<ArrayBuffer> | undefined {
  if (typeof text !== "string" || !base64.test(text)) return undefined;
  try {
    const chars = atob(text);
    // The last character may hold bits that nobody reads: one text alone stands for these bytes.
    if (chars.length !== size || btoa(chars) !== text) return undefined;
    return Uint8Array.from(chars, (char) => char.charCodeAt(0));
  } catch {
    return undefined; // not base64 after all
  }
}

/** The raw bytes of a hash in hexadecimal that was checked before. */
export const hashBytes = (hex: string): Uint8Array<ArrayBuffer> => fromHex(hex) ?? new Uint8Array(32);
