/**
 * `offline-ai-sync/inline`: the page's entry with the compiled core inside, for bundlers and servers that cannot place a file.
 * One file, no address to configure, larger; the baseline build, which runs everywhere.
 */

import { type OfflineSync, type OpenOptions, open as openBeside } from "./client.ts";

export * from "./index.ts";

declare const __OAS_CORE_BASE64__: string;

let compiled: Promise<WebAssembly.Module> | undefined;

/** The core, compiled at the first call; for other parts of the package that take `wasmModule`, such as `openCache`. */
export function wasmModule(): Promise<WebAssembly.Module> {
  compiled ??= WebAssembly.compile(Uint8Array.from(atob(__OAS_CORE_BASE64__), (char) => char.charCodeAt(0)));
  return compiled;
}

/** As `open` of the package's first entry. */
export function open(options: OpenOptions): OfflineSync {
  const { wasmUrl, wasmBinary } = options;
  return openBeside((wasmUrl ?? wasmBinary ?? options.wasmModule) ? options : { ...options, wasmModule });
}
