// The simulator as the claims run it: its last line is one JSON object.

import { spawn } from "node:child_process";
import { cpus } from "node:os";
import { nativeProgram } from "./native.mjs";

const bars = { events_per_minute_min: 2_000_000, fault_count_min: 1_000 };
const events_mean_min = 500;

/** One process; resolves with its exit code and what it printed. */
export function runSimulator(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text) => {
      output += text;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, lines: output.trimEnd().split("\n") }));
  });
}

/** Seeds are shared out over the cores; the shares are printed and added up. `options` go to the simulator. */
export async function simulate({ mode, seeds, quick, log, options = [], bar = bars }) {
  const program = await nativeProgram("sim");
  const shares = Math.min(2, cpus().length);
  const each = Math.ceil(seeds / shares);
  const runs = await Promise.all(
    Array.from({ length: shares }, (_, i) =>
      runSimulator(program, [
        ...["--mode", mode, ...options, "--seeds", String(each), "--from", String(1 + i * each)],
        "--json",
      ]),
    ),
  );
  const counts = {};
  const total = { seeds: 0, events: 0, faults: 0, violations: 0, unequal_digests: 0 };
  let slowest = 0;
  let slowest_core = Number.POSITIVE_INFINITY;
  for (const { code, lines } of runs) {
    if (!lines.at(-1)?.startsWith("{")) {
      for (const line of lines) if (line.startsWith("seed=")) log(line.slice(0, 200));
      throw new Error(`the simulator ended with ${code} before its last seed`);
    }
    const result = JSON.parse(lines.at(-1));
    for (const key of Object.keys(total)) total[key] += result[key];
    slowest = Math.max(slowest, result.slowest_drain_ms);
    slowest_core = Math.min(slowest_core, result.events_per_minute);
    for (const line of lines) {
      const [, name, count] = /^(\w+)\s+(\d+)$/.exec(line) ?? [];
      if (name) counts[name] = (counts[name] ?? 0) + Number(count);
      if (line.startsWith("seed=")) log(line.slice(0, 200));
    }
  }
  for (const [name, count] of Object.entries(counts)) log(`${name.padEnd(20)} ${count}`);
  const rarest = Math.min(...Object.values(counts));
  const mean = total.events / total.seeds;
  const ok =
    total.violations === 0 &&
    total.unequal_digests === 0 &&
    mean >= events_mean_min &&
    slowest_core >= bar.events_per_minute_min &&
    (quick || rarest >= bar.fault_count_min);
  return {
    ok,
    scope: `${mode} mode, the shipped core natively; every 16th seed runs twice for its digest; replay one with: npm run sim -- --seed N ${["--mode", mode, ...options].join(" ")}`,
    figures: {
      ...total,
      events_mean: Math.round(mean),
      rarest_fault: rarest,
      slowest_drain_virtual_ms: slowest,
      events_per_minute_and_core: Math.round(slowest_core),
    },
  };
}
