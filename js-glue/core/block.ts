/** Request and answer blocks of infer.wasm and documents.wasm, little-endian, as src/wire writes and reads them. */

import { failureOf } from "./errors.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Appends numbers and texts; `bytes()` is what has been written, valid until the next write. */
export class BlockWriter {
  #buffer = new Uint8Array(1024);
  #size = 0;

  reset(): this {
    this.#size = 0;
    return this;
  }

  #room(count: number): number {
    const at = this.#size;
    if (at + count > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(this.#buffer.length * 2, at + count));
      larger.set(this.#buffer.subarray(0, at));
      this.#buffer = larger;
    }
    this.#size = at + count;
    return at;
  }

  #view(): DataView {
    return new DataView(this.#buffer.buffer);
  }

  u8(value: number): this {
    const at = this.#room(1); // before `#buffer` is read: it may be another one now
    this.#buffer[at] = value;
    return this;
  }

  u32(value: number): this {
    const at = this.#room(4);
    this.#view().setUint32(at, value, true);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#room(8);
    this.#view().setBigUint64(at, value, true);
    return this;
  }

  i64(value: number): this {
    const at = this.#room(8);
    this.#view().setBigInt64(at, BigInt(value), true);
    return this;
  }

  f32(value: number): this {
    const at = this.#room(4);
    this.#view().setFloat32(at, value, true);
    return this;
  }

  varint(value: number): this {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.u8((rest % 0x80) | 0x80);
    return this.u8(rest);
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length);
    this.#buffer.set(bytes, at);
    return this;
  }

  /** Their number, then the bytes themselves. */
  sized(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  /** Written in place: the length's bytes are reserved for the longest case and moved up when it was shorter. */
  text(text: string): this {
    const room = text.length * 3;
    const width = room < 0x80 ? 1 : room < 0x4000 ? 2 : room < 0x200000 ? 3 : 5;
    const at = this.#room(width + room);
    const { written } = encoder.encodeInto(text, this.#buffer.subarray(at + width));
    this.#size = at;
    this.varint(written);
    if (this.#size < at + width) this.#buffer.copyWithin(this.#size, at + width, at + width + written);
    this.#size += written;
    return this;
  }

  texts(list: readonly string[]): this {
    this.varint(list.length);
    for (const text of list) this.text(text);
    return this;
  }

  ids(list: readonly number[]): this {
    this.varint(list.length);
    for (const id of list) this.varint(id);
    return this;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#size);
  }
}

/** Reads an answer; throws the core's error when the answer is one. */
export class BlockReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 1;

  constructor(answer: Uint8Array) {
    this.#bytes = answer;
    this.#view = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
    if (answer[0] !== 0) throw failureOf(this.#view.getUint16(1, true), Number(this.#view.getBigUint64(3, true)));
  }

  u8(): number {
    return this.#view.getUint8(this.#at++);
  }

  u64(): bigint {
    this.#at += 8;
    return this.#view.getBigUint64(this.#at - 8, true);
  }

  f32(): number {
    this.#at += 4;
    return this.#view.getFloat32(this.#at - 4, true);
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  raw(size: number): Uint8Array {
    this.#at += size;
    return this.#bytes.slice(this.#at - size, this.#at);
  }

  sized(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    return decoder.decode(this.raw(this.varint()));
  }

  texts(): string[] {
    return Array.from({ length: this.varint() }, () => this.text());
  }

  rest(): Uint8Array {
    return this.raw(this.#bytes.length - this.#at);
  }
}
