import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const dist = here("../dist");

// What `npx offline-ai-sync copy` does for an application: worker and core lie beside the page.
const placed = [
  ...["core.wasm", "core-base.wasm", "documents.wasm", "documents-base.wasm", "sw.classic.js"],
  ...["infer.wasm", "infer-base.wasm", "models/manifest.json"],
  ...["intent", "emotion", "content", "recommendation", "personalization"].map((name) => `models/${name}/model.oasm`),
];
// A runtime of the application's own choice, whole as its package has it; the playground works without it.
const onnx = here("../node_modules/onnxruntime-web/dist");
const runtimes = ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"];

function place(from: string, to: string): void {
  if (!existsSync(from)) return;
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
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
      "offline-ai-sync": `${dist}/index.js`,
    },
  },
  build: {
    rollupOptions: {
      input: { index: here("index.html"), device: here("device.html"), models: here("models.html") },
      external: [/^onnxruntime-web\//, "@tensorflow/tfjs-backend-wasm"],
    },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [
    {
      name: "place-core",
      writeBundle({ dir }) {
        if (!dir) return;
        for (const file of placed) place(`${dist}/${file}`, `${dir}/${file}`);
        for (const file of runtimes) place(`${onnx}/${file}`, `${dir}/runtimes/${file}`);
      },
    },
  ],
});
