// The tool `oas`, natively or as WebAssembly, called with input and answered with its last line as JSON.

import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { buildPreset } from "./native.mjs";
import { at } from "./run.mjs";

/** Builds `oas` once; the returned function runs it in a process of its own. */
export async function oasTool({ wasm = false } = {}) {
  const folder = await buildPreset(wasm ? "wasm" : "native", ["oas"]);
  const command = wasm
    ? [process.execPath, at("scripts/lib/oas-wasm.mjs"), join(folder, "oas.mjs")]
    : [join(folder, "oas")];
  return (args, input) => {
    const [program, ...before] = command;
    const done = spawnSync(program, [...before, ...args.map(String)], { input, maxBuffer: 1 << 26 });
    if (done.status !== 0) throw new Error(`oas ${args.join(" ")}: exit ${done.status} ${done.stdout} ${done.stderr}`);
    return JSON.parse(done.stdout.toString().trim().split("\n").at(-1));
  };
}
