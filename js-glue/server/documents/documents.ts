/**
 * The server's half of documents: takes edits, puts them into the change order, and folds what everybody has seen.
 *
 * An edit is an ordinary event, and all of this happens in the event's transaction. What is refused is said in the change
 * order, too: its numbers are void, and replicas stop waiting for them.
 */

import { Reject, type Subject, type SyncEvent } from "../handlers.ts";
import type { Tx } from "../store/database.ts";
import { Acceptance, type AcceptanceOptions } from "./acceptance.ts";
import { type CollectionOptions, Collections } from "./collections.ts";
import type { MergeCore } from "./core.ts";
import type { Cursor } from "./cursor.ts";
import { type DocumentName, documentEvent, nameOf, nameOfKey, OWN_SPACE, type PartOfEdit, spaceIdOf } from "./names.ts";
import { forgetParts, joinParts, keepPart, type PartsAt } from "./parts.ts";
import { Pokes, type PokesOptions } from "./pokes.ts";
import { sharedWith } from "./reads.ts";
import { findSpace, makeSpace, type Space } from "./rows.ts";
import { type AskedChoice, settle } from "./settling.ts";

export interface DocumentsOptions extends AcceptanceOptions, PokesOptions {}

interface Opened {
  readonly name: DocumentName;
  readonly space: Space;
  /** A piece of the edit, as long as `part` is there. */
  readonly delta: Uint8Array;
  readonly part: PartOfEdit | undefined;
  readonly hold: boolean;
}

export interface OfferedDocument {
  readonly space: string;
  readonly device: Uint8Array;
  readonly key: string;
  readonly delta: Uint8Array;
  /** Where the replica stands; "" = that is not looked at, and it counts as having seen nothing that is folded. */
  readonly cursor: string;
  /** The number of the snapshot that it has compared its states with. */
  readonly comparedTo: number;
}

export class Documents {
  readonly #options: DocumentsOptions;
  readonly #collections = new Collections();
  readonly #acceptance: Acceptance;
  readonly #pokes: Pokes;

  constructor(options: DocumentsOptions) {
    this.#options = options;
    this.#acceptance = new Acceptance(options, this.#collections);
    this.#pokes = new Pokes(options);
  }

  get merge(): MergeCore {
    return this.#options.merge;
  }

  collection(name: string, options: CollectionOptions): void {
    this.#collections.set(name, options);
  }

  // --- edits as events --------------------------------------------------------------------------------------------------

  /**
   * Locks the spaces of these events in one order for all, so that pushes to several of them do not wait for each other.
   * The entity of an edit begins with its space; one that says otherwise only waits longer.
   */
  async prepare({ tenant, principal }: Subject, events: readonly { readonly entity: string }[], tx: Tx): Promise<void> {
    const spaces = new Set(events.map(({ entity }) => spaceIdOf(entity.split("/")[0] ?? "", principal)));
    if (spaces.size < 2) return;
    for (const id of [...spaces].sort()) await findSpace(tx, tenant, id, principal, true);
  }

  /** Handles `oas:document`: throws `Reject` for an edit that is refused for good. */
  async take(event: SyncEvent, tx: Tx): Promise<void> {
    const opened = await this.#open(event, tx);
    const { name, space, part, hold } = opened;
    const before = cursorAt(space);
    const { principal } = event;
    if (space.role === "reader") throw new Reject("read_only", "readers of this space do not write");
    const device = deviceOf(event);
    if (part && part.k < part.of) {
      const piece = { principal, body: opened.delta, receivedAt: this.#options.now() };
      return keepPart(tx, partsAt(event, opened, part), part, piece);
    }
    const delta = await whole(event, opened, tx);
    const settled = await this.#acceptance.accept(tx, space, name, {
      delta,
      principal,
      device,
      again: event.again,
      serverNumbers: 0,
      hold,
    });
    if (settled) this.#pokes.touch(event, space.id, before, settled);
    if (part) await forgetParts(tx, partsAt(event, opened, part));
  }

  /** After a refusal, in the same transaction: says that the edit's numbers are void. */
  async refused(event: SyncEvent, tx: Tx): Promise<void> {
    let opened: Opened;
    let delta: Uint8Array;
    try {
      opened = await this.#open(event, tx);
      const { part, space } = opened;
      // A piece is nothing yet, and who may not write says nothing in the change order, either.
      if ((part && part.k < part.of) || space.role === "reader") return;
      delta = await whole(event, opened, tx);
    } catch (error) {
      if (error instanceof Reject) return; // nobody's space, or no edit: there is nothing to say
      throw error;
    }
    const { name, space } = opened;
    const before = cursorAt(space);
    if (await this.#acceptance.void(tx, space, name, delta)) this.#pokes.touch(event, space.id, before, []);
  }

  async #open(event: SyncEvent, tx: Tx): Promise<Opened> {
    const parsed = documentEvent.safeParse(event.eventData);
    if (!parsed.success) throw new Reject("malformed", parsed.error.issues[0]?.message ?? "no edit of a document");
    const { space: asked, collection, id, delta, part, hold = false } = parsed.data;
    const space = await this.#lock(tx, event, asked);
    if (!space) throw new Reject("not_a_member", "there is no such space");
    return { name: nameOf(collection, id), space, delta: Buffer.from(delta, "base64"), part, hold };
  }

  /** The space, locked; a principal's own one is made at first use. */
  async #lock(tx: Tx, { tenant, principal }: Subject, asked: string): Promise<Space | undefined> {
    const id = spaceIdOf(asked, principal);
    const space = await findSpace(tx, tenant, id, principal, true);
    if (space || asked !== OWN_SPACE) return space;
    await makeSpace(tx, tenant, id, principal, { own: true, name: null, now: this.#options.now() });
    return findSpace(tx, tenant, id, principal, true);
  }

  // --- what else changes documents --------------------------------------------------------------------------------------

  /** Settles a conflict (settling.ts), in the caller's transaction. */
  resolve(
    tx: Tx,
    subject: Subject,
    asked: AskedChoice,
  ): Promise<{ readonly spaceId: string; readonly change: number }> {
    return settle(tx, subject, asked, this.#acceptance, this.#options);
  }

  /**
   * Takes back what a replica of this device still has of a document and this server, restored, has lost, in the caller's
   * transaction; false when nothing was. Throws `Reject`.
   */
  async mend(
    tx: Tx,
    { tenant, principal }: Subject,
    { space: asked, device, key, delta, cursor, comparedTo }: OfferedDocument,
  ): Promise<boolean> {
    const space = await this.#lock(tx, { tenant, principal }, asked);
    if (!space) throw new Reject("not_a_member", "there is no such space");
    if (space.role === "reader") throw new Reject("read_only", "readers of this space do not write");
    // What was folded since the snapshot was read may be what is offered: its numbers are forgotten by then. And numbers of two
    // histories are not the same changes.
    const seenMax = Math.min(comparedTo, await sharedWith(tx, space, this.#options.store.incarnation, cursor));
    const edit = { delta, principal, device, again: false, serverNumbers: 0, hold: false, mends: true, seenMax };
    return (await this.#acceptance.accept(tx, space, nameOfKey(key), edit)) !== undefined;
  }

  /** Folds one document of a locked space up to `cut`; false when nothing of it could be. */
  fold(tx: Tx, space: Space, key: string, cut: number): Promise<boolean> {
    return this.#acceptance.fold(tx, space, key, cut);
  }

  /** The transaction of this device's events was committed: members of the spaces it wrote to are told. False when it wrote to none. */
  flush(tenant: string, device: Uint8Array): boolean {
    return this.#pokes.flush(tenant, device);
  }

  poke(tenant: string, spaceId: string): void {
    this.#pokes.poke(tenant, spaceId);
  }
}

const cursorAt = ({ head, checksum }: Space): Cursor => ({ n: head, checksum });

const deviceOf = ({ deviceId }: SyncEvent): Uint8Array => Uint8Array.from(Buffer.from(deviceId, "hex"));

const partsAt = (event: SyncEvent, { space, name }: Opened, { edit }: PartOfEdit): PartsAt => [
  event.tenant,
  deviceOf(event),
  space.id,
  name.key,
  edit,
];

/** All of the edit whose last piece this is. Throws `Reject` when others are missing. */
const whole = async (event: SyncEvent, opened: Opened, tx: Tx): Promise<Uint8Array> => {
  const { part, delta } = opened;
  return part ? joinParts(tx, partsAt(event, opened, part), part, delta) : delta;
};
