/** How documents are named: in the application, on the wire, and as keys of storage records (docs/storage.md). */

import { joinBytes, utf8 } from "../core/bytes.ts";
import type { EditName } from "../core/documents-core.ts";
import { failure } from "../core/errors.ts";
import type { KeyRange } from "../core/ports.ts";

/** The event that carries an edit. */
export const DOCUMENT_EVENT = "oas:document";
/** The principal's own space. */
export const OWN_SPACE = "~";
/** Holds the rules of each collection, as ordinary documents. */
export const SCHEMA_COLLECTION = "$schema";

const COLLECTION = /^[A-Za-z0-9_-]{1,64}$/;
const SPACE = /^(~|[A-Za-z0-9_.:-]{1,64})$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what an id may not hold
const ID = /^[^/\u0000-\u001f]{1,128}$/;
const ENTITY_BYTES_MAX = 256;

export interface DocumentName {
  readonly space: string;
  /** `collection/id`, unique in its space. */
  readonly key: string;
}

export function checkSpace(space: string): string {
  if (typeof space !== "string" || !SPACE.test(space))
    throw failure("invalid_argument", "a space is 1 to 64 letters, digits or one of _ . : -", { path: "space" });
  return space;
}

export function checkCollection(name: string): string {
  if (typeof name !== "string" || !COLLECTION.test(name))
    throw failure("invalid_argument", "a collection is 1 to 64 letters, digits, _ or -", { path: "collection" });
  return name;
}

/** Throws `invalid_argument` for what is no document id. */
export function documentName(space: string, collection: string, id: string): DocumentName {
  if (typeof id !== "string" || !ID.test(id))
    throw failure("invalid_argument", "an id is 1 to 128 characters without / and control characters", { path: "id" });
  const name = { space, key: `${collection}/${id}` };
  if (utf8(entityOf(name)).length > ENTITY_BYTES_MAX)
    throw failure("invalid_argument", `space, collection and id have at most ${ENTITY_BYTES_MAX} bytes together`);
  return name;
}

export const entityOf = ({ space, key }: DocumentName): string => `${space}/${key}`;

export const splitKey = (key: string): { readonly collection: string; readonly id: string } => {
  const at = key.indexOf("/");
  return { collection: key.slice(0, at), id: key.slice(at + 1) };
};

// 'd', a letter, then names each ended by U+0000: sorted, so that a space and a collection are ranges.
const record = (letter: string, ...names: readonly string[]): Uint8Array =>
  utf8(`d${letter}${names.map((name) => `${name}\0`).join("")}`);

// What follows the prefix is text, which holds no byte 0xff.
const below = (prefix: Uint8Array): KeyRange => ({ from: prefix, to: joinBytes(prefix, Uint8Array.of(0xff)) });

// What follows may begin with any byte; the prefix itself ends with U+0000.
const behind = (prefix: Uint8Array): KeyRange => ({
  from: prefix,
  to: joinBytes(prefix.slice(0, -1), Uint8Array.of(1)),
});

/** The accepted state of one document, in chunks numbered from 0. */
export const stateChunk = ({ space, key }: DocumentName, chunk: number): Uint8Array =>
  joinBytes(record("a", space, key), Uint8Array.of(chunk >> 8, chunk & 0xff));
export const statesOfSpace = (space: string): KeyRange => below(record("a", space));
export const stateRange = ({ space, key }: DocumentName): KeyRange => below(record("a", space, key));
/** What edits stood on that may have become too old, in chunks numbered from 0. */
export const stoodChunk = ({ space, key }: DocumentName, chunk: number): Uint8Array =>
  joinBytes(record("b", space, key), Uint8Array.of(chunk >> 8, chunk & 0xff));
export const stoodRange = ({ space, key }: DocumentName): KeyRange => below(record("b", space, key));
export const pendingRange = ({ space, key }: DocumentName): KeyRange => behind(record("p", space, key));
/** All accepted states of a collection; `after` = behind this document. */
export function collectionRange(space: string, collection: string, letter: "a" | "p"): KeyRange {
  const from = utf8(`d${letter}${space}\0${collection}/`);
  return below(from);
}

/** One edit of this device that the server has not judged, in chunks numbered from 0. */
export function pendingChunk({ space, key }: DocumentName, { epoch, n }: EditName, chunk: number): Uint8Array {
  const dot = new DataView(new ArrayBuffer(18));
  dot.setBigUint64(0, epoch);
  dot.setBigUint64(8, BigInt(n));
  dot.setUint16(16, chunk);
  // The first chunk is mostly the only one.
  return joinBytes(record("p", space, key), new Uint8Array(dot.buffer, 0, chunk === 0 ? 16 : 18));
}
/** All chunks of one edit. */
export const editRange = (name: DocumentName, edit: EditName): KeyRange => below(pendingChunk(name, edit, 0));

export const pendingOfSpace = (space: string): KeyRange => below(record("p", space));

/** How far the changes of a space are stored here. */
export const cursorKey = (space: string): Uint8Array => record("c", space);
/** Accepted states, what edits stood on, or edits that wait, of every space. */
export const everyRecord = (letter: "a" | "b" | "p"): KeyRange => below(utf8(`d${letter}`));
export const cursorRange: KeyRange = below(utf8("dc"));
/** The server that this device has sent everything again. */
export const resentKey: Uint8Array = utf8("dr");
/** What the server has acknowledged and a restored one may want again; what waits in the lane of edits (docs/storage.md). */
export const settlingRange: KeyRange = { from: utf8("st"), to: utf8("su") };
export const queuedRange: KeyRange = { from: utf8("sp\x02"), to: utf8("sp\x03") };
/** Segments with events the server has deferred, and calls that no engine has taken over (docs/storage.md). */
export const deferredRange: KeyRange = { from: utf8("sd"), to: utf8("se") };
export const journalRange: KeyRange = { from: utf8("sj"), to: utf8("sk") };
export const spaceOfCursor = (key: Uint8Array): string => new TextDecoder().decode(key.subarray(2, -1));

// Where the names of a state or pending record end: space, key.
function endsOfNames(key: Uint8Array): readonly [number, number] {
  const first = key.indexOf(0, 2);
  return [first, key.indexOf(0, first + 1)];
}

/** The document a state or pending record belongs to. */
export function nameOfRecord(key: Uint8Array): DocumentName | undefined {
  const [first, second] = endsOfNames(key);
  if (first < 0 || second < 0) return undefined;
  const text = new TextDecoder();
  return { space: text.decode(key.subarray(2, first)), key: text.decode(key.subarray(first + 1, second)) };
}

/** The name of the edit in a pending record's key. */
export function editOfRecord(key: Uint8Array): EditName {
  const dot = new DataView(key.buffer, key.byteOffset + endsOfNames(key)[1] + 1, 16);
  return { epoch: dot.getBigUint64(0), n: Number(dot.getBigUint64(8)) };
}

/** The edit as events name it. */
export const writeEditName = ({ epoch, n }: EditName): string => `${epoch.toString(16)}.${n}`;

export function readEditName(text: unknown): EditName | undefined {
  const [, epoch, n] = (typeof text === "string" && /^([0-9a-f]{1,16})\.([0-9]{1,16})$/.exec(text)) || [];
  return epoch !== undefined && n !== undefined ? { epoch: BigInt(`0x${epoch}`), n: Number(n) } : undefined;
}
