/** Content on its way in and out: values to bytes, answers of a fallback to content. */

import { failure } from "../core/errors.ts";
import { toJson } from "../core/validate.ts";

export type Kind = "json" | "text" | "bytes";

/** Gives content, or a Response whose body is the content. Told the ETag of the copy at hand, to ask conditionally. */
export type Fallback = (known: { readonly etag: string | undefined }) => unknown;

export interface Answer {
  readonly value: unknown;
  readonly etag: string | undefined;
  readonly maxAgeMs: number | undefined;
  /** 304: the copy at hand is good. */
  readonly notModified: boolean;
}

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function ttlMs(ttl: number | string | undefined): number | undefined {
  if (ttl === undefined) return undefined;
  if (typeof ttl === "number" && Number.isFinite(ttl) && ttl >= 0) return ttl;
  const [, count = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(String(ttl)) ?? [];
  if (count === "") throw failure("invalid_argument", "ttl is milliseconds or text such as `7d`", { path: "ttl" });
  return Number(count) * (UNITS[unit] ?? 0);
}

export function toBytes(data: unknown): { readonly kind: Kind; readonly bytes: Uint8Array } {
  if (data instanceof Uint8Array) return { kind: "bytes", bytes: data };
  if (data instanceof ArrayBuffer) return { kind: "bytes", bytes: new Uint8Array(data) };
  if (typeof data === "string") return { kind: "text", bytes: new TextEncoder().encode(data) };
  const text = JSON.stringify(data);
  if (text === undefined) toJson(data); // says what is wrong with it
  return { kind: "json", bytes: new TextEncoder().encode(text) };
}

function freeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) freeze(part);
  return Object.freeze(value);
}

export function toValue(kind: Kind, bytes: Uint8Array): unknown {
  if (kind === "bytes") return bytes;
  const text = new TextDecoder().decode(bytes);
  return kind === "text" ? text : freeze(JSON.parse(text) as unknown);
}

async function fromResponse(response: Response): Promise<Answer> {
  const etag = response.headers.get("etag") ?? undefined;
  const control = response.headers.get("cache-control") ?? "";
  const [, seconds] = /(?:^|,\s*)max-age=(\d{1,9})/.exec(control) ?? [];
  const maxAgeMs = seconds === undefined ? undefined : Number(seconds) * 1_000;
  if (response.status === 304) return { value: undefined, etag, maxAgeMs, notModified: true };
  if (!response.ok) throw failure("offline", `the fallback was answered ${response.status}`);
  const type = response.headers.get("content-type") ?? "";
  const read = /\bjson\b/.test(type)
    ? response.json()
    : /^text\//.test(type)
      ? response.text()
      : response.arrayBuffer().then((body) => new Uint8Array(body));
  return { value: (await read) as unknown, etag, maxAgeMs, notModified: false };
}

export async function fromFallback(fallback: Fallback, etag: string | undefined): Promise<Answer> {
  const value = await fallback({ etag });
  if (typeof Response !== "undefined" && value instanceof Response) return fromResponse(value);
  return { value, etag: undefined, maxAgeMs: undefined, notModified: false };
}
