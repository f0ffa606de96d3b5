/** The few kinds of Protocol Buffers fields that an ONNX file consists of. */

const encoder = new TextEncoder();

function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++;
  return size;
}

/** Appends fields of one message; messages nest as bytes. Integers are 0 to 2^53 - 1. */
export class ProtoWriter {
  readonly #parts: Uint8Array[] = [];
  #size = 0;

  #push(part: Uint8Array): this {
    this.#parts.push(part);
    this.#size += part.length;
    return this;
  }

  #varint(value: number): this {
    const part = new Uint8Array(varintSize(value));
    let rest = value;
    for (let i = 0; i < part.length; i++, rest = Math.floor(rest / 0x80)) {
      part[i] = (rest % 0x80) | (i + 1 < part.length ? 0x80 : 0);
    }
    return this.#push(part);
  }

  int(field: number, value: number): this {
    return this.#varint(field * 8).#varint(value);
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#varint(field * 8 + 2)
      .#varint(value.length)
      .#push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, encoder.encode(value));
  }

  message(field: number, fill: (out: ProtoWriter) => unknown): this {
    const inner = new ProtoWriter();
    fill(inner);
    return this.bytes(field, inner.finish());
  }

  float(field: number, value: number): this {
    return this.#varint(field * 8 + 5).#push(new Uint8Array(Float32Array.of(value).buffer));
  }

  /** Packed, which readers of either form accept. */
  floats(field: number, values: readonly number[]): this {
    return this.bytes(field, new Uint8Array(Float32Array.from(values).buffer));
  }

  ints(field: number, values: readonly number[]): this {
    const inner = new ProtoWriter();
    for (const value of values) inner.#varint(value);
    return this.bytes(field, inner.finish());
  }

  finish(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.#size);
    let at = 0;
    for (const part of this.#parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}
