/**
 * An OASM model as an ONNX file, for ONNX Runtime Web and everything else that reads ONNX.
 *
 * Two forms of one model: `f32` (opset 12) uses only operations that the webgl and webgpu providers have; `int8`
 * (opset 13) keeps the weights in 8 bits behind DequantizeLinear and trees as trees, for the wasm provider. The featuriser
 * stays with the kernels: a text model takes bucket ids and their weights (host-input.ts), so both runtimes see the same
 * numbers. Outputs: `values`, and `scores` where the model has a threshold that looks at them.
 */

import { denseForest, forestTrees, LEAF } from "./forest.ts";
import { type Op, type Program, readProgram, type Tensor } from "./oasm.ts";
import { type Dim, OnnxGraph } from "./onnx-graph.ts";

/** Floats, or 8-bit weights that are widened when they are used. */
export type OnnxForm = "f32" | "int8";

const OPSET: Readonly<Record<OnnxForm, number>> = { f32: 12, int8: 13 };

export interface OnnxExportOptions {
  /** Sizes of the free dimensions, for the webgl provider, which keeps those of its first run for ever. */
  readonly dims?: { readonly batch: number; readonly features: number } | undefined;
}

interface State {
  readonly graph: OnnxGraph;
  readonly form: OnnxForm;
  readonly free: (name: "batch" | "features") => Dim;
  readonly width: number;
  /** The name of the value the operation before left behind. */
  readonly at: string;
  /** The name the operation's own result must have; any when undefined. */
  readonly result: string | undefined;
}

type OpOf<K extends Op["op"]> = Extract<Op, { op: K }>;

const toFloats = ({ data }: Tensor): Float32Array => (data instanceof Float32Array ? data : Float32Array.from(data));

/** sum over ids of weight * row, which with the host's weight scale / sqrt(count) is the kernels' bag. */
function embeddingBag({ graph, form, free }: State, { rows }: OpOf<"embeddingBag">): string {
  const ids = graph.input("ids", "int32", [free("batch"), free("features")]);
  const weights = graph.input("weights", "float", [free("batch"), free("features"), 1]);
  const dims = [rows.rows, rows.cols];
  let gathered: string;
  if (form === "int8") {
    const table = graph.constant("embedding", "int8", dims, rows.data as Int8Array);
    const picked = graph.node("Gather", [table, ids], { axis: 0 });
    // The rows' own scales travel in the weights, so one scale of 1 is exact.
    const [scale, zero] = [
      graph.constant("one", "float", [], Float32Array.of(1)),
      graph.constant("zero", "int8", [], Int8Array.of(0)),
    ];
    gathered = graph.node("DequantizeLinear", [picked, scale, zero]);
  } else {
    gathered = graph.node("Gather", [graph.constant("embedding", "float", dims, toFloats(rows)), ids], { axis: 0 });
  }
  const weighted = graph.node("Mul", [gathered, weights]);
  if (form === "f32") return graph.node("ReduceSum", [weighted], { axes: [1], keepdims: 0 });
  const axes = graph.constant("axes", "int64", [1], BigInt64Array.of(1n));
  return graph.node("ReduceSum", [weighted, axes], { keepdims: 0 });
}

const named = ({ result }: State): { readonly result?: string } => (result === undefined ? {} : { result });

function gemm(state: State, { weights, scale, bias }: OpOf<"gemm">): string {
  const { graph, form, at } = state;
  const dims = [weights.rows, weights.cols];
  const offset = graph.constant("bias", "float", [weights.rows], toFloats(bias));
  let matrix: string;
  if (form === "int8" && scale) {
    const rows = graph.constant("weights", "int8", dims, weights.data as Int8Array);
    const scales = graph.constant("scale", "float", [weights.rows], toFloats(scale));
    const zeros = graph.constant("zeros", "int8", [weights.rows], new Int8Array(weights.rows));
    matrix = graph.node("DequantizeLinear", [rows, scales, zeros], { axis: 0 });
  } else {
    const factors = scale ? toFloats(scale) : undefined;
    const floats = toFloats(weights).map((value, i) =>
      factors ? value * (factors[Math.floor(i / weights.cols)] ?? 0) : value,
    );
    matrix = graph.constant("weights", "float", dims, floats);
  }
  return graph.node("Gemm", [at, matrix, offset], { transB: 1 }, named(state));
}

/** As TreeEnsembleRegressor of ONNX-ML. */
function forest({ graph, at }: State, op: OpOf<"treeEnsemble">): string {
  const trees = forestTrees(op).map((tree) => {
    const place = new Map(tree.map(({ id }, i) => [id, i]));
    return tree.map(({ node }, i) => ({ node, i, left: place.get(node.left) ?? 0, right: place.get(node.right) ?? 0 }));
  });
  const all = trees.flatMap((nodes, tree) => nodes.map((one) => ({ ...one, tree, leaf: one.node.feature === LEAF })));
  const leaves = all.filter(({ leaf }) => leaf);
  return graph.node(
    "TreeEnsembleRegressor",
    [at],
    {
      n_targets: 1,
      aggregate_function: "SUM",
      post_transform: "NONE",
      nodes_treeids: all.map(({ tree }) => tree),
      nodes_nodeids: all.map(({ i }) => i),
      nodes_featureids: all.map(({ leaf, node }) => (leaf ? 0 : node.feature)),
      nodes_values: { floats: all.map(({ leaf, node }) => (leaf ? 0 : node.value)) },
      nodes_modes: { strings: all.map(({ leaf }) => (leaf ? "LEAF" : "BRANCH_LT")) },
      nodes_truenodeids: all.map(({ leaf, left }) => (leaf ? 0 : left)),
      nodes_falsenodeids: all.map(({ leaf, right }) => (leaf ? 0 : right)),
      target_treeids: leaves.map(({ tree }) => tree),
      target_nodeids: leaves.map(({ i }) => i),
      target_ids: leaves.map(() => 0),
      target_weights: { floats: leaves.map(({ node }) => node.value) },
    },
    { domain: "ai.onnx.ml" },
  );
}

/** As comparisons and matrices, for providers without trees. */
function denseTrees({ graph, at }: State, op: OpOf<"treeEnsemble">): string {
  const { feature, threshold, paths, offset, values } = denseForest(op);
  const [inner, leaves] = [feature.length, values.length];
  const picked = graph.node("Gather", [at, graph.constant("feature", "int32", [inner], feature)], { axis: 1 });
  const left = graph.node("Less", [picked, graph.constant("threshold", "float", [1, inner], threshold)]);
  const turns = graph.node("Cast", [left], { to: 1 });
  const matrix = graph.constant("paths", "float", [leaves, inner], Float32Array.from(paths));
  const reached = graph.node("Gemm", [turns, matrix, graph.constant("offset", "float", [leaves], offset)], {
    transB: 1,
  });
  const indicator = graph.node("Relu", [reached]);
  const out = graph.constant("leaves", "float", [leaves, 1], values);
  return graph.node("Gemm", [indicator, out, graph.constant("none", "float", [1], new Float32Array(1))]);
}

/** A history is a row of counts, one an item; rows with few entries become one full matrix. */
function sparseRowSum({ graph, width, free }: State, { ids, weights, scale }: OpOf<"sparseRowSum">): string {
  const history = graph.input("history", "float", [free("batch"), width]);
  const { matrix, prior } = denseRows(width, ids, weights, scale);
  const rows = graph.constant("rows", "float", [width, width], matrix);
  return graph.node("Gemm", [history, rows, graph.constant("prior", "float", [width], prior)]);
}

/** [item of the history, scored item], and the score every item begins with. */
export function denseRows(
  items: number,
  ids: Tensor,
  weights: Tensor,
  scale: Tensor,
): { readonly matrix: Float32Array; readonly prior: Float32Array } {
  const matrix = new Float32Array(items * items);
  const prior = new Float32Array(items);
  for (let item = 0; item < items; item++) {
    prior[item] = scale.data[2 * item + 1] ?? 0;
    for (let k = 0; k < ids.cols; k++) {
      const to = item * items + (ids.data[item * ids.cols + k] ?? 0);
      matrix[to] = (matrix[to] ?? 0) + (scale.data[2 * item] ?? 0) * (weights.data[item * ids.cols + k] ?? 0);
    }
  }
  return { matrix, prior };
}

function calibrate({ graph, at }: State, { a, b }: OpOf<"calibrate">): string {
  const scaled = a === 1 ? at : graph.node("Mul", [at, graph.scalar("a", a)]);
  return b === 0 ? scaled : graph.node("Add", [scaled, graph.scalar("b", b)]);
}

const ACTIVATIONS = { relu: "Relu", sigmoid: "Sigmoid", tanh: "Tanh" } as const;

function apply(state: State, op: Op): string {
  switch (op.op) {
    case "embeddingBag":
      return embeddingBag(state, op);
    case "gemm":
      return gemm(state, op);
    case "treeEnsemble":
      return state.form === "f32" ? denseTrees(state, op) : forest(state, op);
    case "sparseRowSum":
      return sparseRowSum(state, op);
    case "calibrate":
      return calibrate(state, op);
    case "softmax":
      return state.graph.node("Softmax", [state.at], { axis: 1 }, named(state));
    case "relu":
    case "sigmoid":
    case "tanh":
      return state.graph.node(ACTIVATIONS[op.op], [state.at], {}, named(state));
    default:
      return state.at; // features and thresholds are the host's
  }
}

/** Columns after NumericFeatures: what a numeric graph takes. */
export const numericWidth = (op: OpOf<"numericFeatures">): number =>
  op.columns.reduce((sum, { width }) => sum + width, 0);

/** `file`: an OASM file that the kernels have accepted. Time and memory grow with the file, trees as f32 quadratically. */
export function exportOnnx(file: Uint8Array, form: OnnxForm, options: OnnxExportOptions = {}): Uint8Array<ArrayBuffer> {
  return onnxOf(readProgram(file), form, options);
}

export function onnxOf(program: Program, form: OnnxForm, { dims }: OnnxExportOptions = {}): Uint8Array<ArrayBuffer> {
  const graph = new OnnxGraph();
  const free = (name: "batch" | "features"): Dim => dims?.[name] ?? name;
  const labels = program.labels.length;
  let at = "";
  // Outputs are the results of their operations, where those have one: the webgl provider confuses copies of a value.
  const outputOf = (index: number): string | undefined =>
    index + 1 === program.ops.length ? "values" : program.ops[index + 1]?.op === "threshold" ? "scores" : undefined;
  const output = (name: string): void => {
    if (at !== name) at = graph.node("Identity", [at], {}, { result: name });
    graph.output(name, "float", [free("batch"), labels]);
  };
  program.ops.forEach((op, index) => {
    if (op.op === "numericFeatures") at = graph.input("columns", "float", [free("batch"), numericWidth(op)]);
    if (op.op === "threshold") output("scores");
    at = apply({ graph, form, free, width: labels, at, result: outputOf(index) }, op);
  });
  output("values");
  const name = `${program.id}-${program.version}`;
  return graph.finish({
    name,
    opset: OPSET[form],
    metadata: { model: program.id, version: program.version, labels: JSON.stringify(program.labels) },
  });
}
