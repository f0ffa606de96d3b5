/** offline-ai-sync/cache: content for the time without a network. Importing it does nothing; `openCache` does. */

import { createContentCore, type WasmOptions } from "../core/load.ts";
import { type CacheOptions, ContentCache } from "./content-cache.ts";

export { OfflineSyncError } from "../core/errors.ts";
export type { KeyMode, KeyRing } from "../crypto/key-ring.ts";
export type {
  CachedItem,
  CacheFigures,
  CacheOptions,
  ContentCache,
  ContentOptions,
  ReadOptions,
} from "./content-cache.ts";
export { cacheRoute, type RouteOptions } from "./route.ts";
export type { Fallback } from "./value.ts";

/** Opens the cache of this name. Rejects when storage or WebAssembly cannot be had. */
export const openCache = (options: CacheOptions & WasmOptions): Promise<ContentCache> =>
  ContentCache.open(options, createContentCore(options), () => createContentCore(options));
