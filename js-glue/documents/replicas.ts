/**
 * The documents this context has open: each one a replica in the core, fed by its own edits, the edits of other contexts of
 * this device, and the changes of the server's order.
 */

import type {
  DocumentHandle,
  DocumentsCore,
  Edit,
  EditName,
  Place,
  Remade,
  RulesHandle,
  View,
} from "../core/documents-core.ts";
import { asFailure, failure } from "../core/errors.ts";
import { type DocumentName, entityOf, SCHEMA_COLLECTION, splitKey } from "./names.ts";
import type { Shelf, StoredEdit } from "./shelf.ts";

export type Origin = "local" | "context" | "server";

/** Whose rules: those that this device sees, own edits included, or those that the server has accepted. */
type Sight = "shown" | "accepted";

/** What the core calls the rules of a collection without a schema. */
const DEFAULTS: RulesHandle = 0;
/** How a change begins that folds its document (src/documents/change.h). */
const FOLD = 1;

interface OpenDocument {
  readonly name: DocumentName;
  readonly handle: DocumentHandle;
  /** Own edits on their way to storage. */
  readonly unstored: Map<string, Uint8Array>;
  /** Grows whenever an edit joins or leaves what storage holds. */
  moves: number;
}

/** Edits may come and go while a document is read; it is read again, but not for ever. */
const READS_MAX = 100;

export interface Change {
  readonly key: string;
  readonly body: Uint8Array;
}

/** What `accept` did: states to store and edits that no longer wait. */
export interface Accepted {
  readonly states: readonly { readonly name: DocumentName; readonly state: Uint8Array }[];
  readonly settled: readonly { readonly name: DocumentName; readonly edit: EditName }[];
  /** What edits that wait stood on, where a fold has taken it away. */
  readonly stood: readonly { readonly name: DocumentName; readonly state: Uint8Array }[];
}

/** An old edit, made again. */
export interface RemadeEdit extends Pick<Remade, "known" | "contested" | "stranded" | "stoodOn"> {
  /** Undefined when there is nothing left to do but what is contested, if anything. */
  readonly edit: StoredEdit | undefined;
}

export class Replicas {
  readonly #core: DocumentsCore;
  readonly #shelf: Shelf;
  readonly #open = new Map<string, OpenDocument>();
  readonly #opening = new Map<string, Promise<DocumentHandle>>();
  /** Handles of rules by their text; the core keeps them for good, so equal ones are made once. */
  readonly #rules = new Map<string, RulesHandle>();
  /** The next free number of this context's epoch, per document. */
  readonly #next = new Map<string, number>();
  readonly #epoch: bigint;
  /** The cursor that the open documents of a space stand at; absent while that is not known. */
  readonly #at = new Map<string, string>();
  readonly #turns = new Map<string, Promise<void>>();
  /** By document: how often something was taken away, by a fold or a snapshot, that edits may stand on. */
  readonly #folds = new Map<string, number>();
  readonly #changed: (name: DocumentName, origin: Origin) => void;

  constructor(core: DocumentsCore, shelf: Shelf, epoch: bigint, changed: (name: DocumentName, origin: Origin) => void) {
    this.#core = core;
    this.#shelf = shelf;
    this.#epoch = epoch;
    this.#changed = changed;
  }

  async #document(name: DocumentName): Promise<DocumentHandle> {
    const at = entityOf(name);
    const open = this.#open.get(at);
    if (open) return open.handle;
    let opening = this.#opening.get(at);
    if (!opening) {
      opening = this.#read(name).finally(() => this.#opening.delete(at));
      this.#opening.set(at, opening);
    }
    return opening;
  }

  async #read(name: DocumentName): Promise<DocumentHandle> {
    const { accepted, pending } = await this.#shelf.load(name);
    const { document: handle, settled } = this.#core.open(
      accepted,
      pending.map(({ delta }) => delta),
    );
    this.#open.set(entityOf(name), { name, handle, unstored: new Map(), moves: 0 });
    this.#forget(name, settled);
    return handle;
  }

  /** Edits that a snapshot has brought; a record that stays is only read in vain again. */
  #forget(name: DocumentName, settled: readonly EditName[]): void {
    for (const edit of settled) this.#shelf.forget(name, edit).catch(() => undefined);
  }

  async #on<T>(name: DocumentName, sight: Sight, work: (handle: DocumentHandle, rules: RulesHandle) => T): Promise<T> {
    const rules = await this.#rulesOf(name, sight);
    return work(await this.#document(name), rules);
  }

  async #rulesOf(name: DocumentName, sight: Sight): Promise<RulesHandle> {
    const { collection } = splitKey(name.key);
    if (collection === SCHEMA_COLLECTION) return DEFAULTS;
    const schema = { space: name.space, key: `${SCHEMA_COLLECTION}/${collection}` };
    return this.#on(schema, sight, (handle) => {
      const { json } =
        sight === "accepted"
          ? this.#core.show(this.#core.state(handle), DEFAULTS)
          : this.#core.view(handle, DEFAULTS, false);
      return json === undefined ? DEFAULTS : this.#rulesFrom(json);
    });
  }

  #rulesFrom(json: string): RulesHandle {
    let rules = this.#rules.get(json);
    if (rules === undefined) {
      try {
        rules = this.#core.rules(json);
      } catch (error) {
        if (this.#core.dead || asFailure(error, "internal").code === "limit_exceeded") throw error;
        rules = DEFAULTS; // a schema that says nothing usable, on every replica alike
      }
      this.#rules.set(json, rules);
    }
    return rules;
  }

  /** What is visible; the next edit made here is one of this view. */
  view(name: DocumentName): Promise<View> {
    return this.#on(name, "shown", (handle, rules) => this.#core.view(handle, rules, true));
  }

  /** What is visible, for somebody who does not edit it. */
  peek(name: DocumentName): Promise<View> {
    return this.#on(name, "shown", (handle, rules) => this.#core.view(handle, rules, false));
  }

  /** Undefined when nothing changed. The edit is visible here at once; `drop` takes it back. */
  edit(name: DocumentName, make: (place: Place, at: EditAt) => Edit, seed?: bigint): Promise<StoredEdit | undefined> {
    return this.#on(name, "shown", (handle, rules) => {
      const at = entityOf(name);
      const firstN = seed === undefined ? (this.#next.get(at) ?? 1) : 1;
      const place = { epoch: seed ?? this.#epoch, firstN, wall: seed === undefined ? Date.now() : 0 };
      const { count, delta } = make(place, { core: this.#core, handle, rules });
      if (count === 0) return undefined;
      if (seed === undefined) this.#next.set(at, firstN + count);
      const edit = { epoch: place.epoch, n: firstN, delta };
      this.#open.get(at)?.unstored.set(editAt(edit), delta);
      this.#changed(name, "local");
      return edit;
    });
  }

  /** Grows whenever the change order may have stopped telling of edits that wait here: a fold, or a snapshot instead of it. */
  folds(name: DocumentName): number {
    return this.#folds.get(entityOf(name)) ?? 0;
  }

  #folded(name: DocumentName): void {
    this.#folds.set(entityOf(name), this.folds(name) + 1);
  }

  stored(name: DocumentName, edit: EditName): void {
    const open = this.#open.get(entityOf(name));
    if (!open) return;
    open.unstored.delete(editAt(edit));
    open.moves++;
  }

  /** Makes an edit again that was refused as too old; undefined when nobody knows any more what it stood on. */
  async remake(name: DocumentName, old: Uint8Array): Promise<RemadeEdit | undefined> {
    const stood = await this.#shelf.stood(name);
    if (!stood) return undefined;
    return this.#on(name, "shown", (handle, rules) => {
      const at = entityOf(name);
      const firstN = this.#next.get(at) ?? 1;
      const place = { epoch: this.#epoch, firstN, wall: Date.now() };
      const { edit, ...remade } = this.#core.remake(handle, rules, place, stood, old);
      this.#next.set(at, firstN + edit.count);
      if (edit.delta.length === 0) return { ...remade, edit: undefined };
      const made = { epoch: place.epoch, n: firstN, delta: edit.delta };
      this.#open.get(at)?.unstored.set(editAt(made), made.delta);
      this.#changed(name, "server");
      return { ...remade, edit: made };
    });
  }

  /** Another context made this edit and has stored it. */
  keep(name: DocumentName, delta: Uint8Array): void {
    this.#onceRead(name, (open) => {
      this.#core.keep(open.handle, delta);
      open.moves++;
      this.#changed(name, "context");
    });
  }

  drop(name: DocumentName, edit: EditName): void {
    this.#onceRead(name, (open) => {
      this.stored(name, edit);
      if (this.#core.drop(open.handle, edit)) this.#changed(name, "server");
    });
  }

  /**
   * Another context says that this edit waits no longer. What took its place may be stored, and nobody have told of it: that
   * is read first, or the edit would be shown no more for a while.
   */
  dropped(name: DocumentName, edit: EditName): Promise<void> {
    return this.exclusive(name.space, async () => {
      await this.catchUp(name.space, await this.#shelf.cursor(name.space));
      this.drop(name, edit);
    });
  }

  /** On the open document; one that is being read may have been read before the records changed, so behind that. */
  #onceRead(name: DocumentName, work: (open: OpenDocument) => void): void {
    const at = entityOf(name);
    const open = this.#open.get(at);
    if (open) work(open);
    else
      this.#opening.get(at)?.then(
        () => this.#onceRead(name, work),
        () => undefined, // told to whoever opens it
      );
  }

  /**
   * Nobody else here touches what the server has accepted of this space until `work` has ended. A context's open documents
   * stand at one cursor; changes may be repeated to them, but never left out.
   */
  exclusive<T>(space: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(space) ?? Promise.resolve()).then(work);
    this.#turns.set(
      space,
      turn.then(
        () => undefined,
        () => undefined, // told to whoever asked for it
      ),
    );
    return turn;
  }

  /** What is open here stands at the stored cursor, though nobody said what led to it: that context may be dead. Within `exclusive`. */
  async catchUp(space: string, cursor: string | undefined): Promise<void> {
    if (this.#at.get(space) !== cursor) await this.refresh(space);
  }

  /** Changes in the server's order behind `cursor`. Within `exclusive`; when what follows fails, `refresh`. */
  async accept(space: string, cursor: string | undefined, changes: readonly Change[]): Promise<Accepted> {
    await this.catchUp(space, cursor);
    this.#at.delete(space);
    const stood = await this.#standing(space, changes);
    const settled = await this.#apply(space, changes);
    const states: { name: DocumentName; state: Uint8Array }[] = [];
    for (const key of new Set(changes.map((change) => change.key))) {
      const name = { space, key };
      states.push({ name, state: this.#core.state(await this.#document(name)) });
    }
    return { states, settled, stood };
  }

  /** The server may refuse edits that wait here, once what they stand on is folded. */
  async #standing(space: string, changes: readonly Change[]): Promise<Accepted["stood"]> {
    const stood: { name: DocumentName; state: Uint8Array }[] = [];
    for (const key of new Set(changes.filter(({ body }) => body[0] === FOLD).map((change) => change.key))) {
      const name = { space, key };
      const handle = await this.#document(name);
      const waits = this.#core.view(handle, DEFAULTS, false).pending > 0;
      const state = this.#core.state(handle);
      if (waits && state.length > 0 && !(await this.#shelf.stood(name))) stood.push({ name, state });
    }
    return stood;
  }

  /** The stored cursor as it was known here last; undefined = not known. */
  cursor(space: string): string | undefined {
    return this.#at.get(space);
  }

  /** What was accepted is stored. */
  standsAt(space: string, cursor: string): void {
    this.#at.set(space, cursor);
  }

  async #apply(space: string, changes: readonly Change[]): Promise<Accepted["settled"]> {
    const settled: { name: DocumentName; edit: EditName }[] = [];
    for (const { key, body } of changes) {
      const name = { space, key };
      // By the rules in force at this place of the order, so that all replicas fold alike.
      await this.#on(name, "accepted", (handle, rules) => {
        for (const edit of this.#core.accept(handle, rules, [body])) settled.push({ name, edit });
        if (body[0] === FOLD) this.#folded(name);
      });
    }
    return settled;
  }

  /** Another context has stored these changes, from one cursor to the next: only what is open here needs them. */
  follow(space: string, from: string | undefined, to: string, changes: readonly Change[]): Promise<void> {
    return this.exclusive(space, async () => {
      if (this.#at.get(space) !== from) return this.refresh(space);
      this.#at.delete(space);
      await this.#apply(
        space,
        changes.filter(({ key }) => {
          const at = entityOf({ space, key });
          return this.#open.has(at) || this.#opening.has(at);
        }),
      );
      this.standsAt(space, to);
      this.announce(space, changes);
    });
  }

  announce(space: string, changes: readonly { readonly key: string }[]): void {
    for (const key of new Set(changes.map((change) => change.key))) this.#changed({ space, key }, "server");
  }

  /** Reads anew what is open here: others have stored more, or less was stored than is in memory. Within `exclusive`. */
  async refresh(space: string): Promise<void> {
    // In this order: what is read after the cursor may be further, never behind.
    const cursor = await this.#shelf.cursor(space);
    for (const open of [...this.#open.values()]) if (open.name.space === space) await this.#reread(open);
    if (cursor === undefined) this.#at.delete(space);
    else this.#at.set(space, cursor);
  }

  async #reread(open: OpenDocument): Promise<void> {
    for (let reads = 0; reads < READS_MAX; reads++) {
      const { moves } = open;
      const { accepted, pending } = await this.#shelf.load(open.name);
      if (open.moves !== moves) continue;
      const edits = [...pending.map(({ delta }) => delta), ...open.unstored.values()];
      this.#forget(open.name, this.#core.refresh(open.handle, accepted, edits));
      this.#folded(open.name);
      this.#changed(open.name, "server");
      return;
    }
    throw failure("storage_conflict", "the document was edited all the time it was read");
  }
}

const editAt = ({ epoch, n }: EditName): string => `${epoch}/${n}`;

/** What an edit is made with. */
export interface EditAt {
  readonly core: DocumentsCore;
  readonly handle: DocumentHandle;
  readonly rules: RulesHandle;
}
