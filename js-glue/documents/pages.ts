/** Pages of changes as the server sends them, in an answer or with a poke: nothing is believed before it was looked at. */

import { fromBase64 } from "../core/bytes.ts";
import { foreign } from "./asking.ts";
import type { Change } from "./replicas.ts";

export interface ChangesPage {
  readonly cursor: string;
  readonly more: boolean;
  readonly changes: readonly Change[];
}

/** What came with a poke: the page behind a cursor. */
export interface News {
  readonly space: string;
  readonly after: string;
  readonly page: ChangesPage;
}

/** Throws `foreign_reply` for what is no page. */
export function pageOf(body: unknown): ChangesPage {
  const { cursor, more, changes } = (body ?? {}) as Record<string, unknown>;
  if (typeof cursor !== "string" || typeof more !== "boolean" || !Array.isArray(changes)) throw foreign();
  return {
    cursor,
    more,
    changes: changes.map((change: unknown) => {
      const { key, body: bytes } = (change ?? {}) as Record<string, unknown>;
      if (typeof key !== "string") throw foreign();
      return { key, body: bytesOf(bytes) };
    }),
  };
}

/** Undefined for a poke that only says "look", and for one we do not understand. */
export function newsOf(data: string): News | undefined {
  try {
    const news = JSON.parse(data) as Record<string, unknown>;
    const { space, after } = news;
    if (typeof space === "string" && typeof after === "string") return { space, after, page: pageOf(news) };
  } catch {
    // As if nothing had come with it.
  }
  return undefined;
}

/** 0 for what is no change's number. */
export const numberOf = (value: unknown): number => (Number.isSafeInteger(value) ? Math.max(Number(value), 0) : 0);

/** Throws `foreign_reply` for what is no Base64. */
export function bytesOf(text: unknown): Uint8Array {
  const bytes = typeof text === "string" ? fromBase64(text) : undefined;
  if (!bytes) throw foreign();
  return bytes;
}
