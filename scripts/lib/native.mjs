// Configure and build a CMake preset, then say where its programs are.

import { existsSync } from "node:fs";
import { withLock } from "./lock.mjs";
import { at, capture, run, say } from "./run.mjs";

/**
 * Builds `targets` (all when empty) of a preset into build/<preset> and returns the folder of its programs. Quiet when
 * nothing changed; with `show` Ninja's progress is printed.
 */
export function buildPreset(preset, targets = [], { show = false } = {}) {
  const folder = at("build", preset);
  const args = ["--build", folder, ...(targets.length > 0 ? ["--target", ...targets] : [])];
  return withLock(`cmake-${preset}`, async () => {
    if (!existsSync(`${folder}/build.ninja`)) {
      say(`configuring ${preset}`);
      capture("cmake", ["--preset", preset]);
    }
    if (show) {
      await run("cmake", args);
    } else {
      const plan = capture("cmake", [...args, "--", "-n"], { check: false });
      // Looking for new files is a step of its own that always runs.
      const steps = plan.stdout
        .split("\n")
        .filter((line) => line.startsWith("[") && !line.includes("globbed directories"));
      if (steps.length > 0) say(`building ${preset} ${targets.join(" ")}`.trimEnd());
      capture("cmake", args);
    }
    return `${folder}/bin`;
  });
}

/** Builds one program and returns its path. */
export async function nativeProgram(name, preset = "native") {
  return `${await buildPreset(preset, [name])}/${name}`;
}
