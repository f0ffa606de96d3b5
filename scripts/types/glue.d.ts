// What Emscripten generates for core.wasm, infer.wasm and documents.wasm, as far as the loader needs it. The names that a module carries
// come from the C++ bindings; the loader narrows them.

export interface GlueOptions {
  wasmBinary?: ArrayBuffer | Uint8Array;
  instantiateWasm?: (
    imports: WebAssembly.Imports,
    received: (instance: WebAssembly.Instance, module?: WebAssembly.Module) => void,
  ) => Record<string, never>;
  onAbort?: (reason: unknown) => void;
}

export type GlueModule = Record<string, unknown>;

declare function create(options: GlueOptions): Promise<GlueModule>;
export default create;
