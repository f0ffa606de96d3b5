/**
 * The byte block that crosses the border: src/engine/io_codec.h, for the host's side.
 *
 * Records are kind u8 | size u32 | body, little-endian and fixed width. Everything read is copied out at once: a view
 * into the core's memory is dead after the next call, and a stored view would drag its whole buffer into the database.
 */

import type { Accepted, EngineStatus, Input, Notice, Output, SettledException } from "./io.ts";
import type { Core, Expectation, KeyRange, Level, StoredRecord } from "./ports.ts";

const HEAD_BYTES = 5;
const KINDS = {
  start: 0,
  enqueue: 1,
  loaded: 2,
  loadFailed: 3,
  persisted: 4,
  persistFailed: 5,
  response: 6,
  sendFailed: 7,
  woke: 8,
  connectivity: 9,
  peer: 10,
  command: 11,
  gone: 12,
} as const satisfies Record<Input["kind"], number>;
const LEVELS: readonly Level[] = ["memory", "durable", "strict"];
const EXPECTATIONS: readonly Expectation["kind"][] = ["absent", "present", "equals"];

function bodySize(input: Input): number {
  switch (input.kind) {
    case "start":
      return 16 + 8 + 8 * 5 + 32 + 2;
    case "enqueue":
      return 12 + input.text.length;
    case "loaded":
      return input.records.reduce((sum, { key, value }) => sum + 8 + key.length + value.length, 8);
    case "persistFailed":
      return 7;
    case "response":
      return 14 + input.body.length;
    case "connectivity":
      return 2;
    case "peer":
      return 4 + input.bytes.length;
    case "command":
      return 9 + input.args.length;
    case "gone":
      return 8;
    case "woke":
      return 0;
    default:
      return 4; // one number
  }
}

class Writer {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  u8(value: number): void {
    this.#view.setUint8(this.#at, value);
    this.#at += 1;
  }
  u16(value: number): void {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }
  u32(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }
  u64(value: bigint): void {
    this.#view.setBigUint64(this.#at, value, true);
    this.#at += 8;
  }
  raw(bytes: Uint8Array): void {
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }
  bytes(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }
}

function writeBody(out: Writer, input: Input): void {
  switch (input.kind) {
    case "start":
      out.raw(input.device);
      out.u64(input.epoch);
      for (let lane = 0; lane < 5; lane++) out.u64(BigInt(input.next[lane] ?? 1));
      out.raw(input.seed);
      out.u8(input.durability);
      out.u8(input.drains ? 1 : 0);
      break;
    case "enqueue":
      out.u32(input.first);
      out.u32(input.count);
      out.bytes(input.text);
      break;
    case "loaded":
      out.u32(input.load);
      out.u32(input.records.length);
      for (const { key, value } of input.records) {
        out.bytes(key);
        out.bytes(value);
      }
      break;
    case "loadFailed":
      out.u32(input.load);
      break;
    case "persisted":
      out.u32(input.tx);
      break;
    case "persistFailed":
      out.u32(input.tx);
      out.u8(input.failure);
      out.u16(input.code);
      break;
    case "response":
      out.u32(input.request);
      out.u16(input.status);
      out.u32(input.retryAfterMs);
      out.bytes(input.body);
      break;
    case "sendFailed":
      out.u32(input.request);
      break;
    case "woke":
      break;
    case "connectivity":
      out.u8(input.online ? 1 : 0);
      out.u8(input.tokenFresh ? 1 : 0);
      break;
    case "peer":
      out.bytes(input.bytes);
      break;
    case "command":
      out.u32(input.command);
      out.u8(input.op);
      out.bytes(input.args);
      break;
    case "gone":
      out.u64(input.owner);
      break;
    default:
      assertNever(input);
  }
}

export function assertNever(value: never): never {
  throw new TypeError(`a kind this build does not know: ${JSON.stringify(value)}`);
}

/** Writes the inputs straight into the core's memory, as the block its next `step` consumes. */
export function writeInputs(core: Core, inputs: readonly Input[]): void {
  let total = 0;
  for (const input of inputs) total += HEAD_BYTES + bodySize(input);
  const out = new Writer(core.input(total));
  for (const input of inputs) {
    out.u8(KINDS[input.kind]);
    out.u32(bodySize(input));
    writeBody(out, input);
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get done(): boolean {
    return this.at >= this.#bytes.length;
  }
  u8(): number {
    return this.#view.getUint8(this.at++);
  }
  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2, true);
  }
  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }
  u64(): bigint {
    this.at += 8;
    return this.#view.getBigUint64(this.at - 8, true);
  }
  /** A count or a number in a stream: far below 2^53. */
  count(): number {
    return Number(this.u64());
  }
  millis(): number {
    this.at += 8;
    return Number(this.#view.getBigInt64(this.at - 8, true));
  }
  bytes(): Uint8Array {
    const size = this.u32();
    this.at += size;
    if (this.at > this.#bytes.length) throw new RangeError("the output block ends early");
    return this.#bytes.slice(this.at - size, this.at);
  }
  list<T>(read: () => T): T[] {
    const items: T[] = [];
    for (let left = this.u32(); left > 0; left--) items.push(read());
    return items;
  }
}

function readPersist(from: Reader): Output {
  const tx = from.u32();
  const level = LEVELS[from.u8()] ?? "strict";
  const expects = from.list<Expectation>(() => ({
    kind: EXPECTATIONS[from.u8()] ?? "equals",
    key: from.bytes(),
    value: from.bytes(),
  }));
  const puts = from.list<StoredRecord>(() => ({ key: from.bytes(), value: from.bytes() }));
  const deletes = from.list<KeyRange>(() => ({ from: from.bytes(), to: from.bytes() }));
  const guard = { key: from.bytes(), value: from.bytes() };
  return {
    kind: "persist",
    tx,
    batch: { level, expects, puts, deletes, guard: guard.key.length > 0 ? guard : undefined },
    covers: from.list(() => readAccepted(from)),
  };
}

const readAccepted = (from: Reader): Accepted => ({
  first: from.u32(),
  count: from.u32(),
  epoch: from.u64(),
  lane: from.u8(),
  seq: from.count(),
});

/** Also what the command `status` answers with. */
export function readStatus(from: Reader): EngineStatus {
  return {
    phase: from.u8(),
    reason: from.u16(),
    pending: [from.count(), from.count(), from.count(), from.count(), from.count()],
    created: from.count(),
    applied: from.count(),
    dead: from.count(),
    voided: from.count(),
    deferred: from.count(),
    attempts: from.u32(),
    nextAttempt: from.millis(),
    oldestUnsent: from.millis(),
  };
}

function readNotice(from: Reader): Notice {
  const kind = from.u8();
  switch (kind) {
    case 0:
      return { notice: "accepted", ...readAccepted(from) };
    case 1:
      return { notice: "failed", command: from.u32(), code: from.u16(), detail: from.count() };
    case 2:
      return { notice: "result", command: from.u32(), bytes: from.bytes() };
    case 3:
      return {
        notice: "settled",
        epoch: from.u64(),
        lane: from.u8(),
        from: from.count(),
        upto: from.count(),
        late: from.u8() !== 0,
        exceptions: from.list<SettledException>(() => ({ seq: from.count(), verdict: from.u8(), code: from.u16() })),
      };
    case 4:
      return { notice: "status", status: readStatus(from) };
    case 5:
      return { notice: "needToken" };
    default:
      throw new RangeError(`unknown notice ${kind}`);
  }
}

function readOutput(kind: number, from: Reader): Output {
  switch (kind) {
    case 0:
      return readPersist(from);
    case 1:
      return { kind: "load", load: from.u32(), from: from.bytes(), to: from.bytes(), recordsMax: from.u32() };
    case 2:
      return {
        kind: "send",
        request: from.u32(),
        pull: from.u8() !== 0,
        timeoutMs: from.u32(),
        body: from.bytes(),
      };
    case 3:
      return { kind: "abort", request: from.u32() };
    case 4:
      return { kind: "tell", bytes: from.bytes() };
    case 5:
      return { kind: "deliver", notice: readNotice(from) };
    case 6:
      return { kind: "log", severity: from.u8(), code: from.u16(), detail: from.count() };
    case 7:
      return { kind: "wake", at: from.millis() };
    case 8:
      return { kind: "follow", owner: from.u64() };
    default:
      throw new RangeError(`unknown output ${kind}`);
  }
}

/** Copies a whole output block. Throws when the block is not well formed, which only a broken instance writes. */
export function readOutputs(block: Uint8Array): Output[] {
  const from = new Reader(block);
  const outputs: Output[] = [];
  while (!from.done) {
    const kind = from.u8();
    const end = from.u32() + from.at;
    outputs.push(readOutput(kind, from));
    if (from.at !== end) throw new RangeError(`output ${kind} has ${from.at - end} bytes too many`);
  }
  return outputs;
}

/** For the answers to commands, which are bytes of the same forms. */
export const readerOf = (bytes: Uint8Array): Reader => new Reader(bytes);
