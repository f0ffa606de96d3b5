/**
 * Edits on their way into the engine's queue. One that is larger than an event travels in parts; the edit's own record is
 * stored with the last one, so there is either the whole edit here or none.
 */

import type { OfflineSync, Receipt } from "../browser/client.ts";
import { toBase64 } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
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
}

export class EditQueue {
  readonly #options: EditQueueOptions;
  /** By document: an edit in parts that is being queued, and what was made behind it. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(options: EditQueueOptions) {
    this.#options = options;
  }

  /** Resolves when all of it is stored; later edits of the document follow it. Rejects as the engine's queue does. */
  async queue(name: DocumentName, edit: StoredEdit): Promise<Receipt> {
    const { length } = edit.delta;
    if (length > EDIT_BYTES_MAX)
      throw failure("event_too_large", `one edit of a document has at most ${EDIT_BYTES_MAX} bytes`);
    const at = entityOf(name);
    const before = this.#turns.get(at);
    if (!before && length <= PART_BYTES_MAX) return this.#store(name, edit);
    const turn = (before ?? Promise.resolve()).then(() => this.#store(name, edit));
    const ended = turn.catch(() => undefined); // told to whoever made the edit
    this.#turns.set(at, ended);
    ended.then(() => {
      if (this.#turns.get(at) === ended) this.#turns.delete(at);
    });
    return turn;
  }

  async #store(name: DocumentName, edit: StoredEdit): Promise<Receipt> {
    const { engine, replicas, shelf, channel, failed } = this.#options;
    const { parts } = engine;
    const events = eventsOf(name, edit);
    const last = events.pop() as ReturnType<typeof eventsOf>[number];
    // Whatever the durability of the edit: with its last part, all of it is there.
    await Promise.all(events.map((event) => parts.queue({ ...event, durability: "strict" }, [])));
    const receipt = await parts.queue(last, shelf.pendingRecords(name, edit));
    replicas.stored(name, edit);
    const { space, key } = name;
    const { epoch, n, delta } = edit;
    channel.post({ say: "edit", space, key, delta });
    receipt.synced.then(
      ({ kind }) => {
        if (kind === "applied" || kind === "duplicate") return;
        // Rejected or passed over: it will never be part of the document. Its dead letter keeps it.
        replicas.drop(name, edit);
        channel.post({ say: "dropped", space, key, edit: { epoch, n } });
        shelf.forget(name, edit).catch(failed);
      },
      () => undefined, // closed: the change order says it again
    );
    return receipt;
  }
}

function eventsOf(name: DocumentName, edit: StoredEdit) {
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
      ...(of > 1 && { part: { edit: writeEditName(edit), k: i + 1, of } }),
    },
  }));
}
