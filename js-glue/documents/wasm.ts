/** Brings documents.wasm to life: compiled once, one instance per context. */

import { DocumentsCore } from "../core/documents-core.ts";
import { failure } from "../core/errors.ts";
import { simdSupported } from "../core/load.ts";

export interface DocumentsWasm {
  /** Where documents.wasm lies; `documents-base.wasm` is expected beside it. Default: beside this file. */
  readonly wasmUrl?: string | URL | undefined;
  readonly wasmModule?: WebAssembly.Module | undefined;
}

export async function loadDocuments({ wasmUrl, wasmModule }: DocumentsWasm): Promise<DocumentsCore> {
  if (wasmModule) return DocumentsCore.create(wasmModule);
  const page = (globalThis as { readonly location?: { readonly href: string } }).location;
  const url =
    wasmUrl === undefined
      ? new URL("./documents.wasm", import.meta.url)
      : new URL(wasmUrl, page?.href ?? import.meta.url);
  if (!simdSupported()) url.pathname = url.pathname.replace(/documents\.wasm$/, "documents-base.wasm");
  const response = await fetch(url);
  if (!response.ok) throw failure("internal", `documents.wasm: the server answered ${response.status}`);
  return DocumentsCore.create(await WebAssembly.compile(await response.arrayBuffer()));
}
