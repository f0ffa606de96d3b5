/** Edits in dead letters, as documents read them. */

import { fromBase64 } from "../core/bytes.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { DeadLetter } from "../core/pages.ts";
import { DOCUMENT_EVENT, readEditName } from "./names.ts";
import type { RefusedEdit } from "./shelf.ts";

export interface Letter extends RefusedEdit {
  readonly letter: string;
  readonly code: ErrorCode;
}

/** Refused as too old. */
export const isStale = ({ code }: Letter): boolean => code === "stale_edit";

/** The letter is enough to make the edit again: of one in parts it holds the last one only, and the edit's own record the whole. */
export const isWhole = ({ edit }: Letter): boolean => edit === undefined;

/** Whoever drained the queue. */
export function refusedOf(letters: readonly DeadLetter[]): readonly Letter[] {
  return letters.flatMap(({ id: letter, code, eventType, eventData }) => {
    if (eventType !== DOCUMENT_EVENT) return [];
    const { space, collection, id, delta, part } = (eventData ?? {}) as { readonly [name: string]: unknown };
    const bytes = typeof delta === "string" ? fromBase64(delta) : undefined;
    if (typeof space !== "string" || typeof collection !== "string" || typeof id !== "string" || !bytes) return [];
    const edit = readEditName((part as { readonly edit?: unknown } | undefined)?.edit);
    return [{ name: { space, key: `${collection}/${id}` }, edit, delta: bytes, letter, code }];
  });
}
