#!/usr/bin/env node
// Builds the package: WebAssembly, glue, JavaScript entries, types and the demo, into dist/.

import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import {
  bindingEntries,
  extraEntries,
  inlineEntries,
  nodeEntries,
  pageEntries,
  workerEntries,
} from "./lib/entries.mjs";
import { withLock } from "./lib/lock.mjs";
import { buildPreset } from "./lib/native.mjs";
import { at, capture, die, filesBelow, helpFor, run, say } from "./lib/run.mjs";

const usage = `
usage: npm run build -- [--no-wasm] [--no-types] [--no-demo]

Assembles dist/. Installs what is missing first; rebuilds only what changed.
  --no-wasm   keep the WebAssembly that is there
  --no-types  leave the .d.ts files out
  --no-demo   leave the demo page out`;

const version = JSON.parse(readFileSync(at("package.json"), "utf8")).version;
const produced = new Set();

// Unchanged files keep their time stamps, and a reader never meets half a file that did not change.
function emit(name, content) {
  const path = at("dist", name);
  produced.add(name);
  const bytes = Buffer.from(content);
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

function replaceOnce(text, from, to, file) {
  const parts = text.split(from);
  if (parts.length !== 2) die(`${file}: expected '${from}' once, found it ${parts.length - 1} times`);
  return parts.join(to);
}

const WASM_MODULES = ["core", "server", "infer", "documents"];

function emitModule(name) {
  if (!existsSync(at(`build/wasm/bin/${name}.wasm`))) return [];
  const builds = { [`${name}.wasm`]: "wasm-simd", [`${name}-base.wasm`]: "wasm" };
  return Object.entries(builds).map(([file, preset]) => {
    const bytes = readFileSync(at(`build/${preset}/bin/${name}.wasm`));
    emit(file, bytes);
    return { file, module: new WebAssembly.Module(bytes) };
  });
}

function mustServe(glue, { file, module }) {
  const table = /var wasmImports=\{([^}]*)\}/.exec(glue)?.[1] ?? "";
  const given = new Set([...table.matchAll(/(\w+):/g)].map(([, name]) => name));
  const there = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const missing = [
    ...WebAssembly.Module.imports(module).flatMap(({ name }) => (given.has(name) ? [] : [name])),
    ...[...glue.matchAll(/wasmExports\["(\w+)"\]/g)].flatMap(([, name]) => (there.has(name) ? [] : [name])),
  ];
  if (given.size === 0 || missing.length > 0) die(`the glue does not serve ${file}: ${missing.join(", ")}`);
}

// All modules have the same kind of bindings, so one glue serves them: who has the core loads no other for documents or models.
// The host always hands the module in. Without its own guesses about where the .wasm lies the glue has no import.meta, so every
// bundler takes it, and it can stand in a classic script.
async function emitGlue(modules, esbuild) {
  if (modules.length === 0) return;
  const file = at("build/wasm/bin/server.mjs");
  let glue = readFileSync(file, "utf8");
  glue = replaceOnce(glue, "_scriptName = import.meta.url", '_scriptName = ""', file);
  glue = replaceOnce(glue, 'new URL("server.wasm",import.meta.url).href', '"server.wasm"', file);
  // The core is linked for size, and calls a function that the others do without.
  glue = replaceOnce(glue, "var wasmImports={", "var wasmImports={_emval_decref:__emval_decref,", file);
  for (const one of modules) mustServe(glue, one);
  const { code } = await esbuild.transform(glue, {
    minify: true,
    format: "esm",
    target: "es2022",
    legalComments: "none",
  });
  emit("glue.mjs", code);
}

/** Weights and what must travel with them. */
function emitModels() {
  const wanted = /^models\/(manifest\.json|ATTRIBUTION\.md|[a-z]+\/model(\.i4)?\.oasm)$/;
  for (const name of filesBelow("models", (file) => wanted.test(file))) emit(name, readFileSync(at(name)));
}

/** The project that `offline-ai-sync init` writes, file by file. */
function emitStarter() {
  const folder = "js-glue/cli/starter";
  for (const name of filesBelow(folder)) emit(name.replace(folder, "starter"), readFileSync(at(name)));
}

async function emitWasm(esbuild) {
  await emitGlue(WASM_MODULES.flatMap(emitModule), esbuild);
  if (existsSync(at("build/wasm/bin/oas.mjs"))) {
    emit("oas.mjs", readFileSync(at("build/wasm/bin/oas.mjs")));
    emit("oas.wasm", readFileSync(at("build/wasm/bin/oas.wasm")));
  }
}

/** Resolves `#glue.mjs`: a separate lazy file for pages, part of the bundle for workers. */
export function gluePlugin({ inline, folder = "./" }) {
  return {
    name: "glue",
    setup(build) {
      build.onResolve({ filter: /^#glue\.mjs$/ }, () =>
        inline ? { path: at("dist/glue.mjs") } : { path: `${folder}glue.mjs`, external: true },
      );
    },
  };
}

async function bundle(esbuild, entries, options) {
  if (entries.length === 0) return;
  const result = await esbuild.build({
    absWorkingDir: at(),
    entryPoints: entries.map(({ name, source }) => ({ in: source, out: name })),
    outdir: "dist",
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    legalComments: "none",
    logLevel: "warning",
    ...options,
    define: { __OAS_VERSION__: JSON.stringify(version), ...options.define },
  });
  for (const file of result.outputFiles) emit(file.path.slice(at("dist").length + 1), file.contents);
}

async function emitScripts(esbuild) {
  const browser = { minify: true, sourcemap: true };
  // An app has one framework, and one file packs better than two: bindings share no chunks.
  for (const [entries, splitting] of [
    [pageEntries(), true],
    [extraEntries(), true],
    [bindingEntries(), false],
  ]) {
    await bundle(esbuild, entries, {
      ...browser,
      splitting,
      chunkNames: "chunk-[hash]",
      loader: { ".css": "text" },
      plugins: [gluePlugin({ inline: false })],
      external: ["react", "vue", "svelte", "svelte/*", "onnxruntime-web", "onnxruntime-web/*", "@tensorflow/*"],
    });
  }
  const glue = existsSync(at("dist/glue.mjs"));
  if (glue) {
    await bundle(esbuild, inlineEntries(), {
      ...browser,
      plugins: [gluePlugin({ inline: true })],
      define: { __OAS_CORE_BASE64__: JSON.stringify(readFileSync(at("dist/core-base.wasm")).toString("base64")) },
    });
    await bundle(esbuild, workerEntries(), { ...browser, plugins: [gluePlugin({ inline: true })] });
    const classic = workerEntries().map(({ name, source }) => ({ name: `${name}.classic`, source }));
    await bundle(esbuild, classic, {
      ...browser,
      format: "iife",
      plugins: [gluePlugin({ inline: true })],
      // A classic script has no import.meta; the worker's own address takes its place.
      define: { "import.meta.url": "self.location.href" },
    });
  }
  await bundle(esbuild, nodeEntries(), {
    platform: "node",
    packages: "external",
    splitting: true,
    chunkNames: "node-[hash]",
    loader: { ".sql": "text" },
    plugins: [gluePlugin({ inline: false })],
  });
  // Server-side rendering resolves the `node` condition: the same names, and nothing runs at import.
  if (pageEntries().some(({ name }) => name === "index")) emit("node.js", 'export * from "./index.js";\n');
}

// Relative specifiers in .d.ts files name the .js file, whatever the source wrote.
const specifier = /(from\s+|import\(|import\s+)(["'])(\.{1,2}\/[^"']*?)(?:\.ts|\.js)?\2/g;

function emitTypes() {
  const folder = at("build/types");
  rmSync(folder, { recursive: true, force: true });
  // js-glue/core is in all three; the page's view of it is the one that stays.
  for (const kind of ["server", "worker", "browser"]) {
    const config = JSON.parse(readFileSync(at(`tsconfig.${kind}.json`), "utf8"));
    const folders = config.include.map((pattern) => pattern.split("/**")[0]);
    if (
      !folders.some(
        (path) => path.startsWith("js-glue/") && filesBelow(path, (name) => name.endsWith(".ts")).length > 0,
      )
    )
      continue;
    const args = ["-p", `tsconfig.${kind}.json`, "--noEmit", "false", "--declaration", "--emitDeclarationOnly"];
    args.push("--outDir", folder, "--rootDir", at());
    const { code, stdout } = capture(at("node_modules/.bin/tsc"), args, { check: false });
    if (code !== 0)
      say(`types of js-glue (${kind}) have errors; npm run check shows them all\n${stdout.split("\n")[0]}`);
  }
  for (const name of filesBelow("build/types/js-glue", (file) => file.endsWith(".d.ts"))) {
    const text = readFileSync(at(name), "utf8").replace(specifier, "$1$2$3.js$2");
    emit(name.replace("build/types/js-glue/", "types/"), text);
  }
  const inPages = [...pageEntries(), ...extraEntries(), ...bindingEntries(), ...inlineEntries()];
  for (const { name, source } of [...inPages, ...workerEntries(), ...nodeEntries()]) {
    if (name === "cli") continue;
    emit(`${name}.d.ts`, `export * from "./${source.replace("js-glue/", "types/").replace(/\.ts$/, ".js")}";\n`);
  }
}

// The demo is made from web/ and from the entries it imports; nothing else makes it stale.
function demoIsFresh() {
  const made = at("dist/demo/index.html");
  if (!existsSync(made)) return false;
  const time = statSync(made).mtimeMs;
  const inputs = [...filesBelow("web"), ...filesBelow("dist", (name) => /^dist\/[^/]+\.(js|mjs|wasm)$/.test(name))];
  return inputs.every((name) => statSync(at(name)).mtimeMs < time);
}

async function emitDemo() {
  if (!existsSync(at("web/index.html")) || demoIsFresh()) return;
  const args = ["build", "web", "--outDir", at("dist/demo"), "--emptyOutDir", "--logLevel", "warn"];
  // Standard output belongs to whoever called for the build.
  await run(at("node_modules/.bin/vite"), args, { stdio: ["ignore", 2, "inherit"] });
}

/** Brings dist/ up to date. Other scripts call this before they need the package. */
export async function build({ wasm = true, types = true, demo = true } = {}) {
  await ensureModules();
  if (wasm) await ensureToolchain({ wasm: true });
  await withLock("dist", async () => {
    if (wasm) {
      await buildPreset("wasm");
      await buildPreset("wasm-simd");
    }
    const esbuild = await import("esbuild");
    produced.clear();
    await emitWasm(esbuild);
    await emitScripts(esbuild);
    emitModels();
    emitStarter();
    if (types) emitTypes();
    for (const file of filesBelow("dist")) {
      const name = file.slice("dist/".length);
      if (!produced.has(name) && !name.startsWith("demo/") && (types || !name.endsWith(".d.ts"))) rmSync(at(file));
    }
    if (demo) await emitDemo();
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2);
  helpFor(usage, args);
  for (const argument of args)
    if (!["--no-wasm", "--no-types", "--no-demo"].includes(argument))
      die(`build: unknown argument '${argument}' (see --help)`, 2);
  await build({
    wasm: !args.includes("--no-wasm"),
    types: !args.includes("--no-types"),
    demo: !args.includes("--no-demo"),
  });
}
