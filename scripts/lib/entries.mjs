// What the published package consists of. An entry whose source does not exist yet is left out.

import { existsSync } from "node:fs";
import { at } from "./run.mjs";

/** Loaded by pages; they share chunks, so that two entries of one app carry one copy of the core. */
const page = [
  ["index", "js-glue/browser/index.ts"],
  ["testing", "js-glue/testing/index.ts"],
];

/** One for each framework. They know other entries by their types alone. */
const bindings = [
  ["react", "js-glue/bindings/react.ts"],
  ["vue", "js-glue/bindings/vue.ts"],
  ["svelte", "js-glue/bindings/svelte.ts"],
];

/** Loaded by pages when they want more; with chunks of their own, so that the first load of a page stays in few files. */
const extra = [
  ["cache", "js-glue/cache/index.ts"],
  ["crypto", "js-glue/crypto/index.ts"],
  ["documents", "js-glue/documents/index.ts"],
  ["privacy", "js-glue/privacy/index.ts"],
  ["analytics", "js-glue/analytics/index.ts"],
  ["storage", "js-glue/storage/index.ts"],
  ["devtools", "js-glue/devtools/index.ts"],
  ["models", "js-glue/models/index.ts"],
  ["models-onnx", "js-glue/runtimes/onnx.ts"],
  ["models-tfjs", "js-glue/runtimes/tfjs.ts"],
];

/** The page's entry with everything inside. */
const inline = [["inline", "js-glue/browser/inline.ts"]];

/** Service Worker: no `import()` there, so everything lands in one file. */
const worker = [
  ["sw", "js-glue/worker/index.ts"],
  ["sw.models", "js-glue/worker/with-models.ts"],
];

/** Node; npm packages stay imports. */
const node = [
  ["server", "js-glue/server/index.ts"],
  ["cli", "js-glue/cli/index.ts"],
];

const present = (list) =>
  list.filter(([, source]) => existsSync(at(source))).map(([name, source]) => ({ name, source }));

export const pageEntries = () => present(page);
export const extraEntries = () => present(extra);
export const inlineEntries = () => present(inline);
export const bindingEntries = () => present(bindings);
export const workerEntries = () => present(worker);
export const nodeEntries = () => present(node);
