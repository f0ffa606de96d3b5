/**
 * Reads the program of an OASM file, for exporters and other runtimes.
 *
 * Only for files the kernels have loaded: they check every size, offset and number (src/infer/load.cc), so this reader
 * may be short. The format is in docs/models.md.
 */

import { BlockReader } from "../core/block.ts";
import { failure } from "../core/errors.ts";

export type DType = "f32" | "f16" | "i8" | "i4" | "u16" | "u8";
const DTYPES: readonly DType[] = ["f32", "f16", "i8", "i4", "u16", "u8"];

/** Row-major. 4-bit values are unpacked to one a byte, half floats stay as their bits. */
export interface Tensor {
  readonly dtype: DType;
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array | Int8Array | Uint16Array | Uint8Array;
}

export interface FeatureParams {
  readonly bucketsLog2: number;
  readonly charMin: number;
  readonly charMax: number;
}

export interface Column {
  readonly kind: "standard" | "log1p" | "one-hot";
  readonly width: number;
}

/** One operation; `tensors` are indices. Names as in src/infer/model.h. */
export type Op =
  | { readonly op: "ngramHash"; readonly features: FeatureParams }
  | { readonly op: "numericFeatures"; readonly columns: readonly Column[]; readonly scale: Tensor }
  | { readonly op: "embeddingBag"; readonly rows: Tensor; readonly codes: Tensor }
  | { readonly op: "gemm"; readonly weights: Tensor; readonly scale: Tensor | undefined; readonly bias: Tensor }
  | { readonly op: "relu" | "sigmoid" | "tanh" | "softmax" }
  | { readonly op: "treeEnsemble"; readonly nodes: Tensor; readonly roots: Tensor }
  | { readonly op: "sparseRowSum"; readonly ids: Tensor; readonly weights: Tensor; readonly scale: Tensor }
  | { readonly op: "calibrate"; readonly a: number; readonly b: number }
  | { readonly op: "threshold"; readonly a: number; readonly b: number };

export interface ProgramView {
  readonly name: string;
  readonly labels: readonly string[];
  /** Per label of the model: its group + 1, or 0 when the view leaves it out. */
  readonly groupOf: readonly number[];
  readonly threshold: number;
}

export interface Program {
  readonly id: string;
  readonly version: string;
  readonly kind: "text" | "numeric" | "history";
  /** Columns of a numeric model. */
  readonly inputs: number;
  readonly labels: readonly string[];
  readonly views: readonly ProgramView[];
  readonly ops: readonly Op[];
}

const KINDS = ["text", "numeric", "history"] as const;
const FIXED_BYTES = 64;

function readTensor(file: Uint8Array, at: number, dtype: DType, rows: number, cols: number): Tensor {
  const count = rows * cols;
  // A copy: the typed views need an alignment the caller's buffer need not have.
  const bytes = (size: number): ArrayBuffer => file.slice(at, at + size).buffer as ArrayBuffer;
  switch (dtype) {
    case "f32":
      return { dtype, rows, cols, data: new Float32Array(bytes(count * 4)) };
    case "f16":
    case "u16":
      return { dtype, rows, cols, data: new Uint16Array(bytes(count * 2)) };
    case "u8":
      return { dtype, rows, cols, data: new Uint8Array(bytes(count)) };
    case "i8":
      return { dtype, rows, cols, data: new Int8Array(bytes(count)) };
    case "i4": {
      // Eight values in four bytes: byte k of a block holds value k low and value k + 4 high, each plus 8.
      const data = new Int8Array(count);
      for (let i = 0; i < count; i += 8) {
        for (let k = 0; k < 4; k++) {
          const byte = file[at + i / 2 + k] ?? 0;
          data[i + k] = (byte & 15) - 8;
          data[i + k + 4] = (byte >> 4) - 8;
        }
      }
      return { dtype, rows, cols, data };
    }
  }
}

/** The header's fields, after the file's fixed part; BlockReader skips the answer's first byte, so one is put before. */
function headerReader(file: Uint8Array, size: number): BlockReader {
  const block = new Uint8Array(size + 1);
  block.set(file.subarray(FIXED_BYTES, FIXED_BYTES + size), 1);
  return new BlockReader(block);
}

class ProgramReader {
  readonly #in: BlockReader;
  readonly #file: Uint8Array;
  readonly #blobAt: number;
  #tensors: readonly Tensor[] = [];

  constructor(file: Uint8Array) {
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    if (file.length < FIXED_BYTES || view.getUint32(0, true) !== 0x4d53414f) throw failure("malformed", "not OASM");
    if (view.getUint16(4, true) !== 1) throw failure("version_not_supported", "OASM is not of version 1");
    this.#file = file;
    this.#blobAt = view.getUint32(16, true);
    this.#in = headerReader(file, view.getUint32(8, true));
  }

  read(): Program {
    const input = this.#in;
    const [id, version] = [input.text(), input.text()];
    const kind = KINDS[input.u8()] ?? "text";
    const inputs = input.varint();
    const labels = input.texts();
    const plain = { name: "labels", labels, groupOf: labels.map((_, i) => i + 1), threshold: 0 };
    const views = [plain, ...this.#list(() => this.#view(labels.length))];
    this.#tensors = this.#list(() => this.#tensor());
    return { id, version, kind, inputs, labels, views, ops: this.#list(() => this.#op()) };
  }

  #list<T>(one: () => T): T[] {
    return Array.from({ length: this.#in.varint() }, one);
  }

  #view(labels: number): ProgramView {
    const [name, own] = [this.#in.text(), this.#in.texts()];
    const groupOf = Array.from({ length: labels }, () => this.#in.varint());
    return { name, labels: own, groupOf, threshold: this.#in.f32() };
  }

  #tensor(): Tensor {
    const dtype = DTYPES[this.#in.u8()] ?? "u8";
    const [rows, cols, offset] = [this.#in.varint(), this.#in.varint(), this.#in.varint()];
    return readTensor(this.#file, this.#blobAt + offset, dtype, rows, cols);
  }

  #named(): Tensor {
    const tensor = this.#tensors[this.#in.u8()];
    if (!tensor) throw failure("malformed", "an operation names no tensor");
    return tensor;
  }

  #op(): Op {
    const input = this.#in;
    const code = input.u8();
    switch (code) {
      case 1:
        return { op: "ngramHash", features: { bucketsLog2: input.u8(), charMin: input.u8(), charMax: input.u8() } };
      case 2: {
        const columns = this.#list((): Column => {
          const kind = (["standard", "log1p", "one-hot"] as const)[input.u8()] ?? "standard";
          return { kind, width: kind === "one-hot" ? input.varint() : 1 };
        });
        return { op: "numericFeatures", columns, scale: this.#named() };
      }
      case 3:
        return { op: "embeddingBag", rows: this.#named(), codes: this.#named() };
      case 4: {
        const [weights, scale, bias] = [this.#named(), this.#named(), this.#named()];
        return { op: "gemm", weights, scale: weights.dtype === "i8" ? scale : undefined, bias };
      }
      case 9:
        return { op: "treeEnsemble", nodes: this.#named(), roots: this.#named() };
      case 10:
        return { op: "sparseRowSum", ids: this.#named(), weights: this.#named(), scale: this.#named() };
      case 11:
        return { op: "calibrate", a: input.f32(), b: input.f32() };
      case 12:
        return { op: "threshold", a: input.f32(), b: input.f32() };
      default: {
        const op = (["relu", "sigmoid", "tanh", "softmax"] as const)[code - 5];
        if (!op) throw failure("malformed", `operation ${code} is unknown`);
        return { op };
      }
    }
  }
}

/** O(file size). Rejects with `malformed` or `version_not_supported` what is not OASM version 1 at all. */
export const readProgram = (file: Uint8Array): Program => new ProgramReader(file).read();

/** A row scale from its byte: 5 exponent bits and 3 fraction bits of a positive half. */
export function scaleOfCode(code: number): number {
  const exponent = code >> 3;
  const fraction = (code & 7) / 8;
  return exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15);
}

/** The operation of one kind, which the caller knows to be there. */
export function opOf<K extends Op["op"]>(program: Program, kind: K): Extract<Op, { op: K }> | undefined {
  return program.ops.find((op): op is Extract<Op, { op: K }> => op.op === kind);
}
