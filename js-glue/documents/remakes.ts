/**
 * Edits that the server refused because what they stood on is folded away (`stale_edit`): made again on top of what the server
 * has now, as edits of their own, and then their dead letters go.
 *
 * An edit is refused for good before it is made again, and the new event names it in its dedupe key: so it takes effect once,
 * whichever tabs try, and however often. What has nothing left to stand on stays in the dead letter.
 */

import type { OfflineSync } from "../browser/client.ts";
import { systemCrypto } from "../browser/contexts.ts";
import { joinBytes, toHex, utf8 } from "../core/bytes.ts";
import type { EditQueue } from "./edit-queue.ts";
import { isStale, isWhole, type Letter } from "./letters.ts";
import { type DocumentName, entityOf } from "./names.ts";
import type { Replicas } from "./replicas.ts";
import type { Shelf } from "./shelf.ts";

export interface RemakesOptions {
  readonly engine: OfflineSync;
  readonly replicas: Replicas;
  readonly shelf: Shelf;
  readonly edits: EditQueue;
  /** Resolves when everything the server has of the space is here. */
  readonly pull: (space: string) => Promise<void>;
}

export class Remakes {
  readonly #options: RemakesOptions;
  /** By document: old edits are made again in the order they were made in. */
  readonly #turns = new Map<string, Promise<void>>();

  constructor(options: RemakesOptions) {
    this.#options = options;
  }

  /** `old` is all of the refused edit, `letter` its dead letter. Rejects with `offline`: the letter is still there then. */
  again(name: DocumentName, old: Uint8Array, letter: string): Promise<void> {
    const at = entityOf(name);
    const before = this.#turns.get(at) ?? Promise.resolve();
    const turn = before.then(() => this.#again(name, old, letter));
    const ended = turn.catch(() => undefined); // told to whoever asked
    this.#turns.set(at, ended);
    ended.then(() => {
      if (this.#turns.get(at) === ended) this.#turns.delete(at);
    });
    return turn;
  }

  /** What was refused as too old while nobody was there to make it again; of an edit in parts, whoever pulls has the record. */
  async all(refused: readonly Letter[]): Promise<void> {
    const old = refused.filter((letter) => isStale(letter) && isWhole(letter));
    for (const { name, delta, letter } of old) await this.again(name, delta, letter);
    await this.#options.shelf.forgetStood();
  }

  async #again(name: DocumentName, old: Uint8Array, letter: string): Promise<void> {
    const { engine, replicas, shelf, edits, pull } = this.#options;
    await pull(name.space); // the fold, or the snapshot, that made it old
    const remade = await replicas.remake(name, old);
    // Without what it stood on nobody knows what its writer looked at; made again before, it only waits to be forgotten.
    if (!remade || remade.known) return;
    const hash = await systemCrypto.sha256(joinBytes(utf8(`${entityOf(name)}\0`), old));
    const key = `remade ${toHex(hash.subarray(0, 16))}`;
    const stood = shelf.stoodRecords(name, remade.stoodOn);
    if (remade.contested.length > 0) await edits.propose(name, remade.contested, key);
    if (remade.edit) await edits.queue(name, remade.edit, { dedupeKey: key, riders: stood });
    else await shelf.keep(stood);
    if (remade.stranded === 0) await engine.deadLetters.drop(letter);
  }
}
