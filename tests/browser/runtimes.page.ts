// Runs in a real browser: every runtime on the same files and inputs, compared row by row with the kernels.

import {
  CoreKernels,
  type Fallback,
  type ModelAnswer,
  type ModelInput,
  type ModelRuntime,
  RuntimeModel,
  type RuntimeName,
} from "../../js-glue/runtimes/index.ts";
import { onnxRuntime } from "../../js-glue/runtimes/onnx.ts";
import { tfjsRuntime } from "../../js-glue/runtimes/tfjs.ts";

const options = { wasmUrl: "/ort/ort-wasm-simd-threaded.wasm" };
const webgpu = { wasmUrl: "/ort/ort-wasm-simd-threaded.asyncify.wasm" };
const runtimes: Readonly<Record<string, () => ModelRuntime>> = {
  "onnx-wasm": () => onnxRuntime("wasm", options),
  "onnx-webgl": () => onnxRuntime("webgl"),
  "onnx-webgpu": () => onnxRuntime("webgpu", webgpu),
  "tfjs-cpu": () => tfjsRuntime("cpu"),
  "tfjs-wasm": () => tfjsRuntime("wasm", { wasmFolder: "/tfjs-wasm/" }),
  "tfjs-webgl": () => tfjsRuntime("webgl"),
};

export interface Comparison {
  readonly runtime: string;
  readonly rows: number;
  readonly agree: number;
  readonly worst: number;
  /** Rows whose greatest difference is above 1e-3. */
  readonly apart: number;
  readonly firstMs: number;
  readonly totalMs: number;
  readonly failure: string | undefined;
}

let kernels: CoreKernels | undefined;
async function openKernels(): Promise<CoreKernels> {
  kernels ??= await CoreKernels.open({ binary: await (await fetch("/infer.wasm")).arrayBuffer() });
  return kernels;
}

// A model with one label answers yes or no.
function top(answer: ModelAnswer): number {
  const { predictions } = answer;
  if (predictions.length === 1) return (predictions[0]?.value ?? 0) >= 0.5 ? 1 : 0;
  return predictions.reduce((best, one, i) => (one.value > (predictions[best]?.value ?? 0) ? i : best), 0);
}

function difference(a: ModelAnswer, b: ModelAnswer): number {
  return a.predictions.reduce(
    (worst, { value }, i) => {
      const other = b.predictions[i]?.value ?? Number.POSITIVE_INFINITY;
      return Math.max(worst, Math.abs(value - other));
    },
    Math.abs(a.confidence - b.confidence),
  );
}

async function compare(runtime: string, name: string, batch: number, rowsMax: number): Promise<Comparison> {
  const core = await openKernels();
  const file = new Uint8Array(await (await fetch(`/models/${name}/model.oasm`)).arrayBuffer());
  const inputs = ((await (await fetch(`/inputs/${name}.json`)).json()) as ModelInput[]).slice(0, rowsMax);
  const made = runtimes[runtime]?.();
  if (!made) throw new Error(`no runtime ${runtime}`);
  const fallbacks: Fallback[] = [];
  const model = new RuntimeModel(core, file, { runtimes: [made], onFallback: (fallback) => fallbacks.push(fallback) });
  let [agree, worst, apart, firstMs] = [0, 0, 0, 0];
  const started = performance.now();
  for (let at = 0; at < inputs.length; at += batch) {
    const part = inputs.slice(at, at + batch);
    const theirs = await model.predictWith(made.name as RuntimeName, part);
    if (at === 0) firstMs = performance.now() - started;
    if (theirs.runtime !== runtime) break;
    core.predict(model.model, part).answers.forEach((answer, i) => {
      const other = theirs.answers[i] as ModelAnswer;
      const apartBy = difference(answer, other);
      if (top(answer) === top(other)) agree++;
      if (!(apartBy <= 1e-3)) apart++;
      worst = Math.max(worst, apartBy);
    });
  }
  const totalMs = performance.now() - started;
  await model.close();
  const failure = fallbacks[0]
    ? String(fallbacks[0].error.message)
    : made.supported()
      ? undefined
      : "not supported here";
  return { runtime, rows: inputs.length, agree, worst, apart, firstMs, totalMs, failure };
}

/** A lost WebGL context in the middle of work: the kernels must answer and the loss must be reported. */
async function loseContext(runtime: "onnx-webgl" | "tfjs-webgl"): Promise<readonly string[]> {
  const core = await openKernels();
  const file = new Uint8Array(await (await fetch("/models/content/model.oasm")).arrayBuffer());
  const contexts: WebGL2RenderingContext[] = [];
  const watch = (prototype: { getContext: (...args: never[]) => unknown }): void => {
    const original = prototype.getContext;
    prototype.getContext = function (this: unknown, ...args: never[]) {
      const context = original.apply(this, args) as WebGL2RenderingContext | null;
      if (context && "isContextLost" in context) contexts.push(context);
      return context;
    };
  };
  watch(HTMLCanvasElement.prototype as never);
  if (typeof OffscreenCanvas !== "undefined") watch(OffscreenCanvas.prototype as never);
  const said: string[] = [];
  const model = new RuntimeModel(core, file, {
    runtimes: [runtimes[runtime]?.() as ModelRuntime],
    onFallback: ({ runtime: from, error }) => said.push(`${from} ${error.code}`),
  });
  said.push((await model.predictWith(runtime, ["21 things you will not believe"])).runtime);
  for (const context of contexts) context.getExtension("WEBGL_lose_context")?.loseContext();
  const after = await model.predictWith(runtime, ["21 things you will not believe"]);
  const ours = core.predict(model.model, ["21 things you will not believe"]);
  said.push(after.runtime, String(difference(after.answers[0] as ModelAnswer, ours.answers[0] as ModelAnswer)));
  await model.close();
  return said;
}

Object.assign(globalThis, { compare, loseContext });
