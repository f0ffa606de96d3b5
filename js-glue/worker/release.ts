/**
 * The files of one release of an application, kept together: a page works without a network from its second visit on, and
 * never sees files of two releases.
 *
 * All of them are kept at install, or the release is not installed. From then on they are answered from what is kept, at once
 * and without asking the network. The next release is another worker script, so the browser finds it by itself; it takes over
 * when no page uses this one any more, or when a page asks it to: that page, and every other one of the old release, loads again.
 */

import { failure } from "../core/errors.ts";
import type { WorkerScope } from "./attach.ts";

/** The files of one release of an application. */
export interface ReleaseOptions {
  /** Of the application; its releases replace each other. */
  readonly name: string;
  /** Differs whenever one of the files does: a hash over them. */
  readonly release: string;
  /** Addresses, relative to the worker's script. */
  readonly files: readonly string[];
}

/** What a page posts to the worker that waits (`registration.waiting`) to have its release used now. */
export interface ReleaseMessage {
  readonly type: "oas-release";
}

const isReleaseMessage = (data: unknown): data is ReleaseMessage =>
  (data as Partial<ReleaseMessage> | null)?.type === "oas-release";

/** Keeps a release whole or not at all, and answers from it; the next one takes over when no page uses this one. */
export function keepRelease(scope: WorkerScope, { name, release, files }: ReleaseOptions): void {
  if (!name || !release) throw failure("invalid_argument", "keepRelease needs a name and a release");
  const script = scope.location.href;
  const prefix = `oas-release-${name}@`;
  const kept = new Set(files.map((file) => new URL(file, script).href));
  const here = (): Promise<Cache> => caches.open(prefix + release);

  const answer = async (request: Request): Promise<Response> => {
    const found = await (await here()).match(request, { ignoreSearch: request.mode === "navigate" });
    return found ?? fetch(request); // the browser has thrown it away
  };

  scope.addEventListener("install", (event: ExtendableEvent) => {
    const wanted = [...kept].map((url) => new Request(url, { cache: "no-cache", credentials: "same-origin" }));
    event.waitUntil(here().then((cache) => cache.addAll(wanted)));
  });
  scope.addEventListener("activate", (event: ExtendableEvent) => {
    const drop = async (): Promise<void> => {
      const stale = (await caches.keys()).filter((one) => one.startsWith(prefix) && one !== prefix + release);
      await Promise.all(stale.map((one) => caches.delete(one)));
    };
    event.waitUntil(drop());
  });
  scope.addEventListener("message", (event: ExtendableMessageEvent) => {
    if (isReleaseMessage(event.data)) event.waitUntil(Promise.resolve(scope.skipWaiting?.()));
  });
  scope.addEventListener("fetch", (event: FetchEvent) => {
    const { method, mode, url } = event.request;
    const address = mode === "navigate" ? url.replace(/[?#].*$/, "") : url;
    if (method === "GET" && kept.has(address)) event.respondWith(answer(event.request));
  });
}
