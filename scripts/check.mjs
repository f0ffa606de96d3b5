#!/usr/bin/env node
// Everything a reader would otherwise have to look for: format, lint, layers, types, fresh generated files, leaked words.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { at, capture, die, filesBelow, helpFor, say } from "./lib/run.mjs";

const usage = `
usage: npm run check -- [--tidy] [step...]

Runs all steps, or the named ones, and reports every failure.
  --tidy  also clang-tidy over src/ (minutes)
steps: biome clang-format layers types generated words docs wasm tidy
npm run format mends what biome and clang-format complain about.`;

const cpp_files = () =>
  ["src", "tests", "models"].flatMap((folder) => filesBelow(folder, (name) => /\.(cc|h)$/.test(name)));

const node = (script, ...args) => capture(process.execPath, [at("scripts", script), ...args], { check: false });

/** The type checks whose folders hold something, as arguments for tsc. */
function typeConfigs() {
  return readdirSync(at())
    .filter((name) => /^tsconfig(\.\w+)?\.json$/.test(name) && name !== "tsconfig.base.json")
    .filter((name) => {
      const { include } = JSON.parse(readFileSync(at(name), "utf8"));
      const folders = include.filter((pattern) => pattern.includes("/**")).map((pattern) => pattern.split("/**")[0]);
      return folders.some((folder) => filesBelow(folder, (file) => file.endsWith(".ts")).length > 0);
    });
}

const joined = (results) => ({
  code: results.find(({ code }) => code !== 0)?.code ?? 0,
  stdout: results.map(({ stdout }) => stdout).join(""),
  stderr: results.map(({ stderr }) => stderr).join(""),
});

const steps = {
  biome: () =>
    capture(at("node_modules/.bin/biome"), ["check", "--error-on-warnings", "--max-diagnostics=50"], { check: false }),
  "clang-format": () => {
    const files = cpp_files();
    if (files.length === 0) return { code: 0, stdout: "", stderr: "" };
    return capture("clang-format-19", ["--dry-run", "-Werror", "--ferror-limit=3", ...files], { check: false });
  },
  layers: () => node("check-layers.mjs"),
  types: () =>
    joined(
      typeConfigs().map((name) => {
        const cache = at("build/tsc", `${name}.tsbuildinfo`);
        return capture(at("node_modules/.bin/tsc"), ["-p", name, "--incremental", "--tsBuildInfoFile", cache], {
          check: false,
        });
      }),
    ),
  generated: () =>
    joined(
      readdirSync(at("scripts"))
        .filter((name) => /^(gen-.*|claims-page)\.mjs$/.test(name))
        .map((name) => node(name, "--check")),
    ),
  words: () => node("check-words.mjs"),
  docs: () => node("check-docs.mjs"),
  wasm: () =>
    existsSync(at("dist/glue.mjs"))
      ? node("check-wasm.mjs")
      : { code: 0, stdout: "", stderr: "", note: "nothing built" },
};

function tidy() {
  const files = filesBelow("src", (name) => name.endsWith(".cc") && !name.startsWith("src/wasm/"));
  if (!existsSync(at("build/native/compile_commands.json"))) capture("cmake", ["--preset", "native"]);
  const jobs = ["-p", at("build/native"), "-quiet", "-j", "2", ...files.map((file) => `${at(file)}$`)];
  return capture("run-clang-tidy-19", jobs, { check: false });
}

const lines_max = 60; // of what one failing step printed

helpFor(usage);
const args = process.argv.slice(2);
const all = args.includes("--tidy") || args.includes("tidy") ? { ...steps, tidy } : steps;
const chosen = args.filter((argument) => argument !== "--tidy");
for (const name of chosen) if (!(name in all)) die(`check: unknown step '${name}' (see --help)`, 2);

await ensureModules();
await ensureToolchain();
const failed = [];
for (const [name, step] of Object.entries(all)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const start = Date.now();
  const { code, stdout, stderr, note } = step();
  const seconds = ((Date.now() - start) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok  " : "FAIL"} ${name} (${note ?? `${seconds} s`})`);
  if (code === 0) continue;
  failed.push(name);
  const lines = `${stdout}${stderr}`.trimEnd().split("\n");
  say(lines.slice(0, lines_max).join("\n"));
  if (lines.length > lines_max) say(`... and ${lines.length - lines_max} lines more`);
}
if (failed.length > 0) die(`check failed: ${failed.join(", ")}`);
