/**
 * The server's half of the compiled core: sync sessions and the JSON checker, over server.wasm.
 *
 * Bytes in, bytes out (src/engine/calls.h). Everything is copied out of the core's memory at once. A trap ends the
 * instance: open sessions fail with `internal`, the next request gets a new one.
 */

import { readFile } from "node:fs/promises";
import create from "#server.mjs";
import { failure, failureOf, OfflineSyncError } from "../core/errors.ts";
import type { Position } from "../core/events.ts";
import { instantiate, simdSupported } from "../core/load.ts";
import type {
  DeferredRow,
  HashProbe,
  Mark,
  PlannedEvent,
  ReplyContext,
  ServerSession,
  SessionRows,
  SessionWrites,
  StreamNeed,
  StreamRef,
  StreamWrite,
  VoidWrite,
} from "./session.ts";

interface NativeServer {
  input(bytes: number): Uint8Array;
  call(op: number): Uint8Array;
}

const Op = { checkJson: 1, open: 2, plan: 3, finish: 4, reply: 5, close: 6, releasable: 7, entityHash: 8 } as const;
const DEFERRED = 2;
const HEAD_BYTES = 10;

/** Grows as needed; every number is little-endian and of fixed width. */
class Writer {
  #bytes = new Uint8Array(1_024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  #room(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(this.#at, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return at;
  }
  u8(value: number): this {
    const at = this.#room(1); // first: it may replace the view
    this.#view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    const at = this.#room(2); // first: it may replace the view
    this.#view.setUint16(at, value, true);
    return this;
  }
  u32(value: number): this {
    const at = this.#room(4); // first: it may replace the view
    this.#view.setUint32(at, value, true);
    return this;
  }
  u64(value: bigint | number): this {
    const at = this.#room(8); // first: it may replace the view
    this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
    return this;
  }
  stream({ epoch, lane }: StreamRef): this {
    return this.u64(epoch).u8(lane);
  }
  id(id: Position): this {
    return this.stream(id).u64(id.seq);
  }
  mark({ seq, hash }: Mark): this {
    return this.u64(seq).u64(hash);
  }
  list<T>(values: readonly T[], write: (value: T) => unknown): this {
    this.u32(values.length);
    for (const value of values) write(value);
    return this;
  }
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #names: { readonly bytes: Uint8Array; readonly text: string }[] = [];
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  u8(): number {
    return this.#view.getUint8(this.#at++);
  }
  u16(): number {
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2, true);
  }
  u32(): number {
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4, true);
  }
  u64(): bigint {
    this.#at += 8;
    return this.#view.getBigUint64(this.#at - 8, true);
  }
  count(): number {
    return Number(this.u64());
  }
  raw(bytes: number): Uint8Array {
    this.#at += bytes;
    return this.#bytes.subarray(this.#at - bytes, this.#at);
  }
  bytes(): Uint8Array {
    return this.raw(this.u32());
  }
  text(): string {
    return decode(this.bytes());
  }
  /** As `text`, for what mostly repeats: one that is the same as the last in its slot costs no decoding. */
  name(slot: number): string {
    const bytes = this.bytes();
    const last = this.#names[slot];
    if (last && same(last.bytes, bytes)) return last.text;
    const text = decode(bytes);
    this.#names[slot] = { bytes, text };
    return text;
  }
  stream(): StreamRef {
    return { epoch: this.u64(), lane: this.u8() };
  }
  id(): Position {
    return { epoch: this.u64(), lane: this.u8(), seq: this.count() };
  }
  mark(): Mark {
    return { seq: this.count(), hash: this.u64() };
  }
  list<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.u32(); left > 0; left--) items.push(read());
    return items;
  }
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const decode = (bytes: Uint8Array): string => (bytes.length === 0 ? "" : decoder.decode(bytes));

// Names are short: a loop costs less than a call.
function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function writeRows(out: Writer, rows: SessionRows): void {
  out.u64(rows.incarnation.mintedAt).u64(rows.incarnation.random);
  out.list(rows.streams, (row) => {
    out.stream(row.stream).mark(row.mark);
    out.list(row.hashes, (mark) => out.mark(mark));
    out.list(row.verdicts, ({ seq, kind, code }) => out.u64(seq).u8(kind).u16(code));
    out.list(row.voids, ({ from, to, reason, recovered }) =>
      out
        .u64(from)
        .u64(to)
        .u8(reason)
        .u8(recovered ? 1 : 0),
    );
  });
  writeDeferred(out, rows.deferred);
  out.list(rows.late, ({ number, event, kind, code }) => out.u64(number).id(event).u8(kind).u16(code));
}

function writeDeferred(out: Writer, rows: readonly DeferredRow[]): void {
  out.list(rows, ({ event, entity, after }) => {
    out.id(event).u32(entity);
    out.list(after, (id) => out.id(id));
  });
}

function readPlanned(from: Reader): PlannedEvent {
  return {
    id: from.id(),
    hash: from.u64(),
    hlc: from.u64(),
    type: from.name(0),
    module: from.name(1),
    entity: from.name(2),
    entityHash: from.u32(),
    dedupeKey: from.text(),
    replaces: from.u8() ? from.id() : undefined,
    json: from.bytes(),
    refused: from.u16(),
    recovered: from.u8() !== 0,
    run: from.u8() !== 0,
    after: from.list(() => from.id()),
  };
}

function readStreamWrite(from: Reader): StreamWrite {
  return { stream: from.stream(), before: from.mark(), after: from.mark() };
}

function readVoidWrite(from: Reader): VoidWrite {
  return {
    stream: from.stream(),
    from: from.count(),
    to: from.count(),
    reason: from.u8(),
    hashBefore: from.u64(),
    hashAfter: from.u64(),
  };
}

class Session implements ServerSession {
  readonly device: Uint8Array;
  readonly lateSeen: number;
  readonly needs: readonly StreamNeed[];
  #planned: readonly PlannedEvent[] = [];
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
  }

  get planned(): readonly PlannedEvent[] {
    return this.#planned;
  }

  plan(rows: SessionRows): HashProbe | undefined {
    const input = new Writer().u32(this.#number);
    writeRows(input, rows);
    const from = new Reader(this.#call(Op.plan, input.bytes));
    const probe = from.u8() ? { stream: from.stream(), from: from.count(), to: from.count() } : undefined;
    this.#planned = from.list(() => readPlanned(from));
    this.#outcomes = this.#planned.map(({ refused, run }) => {
      if (refused !== 0) return { kind: 1, code: refused };
      return { kind: run ? 0 : DEFERRED, code: 0 };
    });
    this.#failed.clear();
    return probe;
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

export class ServerCore {
  readonly #module: WebAssembly.Module;
  #native: NativeServer | undefined;

  private constructor(module: WebAssembly.Module, native: NativeServer) {
    this.#module = module;
    this.#native = native;
  }

  /** Compiles server.wasm, which lies beside its glue. */
  static async load(): Promise<ServerCore> {
    const name = simdSupported() ? "./server.wasm" : "./server-base.wasm";
    const module = await WebAssembly.compile(await readFile(new URL(name, import.meta.resolve("#server.mjs"))));
    return new ServerCore(module, await instantiate<NativeServer>(create as never, module, "Server"));
  }

  /** Opens a request frame. Throws an `OfflineSyncError` with the core's code when the request as a whole is bad. */
  readonly open = (request: Uint8Array): ServerSession => {
    const native = this.#native;
    const call = (op: number, input: Uint8Array): Uint8Array => this.#call(op, input, native);
    return new Session(call, call(Op.open, request));
  };

  /** Throws with the code the client would get for the same bytes. */
  checkJson(json: Uint8Array): void {
    this.#call(Op.checkJson, json);
  }

  entityHash(entity: string): number {
    if (entity === "") return 0;
    return new Reader(this.#call(Op.entityHash, new TextEncoder().encode(entity))).u32();
  }

  /** Indices of the deferred rows that may run now, oldest first; one per entity. */
  releasable(deferred: readonly DeferredRow[], marks: readonly Position[]): readonly number[] {
    const input = new Writer();
    writeDeferred(input, deferred);
    input.list(marks, (mark) => input.id(mark));
    const from = new Reader(this.#call(Op.releasable, input.bytes));
    return from.list(() => from.u32());
  }

  #call(op: number, input: Uint8Array, expected = this.#native): Uint8Array {
    const native = this.#native;
    if (!native || native !== expected) throw failure("internal", "the core was restarted while this request was open");
    let answer: Uint8Array;
    try {
      native.input(input.length).set(input);
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
    instantiate<NativeServer>(create as never, this.#module, "Server").then(
      (native) => {
        this.#native = native;
      },
      () => undefined, // the next call reports that there is no core
    );
  }
}

export const isOurs = (error: unknown): error is OfflineSyncError => error instanceof OfflineSyncError;
