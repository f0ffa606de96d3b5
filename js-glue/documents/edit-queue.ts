/**
 * Edits on their way into the engine's queue. One that is larger than an event travels in parts; the edit's own record is
 * stored with the last one, so there is either the whole edit here or none.
 */

import type { OfflineSync, Receipt } from "../browser/client.ts";
import { toBase64 } from "../core/bytes.ts";
import type { EditName } from "../core/documents-core.ts";
import { failure } from "../core/errors.ts";
import type { StoredRecord } from "../core/ports.ts";
import type { DocumentChannel } from "./contexts.ts";
import { DOCUMENT_EVENT, type DocumentName, entityOf, splitKey, writeEditName } from "./names.ts";
import type { Replicas } from "./replicas.ts";
import type { Shelf, StoredEdit } from "./shelf.ts";

/** An event holds 40,000 bytes of JSON; the rest are names and quotes. */
const PART_BYTES_MAX = 29_000;
/** What the server holds of one document. */
const EDIT_BYTES_MAX = 1_000_000;

export interface EditQueueOptions {
  readonly engine: OfflineSync;
  readonly replicas: Replicas;
  readonly shelf: Shelf;
  readonly channel: DocumentChannel;
  readonly failed: (error: unknown) => void;
  /** The edit was refused as too old; `letter` is its dead letter. */
  readonly stale: (name: DocumentName, edit: StoredEdit, letter: string) => Promise<void>;
  /** Resolves when everything the server has of the space is here. */
  readonly pull: (space: string) => Promise<void>;
}

/** What else there is to know of an edit. */
export interface QueueWith {
  /** It only says what is there to begin with: where there is something already, nobody misses it. */
  readonly seed?: boolean | undefined;
  /** An event with this key takes effect once, whoever sends it. */
  readonly dedupeKey?: string | undefined;
  /** Stored in the transaction that stores the edit. */
  readonly riders?: readonly StoredRecord[] | undefined;
}

export class EditQueue {
  readonly #options: EditQueueOptions;
  /** By document: an edit in parts that is being queued, and what was made behind it. */
  readonly #turns = new Map<string, Promise<unknown>>();
  readonly #leaving = new Set<string>();

  constructor(options: EditQueueOptions) {
    this.#options = options;
  }

  /** Resolves when all of it is stored; later edits of the document follow it. Rejects as the engine's queue does. */
  async queue(name: DocumentName, edit: StoredEdit, also: QueueWith = {}): Promise<Receipt> {
    const { length } = edit.delta;
    if (length > EDIT_BYTES_MAX)
      throw failure("event_too_large", `one edit of a document has at most ${EDIT_BYTES_MAX} bytes`);
    const at = entityOf(name);
    const before = this.#turns.get(at);
    if (!before && length <= PART_BYTES_MAX) return this.#store(name, edit, also);
    const turn = (before ?? Promise.resolve()).then(() => this.#store(name, edit, also));
    const ended = turn.catch(() => undefined); // told to whoever made the edit
    this.#turns.set(at, ended);
    ended.then(() => {
      if (this.#turns.get(at) === ended) this.#turns.delete(at);
    });
    return turn;
  }

  /** Asks the server to put this edit on hold; it is not shown here until it does. */
  async propose(name: DocumentName, delta: Uint8Array, dedupeKey: string): Promise<void> {
    const { parts } = this.#options.engine;
    const events = eventsOf(name, { epoch: 0n, n: 0, delta }, { hold: true });
    await Promise.all(
      events.map((event, i) => parts.queue({ ...event, dedupeKey: `${dedupeKey} ${i}`, durability: "strict" }, [])),
    );
  }

  async #store(name: DocumentName, edit: StoredEdit, { seed, dedupeKey, riders = [] }: QueueWith): Promise<Receipt> {
    const { engine, replicas, shelf, channel, stale, pull } = this.#options;
    const { parts } = engine;
    const events = eventsOf(name, edit);
    const last = events.pop() as ReturnType<typeof eventsOf>[number];
    // Whatever the durability of the edit: with its last part, all of it is there.
    await Promise.all(events.map((event) => parts.queue({ ...event, durability: "strict" }, [])));
    const folds = replicas.folds(name);
    const receipt = await parts.queue({ ...last, dedupeKey }, [...shelf.pendingRecords(name, edit), ...riders]);
    replicas.stored(name, edit);
    const { space, key } = name;
    channel.post({ say: "edit", space, key, delta: edit.delta });
    receipt.synced.then(
      ({ kind, code }) => {
        if (kind === "applied" || (kind === "duplicate" && dedupeKey === undefined)) {
          // The change order brings it, unless it was folded before it could be read here.
          if (replicas.folds(name) !== folds) this.leave(name, edit, pull(name.space));
          return;
        }
        const isOld = code === "stale_edit";
        const told = seed ? () => engine.deadLetters.drop(receipt.id) : () => stale(name, edit, receipt.id);
        this.leave(name, edit, isOld ? told() : Promise.resolve());
      },
      () => undefined, // closed: the change order says it again
    );
    return receipt;
  }

  /** It waits no longer, once `done` has ended: it is in what the server has, or never will be. */
  leave(name: DocumentName, edit: StoredEdit, done: Promise<void>): void {
    const { shelf, failed } = this.#options;
    const at = leavingAt(name, edit);
    this.#leaving.add(at);
    done
      .finally(() => {
        this.drop(name, edit);
        return shelf.forget(name, edit);
      })
      // Said again once its record is gone, as far as anybody knows: a context that has read storage in between has it once more.
      .finally(() => this.drop(name, edit))
      .catch(failed)
      .finally(() => this.#leaving.delete(at));
  }

  /** Whether `leave` is at work on it. */
  isLeaving(name: DocumentName, edit: EditName): boolean {
    return this.#leaving.has(leavingAt(name, edit));
  }

  /** It is no longer part of its document, in no context. */
  drop(name: DocumentName, edit: EditName): void {
    this.#options.replicas.drop(name, edit);
    this.#options.channel.post(droppedOf(name, edit));
  }
}

/** What the other contexts are told of an edit that is no longer part of its document. */
export const droppedOf = ({ space, key }: DocumentName, { epoch, n }: EditName) =>
  ({ say: "dropped", space, key, edit: { epoch, n } }) as const;

const leavingAt = (name: DocumentName, edit: EditName): string => `${entityOf(name)} ${writeEditName(edit)}`;

function eventsOf(name: DocumentName, edit: StoredEdit, more: { readonly hold?: true } = {}) {
  const { space, key } = name;
  const { delta } = edit;
  const of = Math.max(1, Math.ceil(delta.length / PART_BYTES_MAX));
  return Array.from({ length: of }, (_, i) => ({
    eventType: DOCUMENT_EVENT,
    entity: entityOf(name),
    eventData: {
      space,
      ...splitKey(key),
      delta: toBase64(delta.subarray(i * PART_BYTES_MAX, (i + 1) * PART_BYTES_MAX)),
      ...more,
      ...(of > 1 && { part: { edit: writeEditName(edit), k: i + 1, of } }),
    },
  }));
}
