#!/usr/bin/env node
// Lays out and tidies the sources as npm run check wants them.

import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { at, capture, filesBelow, helpFor, run } from "./lib/run.mjs";

helpFor(`
usage: npm run format -- [path...]

Formats TypeScript, JavaScript, JSON (biome, with its safe fixes) and C++ (clang-format); all of it without paths.`);

await ensureModules();
await ensureToolchain();
const paths = process.argv.slice(2);
const chosen = (name) =>
  paths.length === 0 || paths.some((path) => name === path || name.startsWith(`${path.replace(/\/$/, "")}/`));
const cpp = ["src", "tests", "models"]
  .flatMap((folder) => filesBelow(folder, (name) => /\.(cc|h)$/.test(name)))
  .filter(chosen);
if (cpp.length > 0) capture("clang-format-19", ["-i", ...cpp]);
const others = paths.filter((path) => !/\.(cc|h)$/.test(path));
if (paths.length === 0 || others.length > 0) {
  await run(at("node_modules/.bin/biome"), ["check", "--write", "--no-errors-on-unmatched", ...others]);
}
