/** What another model runtime must be able to do, and what becomes of it when it cannot. */

import type { CoreKernels, ModelInput } from "./core-kernels.ts";
import type { RuntimeOutput } from "./host-input.ts";
import type { Program } from "./oasm.ts";

/** Execution providers of ONNX Runtime Web. */
export type OnnxProvider = "wasm" | "webgl" | "webgpu";
/** Backends of TensorFlow.js. */
export type TfjsBackend = "cpu" | "wasm" | "webgl";
/** Who answered. */
export type RuntimeName = "core" | `onnx-${OnnxProvider}` | `tfjs-${TfjsBackend}`;

/** A model opened in one runtime. */
export interface RuntimeSession {
  /** Rejects with `runtime_unavailable` when the runtime lost its device or memory; the session is dead then. */
  run(inputs: readonly ModelInput[]): Promise<RuntimeOutput>;
  close(): Promise<void>;
}

/** A runtime beside the core's kernels. Loads nothing before `open`. */
export interface ModelRuntime {
  readonly name: RuntimeName;
  /** Whether this host has what it needs; cheap, asks no device. */
  supported(): boolean;
  /** A start costs too much for few rows: uploads, shaders. */
  readonly gpu: boolean;
  /** Rejects with `runtime_unavailable` when the package, the device or the memory is not there. */
  open(kernels: CoreKernels, program: Program): Promise<RuntimeSession>;
}
