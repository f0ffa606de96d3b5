/**
 * Edits that wait here though their events have left the queue. Mostly the change order settles an edit, or its receipt says that
 * it was refused. But its tab may be dead, a snapshot may bring it to a document that nobody has open, a fold may pass it, or
 * two tabs have made the same seed. So whoever pulls looks for what is left over: nothing is shown, or waits, for ever.
 */

import type { OfflineSync } from "../browser/client.ts";
import { toBase64 } from "../core/bytes.ts";
import type { EditQueue } from "./edit-queue.ts";
import { isStale, refusedOf } from "./letters.ts";
import { DOCUMENT_EVENT, entityOf, writeEditName } from "./names.ts";
import { isSame, type Shelf, type WaitingEdit } from "./shelf.ts";

export interface LeftoversOptions {
  readonly engine: Pick<OfflineSync, "pending" | "deadLetters">;
  readonly shelf: Shelf;
  readonly edits: Pick<EditQueue, "leave" | "isLeaving">;
  /** The edit was refused as too old; `letter` is its dead letter. */
  readonly stale: (edit: WaitingEdit, letter: string) => Promise<void>;
}

export class Leftovers {
  readonly #options: LeftoversOptions;

  constructor(options: LeftoversOptions) {
    this.#options = options;
  }

  /** Waiting edits of the space that the server has judged: their events are stored here no more. */
  async judged(space: string): Promise<readonly WaitingEdit[]> {
    const { shelf, edits } = this.#options;
    // In this order: an event that leaves the queue in between was judged, and none hides while it moves.
    const waiting = await shelf.waiting(space);
    if (waiting.length === 0 || (await shelf.hasJournal())) return [];
    const queued = await this.#queued();
    // Of a deferred event the list says nothing.
    if (await shelf.hasDeferred()) return [];
    return waiting.filter(
      ({ name, edit }) =>
        !queued.has(writeEditName(edit)) && !queued.has(toBase64(edit.delta)) && !edits.isLeaving(name, edit),
    );
  }

  /** They wait no longer. A pull that began after they were judged has ended: what was taken is here. */
  async leave(judged: readonly WaitingEdit[]): Promise<void> {
    const { engine, edits, stale } = this.#options;
    const old = refusedOf(await engine.deadLetters.export()).filter(isStale);
    for (const { name, edit } of judged) {
      const letter = old.find((one) => entityOf(one.name) === entityOf(name) && isSame(one, edit))?.letter;
      edits.leave(name, edit, letter === undefined ? Promise.resolve() : stale({ name, edit }, letter));
    }
  }

  /** What is on its way: deltas, and the names of those that travel in parts. */
  async #queued(): Promise<ReadonlySet<string>> {
    const { pending } = this.#options.engine;
    const queued = new Set<string>();
    for (let after: string | undefined = ""; after !== undefined; ) {
      const page: Awaited<ReturnType<typeof pending.list>> = await pending.list(after === "" ? {} : { after });
      for (const { eventType, eventData } of page.items) {
        if (eventType !== DOCUMENT_EVENT) continue;
        const { delta, part } = eventData as { delta?: string; part?: { edit?: string } };
        queued.add(part?.edit ?? delta ?? "");
      }
      after = page.next;
    }
    return queued;
  }
}
