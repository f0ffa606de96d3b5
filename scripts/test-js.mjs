#!/usr/bin/env node
// Bundles the TypeScript tests and runs them with Node's own test runner.

import { rmSync } from "node:fs";
import { ensureModules } from "./lib/ensure.mjs";
import { bundleForNode } from "./lib/program.mjs";
import { at, die, filesBelow, helpFor, run } from "./lib/run.mjs";

const usage = `
usage: node scripts/test-js.mjs [folder or part of a path...] [-- <arguments for node --test>]

Runs tests/{glue,server}/**/*.test.ts, or the tests whose path contains one of the words (tests/browser too).
Tests run with the checkout as working directory; npm packages and dist/ are resolved as a user's program would.`;

const argv = process.argv.slice(2);
helpFor(usage, argv);
const split = argv.indexOf("--");
const words = split < 0 ? argv : argv.slice(0, split);
const extra = split < 0 ? [] : argv.slice(split + 1);

await ensureModules();
const is_test = (name) => name.endsWith(".test.ts");
const tests = ["glue", "server", "browser"]
  .flatMap((folder) => filesBelow(`tests/${folder}`, is_test))
  .filter((name) =>
    words.length === 0 ? !name.startsWith("tests/browser/") : words.some((word) => name.includes(word)),
  );
if (tests.length === 0) {
  if (words.length > 0) die(`test-js: no test matches ${words.join(" ")}`);
  console.log("test-js: no tests yet");
  process.exit(0);
}

// A program that a test starts is bundled beside the tests: tests/**/*.main.ts becomes build/js/.../*.main.js.
const programs = filesBelow("tests", (name) => name.endsWith(".main.ts"));
const out = at("build/js", String(process.pid));
process.on("exit", () => rmSync(out, { recursive: true, force: true }));

await bundleForNode([...tests, ...programs], out, { outbase: "." });
const files = tests.map((name) => `${out}/${name.replace(/\.ts$/, ".js")}`);
const flags = ["--enable-source-maps", "--test", "--test-reporter=spec", "--test-timeout=180000", ...extra];
process.exitCode = await run(process.execPath, [...flags, ...files], {
  check: false,
  env: { OAS_ROOT: at(), OAS_TEST_BUILD: out },
});
