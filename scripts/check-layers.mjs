#!/usr/bin/env node
// Who may include and import whom (docs/architecture.md): the arrows of the layering, held by a machine.

import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { filesBelow, helpFor } from "./lib/run.mjs";

helpFor(`
usage: node scripts/check-layers.mjs

Fails, naming file and line, when an include of the core or an import of the TypeScript breaks the layering.`);

const problems = [];
const lines = (file) => readFileSync(file, "utf8").split("\n");
const report = (file, index, text) => problems.push(`${file}:${index + 1}: ${text}`);

// --- C++ ---------------------------------------------------------------------------------------------------------------

const siblings = ["queue", "merge", "cache", "analytics", "device", "infer"];
const all_but_infer = ["base", "wire", ...siblings.filter((name) => name !== "infer"), "sync"];
const may_include = {
  base: [],
  wire: ["base"],
  ...Object.fromEntries(siblings.map((name) => [name, ["base", "wire"]])),
  documents: ["base", "wire", "merge"],
  sync: ["base", "wire", "queue", "merge"],
  engine: all_but_infer,
  wasm: ["base", "engine"],
  // `oas sim` is the simulator of tests/sim behind one more command.
  tools: [...all_but_infer, "documents", "infer", "engine", "sim"],
};
const wasm_extra = {
  "src/wasm/infer_bindings.cc": ["base", "infer"],
  "src/wasm/documents_bindings.cc": ["base", "documents"],
  "src/wasm/bindings.cc": ["base", "engine", "cache", "device"],
};

// Headers that only some folders may touch.
const restricted = [
  { what: "lz4", header: /^lz4(hc|frame)?\.h$/, allowed: /^(src\/tools|tests)\// },
  { what: "nlohmann/json", header: /^nlohmann\//, allowed: /^(src\/tools|tests|models\/train)\// },
  { what: "Boost", header: /^boost\//, allowed: /^tests\// },
  { what: "Emscripten", header: /^emscripten(\/|\.h$)/, allowed: /^src\/wasm\// },
  // The core has no clock, no threads, no files, no entropy and prints nothing.
  {
    what: "clock, thread, file or entropy",
    header:
      /^(chrono|thread|mutex|shared_mutex|condition_variable|future|atomic|filesystem|fstream|iostream|ostream|istream|cstdio|stdio\.h|ctime|time\.h|random|unistd\.h|sys\/.*)$/,
    allowed: /^(src\/tools|tests|models)\//,
  },
  // Their order differs between libraries, and order reaches output.
  { what: "unordered container", header: /^unordered_(map|set)$/, allowed: /^(src\/tools|tests|models)\// },
];

const is_cpp = (name) => /\.(cc|h|inc|def)$/.test(name);
for (const file of [...filesBelow("src", is_cpp), ...filesBelow("tests", is_cpp), ...filesBelow("models", is_cpp)]) {
  const module = file.startsWith("src/") ? file.split("/")[1] : undefined;
  const allowed = module && (wasm_extra[file] ?? may_include[module]);
  if (module && !allowed) problems.push(`${file}: src/${module} is not a module of the layering`);
  lines(file).forEach((text, index) => {
    const include = /^\s*#\s*include\s*([<"])([^">]+)[">]/.exec(text);
    if (!include) return;
    const [, bracket, header] = include;
    for (const rule of restricted) {
      if (rule.header.test(header) && !rule.allowed.test(file))
        report(file, index, `${rule.what} (${header}) has no place here`);
    }
    if (bracket !== '"' || !allowed) return;
    if (!header.includes("/")) return report(file, index, `write the include from src/: "${module}/${header}"`);
    const target = header.split("/")[0];
    // The generated table may lie beside the header that expands it.
    if (target !== module && !allowed.includes(target)) {
      report(file, index, `${module} may include ${[module, ...allowed].join(", ")}, not ${target}`);
    }
  });
}

// --- TypeScript --------------------------------------------------------------------------------------------------------

const may_import = {
  core: ["core"],
  browser: ["core", "browser"],
  runtimes: ["core", "runtimes"],
  server: ["core", "server"],
  cli: ["server", "cli"],
  // Types of all these; their budget (scripts/budgets.json) has no room for code of theirs.
  bindings: ["core", "browser", "cache", "documents", "models", "bindings"],
  testing: ["core", "testing"],
  worker: ["core", "browser", "cache", "crypto", "runtimes", "models", "worker"],
  crypto: ["core", "crypto"],
  cache: ["core", "crypto", "cache"],
  analytics: ["core", "analytics"],
  documents: ["core", "browser", "documents"],
  storage: ["core", "browser", "storage"],
  privacy: ["core", "browser", "cache", "documents", "privacy"],
  models: ["core", "browser", "runtimes", "models"],
  devtools: ["core", "browser", "cache", "documents", "privacy", "devtools"],
};
const server_packages =
  /^(node:|#glue\.mjs$|express$|pg($|\/|-)|redis$|ioredis$|pino($|-)|helmet$|cors$|jose$|zod($|\/)|prom-client$|rate-limiter-flexible$|@opentelemetry\/api$|@photostructure\/sqlite$)/;
const packages_of = {
  core: /^#glue\.mjs$/,
  browser: /^#glue\.mjs$/,
  models: /^$/,
  worker: /^#glue\.mjs$/,
  testing: /^#glue\.mjs$/,
  cache: /^#glue\.mjs$/,
  storage: /^#glue\.mjs$/,
  server: server_packages,
  cli: /^node:/,
  runtimes: /^(onnxruntime-web($|\/)|@tensorflow\/|#glue\.mjs$)/,
  devtools: /^(preact($|\/hooks$)|uplot($|\/dist\/uPlot\.min\.css$))/,
  bindings: /^(react($|\/)|vue$|svelte($|\/))/,
};
// `web` and the package tests see what a user of the package sees.
const published_only = /^(web|tests\/package)\//;

const is_ts = (name) => /\.(ts|tsx|mts)$/.test(name) && !name.endsWith(".d.ts");
const specifier =
  /(?:^|[\s;}])(?:import|export)\s[^"';]*?from\s*["']([^"']+)["']|(?:^|[\s;}])import\s*["']([^"']+)["']|\bimport\(\s*["']([^"']+)["']\s*\)/g;

for (const file of [...filesBelow("js-glue", is_ts), ...filesBelow("web", is_ts)]) {
  const folder = file.startsWith("js-glue/") ? file.split("/")[1] : undefined;
  const text = readFileSync(file, "utf8");
  for (const match of text.matchAll(specifier)) {
    const target = match[1] ?? match[2] ?? match[3];
    const index = text.slice(0, match.index + 1).split("\n").length - 1;
    if (target.startsWith(".")) {
      const path = normalize(join(dirname(file), target));
      if (folder && path.startsWith("js-glue/")) {
        const other = path.split("/")[1];
        if (!may_import[folder]?.includes(other))
          report(file, index, `js-glue/${folder} may not import js-glue/${other}`);
      } else if (folder) {
        report(file, index, `js-glue may not import ${path}`);
      } else if (published_only.test(file) && !path.startsWith("web/")) {
        report(file, index, `only published entry points may be imported here, not ${path}`);
      }
    } else if (folder && !packages_of[folder]?.test(target)) {
      report(file, index, `js-glue/${folder} may not import the package ${target}`);
    }
  }
}

for (const problem of problems.sort()) console.error(problem);
if (problems.length > 0) process.exit(1);
