/**
 * Sync requests made by hand, and answers read: what a well-behaved client never sends has to be tried, too.
 * Formats: src/wire/frame.h, segment.h, event.h and src/sync/messages.h.
 */

import { execFileSync } from "node:child_process";

const MASK = (1n << 64n) - 1n;
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const mix = (hash: bigint, word: bigint): bigint => {
  const mixed = ((hash ^ word) * 0x9e3779b97f4a7c15n) & MASK;
  return mixed ^ (mixed >> 32n);
};

export function hash64(bytes: Uint8Array, seed = 0n): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let hash = mix(seed ^ 0x6f61735f68617368n, BigInt(bytes.length));
  let at = 0;
  for (; bytes.length - at >= 8; at += 8) hash = mix(hash, view.getBigUint64(at, true));
  if (at < bytes.length) {
    let word = 0n;
    for (let i = bytes.length - 1; i >= at; i--) word = (word << 8n) | BigInt(bytes[i]!);
    hash = mix(hash, word);
  }
  hash = mix(hash, 0xd6e8feb86659fd93n);
  return hash ^ (hash >> 29n);
}

export const entityHash = (entity: string): number => Number(hash64(utf8(entity)) & 0xffffffffn);

export class Bytes {
  readonly #parts: number[] = [];
  u8(value: number): this {
    this.#parts.push(value);
    return this;
  }
  le(value: bigint | number, bytes: number): this {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (let i = 0; i < bytes; i++, rest >>= 8n) this.#parts.push(Number(rest & 255n));
    return this;
  }
  u64(value: bigint | number): this {
    return this.le(value, 8);
  }
  varint(value: bigint | number): this {
    let rest = BigInt(value);
    for (; rest >= 128n; rest >>= 7n) this.#parts.push(Number(rest & 127n) | 128);
    this.#parts.push(Number(rest));
    return this;
  }
  raw(bytes: Uint8Array): this {
    for (const byte of bytes) this.#parts.push(byte);
    return this;
  }
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }
  take(): Uint8Array {
    return Uint8Array.from(this.#parts);
  }
}

export interface TestEvent {
  readonly type?: string;
  readonly module?: string;
  readonly entity?: string;
  readonly dedupeKey?: string;
  readonly replaces?: Position;
  readonly json?: string | Uint8Array;
}

export interface Position {
  readonly epoch: bigint;
  readonly lane: number;
  readonly seq: number;
}

export interface Mark {
  readonly seq: number;
  readonly hash: bigint;
}

export const START: Mark = { seq: 0, hash: 0n };

function eventBytes(event: TestEvent, hlc: bigint): Uint8Array {
  const { type = "test.event", module = "", entity = "", dedupeKey = "", replaces, json = "{}" } = event;
  const out = new Bytes().u64(hlc).u8((entity ? 1 : 0) | (dedupeKey ? 2 : 0) | (replaces ? 4 : 0));
  out.bytes(utf8(type)).bytes(utf8(module));
  if (entity) out.bytes(utf8(entity));
  if (dedupeKey) out.bytes(utf8(dedupeKey));
  if (replaces) out.u64(replaces.epoch).u8(replaces.lane).varint(replaces.seq);
  return out.bytes(typeof json === "string" ? utf8(json) : json).take();
}

export interface Segment {
  readonly stream: { readonly epoch: bigint; readonly lane: number };
  readonly bytes: Uint8Array;
  readonly before: Mark;
  readonly after: Mark;
  /** The position after each event. */
  readonly marks: readonly Mark[];
}

/** How the rows of a segment stand in it. */
export interface Packing {
  readonly codec: number;
  readonly body: Uint8Array;
}

export const MADE_AT = 1_700_000_000_000;

/** Consecutive events that follow `before`, as one plain segment. */
export const segment = (
  epoch: bigint,
  lane: number,
  before: Mark,
  events: readonly TestEvent[],
  at = MADE_AT,
): Segment => sealed({ epoch, lane }, before, events, at, (rows) => ({ codec: 0, body: rows }));

/** As `segment`, with the rows packed as `pack` says. */
export function sealed(
  { epoch, lane }: Segment["stream"],
  before: Mark,
  events: readonly TestEvent[],
  at: number,
  pack: (rows: Uint8Array) => Packing,
): Segment {
  // The same event has the same bytes, however a push is cut.
  const hlc = (i: number): bigint => (BigInt(at) << 16n) + BigInt(before.seq + i);
  const rows = events.map((event, i) => eventBytes(event, hlc(i)));
  const marks: Mark[] = [];
  let hash = before.hash;
  rows.forEach((row, i) => {
    hash = hash64(row, hash);
    marks.push({ seq: before.seq + i + 1, hash });
  });
  const body = new Bytes();
  for (const row of rows) body.raw(row);
  const rowBytes = body.take();
  const packing = pack(rowBytes);
  const size = (json: TestEvent["json"]): number =>
    typeof json === "string" ? utf8(json).length : (json?.length ?? 2);
  const entities = [...new Set(events.flatMap(({ entity }) => (entity ? [entityHash(entity)] : [])))].sort(
    (a, b) => a - b,
  );
  const out = new Bytes()
    .u8(0x53)
    .u8(1)
    .u8(packing.codec)
    .u8(lane)
    .u64(epoch)
    .varint(before.seq + 1)
    .varint(events.length);
  out
    .u64(hlc(0))
    .u64(hlc(events.length - 1))
    .u64(before.hash)
    .u64(hash);
  out.varint(events.reduce((sum, { json }) => sum + size(json), 0));
  out.varint(rowBytes.length).varint(packing.body.length).varint(entities.length);
  for (const entity of entities) out.le(entity, 4);
  const head = out.raw(packing.body).take();
  const bytes = new Bytes().raw(head).u64(hash64(head)).take();
  return { stream: { epoch, lane }, bytes, before, after: marks.at(-1) ?? before, marks };
}

/** The same events as the client's core would pack them, by the native tool `oas`. */
export function packed(oas: string, plain: Segment, events: readonly TestEvent[], at = MADE_AT): Segment {
  const { stream, before } = plain;
  const hex = (value: bigint): string => value.toString(16);
  const lines = [
    JSON.stringify({
      epoch: hex(stream.epoch),
      lane: stream.lane,
      first: before.seq + 1,
      hashBefore: hex(before.hash),
    }),
    ...events.map(({ type = "test.event", module = "", json = "{}" }, i) => {
      const hlc = hex((BigInt(at) << 16n) + BigInt(before.seq + i));
      return `{"hlc":"${hlc}","type":"${type}","module":"${module}","json":${String(json)}}`;
    }),
  ];
  const bytes = execFileSync(oas, ["segment", "encode"], { input: `${lines.join("\n")}\n` });
  return { ...plain, bytes };
}

export interface Hole {
  readonly stream: { readonly epoch: bigint; readonly lane: number };
  readonly from: number;
  readonly to: number;
  readonly reason: number;
  readonly before: bigint;
  readonly after: bigint;
}

export interface Request {
  readonly device: Uint8Array;
  readonly lateSeen?: number;
  readonly items?: readonly (Segment | Hole)[];
  /** What the client has stored, by stream; streams of items that are not named here stand at zero. */
  readonly stored?: readonly (Mark & { readonly epoch: bigint; readonly lane: number })[];
  readonly deps?: readonly { readonly item: number; readonly entity: string; readonly after: Position }[];
  readonly version?: number;
  readonly nonce?: bigint;
}

export const NONCE = 0x1122334455667788n;

export function request({
  device,
  lateSeen = 0,
  items = [],
  stored = [],
  deps = [],
  version = 1,
  nonce = NONCE,
}: Request): Uint8Array {
  const streams = new Map<string, { epoch: bigint; lane: number; stored: Mark; last: Mark }>();
  for (const { epoch, lane, seq, hash } of stored)
    streams.set(`${epoch}/${lane}`, { epoch, lane, stored: { seq, hash }, last: { seq, hash } });
  for (const item of items) {
    const { epoch, lane } = item.stream;
    const last = "bytes" in item ? item.after : { seq: item.to, hash: item.after };
    const known = streams.get(`${epoch}/${lane}`);
    streams.set(`${epoch}/${lane}`, { epoch, lane, stored: known?.stored ?? START, last });
  }
  const out = new Bytes().raw(utf8("OAS")).u8(1).le(version, 2).u64(nonce);
  out.raw(device).u64(0).u64(0).varint(lateSeen).u64(0).varint(streams.size);
  const ordered = [...streams.values()].sort((a, b) =>
    a.epoch === b.epoch ? a.lane - b.lane : a.epoch < b.epoch ? -1 : 1,
  );
  for (const { epoch, lane, stored: at, last } of ordered)
    out.u64(epoch).u8(lane).varint(at.seq).u64(at.hash).varint(last.seq).u64(last.hash);
  out.varint(items.length);
  for (const item of items) {
    if ("bytes" in item) {
      out.u8(0).bytes(item.bytes);
      continue;
    }
    out
      .u8(1)
      .u64(item.stream.epoch)
      .u8(item.stream.lane)
      .varint(item.from)
      .varint(item.to - item.from);
    out.u8(item.reason).u64(item.before).u64(item.after);
  }
  out.varint(deps.length);
  for (const { item, entity, after } of deps)
    out.varint(item).le(entityHash(entity), 4).u64(after.epoch).u8(after.lane).varint(after.seq);
  const frame = out.take();
  return new Bytes().raw(frame).u64(hash64(frame)).take();
}

export interface Reply {
  readonly incarnation: { readonly mintedAt: number; readonly random: bigint };
  readonly serverTime: number;
  readonly horizon: number;
  readonly credit: number;
  readonly retryAfterMs: number;
  readonly error: number;
  readonly streams: readonly {
    readonly epoch: bigint;
    readonly lane: number;
    readonly status: number;
    readonly mark: Mark;
    readonly verdicts: readonly { readonly seq: number; readonly kind: number; readonly code: number }[];
  }[];
  readonly late: readonly (Position & { readonly number: number; readonly kind: number; readonly code: number })[];
}

/** Throws when the bytes are no answer to `nonce`. */
export function readReply(bytes: Uint8Array, nonce = NONCE): Reply {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const u8 = (): number => view.getUint8(at++);
  const u64 = (): bigint => {
    at += 8;
    return view.getBigUint64(at - 8, true);
  };
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = u8();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return Number(value);
    }
  };
  const list = <T>(read: () => T): T[] => Array.from({ length: varint() }, read);
  const mark = (): Mark => ({ seq: varint(), hash: u64() });
  if (new TextDecoder().decode(bytes.subarray(0, 3)) !== "OAS" || bytes[3] !== 2) throw new Error("not a reply frame");
  at = 6;
  if (u64() !== nonce) throw new Error("another request's nonce");
  if (hash64(bytes.subarray(0, -8)) !== view.getBigUint64(bytes.length - 8, true)) throw new Error("checksum");
  const incarnation = { mintedAt: Number(u64()), random: u64() };
  const [serverTime, horizon] = [Number(u64()), Number(u64())];
  const [credit, retryAfterMs, error] = [varint(), varint(), varint()];
  return {
    incarnation,
    serverTime,
    horizon,
    credit,
    retryAfterMs,
    error,
    streams: list(() => ({
      epoch: u64(),
      lane: u8(),
      status: u8(),
      mark: mark(),
      verdicts: list(() => ({ seq: varint(), kind: u8(), code: varint() })),
    })),
    late: list(() => ({ number: varint(), epoch: u64(), lane: u8(), seq: varint(), kind: u8(), code: varint() })),
  };
}
