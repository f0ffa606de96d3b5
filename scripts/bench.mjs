#!/usr/bin/env node
// Runs benchmarks: C++ programs of tests/bench/cpp, Node programs of tests/bench.

import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { nativeProgram } from "./lib/native.mjs";
import { at, die, filesBelow, helpFor, run } from "./lib/run.mjs";

const usage = `
usage: npm run bench -- [name] [arguments]

Without a name it lists what there is. A benchmark names its data, its baseline and its machine, and prints ratios.`;

const args = process.argv.slice(2);
helpFor(usage, args);
const base = (file) =>
  file
    .split("/")
    .pop()
    .replace(/\.(cc|mjs)$/, "");
const native = filesBelow("tests/bench/cpp", (name) => name.endsWith(".cc"));
const scripts = filesBelow("tests/bench", (name) => name.endsWith(".bench.mjs"));
const [name, ...rest] = args;
if (!name) {
  for (const file of [...native, ...scripts]) console.log(`${base(file).padEnd(28)} ${file}`);
  process.exit(0);
}
await ensureModules();
const program = native.find((file) => base(file) === name);
const script = scripts.find((file) => base(file) === name || base(file) === `${name}.bench`);
if (program) {
  await ensureToolchain();
  process.exitCode = await run(await nativeProgram(name), rest, { check: false });
} else if (script) {
  process.exitCode = await run(process.execPath, [at(script), ...rest], { check: false });
} else {
  die(`bench: no benchmark '${name}'; npm run bench lists them`, 2);
}
