/**
 * TensorFlow.js as a runtime for OASM models: layers format, backends cpu, wasm and webgl.
 *
 * Optional peers, imported when the first model is opened. TF.js has one active backend a realm, so every run names its
 * own first.
 */

import type { Tensor } from "@tensorflow/tfjs-core";
import type { LayersModel } from "@tensorflow/tfjs-layers";
import { failure } from "../core/errors.ts";
import type { CoreKernels, ModelInput } from "./core-kernels.ts";
import { contextLoss, isLost } from "./gpu-loss.ts";
import { pooledBatch, type RuntimeOutput, rowBatch } from "./host-input.ts";
import type { Program } from "./oasm.ts";
import type { ModelRuntime, RuntimeSession, TfjsBackend } from "./runtime.ts";
import { tfjsOf } from "./tfjs-export.ts";

/** Where TensorFlow.js finds its own WebAssembly. */
export interface TfjsOptions {
  /** Folder of tfjs-backend-wasm*.wasm, ending in a slash; same origin. Default: beside the module. */
  readonly wasmFolder?: string | undefined;
}

type TfjsCore = typeof import("@tensorflow/tfjs-core");

const unavailable = (backend: TfjsBackend, cause: unknown) =>
  failure("runtime_unavailable", `tfjs-${backend}: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });

async function loadBackend(backend: TfjsBackend, { wasmFolder }: TfjsOptions): Promise<void> {
  if (backend === "cpu") await import("@tensorflow/tfjs-backend-cpu");
  else if (backend === "webgl") await import("@tensorflow/tfjs-backend-webgl");
  else {
    const { setWasmPaths } = await import("@tensorflow/tfjs-backend-wasm");
    if (wasmFolder !== undefined) setWasmPaths(wasmFolder);
  }
}

class TfjsSession implements RuntimeSession {
  readonly #tf: TfjsCore;
  readonly #model: LayersModel;
  readonly #backend: TfjsBackend;
  readonly #kernels: CoreKernels;
  readonly #program: Program;
  readonly #context: unknown;
  readonly #contextLost: Promise<never> | undefined;
  #lost = false;

  constructor(tf: TfjsCore, model: LayersModel, backend: TfjsBackend, kernels: CoreKernels, program: Program) {
    this.#tf = tf;
    this.#model = model;
    this.#backend = backend;
    this.#kernels = kernels;
    this.#program = program;
    this.#context = contextOf(tf);
    this.#contextLost = backend === "webgl" ? contextLoss(this.#context) : undefined;
  }

  async run(inputs: readonly ModelInput[]): Promise<RuntimeOutput> {
    if (this.#lost) throw unavailable(this.#backend, new Error("the backend failed before"));
    try {
      await use(this.#tf, this.#backend);
      const { rows, width, values } =
        this.#program.kind === "text"
          ? pooledBatch(this.#kernels, this.#program, inputs)
          : rowBatch(this.#program, inputs);
      const outputs = this.#tf.tidy((): Tensor[] => {
        const answer = this.#model.predict(this.#tf.tensor2d(values, [rows, width]), { batchSize: rows });
        return Array.isArray(answer) ? answer : [answer];
      });
      const read = Promise.all(outputs.map((output) => output.data<"float32">()));
      const data = await (this.#contextLost ? Promise.race([this.#contextLost, read]) : read);
      for (const output of outputs) output.dispose();
      if (isLost(this.#context)) throw new Error("the WebGL context was lost");
      return { values: data[data.length - 1] ?? new Float32Array(0), scores: data.length > 1 ? data[0] : undefined };
    } catch (error) {
      this.#lost = true;
      throw unavailable(this.#backend, error);
    }
  }

  async close(): Promise<void> {
    if (!this.#lost) this.#model.dispose();
  }
}

/** The context behind the active backend, where it has one. */
const contextOf = (tf: TfjsCore): unknown =>
  (tf.backend() as unknown as { readonly gpgpu?: { readonly gl?: unknown } }).gpgpu?.gl;

async function use(tf: TfjsCore, backend: TfjsBackend): Promise<void> {
  if (tf.getBackend() === backend) return;
  if (!(await tf.setBackend(backend))) throw new Error("the backend does not start");
  await tf.ready();
}

/** TensorFlow.js as a runtime; its packages are loaded when it is opened. */
export function tfjsRuntime(backend: TfjsBackend, options: TfjsOptions = {}): ModelRuntime {
  return {
    name: `tfjs-${backend}`,
    gpu: backend === "webgl",
    supported: () =>
      backend === "cpu" ||
      (backend === "wasm" ? typeof WebAssembly === "object" : "WebGL2RenderingContext" in globalThis),
    async open(kernels, program) {
      try {
        const [tf, layers] = await Promise.all([
          import("@tensorflow/tfjs-core"),
          import("@tensorflow/tfjs-layers"),
          loadBackend(backend, options),
        ]);
        await use(tf, backend);
        const { json, weights } = tfjsOf(program);
        const model = await layers.loadLayersModel({
          load: () =>
            Promise.resolve({
              modelTopology: json.modelTopology,
              weightSpecs: json.weightsManifest[0].weights.map((spec) => ({ ...spec, shape: [...spec.shape] })),
              weightData: weights.buffer,
            }),
        });
        return new TfjsSession(tf, model, backend, kernels, program);
      } catch (error) {
        throw unavailable(backend, error);
      }
    },
  };
}
