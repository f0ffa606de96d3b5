#!/usr/bin/env node
// Everything that has to be true before a version is published. It publishes nothing by itself.

import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { changelogFaults, contentFaults, isAfter, manifestFaults, readVersion } from "./lib/release.mjs";
import { at, capture, die, helpFor, run } from "./lib/run.mjs";
import { measureBudgets, staticClosure } from "./size.mjs";

const usage = `
usage: node scripts/release.mjs [--no-tests] [--publish]

Looks at the tree, version, changelog and tests, at what npm would pack and how much each entry weighs; then prints the command that
publishes. Reports everything that is wrong, and exits 1.
  --no-tests  a rehearsal: nothing is built or tested, and nothing can be published
  --publish   run that command, too, if nothing is wrong (in continuous integration: provenance is signed there)`;

const args = process.argv.slice(2);
helpFor(usage, args);
const wrong_argument = args.find((argument) => !["--no-tests", "--publish"].includes(argument));
if (wrong_argument) die(`release: unknown argument '${wrong_argument}' (see --help)`, 2);
const tested = !args.includes("--no-tests");
const publish = args.includes("--publish");
if (publish && !tested) die("release: --publish wants the tests", 2);

const git = (...words) => capture("git", words, { check: false }).stdout.trimEnd();
const manifest = JSON.parse(readFileSync(at("package.json"), "utf8"));
const { version } = manifest;

function treeFaults() {
  const changed = git("status", "--porcelain").split("\n").filter(Boolean);
  return changed.map((line) => `not committed: ${line}`);
}

function versionFaults() {
  const read = readVersion(version);
  if (!read) return [`package.json: '${version}' is no version`];
  const released = git("tag", "--list", "v*")
    .split("\n")
    .map((tag) => tag.slice(1))
    .filter(readVersion);
  return [
    ...released.filter((other) => !isAfter(version, other)).map((other) => `${version} does not come after v${other}`),
    ...(JSON.parse(readFileSync(at("package-lock.json"), "utf8")).version === version
      ? []
      : ["package-lock.json has another version: npm install --package-lock-only"]),
  ];
}

const packed = () => JSON.parse(capture("npm", ["pack", "--dry-run", "--json", "--silent"], { cwd: at() }).stdout)[0];

const brotli = (file) => {
  const bytes = readFileSync(at("dist", file));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  return brotliCompressSync(bytes, { params }).length;
};

/** What each entry loads at once, in brotli bytes, and the budgets that are exceeded. */
function sizeReport() {
  for (const [path, target] of Object.entries(manifest.exports)) {
    const file = (target.default ?? target).toString();
    if (!/^\.\/dist\/[^*]+\.(js|wasm)$/.test(file) || path === "./server") continue;
    const entry = file.slice("./dist/".length);
    const bytes = [...staticClosure(entry)].reduce((sum, name) => sum + brotli(name), 0);
    console.log(`${String(bytes).padStart(8)}  ${path.replace(/^\./, manifest.name)}`);
  }
  return measureBudgets()
    .filter(({ ok }) => !ok)
    .map(({ name, bytes, max, unit }) => `${name}: ${bytes} of ${max} bytes (${unit})`);
}

const faults = [];
const step = (name, found) => {
  console.log(`${found.length === 0 ? "ok  " : "FAIL"} ${name}`);
  faults.push(...found);
};

step("tree", treeFaults());
step("version", versionFaults());
step("changelog", changelogFaults(readFileSync(at("CHANGELOG.md"), "utf8"), version));
step("manifest", manifestFaults(manifest));
if (tested) {
  const code = await run("npm", ["test"], { check: false });
  step("tests", code === 0 ? [] : ["npm test fails"]);
} else console.log("     tests: not run");
const { files, size, unpackedSize } = packed();
const paths = files.map(({ path }) => path);
step(`package: ${paths.length} files, ${size} bytes packed, ${unpackedSize} unpacked`, contentFaults(paths, manifest));
console.log("\nwhat each entry loads at once, brotli:");
step("sizes", sizeReport());

if (faults.length > 0) die(`\nnot yet:\n${faults.map((fault) => `  ${fault}`).join("\n")}`);
const tag = readVersion(version).pre === undefined ? [] : ["--tag", "next"];
const command = ["publish", "--provenance", "--access", "public", ...tag];
console.log(`\n${publish ? "publishing" : "to publish, in continuous integration"}: npm ${command.join(" ")}`);
console.log(`then: git tag v${version}`);
if (publish) process.exit(await run("npm", command, { check: false }));
