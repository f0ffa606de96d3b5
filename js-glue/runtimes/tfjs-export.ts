/**
 * An OASM model as a TF.js layers model: `model.json` and one weight file, 8-bit weights kept in 8 bits.
 *
 * The layers format has one scale a tensor, ours has one a row: the row scales and the bias become a batch normalisation
 * behind a layer without bias, which is the same arithmetic. Text models take the pooled vector (host-input.ts), since the
 * format has no embedding bag; trees become three dense layers.
 */

import { failure } from "../core/errors.ts";
import { denseForest } from "./forest.ts";
import { type Op, type Program, readProgram, type Tensor } from "./oasm.ts";
import { denseRows, numericWidth } from "./onnx-export.ts";

/** One tensor in the file of weights. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: "float32";
  readonly quantization?: { readonly dtype: "uint8"; readonly scale: number; readonly min: number };
}

/** What `model.json` holds; `weightsManifest[0].paths` names the weight file beside it. */
export interface TfjsModelJson {
  readonly format: "layers-model";
  readonly generatedBy: string;
  readonly modelTopology: Readonly<Record<string, unknown>>;
  readonly weightsManifest: readonly [{ readonly paths: readonly string[]; readonly weights: readonly WeightSpec[] }];
}

/** A layers model: `model.json` and the bytes of its weights. */
export interface TfjsModel {
  readonly json: TfjsModelJson;
  readonly weights: Uint8Array<ArrayBuffer>;
}

/** A power of two, so that threshold - value is scaled without rounding: any difference saturates the step. */
const STEP = 2 ** 30;

class Layers {
  readonly #layers: Record<string, unknown>[] = [];
  readonly #specs: WeightSpec[] = [];
  readonly #parts: Uint8Array[] = [];
  #last = "";

  get last(): string {
    return this.#last;
  }

  #add(type: string, name: string, config: Readonly<Record<string, unknown>>): void {
    const inbound = this.#last === "" ? [] : [[[this.#last, 0, 0, {}]]];
    this.#layers.push({ class_name: type, name, config: { name, ...config }, inbound_nodes: inbound });
    this.#last = name;
  }

  input(width: number): void {
    this.#add("InputLayer", "input", { batch_input_shape: [null, width], dtype: "float32", sparse: false });
  }

  #name(type: string): string {
    return `${type}_${this.#layers.length}`;
  }

  floats(name: string, shape: readonly number[], values: Float32Array): void {
    this.#specs.push({ name, shape, dtype: "float32" });
    this.#parts.push(new Uint8Array(values.slice().buffer));
  }

  /** Small integers, -128 to 127, as bytes. */
  bytes(name: string, shape: readonly number[], values: Int8Array): void {
    this.#specs.push({ name, shape, dtype: "float32", quantization: { dtype: "uint8", scale: 1, min: -128 } });
    this.#parts.push(Uint8Array.from(values, (value) => value + 128));
  }

  /** The kernel is [inputs, units]. */
  dense(kernel: Float32Array | Int8Array, inputs: number, units: number, bias?: Float32Array, activation = "linear") {
    const name = this.#name("dense");
    this.#add("Dense", name, { units, activation, use_bias: bias !== undefined, trainable: false });
    const shape = [inputs, units];
    if (kernel instanceof Int8Array) this.bytes(`${name}/kernel`, shape, kernel);
    else this.floats(`${name}/kernel`, shape, kernel);
    if (bias) this.floats(`${name}/bias`, [units], bias);
  }

  /** value * gamma + beta, a column each. */
  affine(gamma: Float32Array, beta: Float32Array): void {
    const name = this.#name("affine");
    this.#add("BatchNormalization", name, { axis: -1, epsilon: 0, center: true, scale: true, trainable: false });
    const shape = [gamma.length];
    this.floats(`${name}/gamma`, shape, gamma);
    this.floats(`${name}/beta`, shape, beta);
    this.floats(`${name}/moving_mean`, shape, new Float32Array(gamma.length));
    this.floats(`${name}/moving_variance`, shape, new Float32Array(gamma.length).fill(1));
  }

  activation(activation: string): void {
    this.#add("Activation", this.#name(activation), { activation, trainable: false });
  }

  finish(name: string, outputs: readonly string[]): TfjsModel {
    const weights = new Uint8Array(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      weights.set(part, at);
      at += part.length;
    }
    const config = {
      name,
      layers: this.#layers,
      input_layers: [["input", 0, 0]],
      output_layers: outputs.map((output) => [output, 0, 0]),
    };
    const topology = { class_name: "Model", config, keras_version: "2.15.0", backend: "tensorflow" };
    const json = {
      format: "layers-model",
      generatedBy: "offline-ai-sync",
      modelTopology: topology,
      weightsManifest: [{ paths: ["model.bin"], weights: this.#specs }],
    } as const;
    return { json, weights };
  }
}

/** [rows, cols] as [cols, rows]. */
function transposed<T extends Float32Array | Int8Array>(values: T, rows: number, cols: number): T {
  const out = values.slice() as T;
  for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) out[c * rows + r] = values[r * cols + c] ?? 0;
  return out;
}

const floatsOf = ({ data }: Tensor): Float32Array => Float32Array.from(data);

function gemm(layers: Layers, { weights, scale, bias }: Extract<Op, { op: "gemm" }>): void {
  const kernel = transposed(weights.data as Float32Array | Int8Array, weights.rows, weights.cols);
  layers.dense(kernel, weights.cols, weights.rows, scale ? undefined : floatsOf(bias));
  if (scale) layers.affine(floatsOf(scale), floatsOf(bias));
}

function trees(layers: Layers, op: Extract<Op, { op: "treeEnsemble" }>, width: number): void {
  const { feature, threshold, paths, offset, values } = denseForest(op);
  const [inner, leaves] = [feature.length, values.length];
  const pick = new Float32Array(width * inner);
  feature.forEach((column, i) => {
    pick[column * inner + i] = -STEP;
  });
  // One where threshold - value is above zero, else zero. The difference is exact; a value that equals its threshold must
  // count as not below, so the step sits 2.5 above zero, where a hard sigmoid begins.
  layers.dense(
    pick,
    width,
    inner,
    threshold.map((value) => value * STEP),
  );
  layers.affine(new Float32Array(inner).fill(1), new Float32Array(inner).fill(-2.5));
  layers.activation("hardSigmoid");
  layers.dense(transposed(paths, leaves, inner), inner, leaves, offset, "relu");
  layers.dense(values, leaves, 1, new Float32Array(1));
}

function apply(layers: Layers, program: Program, op: Op, width: number): number {
  const labels = program.labels.length;
  switch (op.op) {
    case "embeddingBag":
      layers.input(op.rows.cols);
      return op.rows.cols;
    case "numericFeatures":
      layers.input(numericWidth(op));
      return numericWidth(op);
    case "sparseRowSum": {
      layers.input(labels);
      const { matrix, prior } = denseRows(labels, op.ids, op.weights, op.scale);
      layers.dense(matrix, labels, labels, prior);
      return labels;
    }
    case "gemm":
      gemm(layers, op);
      return op.weights.rows;
    case "treeEnsemble":
      trees(layers, op, width);
      return 1;
    case "calibrate":
      layers.affine(new Float32Array(width).fill(op.a), new Float32Array(width).fill(op.b));
      return width;
    case "relu":
    case "sigmoid":
    case "tanh":
    case "softmax":
      layers.activation(op.op);
      return width;
    default:
      return width; // hashing and thresholds are the host's
  }
}

/** `file`: an OASM file that the kernels have accepted. Outputs: scores where there is a threshold, and values, last. */
export const exportTfjs = (file: Uint8Array): TfjsModel => tfjsOf(readProgram(file));

export function tfjsOf(program: Program): TfjsModel {
  const layers = new Layers();
  const outputs: string[] = [];
  let width = 0;
  for (const op of program.ops) {
    if (op.op === "threshold") outputs.push(layers.last);
    width = apply(layers, program, op, width);
  }
  if (layers.last === "") throw failure("malformed", "the model has no operation on values");
  outputs.push(layers.last);
  return layers.finish(program.id, outputs);
}
