#!/usr/bin/env node
// Builds the `oas` tool and runs it with the arguments and the standard input given: natively, or through WebAssembly.

import { existsSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { buildPreset, nativeProgram } from "./lib/native.mjs";
import { at, die, helpFor, run } from "./lib/run.mjs";

const usage = `
usage: node scripts/oas.mjs [--wasm] <command> [arguments]     (npm run oas -- ... prints npm's own lines first)

  --wasm  the same commands through WebAssembly in Node
Commands: node scripts/oas.mjs help`;

const args = process.argv.slice(2);
helpFor(usage, args);
if (!existsSync(at("src/tools"))) die("there is no tool yet: src/tools/ is missing");
const wasm = args[0] === "--wasm";
if (wasm) args.shift();
await ensureModules();
await ensureToolchain({ wasm });
if (wasm) {
  const folder = await buildPreset("wasm", ["oas"]);
  const { default: create } = await import(pathToFileURL(`${folder}/oas.mjs`).href);
  const tool = await create();
  process.exitCode = tool.callMain(args);
} else {
  process.exitCode = await run(await nativeProgram("oas"), args, { check: false });
}
