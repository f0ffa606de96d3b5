#!/usr/bin/env node
// Everything that has to be green: checks, builds, unit tests with two compilers and with sanitizers, JavaScript tests,
// and the claims that say so, in their quick form.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { build } from "./build.mjs";
import { ensureModules, ensureToolchain } from "./lib/ensure.mjs";
import { buildPreset } from "./lib/native.mjs";
import { at, die, filesBelow, helpFor, root } from "./lib/run.mjs";

const usage = `
usage: npm test -- [step...]

Runs every step, or the named ones, and goes on after a failure; installs what is missing first. Output of each step goes
to build/test/<step>.log and, when it fails, to the screen.
steps: build check native asan gcc fuzz js browser prove
  prove:<claim>  one claim, quick`;

const args = process.argv.slice(2);
helpFor(usage, args);

const totals = { passed: 0, failed: 0, skipped: 0 };
mkdirSync(at("build/test"), { recursive: true });

const step_minutes_max = 12; // a hanging test must not hang the whole run

const groups = new Set();
function endGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if (error.code !== "ESRCH") throw error; // it had ended by itself
  }
}
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    for (const pid of groups) endGroup(pid, signal);
    process.exit(130);
  });
}

/** Runs a program in a process group of its own; its output is kept, and what it started ends with it. */
function program(command, argv) {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(command, argv, { cwd: root, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    if (child.pid) groups.add(child.pid);
    const timer = setTimeout(() => {
      output += `\nstopped after ${step_minutes_max} minutes\n`;
      endGroup(child.pid, "SIGKILL");
    }, step_minutes_max * 60_000);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        output += text;
      });
    }
    const done = (code) => {
      clearTimeout(timer);
      groups.delete(child.pid);
      resolve({ code, output });
    };
    child.on("error", (error) => {
      output += `${error.message}\n`;
      done(127);
    });
    child.on("close", (code) => done(code ?? 1));
  });
}

const count = (output, pattern) => Number(pattern.exec(output)?.[1] ?? 0);

// Closing lines: "100% tests passed, 0 tests failed out of 7" (ctest), "i pass 12" (Node), "7 passed, 0 failed" (ours).
function countTests(output) {
  const ctest = /(\d+) tests? failed out of (\d+)/.exec(output);
  const failed = ctest ? Number(ctest[1]) : 0;
  return {
    passed:
      (ctest ? Number(ctest[2]) - failed : 0) +
      count(output, /^\W*pass (\d+)$/m) +
      count(output, /^(\d+) passed, \d+ failed$/m),
    failed: failed + count(output, /^\W*fail (\d+)$/m) + count(output, /^\d+ passed, (\d+) failed$/m),
    skipped: count(output, /^\W*skipped (\d+)$/m),
  };
}

async function ctest(preset) {
  await buildPreset(preset);
  return program("ctest", ["--preset", preset, "--no-tests=ignore", "--timeout", "300", "-j", "2"]);
}

const fuzz_seconds = 5; // for each decoder; the programs in build/fuzz/bin run for as long as one likes

/** A short run of every fuzz target over its corpus: enough to see a decoder that a change broke. */
async function fuzz() {
  const targets = filesBelow("tests/fuzz", (name) => /\/fuzz_\w+\.cc$/.test(name)).map((name) =>
    name.split("/").pop().slice(0, -".cc".length),
  );
  if (targets.length === 0) return nothing;
  const folder = await buildPreset("fuzz");
  const results = [];
  for (const target of targets) {
    const corpus = at("tests/fuzz/corpus", target.replace("fuzz_", ""));
    const work = at("build/fuzz/corpus", target);
    mkdirSync(work, { recursive: true });
    const limits = [
      `-max_total_time=${fuzz_seconds}`,
      "-seed=1",
      "-max_len=65536",
      "-timeout=20", // one input: a loop that a hostile number drives is a crash as well
      "-rss_limit_mb=2048",
      "-print_final_stats=1",
    ];
    const result = await program(`${folder}/${target}`, [
      ...limits,
      `-artifact_prefix=${work}-`,
      work,
      ...(existsSync(corpus) ? [corpus] : []),
    ]);
    const runs = count(result.output, /number_of_executed_units:\s*(\d+)/);
    // A target that runs nothing would pass for ever.
    results.push({ ...result, code: result.code || (runs > 0 ? 0 : 1), summary: `${target}: ${runs} inputs` });
  }
  const failed = results.filter(({ code }) => code !== 0).length;
  const output = [...results.map((result) => result.output), ...results.map(({ summary }) => `${summary}\n`)].join("");
  return { code: failed === 0 ? 0 : 1, output: `${output}${results.length - failed} passed, ${failed} failed\n` };
}

const hasTests = (folder) => filesBelow(folder, (name) => name.endsWith(".test.ts")).length > 0;
const nothing = { code: 0, output: "nothing to run yet\n" };

/** Claims that belong to every run. */
async function quickClaims() {
  const names = readdirSync(at("scripts/claims")).filter((name) => name.endsWith(".mjs"));
  const claims = await Promise.all(names.map((name) => import(pathToFileURL(at("scripts/claims", name)).href)));
  return claims.map(({ claim }) => claim).filter(({ test }) => test);
}

async function prove(name) {
  const result = await program(process.execPath, [at("scripts/prove.mjs"), name, "--quick"]);
  const key = result.code === 0 ? "passed" : result.code === 77 ? "skipped" : "failed";
  return {
    code: result.code === 77 ? 0 : result.code,
    output: result.output,
    counts: { passed: 0, failed: 0, skipped: 0, [key]: 1 },
  };
}

const steps = {
  build: async () => {
    await build();
    return nothing;
  },
  check: () => program(process.execPath, [at("scripts/check.mjs")]),
  native: () => ctest("native"),
  asan: () => ctest("asan"),
  gcc: () => ctest("native-gcc"),
  fuzz,
  js: () =>
    hasTests("tests/glue") || hasTests("tests/server")
      ? program(at("scripts/pg-test.sh"), ["--", process.execPath, at("scripts/test-js.mjs")])
      : nothing,
  browser: () =>
    hasTests("tests/browser") ? program(process.execPath, [at("scripts/test-js.mjs"), "tests/browser/"]) : nothing,
};

const failures = [];

async function runStep(name, step) {
  const start = performance.now();
  // A step that calls a builder ends the process on a broken build; so that the others still run, it is a process too.
  const { code, output, counts } = await step();
  const found = counts ?? countTests(output);
  for (const key of Object.keys(totals)) totals[key] += found[key];
  writeFileSync(at("build/test", `${name.replace(":", "-")}.log`), output);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const detail =
    found.passed + found.failed + found.skipped > 0 ? `, ${found.passed} passed, ${found.failed} failed` : "";
  console.log(`${code === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s${detail})`);
  for (const line of output.split("\n"))
    if (line.includes("SKIPPED (no data)") || /^fuzz_\w+: \d+ inputs$/.test(line)) console.log(`     ${line.trim()}`);
  if (code === 0) return;
  failures.push(name);
  if (found.failed === 0) totals.failed++;
  const lines = output.trimEnd().split("\n");
  console.log(lines.slice(-lines_max).join("\n"));
}

const lines_max = 150; // of what a failing step printed

// A step that builds may end its process; it is run as one, with its output captured like any other.
if (args[0] === "--one-step") {
  const { code, output } = await steps[args[1]]();
  // Not before a pipe has taken all of it: the counts stand at its end.
  process.stdout.write(output, () => process.exit(code));
  await new Promise(() => undefined);
}
const own_process = (name) => () => program(process.execPath, [at("scripts/test.mjs"), "--one-step", name]);

await ensureModules();
await ensureToolchain({ wasm: true, browser: true, databases: true });
const claims = await quickClaims();
const all = {
  ...Object.fromEntries(Object.keys(steps).map((name) => [name, own_process(name)])),
  ...Object.fromEntries(claims.map(({ name }) => [`prove:${name}`, () => prove(name)])),
};
for (const name of args) if (!(name in all) && name !== "prove") die(`test: unknown step '${name}' (see --help)`, 2);
for (const [name, step] of Object.entries(all)) {
  if (args.length > 0 && !args.includes(name) && !(args.includes("prove") && name.startsWith("prove:"))) continue;
  await runStep(name, step);
}
if (!existsSync(at("dist/glue.mjs"))) console.log("note: there is no WebAssembly core yet");
if (failures.length > 0) console.log(`failed: ${failures.join(" ")} (logs in build/test/)`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exitCode = failures.length > 0 ? 1 : 0;
