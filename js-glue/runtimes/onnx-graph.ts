/** Builds one ONNX file: nodes, constants, inputs and outputs. Field numbers are those of onnx.proto3. */

import { ProtoWriter } from "./proto.ts";

/** TensorProto.DataType. */
export const ONNX_TYPE = { float: 1, int8: 3, int32: 6, int64: 7 } as const;
export type OnnxType = keyof typeof ONNX_TYPE;

export type Attribute = number | { readonly float: number } | string | readonly number[] | AttributeList;
export interface AttributeList {
  readonly floats?: readonly number[];
  readonly strings?: readonly string[];
}

/** A dimension is a number, or a name where it is free. */
export type Dim = number | string;

export interface OnnxFileOptions {
  readonly name: string;
  readonly opset: number;
  readonly metadata: Readonly<Record<string, string>>;
}

const IR_VERSION = 7; // of opset 12 and 13

function writeAttribute(out: ProtoWriter, name: string, value: Attribute): void {
  out.text(1, name);
  if (typeof value === "number") out.int(3, value).int(20, 2);
  else if (typeof value === "string") out.text(4, value).int(20, 3);
  else if ("float" in value) out.float(2, value.float).int(20, 1);
  else if ("floats" in value && value.floats) out.floats(7, value.floats).int(20, 6);
  else if ("strings" in value && value.strings) {
    for (const text of value.strings) out.text(9, text);
    out.int(20, 8);
  } else out.ints(8, value as readonly number[]).int(20, 7);
}

export class OnnxGraph {
  readonly #nodes: Uint8Array[] = [];
  readonly #constants: Uint8Array[] = [];
  readonly #inputs: Uint8Array[] = [];
  readonly #outputs: Uint8Array[] = [];
  #names = 0;
  #ml = false;

  /** A fresh name of a value. */
  name(hint: string): string {
    return `${hint}_${this.#names++}`;
  }

  static #value(name: string, type: OnnxType, shape: readonly Dim[]): Uint8Array {
    const dims = (out: ProtoWriter): void => {
      for (const dim of shape) {
        out.message(1, (one) => (typeof dim === "number" ? one.int(1, dim) : one.text(2, dim)));
      }
    };
    return new ProtoWriter()
      .text(1, name)
      .message(2, (kind) => kind.message(1, (tensor) => tensor.int(1, ONNX_TYPE[type]).message(2, dims)))
      .finish();
  }

  input(name: string, type: OnnxType, shape: readonly Dim[]): string {
    this.#inputs.push(OnnxGraph.#value(name, type, shape));
    return name;
  }

  output(name: string, type: OnnxType, shape: readonly Dim[]): void {
    this.#outputs.push(OnnxGraph.#value(name, type, shape));
  }

  /** `values` little-endian, as typed arrays are everywhere this runs. */
  constant(
    hint: string,
    type: OnnxType,
    dims: readonly number[],
    values: Float32Array | Int8Array | Int32Array | BigInt64Array,
  ): string {
    const name = this.name(hint);
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.#constants.push(new ProtoWriter().ints(1, dims).int(2, ONNX_TYPE[type]).text(8, name).bytes(9, raw).finish());
    return name;
  }

  scalar(hint: string, value: number): string {
    return this.constant(hint, "float", [1], Float32Array.of(value));
  }

  /** Returns the name of the node's one result, `result` when given. */
  node(
    type: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    { result = this.name(type.toLowerCase()), domain = "" }: { result?: string; domain?: "" | "ai.onnx.ml" } = {},
  ): string {
    const out = new ProtoWriter();
    for (const input of inputs) out.text(1, input);
    out.text(2, result).text(3, `${type}_${this.#nodes.length}`).text(4, type);
    for (const [name, value] of Object.entries(attributes)) out.message(5, (one) => writeAttribute(one, name, value));
    if (domain !== "") out.text(7, domain);
    this.#ml ||= domain !== "";
    this.#nodes.push(out.finish());
    return result;
  }

  finish({ name, opset, metadata }: OnnxFileOptions): Uint8Array<ArrayBuffer> {
    const graph = new ProtoWriter();
    for (const node of this.#nodes) graph.bytes(1, node);
    graph.text(2, name);
    for (const constant of this.#constants) graph.bytes(5, constant);
    for (const input of this.#inputs) graph.bytes(11, input);
    for (const output of this.#outputs) graph.bytes(12, output);
    const model = new ProtoWriter().int(1, IR_VERSION).text(2, "offline-ai-sync");
    model.bytes(7, graph.finish()).message(8, (one) => one.text(1, "").int(2, opset));
    if (this.#ml) model.message(8, (one) => one.text(1, "ai.onnx.ml").int(2, 1));
    for (const [key, value] of Object.entries(metadata)) model.message(14, (one) => one.text(1, key).text(2, value));
    return model.finish();
  }
}
