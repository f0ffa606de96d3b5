/**
 * Makes a Service Worker send the queue: on the browser's sync events, and when a page asks.
 *
 * No `import()` in here: workers may not. A sync handler that leaves work behind rejects, which is how the browser
 * learns that it should try again.
 */

import { databaseName } from "../browser/database.ts";
import type { TokenSource } from "../browser/transport.ts";
import { asFailure, failure } from "../core/errors.ts";
import { captureRequests } from "./capture.ts";
import { type DrainOptions, drain } from "./drain.ts";
import { answer, coreUrl, dropStaleCaches, fillCaches, keptCore } from "./precache.ts";

/** What the worker is to do, and for which queue. */
export interface AttachOptions {
  /** As given to `open`. */
  readonly name: string;
  /** As given to `open`. */
  readonly url: string;
  /** As given to `open`. */
  readonly subject?: string | undefined;
  /** `cookie` (default), `token` = what a page stored with `shareToken`, or a function. */
  readonly auth?: "cookie" | "token" | TokenSource | undefined;
  /** Files of the application to keep for the time without a network; fresh ones are used whenever there are any. */
  readonly precache?: readonly string[] | undefined;
  /**
   * Requests to these paths that change something (POST, PUT, PATCH, DELETE) and fail for want of a network become events of
   * type `http.request` and are answered with 202; `sync.on("http.request", …)` at the server is to apply them. Requests of
   * one path keep their order. A page must have called `open` once before.
   */
  readonly captureFetch?: RegExp | undefined;
  /** How often the browser may wake the worker by itself, in milliseconds or as `12h`; where it can at all. */
  readonly periodicSync?: { readonly minInterval: number | string } | undefined;
  /** How long one drain may take; browsers stop a worker that is busy for too long. Default: 20 s. */
  readonly budgetMs?: number | undefined;
  /** Where core.wasm lies. Default: beside the worker's script. */
  readonly coreUrl?: string | undefined;
}

/** The part of a Service Worker's global scope that is used; the tests bring one of their own. */
export interface WorkerScope {
  readonly location: { readonly href: string; readonly origin: string };
  readonly registration?: ServiceWorkerRegistration;
  /** As the browser's. */
  skipWaiting?(): Promise<void>;
  /** As the browser's. */
  addEventListener(type: string, listener: (event: never) => void): void;
}

interface SyncEvent extends ExtendableEvent {
  readonly tag: string;
}

/** Not in the library of types; absent outside Chromium. */
interface SyncRegistration extends ServiceWorkerRegistration {
  readonly sync?: { register(tag: string): Promise<void> };
}

interface PeriodicRegistration extends ServiceWorkerRegistration {
  readonly periodicSync?: { register(tag: string, options: { minInterval: number }): Promise<void> };
}

/** What a page posts to the worker to have the queue sent now. */
export interface DrainMessage {
  readonly type: "oas-drain";
  readonly name: string;
}

const isDrainMessage = (data: unknown, name: string): data is DrainMessage =>
  typeof data === "object" &&
  data !== null &&
  (data as DrainMessage).type === "oas-drain" &&
  (data as DrainMessage).name === name;

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function intervalMs(value: number | string): number {
  if (typeof value === "number") return value;
  const [, count = "", unit = ""] = /^(\d+)([smhd])$/.exec(value) ?? [];
  const ms = Number(count) * (UNITS[unit] ?? 0);
  if (ms === 0) throw failure("invalid_argument", "minInterval is a number of milliseconds or text such as `12h`");
  return ms;
}

/** Makes this worker send the queue; call it while the script first runs. */
export function attach(scope: WorkerScope, options: AttachOptions): void {
  const { name, url, subject = "", auth = "cookie", precache = [], budgetMs = 20_000 } = options;
  if (!name || !url) throw failure("invalid_argument", "attach needs the name and url that were given to open");
  const minInterval = options.periodicSync ? intervalMs(options.periodicSync.minInterval) : 0;
  const core = coreUrl(options.coreUrl, scope.location.href);
  const tag = `oas-drain:${name}`;
  const kept = new Set(precache.map((path) => new URL(path, scope.location.href).href));
  const work: DrainOptions = {
    name,
    url: url.replace(/\/+$/, ""),
    subject,
    auth,
    budgetMs,
    core: () => keptCore(core),
  };

  // Two events at once are one drain.
  let draining: Promise<boolean> | undefined;
  const drainOnce = (): Promise<boolean> => {
    draining ??= drain(work).finally(() => {
      draining = undefined;
    });
    return draining;
  };
  const drainOrRepeat = async (): Promise<void> => {
    if (!(await drainOnce())) throw failure("offline", "work is left: wake the worker again");
  };

  scope.addEventListener("install", (event: ExtendableEvent) => {
    event.waitUntil(fillCaches(name, core, [...kept]));
  });
  scope.addEventListener("activate", (event: ExtendableEvent) => {
    const periodic = (scope.registration as PeriodicRegistration | undefined)?.periodicSync;
    const asked = minInterval > 0 ? periodic?.register(tag, { minInterval }) : undefined;
    // Without the permission the pages and one-off sync events have to do.
    event.waitUntil(Promise.all([dropStaleCaches(), asked?.catch(() => undefined)]));
  });
  for (const type of ["sync", "periodicsync"]) {
    scope.addEventListener(type, (event: SyncEvent) => {
      if (event.tag === tag) event.waitUntil(drainOrRepeat());
    });
  }
  scope.addEventListener("message", (event: ExtendableMessageEvent) => {
    if (!isDrainMessage(event.data, name)) return;
    const reply = event.ports[0];
    event.waitUntil(
      drainOnce().then(
        (drained) => reply?.postMessage({ drained }),
        (error: unknown) => reply?.postMessage({ drained: false, code: asFailure(error, "internal").code }),
      ),
    );
  });
  if (options.captureFetch) {
    const capture = captureRequests({
      match: options.captureFetch,
      apiUrl: url,
      database: databaseName(name, subject),
      origin: scope.location.origin,
      stored: async () => (scope.registration as SyncRegistration | undefined)?.sync?.register(tag),
    });
    scope.addEventListener("fetch", capture as (event: FetchEvent) => void);
  }
  if (kept.size > 0) {
    scope.addEventListener("fetch", (event: FetchEvent) => {
      if (event.request.method !== "GET") return;
      const { href } = new URL(event.request.url);
      if (kept.has(href.replace(/[?#].*$/, "")) || kept.has(href)) event.respondWith(answer(event.request, name));
    });
  }
}

/**
 * The options in the address of a prebuilt worker's script: ?name=&url=[&subject=&auth=&precache=&captureFetch=&budgetMs=&
 * coreUrl=]; captureFetch is the source of a regular expression.
 */
export function optionsFromQuery(href: string): AttachOptions | undefined {
  const query = new URL(href).searchParams;
  const name = query.get("name");
  const url = query.get("url");
  if (!name || !url) return undefined;
  const budgetMs = Number(query.get("budgetMs") ?? Number.NaN);
  return {
    name,
    url,
    subject: query.get("subject") ?? "",
    auth: query.get("auth") === "token" ? "token" : "cookie",
    precache: query.getAll("precache"),
    captureFetch: patternOf(query.get("captureFetch")),
    budgetMs: Number.isFinite(budgetMs) ? budgetMs : undefined,
    coreUrl: query.get("coreUrl") ?? undefined,
  };
}

function patternOf(source: string | null): RegExp | undefined {
  if (source === null || source === "") return undefined;
  try {
    return new RegExp(source);
  } catch (error) {
    throw failure("invalid_argument", "captureFetch is no regular expression", { cause: error });
  }
}
