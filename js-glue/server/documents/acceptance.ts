/**
 * The one way into a document at the server, within a locked space: an edit, the end of a refused one, or a fold.
 *
 *   judge under the next number → rules of the application, what breaks them set aside → change, conflicts, record
 */

import type { Judgement, SetAside } from "../../core/documents-core.ts";
import { OfflineSyncError } from "../../core/errors.ts";
import { Reject } from "../handlers.ts";
import type { Tx } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import type { Asked, Collections } from "./collections.ts";
import { keepConflicts, namedResolver } from "./conflict-rows.ts";
import type { Merge, MergeCore } from "./core.ts";
import { answerEpoch, answerOf, askedFunction } from "./functions.ts";
import { type DocumentName, nameOfKey, schemaKey, shownSpace } from "./names.ts";
import { cursorOf } from "./reads.ts";
import { appendChange, type Record, readRecord, type Space, writeRecord } from "./rows.ts";
import { allOf, groups } from "./smallest.ts";

export interface Edit {
  readonly delta: Uint8Array;
  readonly principal: string;
  /** Whose edit it is; null = the server's own, which used so many numbers. */
  readonly device: Uint8Array | null;
  /** It was refused before, or renumbered. */
  readonly again: boolean;
  readonly serverNumbers: number;
  /** All of it waits for a person, whatever the rules say. */
  readonly hold: boolean;
  /** What a replica still has and this server has lost, of any number of writers. */
  readonly mends?: boolean;
  /** The greatest number that `device` may have seen, whatever it has acknowledged. */
  readonly seenMax?: number;
}

/** Conflicts that merge functions are asked about after one edit. */
const ANSWERS_MAX = 16;
/** Why an edit is on hold that was made again after its device was away; a row of docs/merge.md. */
const AWAY = "R33 made before what was folded since";

/** Judges one edit; operations set aside come into the document, and are not shown. Rejects with `Reject`. */
type Judge = (aside: readonly SetAside[]) => Promise<Judgement>;

export interface AcceptanceOptions {
  readonly store: Store;
  readonly merge: MergeCore;
  readonly now: () => number;
}

export class Acceptance {
  readonly #options: AcceptanceOptions;
  readonly #collections: Collections;

  constructor(options: AcceptanceOptions, collections: Collections) {
    this.#options = options;
    this.#collections = collections;
  }

  /** The classes of the conflicts it opens; undefined when everything was here already and nothing is written. Throws `Reject`. */
  async accept(tx: Tx, space: Space, name: DocumentName, edit: Edit): Promise<readonly string[] | undefined> {
    const opened = await this.#take(tx, space, name, edit);
    if (!opened || opened.length === 0 || !this.#collections.hasFunctions(name.collection)) return opened;
    const left = [...opened];
    const asked = new Set<string>();
    while (asked.size < ANSWERS_MAX && (await this.#answer(tx, space, name, edit.principal, asked))) {
      const answered = left.indexOf("failed");
      if (answered >= 0) left.splice(answered, 1);
    }
    return left;
  }

  /** Asks a merge function about one conflict that was not asked about yet; false when none had an answer. */
  async #answer(tx: Tx, space: Space, name: DocumentName, principal: string, asked: Set<string>): Promise<boolean> {
    const { merge, now } = this.#options;
    const { key, collection } = name;
    const { record, schema } = await readRecord(tx, space, key, schemaKey(collection));
    const { records } = await merge.run(({ core, rules }) => core.show(record.body, rules(schema)));
    for (const conflict of records) {
      if (asked.has(conflict.id) || asked.size >= ANSWERS_MAX) continue;
      asked.add(conflict.id);
      const wanted = askedFunction(conflict, schema);
      const ask = wanted === undefined ? undefined : this.#collections.mergeFunction(collection, wanted);
      const value = ask && answerOf(ask, conflict);
      if (wanted === undefined || value === undefined) continue;
      const place = { epoch: answerEpoch(space.id, key, conflict, wanted), firstN: 1, wall: now() };
      const { delta } = await merge.resolve(record.body, schema, place, conflict.id, value);
      const edit = { delta, principal, device: null, again: false, serverNumbers: 0, hold: false };
      try {
        if (!(await this.#take(tx, space, name, edit))) continue;
      } catch (error) {
        if (error instanceof Reject) continue; // an answer that breaks a rule is none
        throw error;
      }
      await namedResolver(tx, space, { id: conflict.id, key }, `fn:${wanted}`);
      return true;
    }
    return false;
  }

  async #take(tx: Tx, space: Space, name: DocumentName, edit: Edit): Promise<readonly string[] | undefined> {
    const now = this.#options.now();
    const { record, schema } = await readRecord(tx, space, name.key, schemaKey(name.collection));
    const context = {
      tenant: space.tenant,
      principal: edit.principal,
      space: shownSpace(space.id),
      collection: name.collection,
      id: name.id,
    };
    const asked = { tx, space, name, context, before: record.visible };
    const judge = await this.#judge(tx, space, record, schema, edit, now);
    const judgement = await this.#withoutBroken(asked, edit, judge);
    if (!judgement.changed) return undefined;
    await this.#collections.admit(asked, judgement.view.json);
    await appendChange(tx, space, name.key, judgement.change, edit.device, now);
    return this.#write(
      tx,
      space,
      name.key,
      { ...record, edits: record.edits + 1 },
      judgement,
      schema,
      edit.serverNumbers,
    );
  }

  async #write(
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

  /** The edit with the smallest group of its operations on hold that would break a rule. */
  async #withoutBroken(asked: Asked, edit: Edit, judge: Judge): Promise<Judgement> {
    const whole = await judge([]);
    if (edit.hold) return judge(waiting(allOf(whole.operations), AWAY));
    const why = whole.changed ? await this.#collections.broken(asked, whole.view.json) : undefined;
    if (why === undefined) return whole;
    // Whoever settles a conflict by a value that breaks a rule is told so, instead of making the next conflict.
    if (edit.device === null) throw new Reject(why.startsWith("R29") ? "unique_violation" : "invalid_document", why);
    for (const group of groups(whole.operations, whole.state.length + edit.delta.length)) {
      const tried = await judge(waiting(group, why));
      if ((await this.#collections.broken(asked, tried.view.json)) === undefined) return tried;
    }
    return judge(waiting(allOf(whole.operations), why));
  }

  async #judge(tx: Tx, space: Space, record: Record, schema: string, edit: Edit, now: number): Promise<Judge> {
    const stamp = { incarnation: this.#options.store.incarnation, change: space.head + 1, receivedAt: now };
    const judge = (acknowledged: number, aside: readonly SetAside[]): Promise<Judgement> =>
      this.#options.merge
        .run(({ core, rules }) =>
          core.judge(record.body, rules(schema), edit.delta, stamp, acknowledged, aside, edit.mends),
        )
        .catch((error: unknown) => {
          if (isRefusal(error)) throw new Reject(error.code, error.message);
          throw error;
        });
    let seen: number | undefined;
    return async (aside) => {
      if (seen !== undefined) return judge(seen, aside);
      try {
        return await judge(0, aside);
      } catch (error) {
        if (!(error instanceof Reject) || error.code !== "stale_edit" || edit.again) throw error;
        // The edit does not say itself that its writer had seen what is folded; the device may have said so. What it says now tells
        // nothing of an edit that lay in a dead letter.
        seen = edit.device === null ? space.head : ((await cursorOf(tx, space, edit.device))?.seq ?? 0);
        seen = Math.min(seen, edit.seenMax ?? seen);
        return judge(seen, aside);
      }
    };
  }

  /** Says in the change order that the numbers of a refused edit are void; false when there is nothing to say. */
  async void(tx: Tx, space: Space, name: DocumentName, delta: Uint8Array): Promise<boolean> {
    const { record, schema } = await readRecord(tx, space, name.key, schemaKey(name.collection));
    const voided = await this.#options.merge.run((merge) => voidIn(merge, record.body, schema, delta));
    if (!voided) return false;
    await appendChange(tx, space, name.key, voided.change, null, this.#options.now());
    await this.#write(tx, space, name.key, { ...record, edits: record.edits + 1 }, voided, schema, 0);
    return true;
  }

  /** Folds one document of a locked space up to `cut`; false when nothing of it could be. */
  async fold(tx: Tx, space: Space, key: string, cut: number): Promise<boolean> {
    const { collection } = nameOfKey(key);
    const { record, schema } = await readRecord(tx, space, key, schemaKey(collection));
    if (record.body.length === 0) return false;
    const folded = await this.#options.merge.run(({ core, rules }) => {
      const by = rules(schema);
      const { reached, state, change } = core.fold(record.body, by, cut);
      return { reached, state, change, view: core.show(state, by) };
    });
    if (folded.reached === 0 || Buffer.from(folded.state).equals(record.body)) return false;
    await appendChange(tx, space, key, folded.change, null, this.#options.now());
    await this.#write(tx, space, key, { ...record, edits: 0 }, folded, schema, 0);
    return true;
  }
}

const waiting = (group: readonly number[], why: string): readonly SetAside[] =>
  group.map((operation) => ({ operation, why }));

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
export const isRefusal = (error: unknown): error is OfflineSyncError =>
  error instanceof OfflineSyncError && error.fault !== "bug";
