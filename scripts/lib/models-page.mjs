// A page that holds every model runtime, in a Chromium with software graphics: for the claims that compare runtimes.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { gluePlugin } from "../build.mjs";
import { chromiumPath } from "./browser.mjs";
import { at } from "./run.mjs";

const types = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
};
const software_gpu = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--enable-features=Vulkan",
  "--use-gl=angle",
  "--use-angle=swiftshader",
  "--enable-unsafe-swiftshader",
  "--ignore-gpu-blocklist",
];

async function bundlePage(out) {
  const { build } = await import("esbuild");
  await build({
    absWorkingDir: at(),
    entryPoints: { page: "tests/browser/runtimes.page.ts" },
    outdir: out,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    logLevel: "error",
    external: ["node:*", "fs", "path", "os", "crypto", "util", "worker_threads", "perf_hooks"],
    plugins: [gluePlugin({ inline: true })],
  });
}

/** Opens the page; `inputs(name)` gives the rows of a model as JSON. Returns { page, close }. */
export async function openRuntimesPage(inputs) {
  const folder = mkdtempSync(join(tmpdir(), "oas-runtimes-"));
  await bundlePage(folder);
  const roots = [
    ["/ort/", at("node_modules/onnxruntime-web/dist")],
    ["/tfjs-wasm/", at("node_modules/@tensorflow/tfjs-backend-wasm/dist")],
    ["/models/", at("models")],
    ["/", folder],
  ];
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://localhost").pathname);
    const answer = (type, body) => response.writeHead(200, { "content-type": type }).end(body);
    try {
      if (path === "/") return answer("text/html", '<!doctype html><script type="module" src="/page.js"></script>');
      if (path === "/infer.wasm") return answer(types[".wasm"], readFileSync(at("dist/infer.wasm")));
      if (path.startsWith("/inputs/")) {
        return answer("application/json", JSON.stringify(inputs(path.slice("/inputs/".length, -".json".length))));
      }
      const [prefix, root] = roots.find(([start]) => path.startsWith(start));
      answer(types[extname(path)] ?? "application/octet-stream", readFileSync(join(root, path.slice(prefix.length))));
    } catch {
      response.writeHead(404).end(); // no such file
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { chromium } = await import("playwright-core");
  const browser = await chromium.launch({ executablePath: chromiumPath(), headless: true, args: software_gpu });
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => "compare" in globalThis, undefined, { timeout: 60_000 });
  return {
    page,
    /** A fresh realm: runtimes that broke, or hold memory, are gone. */
    reload: async () => {
      await page.reload();
      await page.waitForFunction(() => "compare" in globalThis, undefined, { timeout: 60_000 });
    },
    close: async () => {
      await browser.close();
      server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
