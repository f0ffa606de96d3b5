#!/usr/bin/env node
// docs/claims.md: every claim of npm run prove, and what became of every figure the project was described with.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { at, die, filesBelow, helpFor } from "./lib/run.mjs";
import { seedFigures } from "./lib/seed-figures.mjs";
import { allClaims } from "./prove.mjs";

const usage = `
usage: node scripts/claims-page.mjs [--check]

Writes docs/claims.md from scripts/claims/ and scripts/lib/seed-figures.mjs. Fails when a figure names a claim, a test, a field
of the overview or a metric that does not exist.
  --check  write nothing; fail when the page is not what would be written`;

const PAGE = "docs/claims.md";
const OVERVIEW = "js-glue/server/store/figures.ts";
const INSIGHT = "js-glue/server/operations/insight.ts";
const METRICS = "js-glue/server/operations/metrics.ts";

const GROUPS = {
  analytics: "Analytics",
  browsers: "In a browser",
  cache: "Content cache",
  codec: "Codec",
  crypto: "Encryption",
  csp: "In a browser",
  demo: "Demo and example apps",
  docs: "Package and documentation",
  documents: "Documents and merge",
  examples: "Demo and example apps",
  golden: "Core",
  merge: "Documents and merge",
  models: "Models",
  package: "Package and documentation",
  queue: "Queue",
  quota: "In a browser",
  server: "Server",
  sim: "Simulator",
  size: "Core",
  start: "Demo and example apps",
  wasm: "In a browser",
};

/** Names of the claims that the README says do not hold. */
function failingClaims() {
  const readme = readFileSync(at("README.md"), "utf8");
  const [, after] = readme.split("**These claims do not hold at present**");
  if (after === undefined) return new Set();
  const rows = after
    .trimStart()
    .split("\n")
    .slice(1)
    .join("\n")
    .trim()
    .split("\n\n")[0]
    .split("\n")
    .map((line) => /^\| `([^`]+)`/.exec(line)?.[1])
    .filter(Boolean);
  return new Set(rows);
}

const cell = (text) => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** What is wrong with the names that a row gives; empty when nothing. */
function wrongNames(row, known) {
  const { claims = [], overview = [], metrics = [], test } = row;
  const wrong = [
    ...claims.filter((name) => !known.claims.has(name)).map((name) => `no claim '${name}'`),
    ...overview.filter((path) => !known.overview(path)).map((path) => `no overview field '${path}'`),
    ...metrics
      .filter((name) => !known.metrics.includes(`"${name.slice("oas_".length)}"`))
      .map((name) => `no metric '${name}'`),
  ];
  if (test && !known.tests.some((name) => name.includes(test))) wrong.push(`no test '${test}'`);
  if (!row.not && claims.length + overview.length + metrics.length === 0 && !test) wrong.push("nothing shows it");
  return wrong;
}

/** Names as the source has them; tests/server/claims-page.test.ts asks a running server for the same fields. */
function knownNames(claims) {
  const overview = readFileSync(at(OVERVIEW), "utf8");
  const insight = readFileSync(at(INSIGHT), "utf8");
  return {
    claims: new Set(claims.map(({ name }) => name)),
    metrics: readFileSync(at(METRICS), "utf8"),
    tests: filesBelow("tests", (name) => name.endsWith(".test.ts")),
    overview: (path) => {
      const [first, ...more] = path.split(".");
      const key = (source, name) => new RegExp(`\\b${name}\\b\\s*[:,]`).test(source);
      if (!key(overview, first)) return false;
      return more.every((name) => (first === "insight" ? insight.includes(`"${name}"`) : key(overview, name)));
    },
  };
}

function answer(row, failing) {
  const { claims = [], overview = [], metrics = [], test, says, not } = row;
  const code = (names) => names.map((name) => `\`${name}\``).join(", ");
  const parts = [];
  if (claims.length > 0) {
    const commands = claims.map((name) => `\`npm run prove -- ${name}\`${failing.has(name) ? " (fails)" : ""}`);
    parts.push(`${commands.join(", ")}: ${says}`);
  }
  if (test) parts.push(`\`node scripts/test-js.mjs ${test}\`: ${says}`);
  if (overview.length > 0) parts.push(`an app measures this: overview field ${code(overview)}`);
  if (metrics.length > 0) parts.push(`an operator measures this: ${code(metrics)} of \`/metrics\``);
  if (not) parts.push(`not claimed${claims.length > 0 ? " " : ": "}${not}`);
  return parts.join("; ");
}

function markdown(claims, failing) {
  const lines = [
    "# Claims",
    "",
    "Made by `scripts/claims-page.mjs` from `scripts/claims/` and `scripts/lib/seed-figures.mjs`; do not edit.",
    "",
    "A claim is a program that measures something again and compares it with a bar. It prints one line of JSON with what it measured and on",
    "which machine, and ends with 0 if the bar holds, 1 if it does not, 77 if the data it needs is not here. `--quick` takes a smaller",
    "sample against the same bar, within the seconds named. *fails* = the README says that the bar does not hold at present, and what was",
    "measured instead; *test* = `npm test` runs it with `--quick`.",
    "",
    "## What is measured",
  ];
  const titles = [...new Set(Object.values(GROUPS))].sort();
  for (const title of titles) {
    const rows = claims.filter(({ name }) => GROUPS[name.split(".")[0]] === title);
    if (rows.length === 0) continue;
    lines.push("", `### ${title}`, "", "| command | what it does | bar | quick |", "|---|---|---|---|");
    for (const { name, title: what, bar, quickSeconds = 60, test } of rows) {
      const marks = [`${quickSeconds} s`, ...(test ? ["test"] : []), ...(failing.has(name) ? ["*fails*"] : [])];
      lines.push(`| \`npm run prove -- ${name}\` | ${cell(what)} | ${cell(bar)} | ${marks.join(", ")} |`);
    }
  }
  lines.push(
    "",
    "## Figures of the first description",
    "",
    "The project began with a description full of figures. Each is here, with what shows it, or with the reason why nobody claims it.",
  );
  for (const { part, rows } of seedFigures) {
    lines.push("", `### ${part}`, "", "| figure | here |", "|---|---|");
    for (const row of rows) lines.push(`| ${cell(row.figure)} | ${cell(answer(row, failing))} |`);
  }
  return `${lines.join("\n")}\n`;
}

helpFor(usage);
const claims = await allClaims();
const failing = failingClaims();
const known = knownNames(claims);
const wrong = [
  ...claims.filter(({ name }) => !(name.split(".")[0] in GROUPS)).map(({ name }) => `claim ${name}: no heading for it`),
  ...[...failing].filter((name) => !known.claims.has(name)).map((name) => `README.md: no claim '${name}'`),
  ...seedFigures.flatMap(({ rows }) =>
    rows.flatMap((row) => wrongNames(row, known).map((what) => `figure '${row.figure}': ${what}`)),
  ),
];
if (wrong.length > 0) die(wrong.join("\n"));

const content = markdown(claims, failing);
const fresh = existsSync(at(PAGE)) && readFileSync(at(PAGE), "utf8") === content;
if (!fresh && process.argv.includes("--check"))
  die(`${PAGE} does not match scripts/claims and scripts/lib/seed-figures.mjs: run node scripts/claims-page.mjs`);
if (!fresh) writeFileSync(at(PAGE), content);
