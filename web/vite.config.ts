import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build as bundle } from "esbuild";
import { defineConfig, type Rollup } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const dist = here("../dist");
const models = ["intent", "emotion", "content", "recommendation", "personalization"];

// What `npx offline-ai-sync copy` does for an application: worker and core lie beside the page.
const placed = [
  ...["core.wasm", "core-base.wasm", "documents.wasm", "documents-base.wasm", "sw.classic.js"],
  ...["infer.wasm", "infer-base.wasm", "models/manifest.json"],
  ...models.map((name) => `models/${name}/model.oasm`),
];
// A runtime of the application's own choice, whole as its package has it; the playground works without it.
const onnx = here("../node_modules/onnxruntime-web/dist");
const runtimes = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"];

interface App {
  /** The Service Worker's script. */
  readonly worker: string;
  readonly pages: readonly string[];
  /** What its pages fetch beside their own scripts and styles. */
  readonly files: readonly string[];
}

/** Each works without a network from its second visit on. */
const apps: Readonly<Record<string, App>> = {
  demo: {
    worker: "sw.js",
    pages: ["index.html", "naive.html", "models.html"],
    files: [
      ...["core.wasm", "infer.wasm", "models/manifest.json"],
      ...models.map((name) => `models/${name}/model.oasm`),
    ],
  },
  device: { worker: "device-sw.js", pages: ["device.html"], files: ["core.wasm", "documents.wasm"] },
  quiz: {
    worker: "examples/quiz/sw.js",
    pages: ["examples/quiz/index.html"],
    files: ["core.wasm", "examples/quiz/questions.json"],
  },
  shop: {
    worker: "examples/shop/sw.js",
    pages: ["examples/shop/index.html"],
    files: [...["core.wasm", "documents.wasm", "infer.wasm"], "examples/shop/catalogue.json"],
  },
  notes: {
    worker: "examples/notes/sw.js",
    pages: ["examples/notes/index.html"],
    files: ["core.wasm", "documents.wasm"],
  },
};
const pages = Object.values(apps).flatMap((app) => app.pages);
const common = ["icon.svg", "icon-192.png", "icon-512.png"];

function place(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
}

/** The scripts and styles that a page may come to load; other runtimes are not part of any release. */
function assetsOf(page: string, output: Rollup.OutputBundle): readonly string[] {
  const seen = new Set<string>();
  const follow = (name: string): void => {
    const chunk = output[name];
    if (chunk?.type !== "chunk" || seen.has(name)) return;
    const foreign = Object.keys(chunk.modules).some((id) => /@tensorflow|onnxruntime/.test(id));
    if (foreign) return;
    seen.add(name);
    for (const css of chunk.viteMetadata?.importedCss ?? []) seen.add(css);
    for (const next of [...chunk.imports, ...chunk.dynamicImports]) follow(next);
  };
  for (const chunk of Object.values(output))
    if (chunk.type === "chunk" && chunk.facadeModuleId === here(page)) follow(chunk.fileName);
  return [...seen];
}

async function makeWorker(name: string, { worker, pages: own, files }: App, dir: string, output: Rollup.OutputBundle) {
  const kept = [...new Set([...own, ...own.flatMap((page) => assetsOf(page, output)), ...files, ...common])];
  const hash = createHash("sha256");
  for (const file of kept) hash.update(readFileSync(`${dir}/${file}`));
  // A folder's page is asked for by the folder's name.
  const addresses = kept.map((file) => `/${file.replace(/(^|\/)index\.html$/, "$1")}`);
  const release = { name, release: hash.digest("hex").slice(0, 16), files: addresses };
  await bundle({
    entryPoints: [here("worker/app.ts")],
    outfile: `${dir}/${worker}`,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    logLevel: "error",
    alias: { "offline-ai-sync/sw": `${dist}/sw.js` },
    // The package's own start by address is not for this worker; a classic script has no import.meta anyway.
    define: { __RELEASE__: JSON.stringify(release), "import.meta.url": '""' },
  });
}

export default defineConfig({
  root: here("."),
  resolve: {
    // The longer names first: a name stands for everything below it, too.
    alias: {
      "offline-ai-sync/models/onnx": `${dist}/models-onnx.js`,
      "offline-ai-sync/models/tfjs": `${dist}/models-tfjs.js`,
      "offline-ai-sync/models": `${dist}/models.js`,
      "offline-ai-sync/documents": `${dist}/documents.js`,
      "offline-ai-sync/devtools": `${dist}/devtools.js`,
      "offline-ai-sync/cache": `${dist}/cache.js`,
      "offline-ai-sync": `${dist}/index.js`,
    },
  },
  build: {
    rollupOptions: {
      input: [...pages, "examples/shop-plain/index.html"].map(here),
      external: [/^onnxruntime-web\//, "@tensorflow/tfjs-backend-wasm"],
    },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [
    {
      name: "place-core",
      async writeBundle({ dir }, output) {
        if (!dir) return;
        for (const file of placed) place(`${dist}/${file}`, `${dir}/${file}`);
        for (const file of runtimes) place(`${onnx}/${file}`, `${dir}/runtimes/${file}`);
        for (const [name, app] of Object.entries(apps)) await makeWorker(name, app, dir, output);
      },
    },
  ],
});
