/**
 * The server's half of documents: takes edits, puts them into the change order, and folds what everybody has seen.
 *
 *   lock the space → judge the edit under the next number → rules of the application → record, change, conflicts
 *
 * An edit is an ordinary event, and all of this happens in the event's transaction. What is refused is said in the change
 * order, too: its numbers are void, and replicas stop waiting for them.
 */

import { createHash } from "node:crypto";
import { toHex } from "../../core/bytes.ts";
import type { Judgement } from "../../core/documents-core.ts";
import { failure, OfflineSyncError } from "../../core/errors.ts";
import { Reject, type Subject, type SyncEvent } from "../handlers.ts";
import { elementTexts, memberText } from "../http/raw-json.ts";
import type { Metrics } from "../operations/metrics.ts";
import type { Incarnation } from "../session.ts";
import type { Tx } from "../store/database.ts";
import { text } from "../store/rows.ts";
import type { Store } from "../store/store.ts";
import { type CollectionOptions, Collections } from "./collections.ts";
import { findConflict, keepConflicts, namedResolver, type StoredConflict } from "./conflict-rows.ts";
import type { Merge, MergeCore } from "./core.ts";
import {
  type DocumentName,
  documentEvent,
  nameOf,
  nameOfKey,
  OWN_SPACE,
  ownerOf,
  type PartOfEdit,
  schemaKey,
  shownSpace,
  spaceIdOf,
} from "./names.ts";
import { forgetParts, joinParts, keepPart, type PartsAt } from "./parts.ts";
import { cursorOf } from "./reads.ts";
import { appendChange, findSpace, makeSpace, type Record, readRecord, type Space, writeRecord } from "./rows.ts";

export type Choice = "server" | "local" | "merge" | "value";

export interface DocumentsOptions {
  readonly store: Store;
  readonly merge: MergeCore;
  readonly now: () => number;
  /** Something of this principal's changed. */
  readonly notify: (tenant: string, principal: string) => void;
  readonly metrics: Metrics;
}

/** What a device's events did in a transaction that has not ended yet. */
interface Touched {
  readonly spaces: Set<string>;
  /** Classes of the conflicts that each event opened; an event that runs again replaces what it said. */
  readonly conflicts: Map<string, readonly string[]>;
}

interface Opened {
  readonly name: DocumentName;
  readonly space: Space;
  /** A piece of the edit, as long as `part` is there. */
  readonly delta: Uint8Array;
  readonly part: PartOfEdit | undefined;
}

interface Edit {
  readonly delta: Uint8Array;
  readonly principal: string;
  /** Whose edit it is; null = the server's own, which used so many numbers. */
  readonly device: Uint8Array | null;
  /** It was refused before, or renumbered. */
  readonly again: boolean;
  readonly serverNumbers: number;
}

/** Members of one space that are poked; more look by themselves. */
const POKED_MAX = 10_000;
/** Devices whose pokes are kept until their transaction has ended. */
const TOUCHED_MAX = 10_000;

export class Documents {
  readonly #options: DocumentsOptions;
  readonly #collections = new Collections();
  readonly #touched = new Map<string, Touched>();

  constructor(options: DocumentsOptions) {
    this.#options = options;
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
    const { name, space, part } = opened;
    const { principal } = event;
    if (space.role === "reader") throw new Reject("read_only", "readers of this space do not write");
    const device = deviceOf(event);
    if (part && part.k < part.of) {
      const piece = { principal, body: opened.delta, receivedAt: this.#options.now() };
      return keepPart(tx, partsAt(event, opened, part), part, piece);
    }
    const delta = await whole(event, opened, tx);
    const settled = await this.#accept(tx, space, name, {
      delta,
      principal,
      device,
      again: event.again,
      serverNumbers: 0,
    });
    if (settled) this.#touch(event, space.id, settled);
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
    const { record, schema } = await readRecord(tx, space, name.key, schemaKey(name.collection));
    const voided = await this.merge.run((merge) => voidIn(merge, record.body, schema, delta));
    if (!voided) return;
    await appendChange(tx, space, name.key, voided.change, null, this.#options.now());
    await this.#keep(tx, space, name.key, { ...record, edits: record.edits + 1 }, voided, schema, 0);
    this.#touch(event, space.id, []);
  }

  async #open(event: SyncEvent, tx: Tx): Promise<Opened> {
    const parsed = documentEvent.safeParse(event.eventData);
    if (!parsed.success) throw new Reject("malformed", parsed.error.issues[0]?.message ?? "no edit of a document");
    const { space: asked, collection, id, delta, part } = parsed.data;
    const space = await this.#lock(tx, event, asked);
    if (!space) throw new Reject("not_a_member", "there is no such space");
    return { name: nameOf(collection, id), space, delta: Buffer.from(delta, "base64"), part };
  }

  /** The space, locked; a principal's own one is made at first use. */
  async #lock(tx: Tx, { tenant, principal }: Subject, asked: string): Promise<Space | undefined> {
    const id = spaceIdOf(asked, principal);
    const space = await findSpace(tx, tenant, id, principal, true);
    if (space || asked !== OWN_SPACE) return space;
    await makeSpace(tx, tenant, id, principal, { own: true, name: null, now: this.#options.now() });
    return findSpace(tx, tenant, id, principal, true);
  }

  // --- the one way in ---------------------------------------------------------------------------------------------------

  /** The classes of the conflicts it opens; undefined when everything was here already and nothing is written. Throws `Reject`. */
  async #accept(tx: Tx, space: Space, name: DocumentName, edit: Edit): Promise<readonly string[] | undefined> {
    const now = this.#options.now();
    const { record, schema } = await readRecord(tx, space, name.key, schemaKey(name.collection));
    const judgement = await this.#judge(tx, space, record, schema, edit, now);
    if (!judgement.changed) return undefined;
    const context = {
      tenant: space.tenant,
      principal: edit.principal,
      space: shownSpace(space.id),
      collection: name.collection,
      id: name.id,
    };
    await this.#collections.check(tx, space, name, context, judgement.view.json, record.visible);
    await appendChange(tx, space, name.key, judgement.change, edit.device, now);
    return this.#keep(
      tx,
      space,
      name.key,
      { ...record, edits: record.edits + 1 },
      judgement,
      schema,
      edit.serverNumbers,
    );
  }

  async #keep(
    tx: Tx,
    space: Space,
    key: string,
    record: Record,
    { state, view }: Pick<Judgement, "state" | "view">,
    schema: string,
    serverNumbers: number,
  ): Promise<readonly string[]> {
    const now = this.#options.now();
    const opened = await keepConflicts(tx, space, key, record.conflicts, view.records, now);
    const { edits, serverN } = record;
    const conflicts = view.records.length;
    await writeRecord(
      tx,
      space,
      key,
      { body: state, edits, conflicts, serverN: serverN + serverNumbers, view, schema },
      now,
    );
    return opened;
  }

  async #judge(tx: Tx, space: Space, record: Record, schema: string, edit: Edit, now: number): Promise<Judgement> {
    const stamp = { incarnation: this.#options.store.incarnation, change: space.head + 1, receivedAt: now };
    const judge = (acknowledged: number): Promise<Judgement> =>
      this.merge.run(({ core, rules }) => core.judge(record.body, rules(schema), edit.delta, stamp, acknowledged));
    const refuse = (error: unknown): never => {
      if (isRefusal(error)) throw new Reject(error.code, error.message);
      throw error;
    };
    try {
      return await judge(0);
    } catch (error) {
      if (!isRefusal(error) || error.code !== "stale_edit" || edit.again) return refuse(error);
      // The edit does not say itself that its writer had seen what is folded; the device may have said so. What it says now
      // tells nothing of an edit that lay in a dead letter.
      const seen = edit.device === null ? space.head : ((await cursorOf(tx, space, edit.device))?.seq ?? 0);
      return judge(seen).catch(refuse);
    }
  }

  // --- conflicts --------------------------------------------------------------------------------------------------------

  /**
   * Settles a conflict by an edit of the server's own, in the caller's transaction. Throws `not_a_member`, `read_only`,
   * `not_found`, `storage_conflict` when it is no longer as it was, and the code of a `Reject`.
   */
  async resolve(
    tx: Tx,
    subject: Subject,
    asked: {
      readonly space: string;
      readonly conflictId: string;
      readonly choice: Choice;
      /** JSON text, with the choice `value`. */
      readonly value?: string | undefined;
    },
  ): Promise<{ readonly spaceId: string; readonly change: number }> {
    const { tenant, principal } = subject;
    const space = await findSpace(tx, tenant, spaceIdOf(asked.space, principal), principal, true);
    if (!space) throw failure("not_a_member", "there is no such space");
    if (space.role === "reader") throw failure("read_only", "readers of this space do not write");
    const conflict = await findConflict(tx, space, asked.conflictId);
    if (!conflict) throw failure("not_found", "there is no such conflict");
    const gone = failure("storage_conflict", "the conflict is settled already");
    if (conflict.resolvedAt !== null) throw gone;
    const name = nameOfKey(conflict.key);
    const { record, schema } = await readRecord(tx, space, name.key, schemaKey(name.collection));
    const place = {
      epoch: serverEpoch(space, name, this.#options.store.incarnation),
      firstN: record.serverN + 1,
      wall: this.#options.now(),
    };
    const chosen = chosenValue(conflict, asked.choice, asked.value);
    const made = await this.merge.run(({ core, rules }) => {
      const { document } = core.open(record.body, []);
      try {
        return core.resolve(document, rules(schema), place, conflict.id, chosen);
      } catch (error) {
        if (isRefusal(error) && error.code === "malformed") throw gone; // it is not shown any more
        throw error;
      } finally {
        core.close(document);
      }
    });
    const edit = { delta: made.delta, principal, device: null, again: false, serverNumbers: made.count };
    try {
      if (made.count === 0 || !(await this.#accept(tx, space, name, edit))) throw gone;
    } catch (error) {
      if (error instanceof Reject) throw failure(error.code, error.message, { cause: error });
      throw error;
    }
    await namedResolver(tx, space, conflict, principal);
    return { spaceId: space.id, change: space.head };
  }

  // --- folding ----------------------------------------------------------------------------------------------------------

  /** Folds one document of a locked space up to `cut`; false when nothing of it could be. */
  async fold(tx: Tx, space: Space, key: string, cut: number): Promise<boolean> {
    const { collection } = nameOfKey(key);
    const { record, schema } = await readRecord(tx, space, key, schemaKey(collection));
    if (record.body.length === 0) return false;
    const folded = await this.merge.run(({ core, rules }) => {
      const by = rules(schema);
      const { reached, state, change } = core.fold(record.body, by, cut);
      return { reached, state, change, view: core.show(state, by) };
    });
    if (folded.reached === 0 || Buffer.from(folded.state).equals(record.body)) return false;
    await appendChange(tx, space, key, folded.change, null, this.#options.now());
    await this.#keep(tx, space, key, { ...record, edits: 0 }, folded, schema, 0);
    return true;
  }

  // --- pokes ------------------------------------------------------------------------------------------------------------

  // A handler does not know whether its transaction will be committed; who does, calls `flush` afterwards.
  #touch({ tenant, deviceId, id }: SyncEvent, spaceId: string, conflicts: readonly string[]): void {
    const key = `${deviceId}/${tenant}`;
    if (this.#touched.size >= TOUCHED_MAX) this.#touched.clear(); // pokes are hints
    const touched = this.#touched.get(key) ?? { spaces: new Set(), conflicts: new Map() };
    this.#touched.set(key, touched);
    touched.spaces.add(spaceId);
    touched.conflicts.set(id, conflicts);
  }

  /** The transaction of this device's events was committed: members of the spaces it wrote to are told. */
  flush(tenant: string, device: Uint8Array): void {
    const key = `${toHex(device)}/${tenant}`;
    const touched = this.#touched.get(key);
    if (!touched) return;
    this.#touched.delete(key);
    for (const classes of touched.conflicts.values()) this.#options.metrics.conflicts(classes);
    for (const id of touched.spaces) this.poke(tenant, id);
  }

  poke(tenant: string, spaceId: string): void {
    const { store, notify } = this.#options;
    const owner = ownerOf(spaceId);
    if (owner !== undefined) {
      notify(tenant, owner); // nobody else is a member there
      return;
    }
    store
      .read(({ connection }) =>
        connection.query(
          `SELECT principal_id FROM space_member WHERE tenant_id = $1 AND space_id = $2 LIMIT ${POKED_MAX}`,
          [tenant, spaceId],
        ),
      )
      .then((rows) => {
        for (const row of rows) notify(tenant, text(row, "principal_id"));
      })
      .catch(() => undefined); // a hint; clients look by themselves, too
  }
}

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

// The server's own state must know the void dots, too: the same edit tried again then comes under others.
function voidIn({ core, rules }: Merge, state: Uint8Array, schema: string, delta: Uint8Array) {
  let change: Uint8Array;
  try {
    change = core.voidOf(state, delta);
  } catch (error) {
    if (isRefusal(error)) return undefined; // no edit at all
    throw error;
  }
  if (change.length === 0) return undefined;
  const by = rules(schema);
  const { document } = core.open(state, []);
  try {
    core.accept(document, by, [change]);
    const after = core.state(document);
    return { change, state: after, view: core.show(after, by) };
  } finally {
    core.close(document);
  }
}

/** The core says no, as opposed to being broken. */
const isRefusal = (error: unknown): error is OfflineSyncError =>
  error instanceof OfflineSyncError && error.fault !== "bug";

// One per document and incarnation: after a restore, numbers that devices may have seen are not given again.
function serverEpoch(space: Space, { key }: DocumentName, { mintedAt, random }: Incarnation): bigint {
  const hash = createHash("sha256").update(
    JSON.stringify(["oas-server-edit", space.id, key, mintedAt, String(random)]),
  );
  const epoch = hash.digest().readBigUInt64LE();
  return epoch === 0n ? 1n : epoch;
}

/** JSON text, in the digits of whoever wrote it; undefined = deleted. */
function chosenValue({ json }: StoredConflict, choice: Choice, value: string | undefined): string | undefined {
  if (choice === "value") return value;
  if (choice === "merge") return memberText(json, "winner");
  const siblings = elementTexts(memberText(json, "siblings") ?? "[]").map((text) => ({
    value: memberText(text, "value"),
    change: Number(memberText(text, "change") ?? 0),
  }));
  // The server knew the first to reach it; the last came from somebody who had not seen that one.
  siblings.sort((a, b) => a.change - b.change);
  return (choice === "server" ? siblings.at(0) : siblings.at(-1))?.value;
}
