/** Brings infer.wasm to life: which of its two builds fits, and one native object per instance. */

import create from "#glue.mjs";
import { asFailure, failure } from "../core/errors.ts";

/** The one class of src/wasm/infer_bindings.cc. Each view is dead after the next call. */
export interface InferCore {
  input(bytes: number): Uint8Array;
  call(): Uint8Array;
  delete(): void;
}

// (module (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)): valid only where 128-bit SIMD is.
const simdProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

/** Whether this host takes `infer.wasm`; otherwise give it `infer-base.wasm`, with the same answers at half the speed. */
export const simdSupported = (): boolean => WebAssembly.validate(simdProbe);

/** infer.wasm, as bytes or compiled. */
export type InferBinary = ArrayBuffer | Uint8Array<ArrayBuffer> | WebAssembly.Module;

export async function createInferCore(binary: InferBinary): Promise<InferCore> {
  try {
    const module = await (binary instanceof WebAssembly.Module ? createFrom(binary) : create({ wasmBinary: binary }));
    const Type = (module as unknown as { WasmInfer: new () => InferCore }).WasmInfer;
    return new Type();
  } catch (error) {
    if (error instanceof WebAssembly.CompileError && /unsafe-eval|Content Security Policy/i.test(error.message)) {
      throw failure("wasm_blocked", "the content security policy lacks 'wasm-unsafe-eval'", { cause: error });
    }
    throw asFailure(error, "internal");
  }
}

/** The glue cannot be told that instantiating failed and would wait for ever, so that outcome settles the promise here. */
function createFrom(compiled: WebAssembly.Module): ReturnType<typeof create> {
  return new Promise((resolve, reject) => {
    create({
      instantiateWasm(imports, received) {
        WebAssembly.instantiate(compiled, imports).then((instance) => received(instance, compiled), reject);
        return {};
      },
    }).then(resolve, reject);
  });
}
