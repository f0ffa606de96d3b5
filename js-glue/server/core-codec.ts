/** What crosses the border to server.wasm, field by field as in src/engine/calls.h and src/sync/server_session.h. */

import type { Position } from "../core/events.ts";
import type {
  DeferredRow,
  EventColumns,
  Mark,
  PlainPlan,
  PlannedBlock,
  PlannedEvent,
  SessionRows,
  StoredEvent,
  StreamRef,
  StreamWrite,
  VoidWrite,
} from "./session.ts";

/** Grows as needed; every number is little-endian and of fixed width. */
export class Writer {
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

export class Reader {
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

export function writeRows(out: Writer, rows: SessionRows): void {
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

export function writeDeferred(out: Writer, rows: readonly DeferredRow[]): void {
  out.list(rows, ({ event, entity, after }) => {
    out.id(event).u32(entity);
    out.list(after, (id) => out.id(id));
  });
}

export function readPlanned(from: Reader): PlannedEvent {
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

export function readBlock(from: Reader): PlannedBlock {
  return {
    stream: from.stream(),
    segments: from.list(() => ({ first: from.count(), last: from.count(), bytes: from.bytes() })),
    hashes: from.bytes(),
    groups: from.list(() => ({ type: from.text(), module: from.text(), count: from.u32(), hlc: from.u64() })),
  };
}

const readColumns = (from: Reader): EventColumns => ({
  count: from.u32(),
  epoch: from.bytes(),
  lane: from.bytes(),
  seq: from.bytes(),
  hash: from.bytes(),
  type: from.bytes(),
  module: from.bytes(),
  entity: from.bytes(),
  hlc: from.bytes(),
  json: from.bytes(),
});

export const readPlain = (from: Reader): PlainPlan => ({
  moves: from.list(() => readStreamWrite(from)),
  groups: from.list(() => ({
    lane: from.u8(),
    type: from.text(),
    module: from.text(),
    count: from.u32(),
    hlc: from.u64(),
  })),
  events: readColumns(from),
  blocks: from.list(() => readBlock(from)),
});

export function readStored(from: Reader): StoredEvent {
  return {
    id: from.id(),
    hash: from.u64(),
    hlc: from.u64(),
    type: from.name(0),
    module: from.name(1),
    entity: from.name(2),
    json: from.bytes(),
  };
}

export function readStreamWrite(from: Reader): StreamWrite {
  return { stream: from.stream(), before: from.mark(), after: from.mark() };
}

export function readVoidWrite(from: Reader): VoidWrite {
  return {
    stream: from.stream(),
    from: from.count(),
    to: from.count(),
    reason: from.u8(),
    hashBefore: from.u64(),
    hashAfter: from.u64(),
  };
}
