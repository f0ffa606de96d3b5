// Configure and build a CMake preset, then say where its programs are.

import { existsSync } from "node:fs";
import { at, capture, run, say } from "./run.mjs";

/**
 * Builds `targets` (all when empty) of a preset into build/<preset>. Quiet when nothing changed; with `show` Ninja's
 * progress is printed.
 */
export async function buildPreset(preset, targets = [], { show = false } = {}) {
  const folder = at("build", preset);
  if (!existsSync(`${folder}/build.ninja`)) {
    say(`configuring ${preset}`);
    capture("cmake", ["--preset", preset]);
  }
  const args = ["--build", folder, ...(targets.length > 0 ? ["--target", ...targets] : [])];
  if (show) {
    await run("cmake", args);
  } else {
    const dry = capture("cmake", [...args, "--", "-n"], { check: false });
    if (!/no work to do/.test(dry.stdout)) say(`building ${preset} ${targets.join(" ")}`.trimEnd());
    capture("cmake", args);
  }
  return `${folder}/bin`;
}

/** Builds one native program and returns its path. */
export async function nativeProgram(name, preset = "native") {
  return `${await buildPreset(preset, [name])}/${name}`;
}
