#!/usr/bin/env node
// Builds the simulator and runs it with the arguments given.

import { existsSync } from "node:fs";
import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { nativeProgram } from "./lib/native.mjs";
import { at, die, helpFor, run } from "./lib/run.mjs";

const args = process.argv.slice(2);
helpFor("usage: npm run sim -- [arguments of build/native/bin/sim]\n\nIts own help: npm run sim -- help", args);
if (!existsSync(at("tests/sim/main.cc"))) die("there is no simulator yet: tests/sim/main.cc is missing");
await ensureModules();
await ensureToolchain();
process.exitCode = await run(await nativeProgram("sim"), args[0] === "help" ? ["--help"] : args, { check: false });
