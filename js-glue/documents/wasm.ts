/** Brings documents.wasm to life: compiled once, one instance per context. */

import { DocumentsCore } from "../core/documents-core.ts";
import { compileWasm, type WasmOptions } from "../core/load.ts";

/** Of documents.wasm: an engine's own options are about core.wasm. */
export type DocumentsWasm = WasmOptions;

export async function loadDocuments(options: DocumentsWasm): Promise<DocumentsCore> {
  const module = await compileWasm(options, (simd) =>
    simd ? new URL("./documents.wasm", import.meta.url) : new URL("./documents-base.wasm", import.meta.url),
  );
  return DocumentsCore.create(module);
}
