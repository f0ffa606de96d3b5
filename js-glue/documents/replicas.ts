/**
 * The documents this context has open: each one a replica in the core, fed by its own edits, the edits of other contexts of
 * this device, and the changes of the server's order.
 */

import type {
  ConflictRecord,
  DocumentHandle,
  DocumentsCore,
  Edit,
  EditName,
  RulesHandle,
  View,
} from "../core/documents-core.ts";
import { type DocumentName, entityOf, SCHEMA_COLLECTION, splitKey } from "./names.ts";
import type { Shelf, StoredEdit } from "./shelf.ts";

export type Origin = "local" | "context" | "server";

interface OpenDocument {
  readonly name: DocumentName;
  readonly handle: DocumentHandle;
}

export interface Change {
  readonly key: string;
  readonly body: Uint8Array;
}

/** What `accept` did: states to store and edits that no longer wait. */
export interface Accepted {
  readonly states: readonly { readonly name: DocumentName; readonly state: Uint8Array }[];
  readonly settled: readonly { readonly name: DocumentName; readonly edit: EditName }[];
}

export class Replicas {
  readonly #core: DocumentsCore;
  readonly #shelf: Shelf;
  readonly #open = new Map<string, OpenDocument>();
  readonly #opening = new Map<string, Promise<OpenDocument>>();
  /** Handles of rules by their text; the core keeps them for good, so equal ones are made once. */
  readonly #rules = new Map<string, RulesHandle>();
  /** The next free number of this context's epoch, per document. */
  readonly #next = new Map<string, number>();
  readonly #epoch: bigint;
  readonly #changed: (name: DocumentName, origin: Origin) => void;

  constructor(core: DocumentsCore, shelf: Shelf, epoch: bigint, changed: (name: DocumentName, origin: Origin) => void) {
    this.#core = core;
    this.#shelf = shelf;
    this.#epoch = epoch;
    this.#changed = changed;
  }

  async #document(name: DocumentName): Promise<OpenDocument> {
    const at = entityOf(name);
    const open = this.#open.get(at);
    if (open) return open;
    let opening = this.#opening.get(at);
    if (!opening) {
      opening = this.#read(name).finally(() => this.#opening.delete(at));
      this.#opening.set(at, opening);
    }
    return opening;
  }

  async #read(name: DocumentName): Promise<OpenDocument> {
    const { accepted, pending } = await this.#shelf.load(name);
    const { document: handle, settled } = this.#core.open(
      accepted,
      pending.map(({ delta }) => delta),
    );
    // A snapshot may have brought them; a record that stays is only read in vain again.
    for (const edit of settled) this.#shelf.forget(name, edit).catch(() => undefined);
    const document = { name, handle };
    this.#open.set(entityOf(name), document);
    return document;
  }

  /** The rules of a collection as this device sees them, or as the server has accepted them. */
  async #rulesOf(name: DocumentName, accepted = false): Promise<RulesHandle> {
    const { collection } = splitKey(name.key);
    if (collection === SCHEMA_COLLECTION) return 0;
    const schema = await this.#document({ space: name.space, key: `${SCHEMA_COLLECTION}/${collection}` });
    const { json } = accepted
      ? this.#core.show(this.#core.state(schema.handle), 0)
      : this.#core.view(schema.handle, 0, false);
    if (json === undefined) return 0;
    let rules = this.#rules.get(json);
    if (rules === undefined) {
      try {
        rules = this.#core.rules(json);
      } catch {
        rules = 0; // a schema that says nothing usable, on every replica alike
      }
      this.#rules.set(json, rules);
    }
    return rules;
  }

  /** What is visible; the next edit made here is one of this view. */
  async view(name: DocumentName): Promise<View> {
    const [{ handle }, rules] = await Promise.all([this.#document(name), this.#rulesOf(name)]);
    return this.#core.view(handle, rules, true);
  }

  async records(name: DocumentName): Promise<readonly ConflictRecord[]> {
    const [{ handle }, rules] = await Promise.all([this.#document(name), this.#rulesOf(name)]);
    return this.#core.view(handle, rules, false).records;
  }

  /** Undefined when nothing changed. The edit is visible here at once; `drop` takes it back. */
  async edit(
    name: DocumentName,
    make: (place: { epoch: bigint; firstN: number; wall: number }, at: EditAt) => Edit,
    seed?: bigint,
  ): Promise<StoredEdit | undefined> {
    const [{ handle }, rules] = await Promise.all([this.#document(name), this.#rulesOf(name)]);
    const at = entityOf(name);
    // From here on nothing waits: what was looked at is what is edited.
    const firstN = seed === undefined ? (this.#next.get(at) ?? 1) : 1;
    const place = { epoch: seed ?? this.#epoch, firstN, wall: seed === undefined ? Date.now() : 0 };
    const { count, delta } = make(place, { core: this.#core, handle, rules });
    if (count === 0) return undefined;
    if (seed === undefined) this.#next.set(at, firstN + count);
    this.#changed(name, "local");
    return { epoch: place.epoch, n: firstN, delta };
  }

  /** Another context made this edit and has stored it. */
  keep(name: DocumentName, delta: Uint8Array): void {
    const open = this.#open.get(entityOf(name));
    if (!open) return;
    this.#core.keep(open.handle, delta);
    this.#changed(name, "context");
  }

  drop(name: DocumentName, edit: EditName): void {
    const open = this.#open.get(entityOf(name));
    if (open && this.#core.drop(open.handle, edit)) this.#changed(name, "server");
  }

  /** Changes in the server's order, all of one space. */
  async accept(space: string, changes: readonly Change[]): Promise<Accepted> {
    const touched = new Map<string, OpenDocument>();
    const settled: { name: DocumentName; edit: EditName }[] = [];
    for (const { key, body } of changes) {
      const name = { space, key };
      const document = await this.#document(name);
      // The rules in force at this place of the order, so that all replicas fold alike.
      const rules = await this.#rulesOf(name, true);
      for (const edit of this.#core.accept(document.handle, rules, [body])) settled.push({ name, edit });
      touched.set(key, document);
    }
    const states = [...touched.values()].map(({ name, handle }) => ({ name, state: this.#core.state(handle) }));
    return { states, settled };
  }

  /** The same, of what another context has stored already: only what is open here needs it. */
  async follow(space: string, changes: readonly Change[]): Promise<void> {
    const known = changes.filter(({ key }) => this.#open.has(entityOf({ space, key })));
    await this.accept(space, known);
    this.announce(space, changes);
  }

  announce(space: string, changes: readonly { readonly key: string }[]): void {
    for (const key of new Set(changes.map((change) => change.key))) this.#changed({ space, key }, "server");
  }

  /** States were replaced in storage: everything of the space is read anew when it is next needed. */
  reload(space: string): void {
    const names: DocumentName[] = [];
    for (const [at, { name, handle }] of this.#open) {
      if (name.space !== space) continue;
      this.#core.close(handle);
      this.#open.delete(at);
      names.push(name);
    }
    for (const name of names) this.#changed(name, "server");
  }

  /** Digest of the accepted state: equal wherever the same changes were accepted. */
  async digest(name: DocumentName): Promise<bigint> {
    const { handle } = await this.#document(name);
    return this.#core.view(handle, 0, false).digest;
  }
}

/** What an edit is made with. */
export interface EditAt {
  readonly core: DocumentsCore;
  readonly handle: DocumentHandle;
  readonly rules: RulesHandle;
}
