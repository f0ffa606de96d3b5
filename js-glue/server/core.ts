/**
 * The server's half of the compiled core: sync sessions and the JSON checker, over server.wasm.
 *
 * Bytes in, bytes out (src/engine/calls.h). Everything is copied out of the core's memory at once. A trap ends the
 * instance: open sessions fail with `internal`, the next request gets a new one.
 */

import { readFile } from "node:fs/promises";
import create from "#glue.mjs";
import { failure, failureOf, OfflineSyncError } from "../core/errors.ts";
import type { Position } from "../core/events.ts";
import { instantiate, simdSupported } from "../core/load.ts";
import {
  Reader,
  readBlock,
  readPlain,
  readPlanned,
  readStored,
  readStreamWrite,
  readVoidWrite,
  Writer,
  writeDeferred,
  writeRows,
} from "./core-codec.ts";
import type {
  DeferredRow,
  DictionaryId,
  HashProbe,
  OpenSession,
  PlainPlan,
  PlannedBlock,
  PlannedEvent,
  ReplyContext,
  ServerSession,
  SessionRows,
  SessionWrites,
  StoredEvent,
  StreamNeed,
} from "./session.ts";

interface NativeServer {
  input(bytes: number): Uint8Array;
  call(op: number): Uint8Array;
}

const Op = {
  checkJson: 1,
  open: 2,
  plan: 3,
  finish: 4,
  reply: 5,
  close: 6,
  releasable: 7,
  entityHash: 8,
  openSegment: 9,
  planPlain: 10,
  loadDictionary: 11,
  dropDictionary: 12,
} as const;
const DEFERRED = 2;
const HEAD_BYTES = 10;
/** Dictionaries that stay loaded, of those used last; the core takes 64. */
const DICTIONARIES_MAX = 32;
const NOTHING = new Uint8Array();

class Session implements ServerSession {
  readonly device: Uint8Array;
  readonly lateSeen: number;
  readonly needs: readonly StreamNeed[];
  readonly missingDictionary: bigint;
  #planned: readonly PlannedEvent[] = [];
  #blocks: readonly PlannedBlock[] = [];
  #outcomes: { kind: number; code: number }[] = [];
  readonly #failed = new Set<number>();
  readonly #number: number;
  readonly #call: (op: number, input: Uint8Array) => Uint8Array;
  #open = true;

  constructor(call: (op: number, input: Uint8Array) => Uint8Array, opened: Uint8Array) {
    this.#call = call;
    const from = new Reader(opened);
    this.#number = from.u32();
    this.device = from.raw(16);
    this.lateSeen = from.count();
    this.needs = from.list(() => ({
      stream: from.stream(),
      stored: from.count(),
      markOnly: from.u8() !== 0,
      hashesAt: from.list(() => from.count()),
    }));
    this.missingDictionary = from.u64();
  }

  get planned(): readonly PlannedEvent[] {
    return this.#planned;
  }

  get blocks(): readonly PlannedBlock[] {
    return this.#blocks;
  }

  plan(rows: SessionRows, takeBlocks = false): HashProbe | undefined {
    const from = this.#plan(Op.plan, rows, takeBlocks);
    const probe = from.u8() ? { stream: from.stream(), from: from.count(), to: from.count() } : undefined;
    this.#planned = from.list(() => readPlanned(from));
    this.#blocks = from.list(() => readBlock(from));
    this.#outcomes = this.#planned.map(({ refused, run }) => {
      if (refused !== 0) return { kind: 1, code: refused };
      return { kind: run ? 0 : DEFERRED, code: 0 };
    });
    this.#failed.clear();
    return probe;
  }

  planPlain(rows: SessionRows, takeBlocks: boolean): PlainPlan | undefined {
    const from = this.#plan(Op.planPlain, rows, takeBlocks);
    return from.u8() ? readPlain(from) : undefined;
  }

  #plan(op: number, rows: SessionRows, takeBlocks: boolean): Reader {
    const input = new Writer().u32(this.#number).u8(takeBlocks ? 1 : 0);
    writeRows(input, rows);
    return new Reader(this.#call(op, input.bytes));
  }

  stillRuns(index: number): boolean {
    const event = this.#planned[index];
    if (!event?.run || event.refused !== 0) return false;
    return event.entityHash === 0 || !this.#failed.has(event.entityHash);
  }

  outcome(index: number, kind: number, code: number): void {
    const event = this.#planned[index];
    if (event?.run && kind === DEFERRED && event.entityHash !== 0) this.#failed.add(event.entityHash);
    this.#outcomes[index] = { kind, code };
  }

  writes(): SessionWrites {
    const input = new Writer().u32(this.#number);
    input.list(this.#outcomes, ({ kind, code }) => input.u8(kind).u16(code));
    const from = new Reader(this.#call(Op.finish, input.bytes));
    return {
      streams: from.list(() => readStreamWrite(from)),
      voids: from.list(() => readVoidWrite(from)),
      recovered: from.list(() => from.id()),
    };
  }

  reply(context: ReplyContext): Uint8Array {
    const input = new Writer()
      .u32(this.#number)
      .u64(context.incarnation.mintedAt)
      .u64(context.incarnation.random)
      .u64(context.serverTime)
      .u64(context.horizon)
      .u32(context.credit)
      .u32(context.retryAfterMs);
    return this.#call(Op.reply, input.bytes);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#call(Op.close, new Writer().u32(this.#number).bytes);
  }
}

interface LoadedDictionary {
  readonly number: number;
  readonly id: bigint;
}

export class ServerCore {
  readonly #module: WebAssembly.Module;
  #native: NativeServer | undefined;
  /** Those of this instance, by the very array they came in, so that none is taken for another; the one used last comes last. */
  readonly #dictionaries = new Map<Uint8Array, LoadedDictionary>();

  private constructor(module: WebAssembly.Module, native: NativeServer) {
    this.#module = module;
    this.#native = native;
  }

  /** Compiles server.wasm, which lies beside its glue. */
  static async load(): Promise<ServerCore> {
    const name = simdSupported() ? "./server.wasm" : "./server-base.wasm";
    const module = await WebAssembly.compile(await readFile(new URL(name, import.meta.resolve("#glue.mjs"))));
    return new ServerCore(module, await instantiate<NativeServer>(create as never, module, "Server"));
  }

  readonly open: OpenSession = (request, dictionary) => {
    const number = dictionary ? this.#load(dictionary).number : 0;
    const native = this.#native;
    const call = (op: number, input: Uint8Array): Uint8Array => this.#call(op, input, native);
    return new Session(call, this.#call(Op.open, request, native, new Writer().u32(number).bytes));
  };

  readonly dictionaryId: DictionaryId = (packed) => this.#load(packed).id;

  // Open sessions have read what they need of a dictionary, so any may be dropped at any time.
  #load(packed: Uint8Array): LoadedDictionary {
    let loaded = this.#dictionaries.get(packed);
    this.#dictionaries.delete(packed);
    if (!loaded) {
      this.#dropOldest();
      const from = new Reader(this.#call(Op.loadDictionary, packed));
      loaded = { number: from.u32(), id: from.u64() };
    }
    this.#dictionaries.set(packed, loaded);
    return loaded;
  }

  #dropOldest(): void {
    const [oldest] = this.#dictionaries.keys();
    if (oldest && this.#dictionaries.size >= DICTIONARIES_MAX) this.dropDictionary(oldest);
  }

  /** Nothing of it stays in the core. `packed`: the very array it came in. */
  readonly dropDictionary = (packed: Uint8Array): void => {
    const loaded = this.#dictionaries.get(packed);
    if (!loaded) return;
    this.#dictionaries.delete(packed);
    this.#call(Op.dropDictionary, new Writer().u32(loaded.number).bytes);
  };

  /** Throws with the code the client would get for the same bytes. */
  checkJson(json: Uint8Array): void {
    this.#call(Op.checkJson, json);
  }

  entityHash(entity: string): number {
    if (entity === "") return 0;
    return new Reader(this.#call(Op.entityHash, new TextEncoder().encode(entity))).u32();
  }

  /** The events of one stored segment, in order. Throws an `OfflineSyncError` when the bytes are none. */
  readonly openSegment = (segment: Uint8Array): readonly StoredEvent[] => {
    const from = new Reader(this.#call(Op.openSegment, segment));
    return from.list(() => readStored(from));
  };

  /** Indices of the deferred rows that may run now, oldest first; one per entity. */
  releasable(deferred: readonly DeferredRow[], marks: readonly Position[]): readonly number[] {
    const input = new Writer();
    writeDeferred(input, deferred);
    input.list(marks, (mark) => input.id(mark));
    const from = new Reader(this.#call(Op.releasable, input.bytes));
    return from.list(() => from.u32());
  }

  /** The core gets `first` and `input` as one. */
  #call(op: number, input: Uint8Array, expected = this.#native, first: Uint8Array = NOTHING): Uint8Array {
    const native = this.#native;
    if (!native || native !== expected) throw failure("internal", "the core was restarted while this request was open");
    let answer: Uint8Array;
    try {
      const room = native.input(first.length + input.length);
      room.set(first);
      room.set(input, first.length);
      answer = native.call(op).slice();
    } catch (error) {
      this.#restart();
      throw failure("internal", "the core trapped", { cause: error });
    }
    const head = new Reader(answer);
    const code = head.u16();
    if (code !== 0) throw failureOf(code, head.count());
    return answer.subarray(HEAD_BYTES);
  }

  #restart(): void {
    this.#native = undefined;
    this.#dictionaries.clear();
    instantiate<NativeServer>(create as never, this.#module, "Server").then(
      (native) => {
        this.#native = native;
      },
      () => undefined, // the next call reports that there is no core
    );
  }
}

export const isOurs = (error: unknown): error is OfflineSyncError => error instanceof OfflineSyncError;
