/** A file of known size and ETag, as HTTP asks for it: whole, a part, or nothing because the asker has it. */

import { problem } from "./problem.ts";
import type { Context, Result } from "./route.ts";

export interface Part {
  /** Up to, not including, `to`. */
  readonly from: number;
  readonly to: number;
}

const plain = /^(\d{0,15})-(\d{0,15})$/;

/** One range; undefined for what is none or names several, which is answered with the whole; null when nothing lies there. */
export function parseRange(header: string, size: number): Part | undefined | null {
  const [, first = "", last = ""] = /^bytes=/.test(header) ? (plain.exec(header.slice("bytes=".length)) ?? []) : [];
  if (first === "" && last === "") return undefined;
  if (first === "") return Number(last) === 0 ? null : { from: Math.max(0, size - Number(last)), to: size };
  const from = Number(first);
  if (last !== "" && Number(last) < from) return undefined;
  return from >= size ? null : { from, to: last === "" ? size : Math.min(size, Number(last) + 1) };
}

const one = (value: string | string[] | undefined): string | undefined =>
  typeof value === "string" ? value : undefined;

const names = (list: string | undefined, etag: string): boolean =>
  (list ?? "").split(",").some((item) => item.trim().replace(/^W\//, "") === etag || item.trim() === "*");

/** Answers a GET; `read` is asked only for what is sent. */
export async function sendRange(
  headers: Context["headers"],
  file: { readonly size: number; readonly etag: string; readonly headers: Readonly<Record<string, string>> },
  read: (part: Part) => Promise<Uint8Array>,
): Promise<Result> {
  const { size, etag } = file;
  const shared = { ...file.headers, etag, "accept-ranges": "bytes" };
  if (names(one(headers["if-none-match"]), etag)) return { status: 304, headers: shared };
  const ifRange = one(headers["if-range"]);
  const range = ifRange === undefined || ifRange === etag ? one(headers["range"]) : undefined;
  const part = range === undefined ? undefined : parseRange(range, size);
  if (part === null) {
    const refused = problem(416, "range_not_satisfiable", "nothing lies in this range", "");
    return { ...refused, headers: { ...refused.headers, "content-range": `bytes */${size}` } };
  }
  const typed = { ...shared, "content-type": "application/octet-stream" };
  if (!part) return { status: 200, headers: typed, body: await read({ from: 0, to: size }) };
  const place = `bytes ${part.from}-${part.to - 1}/${size}`;
  return { status: 206, headers: { ...typed, "content-range": place }, body: await read(part) };
}
