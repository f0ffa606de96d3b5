/**
 * `offline-ai-sync/devtools`: what the engine holds and does, for whoever builds or supports the app. Importing it does
 * nothing; `defineDevtools` makes `<offline-ai-devtools>` known to the page.
 */

export { type DevtoolsElement, defineDevtools } from "./element.ts";
export type { NetworkMode, TraceNote } from "./trace.ts";
