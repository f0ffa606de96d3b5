import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const dist = here("../dist");

// What `npx offline-ai-sync copy` does for an application: worker and core lie beside the page.
const placed = ["core.wasm", "core-base.wasm", "documents.wasm", "documents-base.wasm", "sw.classic.js"];

export default defineConfig({
  root: here("."),
  resolve: { alias: { "offline-ai-sync/documents": `${dist}/documents.js`, "offline-ai-sync": `${dist}/index.js` } },
  build: {
    rollupOptions: { input: { index: here("index.html"), device: here("device.html") } },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [
    {
      name: "place-core",
      writeBundle({ dir }) {
        if (!dir) return;
        mkdirSync(dir, { recursive: true });
        for (const file of placed) if (existsSync(`${dist}/${file}`)) copyFileSync(`${dist}/${file}`, `${dir}/${file}`);
      },
    },
  ],
});
