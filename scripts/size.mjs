#!/usr/bin/env node
// How many bytes of dist/ travel, compressed as a web server would, against scripts/budgets.json.

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { at, die, filesBelow, helpFor } from "./lib/run.mjs";

const usage = `
usage: node scripts/size.mjs [--json]

Prints the brotli size of every file in dist/ and compares the budgeted ones; exits 1 when a budget is exceeded.
  --json  print one JSON object instead of a table`;

const brotli = (bytes) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  }).length;
const gzip = (bytes) => gzipSync(bytes, { level: 9 }).length;

const code = /\.(m?js|wasm)$/;
const static_import = /(?:^|[;}\s])(?:import|export)\s*(?:[\w*{}\s,$]*?\s*from\s*)?["'](\.[^"']+)["']/g;

/** An entry and everything it imports statically: what a page has loaded once the entry runs. */
export function staticClosure(entry, seen = new Set()) {
  if (seen.has(entry) || !existsSync(at("dist", entry))) return seen;
  seen.add(entry);
  for (const [, target] of readFileSync(at("dist", entry), "utf8").matchAll(static_import)) {
    staticClosure(join(dirname(entry), target), seen);
  }
  return seen;
}

const dynamic_import = /import\(["']\.\/([^"']+\.m?js)["']\)/g;

/** What an entry loads when somebody asks for it: the chunks behind its `import()`. Other entries have budgets of their own. */
function laterOf(entry) {
  const first = staticClosure(entry);
  const later = new Set();
  for (const file of first)
    for (const [, target] of readFileSync(at("dist", file), "utf8").matchAll(dynamic_import))
      if (target.startsWith("chunk-")) staticClosure(target, later);
  return [...later].filter((file) => !first.has(file));
}

function filesOf({ entry, later, files }) {
  if (later) return laterOf(later);
  return entry ? [...staticClosure(entry)] : files;
}

/** Every budget with what was measured; budgets whose files are not built are left out. */
export function measureBudgets() {
  const budgets = JSON.parse(readFileSync(at("scripts/budgets.json"), "utf8"));
  const rows = [];
  for (const [name, budget] of Object.entries(budgets)) {
    const files = filesOf(budget);
    if (files.length === 0 || !files.every((file) => existsSync(at("dist", file)))) continue;
    const [unit, compress, max] = budget.gzip_max
      ? ["gzip", gzip, budget.gzip_max]
      : ["brotli", brotli, budget.brotli_max];
    // Each file travels alone, so each is compressed alone.
    const bytes = files.reduce((sum, file) => sum + compress(readFileSync(at("dist", file))), 0);
    rows.push({ name, files, unit, bytes, max, ok: bytes <= max });
  }
  return rows;
}

function main() {
  helpFor(usage);
  if (!existsSync(at("dist"))) die("dist/ is missing: run npm run build");
  const budgets = measureBudgets();
  const sizes = filesBelow("dist", (file) => code.test(file)).map((file) => {
    const bytes = readFileSync(at(file));
    return { file: file.slice("dist/".length), raw: bytes.length, brotli: brotli(bytes) };
  });
  if (process.argv.includes("--json")) {
    process.stdout.write(`${JSON.stringify({ sizes, budgets })}\n`);
  } else {
    for (const { file, raw, brotli: small } of sizes)
      console.log(`${String(raw).padStart(9)} ${String(small).padStart(8)}  ${file}`);
    for (const { name, bytes, max, unit, ok } of budgets) {
      console.log(`${ok ? "ok  " : "OVER"} ${name}: ${bytes} of ${max} bytes (${unit})`);
    }
  }
  if (budgets.some(({ ok }) => !ok)) process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
