/** Brings core.wasm to life: which of its two builds fits, compiled once, a fresh instance at every call. */

import { asFailure, failure } from "./errors.ts";
import type { Core, CreateCore } from "./ports.ts";

export type WasmSource = string | URL | ArrayBuffer | Uint8Array<ArrayBuffer> | WebAssembly.Module;

export interface WasmOptions {
  /** Where core.wasm lies; its baseline build `core-base.wasm` is expected beside it. Default: beside this file. */
  readonly wasmUrl?: string | URL | undefined;
  readonly wasmBinary?: ArrayBuffer | Uint8Array<ArrayBuffer> | undefined;
  readonly wasmModule?: WebAssembly.Module | undefined;
}

// (module (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)): valid only where 128-bit SIMD is.
const simdProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

export const simdSupported = (): boolean => WebAssembly.validate(simdProbe);

function wasmUrl(given: string | URL | undefined): URL {
  const page = (globalThis as { readonly location?: { readonly href: string } }).location;
  const base = page?.href ?? import.meta.url;
  const url = given === undefined ? new URL("./core.wasm", import.meta.url) : new URL(given, base);
  if (!simdSupported()) url.pathname = url.pathname.replace(/core\.wasm$/, "core-base.wasm");
  return url;
}

async function compile(options: WasmOptions): Promise<WebAssembly.Module> {
  if (options.wasmModule) return options.wasmModule;
  if (options.wasmBinary) return WebAssembly.compile(options.wasmBinary);
  const response = await fetch(wasmUrl(options.wasmUrl));
  if (!response.ok) throw failure("internal", `core.wasm: the server answered ${response.status}`);
  // A server with the wrong MIME type makes the streaming form fail; the bytes are as good.
  const plain = response.clone();
  return WebAssembly.compileStreaming(response).catch(async (error: unknown) => {
    if (error instanceof WebAssembly.CompileError) throw error;
    return WebAssembly.compile(await plain.arrayBuffer());
  });
}

function wasmFailure(error: unknown): Error {
  if (error instanceof WebAssembly.CompileError && /unsafe-eval|Content Security Policy/i.test(error.message)) {
    return failure("wasm_blocked", "the content security policy lacks 'wasm-unsafe-eval'", { cause: error });
  }
  return asFailure(error, "internal");
}

/** One instance of a compiled module behind its Emscripten glue; `Type` is the one class the module exports. */
export async function instantiate<T>(
  create: (options: {
    instantiateWasm(
      imports: WebAssembly.Imports,
      received: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ): Record<string, never>;
  }) => Promise<Record<string, unknown>>,
  module: WebAssembly.Module,
  type: string,
): Promise<T> {
  let broken: (error: unknown) => void = () => undefined;
  // The glue has no way to be told of a failure here, so its promise is raced against this one.
  const failed = new Promise<never>((_, reject) => {
    broken = reject;
  });
  const glue = await Promise.race([
    create({
      instantiateWasm(imports, received) {
        WebAssembly.instantiate(module, imports).then((instance) => received(instance, module), broken);
        return {};
      },
    }),
    failed,
  ]);
  const Type = glue[type] as new () => T;
  return new Type();
}

/** Compiles at the first call and keeps the module: a rebuild after a trap fetches and compiles nothing. */
export function coreFactory(options: WasmOptions = {}): CreateCore {
  let compiled: Promise<WebAssembly.Module> | undefined;
  return async () => {
    try {
      compiled ??= compile(options);
      const [module, { default: create }] = await Promise.all([compiled, import("#core.mjs")]);
      return await instantiate<Core>(create as never, module, "Core");
    } catch (error) {
      compiled = undefined;
      throw wasmFailure(error);
    }
  };
}

/** The content cache's half of the core: packs items and names victims (src/cache/service.h). Each view is dead after the next call. */
export interface ContentCore {
  input(bytes: number): Uint8Array;
  /** The output, or the number of an error. */
  call(op: number): Uint8Array | number;
  delete(): void;
}

export async function createContentCore(options: WasmOptions = {}): Promise<ContentCore> {
  try {
    const [module, { default: create }] = await Promise.all([compile(options), import("#core.mjs")]);
    return await instantiate<ContentCore>(create as never, module, "Content");
  } catch (error) {
    throw wasmFailure(error);
  }
}
