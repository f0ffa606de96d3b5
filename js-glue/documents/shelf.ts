/** Documents in the engine's own database: accepted states, the edits that wait for the server, and the cursors. */

import { after, joinBytes, sameBytes, utf8 } from "../core/bytes.ts";
import type { EditName } from "../core/documents-core.ts";
import type { Expectation, KeyRange, Store, StoredRecord } from "../core/ports.ts";
import { comparedServer, incarnationOf, SERVER_KEY } from "../core/server-record.ts";
import {
  collectionRange,
  cursorKey,
  cursorRange,
  type DocumentName,
  deferredRange,
  editOfRecord,
  editRange,
  entityOf,
  everyRecord,
  journalRange,
  nameOfRecord,
  pendingChunk,
  pendingOfSpace,
  pendingRange,
  queuedRange,
  resentKey,
  settlingRange,
  spaceOfCursor,
  stateChunk,
  stateRange,
  statesOfSpace,
  stoodChunk,
  stoodRange,
} from "./names.ts";

/** Larger values go to files of their own in Chromium and can take a whole cursor down. */
const CHUNK_BYTES_MAX = 48_000;
const SCAN_MAX = 256;

export interface StoredEdit extends EditName {
  readonly delta: Uint8Array;
}

/** An edit of this device that waits for the server. */
export interface WaitingEdit {
  readonly name: DocumentName;
  readonly edit: StoredEdit;
}

export interface StoredDocument {
  /** Empty = the server has said nothing yet. */
  readonly accepted: Uint8Array;
  readonly pending: readonly StoredEdit[];
}

/** An edit in a dead letter; `delta` is all of it unless it is named. */
export interface RefusedEdit {
  readonly name: DocumentName;
  readonly edit: EditName | undefined;
  readonly delta: Uint8Array;
}

/** What a pull writes, all or nothing. */
export interface Pulled {
  readonly states: readonly { readonly name: DocumentName; readonly state: Uint8Array }[];
  readonly settled: readonly { readonly name: DocumentName; readonly edit: EditName }[];
  /** What edits that wait stood on until now, as a fold or a snapshot takes it away. */
  readonly stood: readonly { readonly name: DocumentName; readonly state: Uint8Array }[];
  /** They are all there is: what a restored server does not know is gone, as long as nobody makes it again. */
  readonly isWhole?: boolean | undefined;
}

export class Shelf {
  readonly #store: Store;
  /** The server of `hasResent`, as read or found here last. */
  #resentTo: string | undefined;

  constructor(store: Store) {
    this.#store = store;
  }

  async #all(range: KeyRange): Promise<readonly StoredRecord[]> {
    const found: StoredRecord[] = [];
    let { from } = range;
    for (;;) {
      const page = await this.#store.scan({ from, to: range.to }, SCAN_MAX);
      found.push(...page);
      const last = page.at(-1);
      if (!last || page.length < SCAN_MAX) return found;
      from = joinBytes(last.key, Uint8Array.of(0));
    }
  }

  async load(name: DocumentName): Promise<StoredDocument> {
    // In this order: an edit that is accepted meanwhile is found twice, which is harmless, and never not at all.
    const pending = await this.pending(name);
    const chunks = await this.#all(stateRange(name));
    return { accepted: joinBytes(...chunks.map(({ value }) => value)), pending };
  }

  /** Edits of this device that the server has not judged, as far as it is known here. */
  async pending(name: DocumentName): Promise<readonly StoredEdit[]> {
    const edits: StoredEdit[] = [];
    for (const { key, value } of await this.#all(pendingRange(name))) {
      const edit = editOfRecord(key);
      const last = edits.at(-1);
      if (last?.epoch === edit.epoch && last.n === edit.n)
        edits.splice(-1, 1, { ...edit, delta: joinBytes(last.delta, value) });
      else edits.push({ ...edit, delta: value });
    }
    return edits;
  }

  /** The keys of all documents of a collection that are stored here in any form. */
  async names(space: string, collection: string): Promise<readonly string[]> {
    const names = await this.#names((letter) => collectionRange(space, collection, letter));
    return names.map(({ key }) => key);
  }

  /** Documents of the space that the server has told of. */
  acceptedNames(space: string): Promise<readonly DocumentName[]> {
    return this.#names(() => statesOfSpace(space), ["a"]);
  }

  /** Every document of every space. */
  everything(): Promise<readonly DocumentName[]> {
    return this.#names(everyRecord);
  }

  async #names(
    range: (letter: "a" | "p") => KeyRange,
    letters: readonly ("a" | "p")[] = ["a", "p"],
  ): Promise<readonly DocumentName[]> {
    const names = new Map<string, DocumentName>();
    for (const letter of letters)
      for (const { key } of await this.#all(range(letter))) {
        const name = nameOfRecord(key);
        if (name) names.set(entityOf(name), name);
      }
    return [...names].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => name);
  }

  async cursors(): Promise<ReadonlyMap<string, string>> {
    const text = new TextDecoder();
    return new Map((await this.#all(cursorRange)).map(({ key, value }) => [spaceOfCursor(key), text.decode(value)]));
  }

  async cursor(space: string): Promise<string | undefined> {
    return (await this.cursors()).get(space);
  }

  /** Whether an edit of this device waits for the server. */
  async hasPending(space: string): Promise<boolean> {
    return (await this.#store.scan(pendingOfSpace(space), 1)).length > 0;
  }

  /**
   * Whether the cursor's server has been sent, as far as it had to be, what one before it had taken: such edits wait no longer, and
   * have seen nothing of what is folded meanwhile. Found once for each server, and kept.
   */
  async hasResent(cursor: string): Promise<boolean> {
    const server = incarnationOf(cursor);
    if (this.#resentTo === server) return true;
    const [kept] = await this.#store.scan({ from: resentKey, to: after(resentKey) }, 1);
    this.#resentTo = kept && new TextDecoder().decode(kept.value);
    if (this.#resentTo === server) return true;
    // In this order: whatever is taken out of what is settled is in the queue by then.
    const [record] = await this.#store.scan({ from: SERVER_KEY, to: after(SERVER_KEY) }, 1);
    const isCompared = record !== undefined && comparedServer(record.value) === server;
    for (const range of [...(isCompared ? [] : [settlingRange]), queuedRange, deferredRange])
      if ((await this.#store.scan(range, 1)).length > 0) return false;
    // On a full disk it is found out once more by the next page; nobody's pull fails for it.
    await this.keep([{ key: resentKey, value: utf8(server) }]).catch(() => undefined);
    this.#resentTo = server;
    return true;
  }

  async waiting(space: string): Promise<readonly WaitingEdit[]> {
    const names = await this.#names(() => pendingOfSpace(space), ["p"]);
    const found: WaitingEdit[] = [];
    for (const name of names) for (const edit of await this.pending(name)) found.push({ name, edit });
    return found;
  }

  /** Whether an event waits at the server for others of its entity. */
  async hasDeferred(): Promise<boolean> {
    return (await this.#store.scan(deferredRange, 1)).length > 0;
  }

  /** Whether calls of a page that began without an engine are not in the queue yet. */
  async hasJournal(): Promise<boolean> {
    return (await this.#store.scan(journalRange, 1)).length > 0;
  }

  // --- what old edits stood on ------------------------------------------------------------------------------------------

  /** The accepted state before a fold or a snapshot, with the old edits that were made again since; undefined = none. */
  async stood(name: DocumentName): Promise<Uint8Array | undefined> {
    const chunks = await this.#all(stoodRange(name));
    if (chunks.length === 0) return undefined;
    const bytes = joinBytes(...chunks.map(({ value }) => value));
    return bytes.slice(4, 4 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(0));
  }

  /** Replace what stands there, if they are written in one transaction. */
  stoodRecords(name: DocumentName, state: Uint8Array): readonly StoredRecord[] {
    // Its size comes first: chunks of a longer one may be left behind it.
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, state.length);
    return chunksOf(joinBytes(size, state)).map((value, chunk) => ({ key: stoodChunk(name, chunk), value }));
  }

  /** Documents of the space that a snapshot replaces under edits that wait, as they are now. */
  async standing(space: string): Promise<Pulled["stood"]> {
    const found: { name: DocumentName; state: Uint8Array }[] = [];
    for (const name of await this.#names(() => pendingOfSpace(space), ["p"])) {
      const { accepted } = await this.load(name);
      if (accepted.length > 0 && !(await this.stood(name))) found.push({ name, state: accepted });
    }
    return found;
  }

  /** What is accepted now, unless something older is kept already. */
  async keepStood(name: DocumentName): Promise<void> {
    const { accepted } = await this.load(name);
    if (accepted.length > 0 && !(await this.stood(name))) await this.keep(this.stoodRecords(name, accepted));
  }

  async keep(puts: readonly StoredRecord[]): Promise<void> {
    await this.#store.commit({ level: "durable", expects: [], deletes: [], puts });
  }

  /** Nothing of this device is too old, or has become so. */
  async forgetStood(): Promise<void> {
    const deletes: KeyRange[] = [];
    for (const { key } of await this.#all(everyRecord("b"))) {
      const name = nameOfRecord(key);
      if (name && (await this.pending(name)).length === 0) deletes.push(stoodRange(name));
    }
    if (deletes.length > 0) await this.#store.commit({ level: "durable", expects: [], deletes, puts: [] });
  }

  // --- edits and changes ------------------------------------------------------------------------------------------------

  pendingRecords(name: DocumentName, edit: StoredEdit): readonly StoredRecord[] {
    return chunksOf(edit.delta).map((value, chunk) => ({ key: pendingChunk(name, edit, chunk), value }));
  }

  /** Those that still wait here: edits in dead letters are no longer part of their documents, whoever stored the letter. */
  async waitingAmong(refused: readonly RefusedEdit[]): Promise<readonly WaitingEdit[]> {
    const waiting: WaitingEdit[] = [];
    for (const one of refused)
      for (const edit of await this.pending(one.name)) if (isSame(one, edit)) waiting.push({ name: one.name, edit });
    return waiting;
  }

  async forget(name: DocumentName, edit: EditName): Promise<void> {
    await this.#store.commit({ level: "durable", expects: [], deletes: [editRange(name, edit)], puts: [] });
  }

  /**
   * Stores what was pulled from `before` on, if the space still stands there. Rejects with `storage_conflict` when another
   * context was first; nothing is written then.
   */
  async pulled(
    space: string,
    before: string | undefined,
    cursor: string,
    { states, settled, stood, isWhole }: Pulled,
  ): Promise<void> {
    const key = cursorKey(space);
    const expect: Expectation =
      before === undefined
        ? { kind: "absent", key, value: new Uint8Array(0) }
        : { kind: "equals", key, value: utf8(before) };
    const puts: StoredRecord[] = [{ key, value: utf8(cursor) }];
    const deletes: KeyRange[] = isWhole ? [statesOfSpace(space)] : [];
    for (const { name, state } of states) {
      deletes.push(stateRange(name));
      puts.push(...chunksOf(state).map((value, chunk) => ({ key: stateChunk(name, chunk), value })));
    }
    for (const { name, edit } of settled) deletes.push(editRange(name, edit));
    for (const { name, state } of stood) puts.push(...this.stoodRecords(name, state));
    // The server has it all; but the next request says that it is stored here, and what all have stored is folded away. A power
    // cut must not take that back under edits that are made then.
    await this.#store.commit({ level: "strict", expects: [expect], deletes, puts });
  }
}

/** Whether the letter is that of this edit of its document. */
export const isSame = ({ edit, delta }: RefusedEdit, waiting: StoredEdit): boolean =>
  edit ? edit.epoch === waiting.epoch && edit.n === waiting.n : sameBytes(waiting.delta, delta);

const chunksOf = (bytes: Uint8Array): readonly Uint8Array[] =>
  Array.from({ length: Math.ceil(bytes.length / CHUNK_BYTES_MAX) }, (_, chunk) =>
    bytes.slice(chunk * CHUNK_BYTES_MAX, (chunk + 1) * CHUNK_BYTES_MAX),
  );
