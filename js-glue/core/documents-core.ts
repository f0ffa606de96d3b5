/** documents.wasm as typed calls (src/documents/session.h): the merge core of pages and of the server. */

import { BlockReader, BlockWriter } from "./block.ts";
import { asFailure, failure } from "./errors.ts";
import { instantiate } from "./load.ts";

/** The one class of src/wasm/documents_bindings.cc. Each view is dead after the next call. */
interface NativeDocuments {
  input(bytes: number): Uint8Array;
  call(): Uint8Array;
}

const Command = {
  rules: 1,
  open: 2,
  close: 3,
  put: 4,
  patch: 5,
  resolve: 6,
  accept: 7,
  drop: 8,
  view: 9,
  state: 10,
  judge: 11,
  void: 12,
  fold: 13,
  show: 14,
  keep: 15,
  refresh: 16,
  remake: 17,
  mend: 18,
  lost: 19,
} as const;

/** A handle; 0 are the defaults. */
export type RulesHandle = number;
export type DocumentHandle = number;

export const CONFLICT_CLASSES = ["lossless", "lossy", "manual", "failed"] as const;
export type ConflictClass = (typeof CONFLICT_CLASSES)[number];

export interface ConflictRecord {
  readonly id: string;
  readonly class: ConflictClass;
  /** A sibling has no stamp of the server yet. */
  readonly provisional: boolean;
  /** The whole record (docs/merge.md), one JSON object, the same bytes on every replica. */
  readonly json: string;
}

export interface View {
  /** JSON text; undefined = the document does not exist. */
  readonly json: string | undefined;
  /** Of the accepted state: equal on all replicas that hold the same changes. */
  readonly digest: bigint;
  readonly pending: number;
  readonly records: readonly ConflictRecord[];
}

/** The numbers an edit may use, and the wall clock in milliseconds. */
export interface Place {
  readonly epoch: bigint;
  readonly firstN: number;
  readonly wall: number;
}

export interface Edit {
  /** Numbers used; 0 = nothing changed and `delta` is empty. */
  readonly count: number;
  readonly delta: Uint8Array;
}

/** Names a pending edit: its first dot. */
export interface EditName {
  readonly epoch: bigint;
  readonly n: number;
}

/** An edit that was refused as too old, made again on top of what is accepted now. */
export interface Remade {
  /** It was part of `stoodOn` already: nothing was done. */
  readonly known: boolean;
  /** Pending, unless `delta` is empty; `count` covers the contested operations, too. */
  readonly edit: Edit;
  /** One more edit, of what would undo the work of others: for the server to put on hold. */
  readonly contested: Uint8Array;
  /** Operations on what is not there any more; they are in neither. */
  readonly stranded: number;
  /** What the next old edit of the document stood on. */
  readonly stoodOn: Uint8Array;
}

/** What the server writes on an edit it takes. */
export interface EditStamp {
  readonly incarnation: { readonly mintedAt: number; readonly random: bigint };
  readonly change: number;
  readonly receivedAt: number;
}

export interface Judgement {
  /** False: everything of the edit was here already. */
  readonly changed: boolean;
  readonly state: Uint8Array;
  /** A row of the change order. */
  readonly change: Uint8Array;
  /** How many the edit consists of. */
  readonly operations: number;
  readonly view: View;
}

/** An operation that everybody gets and nobody is shown until a person decides. */
export interface SetAside {
  /** Its place in the edit, from 0. */
  readonly operation: number;
  /** At most 200 bytes; the conflict record says it as its rule. */
  readonly why: string;
}

/** A document nobody has written. */
export const EMPTY_STATE = new Uint8Array(0);

/**
 * Every call throws an `OfflineSyncError` with the core's code when it refuses, and has changed nothing then; with `internal`
 * when it trapped, and is `dead` from then on: make another, nothing was lost but what it held in memory.
 */
export class DocumentsCore {
  readonly #native: NativeDocuments;
  #dead = false;
  readonly #out = new BlockWriter();

  /** `module` is documents.wasm, compiled. */
  static async create(module: WebAssembly.Module): Promise<DocumentsCore> {
    try {
      const { default: create } = await import("#glue.mjs");
      return new DocumentsCore(await instantiate<NativeDocuments>(create as never, module, "WasmDocuments"));
    } catch (error) {
      throw asFailure(error, "internal");
    }
  }

  private constructor(native: NativeDocuments) {
    this.#native = native;
    this.rules(""); // handle 0
  }

  get dead(): boolean {
    return this.#dead;
  }

  #ask(command: number): BlockWriter {
    return this.#out.reset().u8(command);
  }

  #answer(): BlockReader {
    const request = this.#out.bytes();
    let answer: Uint8Array;
    try {
      if (this.#dead) throw failure("internal", "the merge core has trapped before");
      this.#native.input(request.length).set(request);
      answer = this.#native.call();
    } catch (error) {
      this.#dead = true;
      throw asFailure(error, "internal");
    }
    return new BlockReader(answer);
  }

  /** `schema`: JSON text of patterns (docs/merge.md). */
  rules(schema: string): RulesHandle {
    this.#ask(Command.rules).text(schema);
    return this.#answer().varint();
  }

  // --- on a device ------------------------------------------------------------------------------------------------------

  /** `settled`: pending edits that the accepted state holds already. */
  open(
    accepted: Uint8Array,
    pending: readonly Uint8Array[],
  ): { readonly document: DocumentHandle; readonly settled: readonly EditName[] } {
    this.#stored(this.#ask(Command.open), accepted, pending);
    const answer = this.#answer();
    return { document: answer.varint(), settled: readNames(answer) };
  }

  /** Begins again from what is stored; what was shown stays the basis of the next edit. Answers as `open`. */
  refresh(document: DocumentHandle, accepted: Uint8Array, pending: readonly Uint8Array[]): readonly EditName[] {
    this.#stored(this.#ask(Command.refresh).varint(document), accepted, pending);
    return readNames(this.#answer());
  }

  close(document: DocumentHandle): void {
    this.#ask(Command.close).varint(document);
    this.#answer();
  }

  /** `json` undefined deletes the document. */
  put(document: DocumentHandle, rules: RulesHandle, place: Place, json: string | undefined): Edit {
    this.#place(this.#ask(Command.put).varint(document).varint(rules), place);
    this.#value(json);
    return this.#edit();
  }

  patch(document: DocumentHandle, rules: RulesHandle, place: Place, edits: string): Edit {
    this.#place(this.#ask(Command.patch).varint(document).varint(rules), place).text(edits);
    return this.#edit();
  }

  resolve(document: DocumentHandle, rules: RulesHandle, place: Place, record: string, json: string | undefined): Edit {
    this.#place(this.#ask(Command.resolve).varint(document).varint(rules), place).text(record);
    this.#value(json);
    return this.#edit();
  }

  /** `stoodOn`: the accepted state when `old` was still good. */
  remake(document: DocumentHandle, rules: RulesHandle, place: Place, stoodOn: Uint8Array, old: Uint8Array): Remade {
    this.#place(this.#ask(Command.remake).varint(document).varint(rules), place).sized(stoodOn).sized(old);
    const answer = this.#answer();
    return {
      known: answer.u8() !== 0,
      edit: { count: answer.varint(), delta: answer.sized() },
      contested: answer.sized(),
      stranded: answer.varint(),
      stoodOn: answer.sized(),
    };
  }

  /** Joins changes of the server's order; the edits that are no longer pending. */
  accept(document: DocumentHandle, rules: RulesHandle, changes: readonly Uint8Array[]): readonly EditName[] {
    const out = this.#ask(Command.accept).varint(document).varint(rules).varint(changes.length);
    for (const change of changes) out.sized(change);
    return readNames(this.#answer());
  }

  /** The edit was rejected or never stored; false = it is not pending. */
  drop(document: DocumentHandle, { epoch, n }: EditName): boolean {
    this.#ask(Command.drop).varint(document).u64(epoch).varint(n);
    return this.#answer().u8() !== 0;
  }

  /** An edit of another context of this device; one that is known changes nothing. */
  keep(document: DocumentHandle, delta: Uint8Array): void {
    this.#ask(Command.keep).varint(document).sized(delta);
    this.#answer();
  }

  /** `mayEdit`: the next edit is one of this view; what comes in between is concurrent to it. */
  view(document: DocumentHandle, rules: RulesHandle, mayEdit: boolean): View {
    this.#ask(Command.view)
      .varint(document)
      .varint(rules)
      .u8(mayEdit ? 1 : 0);
    return readView(this.#answer());
  }

  /**
   * What an accepted state has and that of a restored server has lost, for the server to `judge`; empty = nothing. `shared`: the last
   * change before their histories part.
   */
  lost(before: Uint8Array, now: Uint8Array, shared: number): Uint8Array {
    this.#ask(Command.lost).sized(before).sized(now).varint(shared);
    return this.#answer().sized();
  }

  state(document: DocumentHandle): Uint8Array {
    this.#ask(Command.state).varint(document);
    return this.#answer().sized();
  }

  // --- at the server ----------------------------------------------------------------------------------------------------

  /**
   * `acknowledged`: the change number up to which the writer's device has stored everything; `aside` in ascending order.
   * `mends`: the edit is what a replica found lost (`lost`), and what is known of it is left out. Throws `stale_edit` when the
   * edit may not have seen what is folded already.
   */
  judge(
    state: Uint8Array,
    rules: RulesHandle,
    edit: Uint8Array,
    stamp: EditStamp,
    acknowledged: number,
    aside: readonly SetAside[] = [],
    mends = false,
  ): Judgement {
    const out = this.#ask(mends ? Command.mend : Command.judge)
      .sized(state)
      .varint(rules)
      .sized(edit)
      .i64(stamp.incarnation.mintedAt)
      .u64(stamp.incarnation.random)
      .varint(stamp.change)
      .i64(stamp.receivedAt)
      .varint(acknowledged)
      .varint(aside.length);
    for (const { operation, why } of aside) out.varint(operation).text(why);
    const answer = this.#answer();
    return {
      changed: answer.u8() !== 0,
      state: answer.sized(),
      change: answer.sized(),
      operations: answer.varint(),
      view: readView(answer),
    };
  }

  /** What the change order says of a rejected edit; empty = nothing. */
  voidOf(state: Uint8Array, edit: Uint8Array): Uint8Array {
    this.#ask(Command.void).sized(state).sized(edit);
    return this.#answer().sized();
  }

  show(state: Uint8Array, rules: RulesHandle): View {
    this.#ask(Command.show).sized(state).varint(rules);
    return readView(this.#answer());
  }

  fold(
    state: Uint8Array,
    rules: RulesHandle,
    cut: number,
  ): { readonly reached: number; readonly state: Uint8Array; readonly change: Uint8Array } {
    this.#ask(Command.fold).sized(state).varint(rules).varint(cut);
    const answer = this.#answer();
    return { reached: answer.varint(), state: answer.sized(), change: answer.sized() };
  }

  #stored(out: BlockWriter, accepted: Uint8Array, pending: readonly Uint8Array[]): void {
    out.sized(accepted).varint(pending.length);
    for (const delta of pending) out.sized(delta);
  }

  #place(out: BlockWriter, { epoch, firstN, wall }: Place): BlockWriter {
    return out.u64(epoch).varint(firstN).i64(wall);
  }

  #value(json: string | undefined): void {
    this.#out.u8(json === undefined ? 0 : 1);
    if (json !== undefined) this.#out.text(json);
  }

  #edit(): Edit {
    const answer = this.#answer();
    return { count: answer.varint(), delta: answer.sized() };
  }
}

const readNames = (answer: BlockReader): EditName[] =>
  Array.from({ length: answer.varint() }, () => ({ epoch: answer.u64(), n: answer.varint() }));

function readView(answer: BlockReader): View {
  return {
    json: answer.u8() === 0 ? undefined : answer.text(),
    digest: answer.u64(),
    pending: answer.varint(),
    records: Array.from({ length: answer.varint() }, () => ({
      id: answer.text(),
      class: CONFLICT_CLASSES[answer.u8()] ?? "failed",
      provisional: answer.u8() !== 0,
      json: answer.text(),
    })),
  };
}
