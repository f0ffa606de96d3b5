/**
 * What the worker needs without a network: the core, and the files of the application it was told to keep.
 *
 * Filled at install, from the network past the HTTP cache. The core belongs to this build of the worker, so its cache
 * carries the version; a sync handler reads it from there and never from the network.
 */

import { failure } from "../core/errors.ts";
import { simdSupported } from "../core/load.ts";

declare const __OAS_VERSION__: string;

const PREFIX = "oas-";
/** The network's answer is waited for this long when a kept one is at hand: a bad line must not look like no app. */
const FRESH_MS_MAX = 3_000;

const coreCache = (): string => `${PREFIX}core-${__OAS_VERSION__}`;
const appCache = (name: string): string => `${PREFIX}app-${name}`;

export function coreUrl(given: string | undefined, script: string): string {
  const url = new URL(given ?? "./core.wasm", script);
  if (!simdSupported()) url.pathname = url.pathname.replace(/core\.wasm$/, "core-base.wasm");
  return url.href;
}

async function keep(cache: Cache, urls: readonly string[]): Promise<void> {
  const requests = urls.map((url) => new Request(url, { cache: "reload", credentials: "same-origin" }));
  await cache.addAll(requests);
}

export async function fillCaches(name: string, core: string, app: readonly string[]): Promise<void> {
  await keep(await caches.open(coreCache()), [core]);
  if (app.length > 0) await keep(await caches.open(appCache(name)), app);
}

/** Caches of earlier builds. */
export async function dropStaleCaches(): Promise<void> {
  const names = await caches.keys();
  const stale = names.filter((name) => name.startsWith(`${PREFIX}core-`) && name !== coreCache());
  await Promise.all(stale.map((name) => caches.delete(name)));
}

/** The bytes of the core, from the cache alone. */
export async function keptCore(core: string): Promise<ArrayBuffer> {
  const kept = await (await caches.open(coreCache())).match(core);
  if (!kept) throw failure("internal", "the core is not in the cache; the worker was not installed by this build");
  return kept.arrayBuffer();
}

/** The file as the network has it, or as it was kept when the network does not answer in time. */
export async function answer(request: Request, name: string): Promise<Response> {
  const cache = await caches.open(appCache(name));
  const kept = await cache.match(request, { ignoreSearch: request.mode === "navigate" });
  const fresh = fetch(request).then(async (response) => {
    if (response.ok && !response.redirected) await cache.put(request, response.clone());
    return response;
  });
  if (!kept) return fresh;
  const late = new Promise<Response>((resolve) => setTimeout(resolve, FRESH_MS_MAX, kept));
  return Promise.race([fresh.catch(() => kept), late]);
}
