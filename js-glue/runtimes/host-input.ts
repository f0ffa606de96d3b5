/** What stays with the host when another runtime does the arithmetic: features before it, views and thresholds after it. */

import { failure } from "../core/errors.ts";
import type { CoreKernels, ModelAnswer, ModelInput, Prediction, PredictOptions } from "./core-kernels.ts";
import { type Op, opOf, type Program, scaleOfCode } from "./oasm.ts";

/** Newest entries of a longer history count; as in src/infer/run.h. */
const HISTORY_MAX = 1_000;

/** One row an input: ids padded with 0 and weight 0, so that every row is as long as the longest. */
export interface BagBatch {
  readonly rows: number;
  readonly features: number;
  readonly ids: Int32Array;
  readonly weights: Float32Array;
}

export interface RowBatch {
  readonly rows: number;
  readonly width: number;
  readonly values: Float32Array;
}

const textOf = (program: Program, input: ModelInput): string => {
  if (typeof input !== "string") throw failure("invalid_argument", `model ${program.id} takes texts`);
  return input;
};

const numbersOf = (program: Program, input: ModelInput): readonly number[] => {
  if (typeof input === "string") throw failure("invalid_argument", `model ${program.id} takes numbers`);
  return input;
};

/** Bucket ids of every text with weight scale / sqrt(count), `width` wide at least: what an exported text graph takes. */
export function bagBatch(kernels: CoreKernels, program: Program, inputs: readonly ModelInput[], width = 1): BagBatch {
  const hash = opOf(program, "ngramHash");
  const codes = opOf(program, "embeddingBag")?.codes;
  if (!hash || !codes) throw failure("invalid_argument", `model ${program.id} takes no texts`);
  const { bucketsLog2, charMin, charMax } = hash.features;
  const lists = inputs.map((input) => kernels.features(textOf(program, input), bucketsLog2, charMin, charMax));
  const features = Math.max(width, ...lists.map(({ length }) => length));
  const ids = new Int32Array(lists.length * features);
  const weights = new Float32Array(ids.length);
  lists.forEach((list, row) => {
    const norm = Math.fround(1 / Math.fround(Math.sqrt(list.length)));
    list.forEach((id, i) => {
      ids[row * features + i] = id;
      weights[row * features + i] = scaleOfCode(codes.data[id] ?? 0) * norm;
    });
  });
  return { rows: lists.length, features, ids, weights };
}

/** The bag itself, for runtimes that take the pooled vector. */
export function pooledBatch(kernels: CoreKernels, program: Program, inputs: readonly ModelInput[]): RowBatch {
  const table = opOf(program, "embeddingBag")?.rows;
  if (!table) throw failure("invalid_argument", `model ${program.id} takes no texts`);
  const bag = bagBatch(kernels, program, inputs);
  const width = table.cols;
  const values = new Float32Array(bag.rows * width);
  for (let row = 0; row < bag.rows; row++) {
    for (let i = row * bag.features; i < (row + 1) * bag.features; i++) {
      const weight = bag.weights[i] ?? 0;
      const from = (bag.ids[i] ?? 0) * width;
      if (weight === 0) continue;
      for (let k = 0; k < width; k++) {
        values[row * width + k] = (values[row * width + k] ?? 0) + weight * (table.data[from + k] ?? 0);
      }
    }
  }
  return { rows: bag.rows, width, values };
}

function numericRow({ columns, scale }: Extract<Op, { op: "numericFeatures" }>, row: readonly number[]): number[] {
  return columns.flatMap(({ kind, width }, i) => {
    const raw = Math.fround(row[i] ?? 0);
    if (kind === "one-hot") return Array.from({ length: width }, (_, k) => (raw === k ? 1 : 0));
    const value = kind === "log1p" ? Math.fround(Math.log1p(Math.max(raw, 0))) : raw;
    return [Math.fround(Math.fround(value - (scale.data[2 * i] ?? 0)) * (scale.data[2 * i + 1] ?? 0))];
  });
}

/** Standardised columns of a numeric model, or counts of a history: one row an input. */
export function rowBatch(program: Program, inputs: readonly ModelInput[]): RowBatch {
  const numeric = opOf(program, "numericFeatures");
  const lists = inputs.map((input) => {
    const numbers = numbersOf(program, input);
    if (numeric) {
      if (numbers.length !== program.inputs) {
        throw failure("invalid_argument", `model ${program.id} takes ${program.inputs} numbers a row`);
      }
      return numericRow(numeric, numbers);
    }
    const counts = new Array<number>(program.labels.length).fill(0);
    for (const item of numbers.slice(-HISTORY_MAX)) if (item in counts) counts[item] = (counts[item] ?? 0) + 1;
    return counts;
  });
  const width = lists[0]?.length ?? 0;
  return { rows: lists.length, width, values: Float32Array.from(lists.flat()) };
}

/** What an exported graph answered, one row an input; `scores` where the model has a threshold. */
export interface RuntimeOutput {
  readonly values: Float32Array;
  readonly scores?: Float32Array | undefined;
}

/** The largest of softmax(values * k), as in src/infer/run.cc. */
function bestShare(values: Float32Array, k: number): number {
  const top = values.reduce((best, value) => Math.max(best, value), Number.NEGATIVE_INFINITY);
  return 1 / values.reduce((sum, value) => sum + Math.exp((value - top) * k), 0);
}

function grouped(values: Float32Array, { labels, groupOf }: Program["views"][number]): Float32Array {
  const sums = new Float32Array(labels.length);
  let inside = 0;
  groupOf.forEach((group, i) => {
    if (group === 0) return;
    sums[group - 1] = (sums[group - 1] ?? 0) + (values[i] ?? 0);
    inside += values[i] ?? 0;
  });
  return inside > 0 ? sums.map((value) => value / inside) : sums;
}

/** Answers as the kernels give them, from another runtime's numbers. `inputs` are those the numbers were made from. */
export function answersOf(
  program: Program,
  { values, scores }: RuntimeOutput,
  inputs: readonly ModelInput[],
  { view: wanted = "labels", top = 0 }: PredictOptions,
): ModelAnswer[] {
  const view = program.views.find(({ name }) => name === wanted);
  if (!view) throw failure("invalid_argument", `model ${program.id} has no view '${wanted}'`);
  const threshold = opOf(program, "threshold");
  const plain = view === program.views[0];
  const width = program.labels.length;
  return inputs.map((input, row) => {
    const own = values.slice(row * width, (row + 1) * width);
    // Items of the history are never recommended.
    if (program.kind === "history") for (const item of input as readonly number[]) if (item in own) own[item] = -1e30;
    const shown = plain ? own : grouped(own, view);
    const all = Array.from(shown, (value, index): Prediction => ({ label: view.labels[index] ?? "", index, value }));
    const best = all.reduce((one, other) => (other.value > one.value ? other : one));
    const flattened =
      plain && threshold && scores
        ? bestShare(scores.subarray(row * width, (row + 1) * width), threshold.b)
        : undefined;
    const confidence = flattened ?? best.value;
    const least = plain ? (threshold?.a ?? 0) : view.threshold;
    const predictions = top === 0 ? all : all.sort((a, b) => b.value - a.value).slice(0, top);
    return { predictions, confidence, abstain: confidence < least };
  });
}
