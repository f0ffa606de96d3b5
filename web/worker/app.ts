/** The Service Worker of every page here: keeps the files of its release, and sends the queue of the engine that registered it. */

import { attach, keepRelease, optionsFromQuery, type ReleaseOptions, type WorkerScope } from "offline-ai-sync/sw";

/** Filled in by the build (vite.config.ts). */
declare const __RELEASE__: ReleaseOptions;

const scope = globalThis as unknown as WorkerScope;
keepRelease(scope, __RELEASE__);
const options = optionsFromQuery(scope.location.href);
if (options) attach(scope, { ...options, coreUrl: "/core.wasm" });
