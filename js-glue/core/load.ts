/** Brings core.wasm to life: which of its two builds fits, compiled once, a fresh instance at every call. */

import { asFailure, failure } from "./errors.ts";
import type { Core, CreateCore } from "./ports.ts";

/** Where a module's code comes from; the first of these that is given counts, from the last to the first. */
export interface WasmOptions {
  /** Where its file lies, `core.wasm` for instance; the baseline build `core-base.wasm` is expected beside it. Default: beside this file. */
  readonly wasmUrl?: string | URL | undefined;
  readonly wasmBinary?: ArrayBuffer | Uint8Array<ArrayBuffer> | undefined;
  /** Compiled, or a function that is asked for it when it is wanted. */
  readonly wasmModule?: WebAssembly.Module | (() => Promise<WebAssembly.Module>) | undefined;
}

// (module (func (result v128) i32.const 0 i8x16.splat i8x16.popcnt)): valid only where 128-bit SIMD is.
const simdProbe = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

export const simdSupported = (): boolean => WebAssembly.validate(simdProbe);

/** The address an application gave, as one of the build that fits here. */
export function givenUrl(given: string | URL): URL {
  const page = (globalThis as { readonly location?: { readonly href: string } }).location;
  const url = new URL(given, page?.href ?? import.meta.url);
  if (!simdSupported()) url.pathname = url.pathname.replace(/(core|documents|infer)\.wasm$/, "$1-base.wasm");
  return url;
}

interface NodeProcess {
  getBuiltinModule?(name: "node:fs/promises"): { readFile(url: URL): Promise<Uint8Array<ArrayBuffer>> };
}

/** As `fetch`, and in Node also what lies in a file. No `import` of Node's own: bundlers for pages would stumble over it. */
export async function fetchFile(url: URL): Promise<Response> {
  if (url.protocol !== "file:") return fetch(url, { credentials: "same-origin" });
  const { process } = globalThis as { readonly process?: NodeProcess };
  const files = process?.getBuiltinModule?.("node:fs/promises");
  if (!files) return fetch(url);
  return new Response(await files.readFile(url), { headers: { "content-type": "application/wasm" } });
}

/** `own` = the package's own file. Both builds are written out where it is given, so that bundlers take both along. */
export async function compileWasm(options: WasmOptions, own: (simd: boolean) => URL): Promise<WebAssembly.Module> {
  const { wasmUrl, wasmBinary, wasmModule } = options;
  if (typeof wasmModule === "function") return wasmModule();
  if (wasmModule) return wasmModule;
  if (wasmBinary) return WebAssembly.compile(wasmBinary);
  const url = wasmUrl === undefined ? own(simdSupported()) : givenUrl(wasmUrl);
  const response = await fetchFile(url);
  if (!response.ok) throw failure("internal", `${url.pathname}: the server answered ${response.status}`);
  // A server with the wrong MIME type makes the streaming form fail; the bytes are as good.
  const plain = response.clone();
  return WebAssembly.compileStreaming(response).catch(async (error: unknown) => {
    if (error instanceof WebAssembly.CompileError) throw error;
    return WebAssembly.compile(await plain.arrayBuffer());
  });
}

const compile = (options: WasmOptions): Promise<WebAssembly.Module> =>
  compileWasm(options, (simd) =>
    simd ? new URL("./core.wasm", import.meta.url) : new URL("./core-base.wasm", import.meta.url),
  );

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
      const [module, { default: create }] = await Promise.all([compiled, import("#glue.mjs")]);
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

export const createContentCore = (options: WasmOptions = {}): Promise<ContentCore> => createOf("Content", options);

/** What gives way when storage runs out (src/device/ladder.h); both return the rung, 0 to 6. */
export interface LadderCore {
  look(usage: number, quota: number): number;
  refused(): number;
  delete(): void;
}

export const createLadderCore = (options: WasmOptions = {}): Promise<LadderCore> => createOf("Ladder", options);

async function createOf<T>(type: string, options: WasmOptions): Promise<T> {
  try {
    const [module, { default: create }] = await Promise.all([compile(options), import("#glue.mjs")]);
    return await instantiate<T>(create as never, module, type);
  } catch (error) {
    throw wasmFailure(error);
  }
}
