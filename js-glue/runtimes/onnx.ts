/**
 * ONNX Runtime Web as a runtime for OASM models, and for ONNX files of the app's own.
 *
 * An optional peer, imported when the first model is opened: `onnxruntime-web/wasm`, `/webgl` or `/webgpu`, never the
 * package's default, which loads twice as much. Each is an instance of its own with its own tensors. In a Service Worker
 * there is no `import()`: import `onnxruntime-web/wasm` there and hand it over as `module`.
 */

import type { InferenceSession, Tensor, TypedTensor } from "onnxruntime-web/wasm";
import { failure } from "../core/errors.ts";
import type { CoreKernels, ModelInput } from "./core-kernels.ts";
import { contextLoss, isLost } from "./gpu-loss.ts";
import { bagBatch, type RuntimeOutput, rowBatch } from "./host-input.ts";
import type { Program } from "./oasm.ts";
import { onnxOf } from "./onnx-export.ts";
import type { ModelRuntime, OnnxProvider, RuntimeName, RuntimeSession } from "./runtime.ts";

/** The runtime's module, as its package exports it. */
export type OnnxModule = typeof import("onnxruntime-web/wasm");

/** Where ONNX Runtime Web and its module come from. */
export interface OnnxOptions {
  /** The module, for hosts without `import()` and for apps that bundle it themselves. */
  readonly module?: OnnxModule | (() => Promise<OnnxModule>) | undefined;
  /** Where ort-wasm-simd-threaded.wasm lies; same origin. Default: beside the module. */
  readonly wasmUrl?: string | undefined;
}

const importModule: Readonly<Record<OnnxProvider, () => Promise<OnnxModule>>> = {
  wasm: () => import("onnxruntime-web/wasm"),
  webgl: () => import("onnxruntime-web/webgl"),
  webgpu: () => import("onnxruntime-web/webgpu"),
};

const unavailable = (name: string, cause: unknown) =>
  failure("runtime_unavailable", `${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });

async function loadModule(provider: OnnxProvider, { module, wasmUrl }: OnnxOptions): Promise<OnnxModule> {
  const ort = await (typeof module === "function" ? module() : (module ?? importModule[provider]()));
  if (provider === "webgl") return ort;
  // Threads gain nothing on models this small, and need isolation headers.
  ort.env.wasm.numThreads = 1;
  if (wasmUrl !== undefined) ort.env.wasm.wasmPaths = { wasm: wasmUrl };
  return ort;
}

const SESSION_OPTIONS = {
  graphOptimizationLevel: "all",
  // Arenas keep what the largest batch needed for ever.
  enableCpuMemArena: false,
  enableMemPattern: false,
} as const;

/** One ONNX file in one provider, spoken to in typed arrays: for models of the app's own. */
export class OnnxSession {
  readonly #ort: OnnxModule;
  readonly #session: InferenceSession;
  readonly #name: RuntimeName;
  readonly #contextLost: Promise<never> | undefined;
  #lost: string | undefined;

  private constructor(ort: OnnxModule, session: InferenceSession, provider: OnnxProvider) {
    this.#ort = ort;
    this.#session = session;
    this.#name = `onnx-${provider}`;
    if (provider === "webgpu") void this.#watchDevice();
    // A lost WebGL context does not fail: it answers zeros, or never.
    this.#contextLost = provider === "webgl" ? contextLoss(ort.env.webgl?.context) : undefined;
  }

  /** `file`: the bytes of an ONNX model. Rejects with `runtime_unavailable`. */
  static async open(file: Uint8Array, provider: OnnxProvider, options: OnnxOptions = {}): Promise<OnnxSession> {
    try {
      const ort = await loadModule(provider, options);
      const session = await ort.InferenceSession.create(file, { ...SESSION_OPTIONS, executionProviders: [provider] });
      return new OnnxSession(ort, session, provider);
    } catch (error) {
      throw unavailable(`onnx-${provider}`, error);
    }
  }

  get inputNames(): readonly string[] {
    return this.#session.inputNames;
  }

  get outputNames(): readonly string[] {
    return this.#session.outputNames;
  }

  /** Named tensors in, named tensors out. Rejects with `runtime_unavailable` when the device was lost. */
  async run(
    feeds: Readonly<Record<string, { readonly data: Float32Array | Int32Array; readonly dims: readonly number[] }>>,
  ): Promise<Readonly<Record<string, Float32Array>>> {
    if (this.#lost !== undefined) throw unavailable(this.#name, new Error(this.#lost));
    const tensors: Record<string, Tensor> = {};
    for (const [name, { data, dims }] of Object.entries(feeds)) {
      tensors[name] = (
        data instanceof Int32Array
          ? new this.#ort.Tensor("int32", data, dims)
          : new this.#ort.Tensor("float32", data, dims)
      ) as Tensor;
    }
    try {
      const work = this.#read(tensors);
      return await (this.#contextLost ? Promise.race([this.#contextLost, work]) : work);
    } catch (error) {
      // A provider that failed once is not trusted again: out of memory and lost devices look alike from here.
      this.#lost ??= error instanceof Error ? error.message : String(error);
      throw unavailable(this.#name, error);
    }
  }

  async close(): Promise<void> {
    await this.#session.release().catch(() => undefined); // of a lost device there is nothing to release
  }

  async #read(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, Float32Array>> {
    const results = await this.#session.run(tensors);
    const out: Record<string, Float32Array> = {};
    for (const name of this.#session.outputNames) {
      out[name] = (await (results[name] as TypedTensor<"float32">).getData()) as Float32Array;
    }
    if (isLost(this.#ort.env.webgl?.context)) throw new Error("the WebGL context was lost");
    return out;
  }

  async #watchDevice(): Promise<void> {
    const device = (await this.#ort.env.webgpu?.device) as { lost?: Promise<{ message: string }> } | undefined;
    const reason = await device?.lost;
    if (reason) this.#lost = `the WebGPU device was lost: ${reason.message}`;
  }
}

type Feeds = Parameters<OnnxSession["run"]>[0];

function feedsOf(kernels: CoreKernels, program: Program, inputs: readonly ModelInput[], fixed?: Shape): Feeds {
  if (program.kind === "text") {
    const { rows, features, ids, weights } = bagBatch(kernels, program, inputs, fixed?.features);
    return { ids: { data: ids, dims: [rows, features] }, weights: { data: weights, dims: [rows, features, 1] } };
  }
  const { rows, width, values } = rowBatch(program, inputs);
  return { [program.kind === "history" ? "history" : "columns"]: { data: values, dims: [rows, width] } };
}

const outputOf = (results: Readonly<Record<string, Float32Array>>): RuntimeOutput => ({
  values: results["values"] ?? new Float32Array(0),
  scores: results["scores"],
});

class OnnxModelSession implements RuntimeSession {
  constructor(
    readonly session: OnnxSession,
    readonly kernels: CoreKernels,
    readonly program: Program,
  ) {}

  async run(inputs: readonly ModelInput[]): Promise<RuntimeOutput> {
    return outputOf(await this.session.run(feedsOf(this.kernels, this.program, inputs)));
  }

  close(): Promise<void> {
    return this.session.close();
  }
}

interface Shape {
  readonly batch: number;
  readonly features: number;
}

const SHAPES_MAX = 4; // sessions one model may hold in the webgl provider
const SHAPE_FEATURES = 256;

/** A session of the webgl provider keeps the sizes of its first run, so each size has one; sizes are rounded up. */
class FixedShapeSession implements RuntimeSession {
  readonly #sessions = new Map<string, Promise<OnnxSession>>();

  constructor(
    readonly kernels: CoreKernels,
    readonly program: Program,
    readonly options: OnnxOptions,
  ) {}

  async run(inputs: readonly ModelInput[]): Promise<RuntimeOutput> {
    const batch = 2 ** Math.ceil(Math.log2(inputs.length));
    // What fills the batch up is answered too, and cut off.
    const filler: ModelInput = this.program.kind === "text" ? "" : new Array<number>(this.program.inputs).fill(0);
    const filled = [...inputs, ...new Array<ModelInput>(batch - inputs.length).fill(filler)];
    const longest = this.program.kind === "text" ? bagBatch(this.kernels, this.program, inputs).features : 0;
    const shape = { batch, features: Math.ceil(longest / SHAPE_FEATURES) * SHAPE_FEATURES };
    const session = await this.#session(shape);
    const { values, scores } = outputOf(await session.run(feedsOf(this.kernels, this.program, filled, shape)));
    const size = inputs.length * this.program.labels.length;
    return { values: values.subarray(0, size), scores: scores?.subarray(0, size) };
  }

  #session(shape: Shape): Promise<OnnxSession> {
    const key = `${shape.batch}x${shape.features}`;
    const held = this.#sessions.get(key);
    if (held) return held;
    const [oldest] = this.#sessions;
    if (oldest && this.#sessions.size >= SHAPES_MAX) {
      this.#sessions.delete(oldest[0]);
      void oldest[1].then((session) => session.close());
    }
    const made = OnnxSession.open(onnxOf(this.program, "f32", { dims: shape }), "webgl", this.options);
    this.#sessions.set(key, made);
    return made;
  }

  async close(): Promise<void> {
    const closing = [...this.#sessions.values()].map((session) =>
      session.then(
        (open) => open.close(),
        () => undefined, // it never opened
      ),
    );
    await Promise.all(closing);
  }
}

const SUPPORTED: Readonly<Record<OnnxProvider, () => boolean>> = {
  wasm: () => typeof WebAssembly === "object",
  webgl: () => typeof OffscreenCanvas !== "undefined" || "WebGL2RenderingContext" in globalThis,
  webgpu: () => "gpu" in ((globalThis as { navigator?: object }).navigator ?? {}),
};

/** wasm keeps 8-bit weights and trees as trees; the others get floats and operations they have. */
export function onnxRuntime(provider: OnnxProvider, options: OnnxOptions = {}): ModelRuntime {
  return {
    name: `onnx-${provider}`,
    gpu: provider !== "wasm",
    supported: SUPPORTED[provider],
    async open(kernels, program) {
      if (provider === "webgl") return new FixedShapeSession(kernels, program, options);
      const file = onnxOf(program, provider === "wasm" ? "int8" : "f32");
      return new OnnxModelSession(await OnnxSession.open(file, provider, options), kernels, program);
    },
  };
}
