#!/usr/bin/env node
// One error table, three readers: C++ includes src/base/error_codes.def, TypeScript and people get files made from it.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { at, die, helpFor } from "./lib/run.mjs";

const usage = `
usage: node scripts/gen-errors.mjs [--check]

Writes js-glue/core/error-codes.ts, js-glue/core/error-sentences.ts and docs/errors.md from src/base/error_codes.def.
  --check  write nothing; fail when a file is not what would be written`;

const table = "src/base/error_codes.def";
const faults = {
  caller: "The program used the library wrongly",
  peer: "The other side, or stored bytes, made no sense",
  environment: "Network, storage or the browser failed",
  bug: "The library broke one of its own rules",
};
const line_shape =
  /^OAS_ERROR\((\d+), (k[A-Z]\w*), "([a-z][a-z0-9_]*)", (\w+), (true|false), (\d{3}), "((?:[^"\\]|\\.)*)"\)$/;

const header = `// Made from ${table} by scripts/gen-errors.mjs. Do not edit.\n`;

/** Every entry of the table, in order of number. Ends the script on a line that breaks the shape. */
export function readErrors() {
  const errors = [];
  readFileSync(at(table), "utf8")
    .split("\n")
    .forEach((text, index) => {
      if (!text.startsWith("OAS_ERROR")) return;
      const match = line_shape.exec(text);
      if (!match)
        die(`${table}:${index + 1}: not OAS_ERROR(number, kName, "snake_code", fault, retryable, status, "Sentence.")`);
      const [, number, name, code, fault, retryable, status, sentence] = match;
      if (!(fault in faults)) die(`${table}:${index + 1}: unknown fault '${fault}'`);
      errors.push({
        number: Number(number),
        name,
        code,
        fault,
        retryable: retryable === "true",
        status: Number(status),
        sentence: sentence.replaceAll('\\"', '"').replaceAll("\\\\", "\\"),
      });
    });
  for (const [index, error] of errors.entries()) {
    if (index > 0 && error.number <= errors[index - 1].number)
      die(`${table}: ${error.number} is out of order or used twice`);
    if (errors.some((other) => other !== error && other.code === error.code))
      die(`${table}: ${error.code} is used twice`);
  }
  return errors;
}

// Rows instead of objects: a page loads this table before its first event, so its bytes count.
function typescript(errors) {
  const names = Object.keys(faults);
  const rows = errors.map(
    (error) =>
      `  [${error.number}, ${JSON.stringify(error.code)}, ${names.indexOf(error.fault)}, ${Number(error.retryable)}],`,
  );
  return `${header}
/** Who has to act. */
export type Fault = ${names.map((fault) => JSON.stringify(fault)).join(" | ")};

/** Every error code this library can report. A number or a code is never given to another error. */
export type ErrorCode =
${errors.map((error) => `  | ${JSON.stringify(error.code)}`).join("\n")};

export interface ErrorInfo {
  readonly number: number;
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly retryable: boolean;
}

const FAULTS: readonly Fault[] = [${names.map((fault) => JSON.stringify(fault)).join(", ")}];

// number, code, fault, retryable
const ROWS: readonly (readonly [number, ErrorCode, number, 0 | 1])[] = [
${rows.join("\n")}
];

/** The table, in order of number. */
export const ERRORS: readonly ErrorInfo[] = /* @__PURE__ */ ROWS.map(([number, code, fault, retryable]) => ({
  number,
  code,
  fault: FAULTS[fault] ?? "bug",
  retryable: retryable === 1,
}));

/** Looks an error up by its code or by its number; undefined for one that this build does not know. */
export function errorInfo(key: ErrorCode | number): ErrorInfo | undefined {
  return ERRORS.find((error) => error.code === key || error.number === key);
}
`;
}

function sentences(errors) {
  return `${header}
// What only a server needs, kept apart from the table so that a page need not load it.

import type { ErrorCode } from "./error-codes.ts";

/** The HTTP status a code is answered with. */
export const ERROR_STATUS: Readonly<Record<ErrorCode, number>> = {
${errors.map((error) => `  ${error.code}: ${error.status},`).join("\n")}
};

/** One sentence per code, for people. */
export const ERROR_SENTENCES: Readonly<Record<ErrorCode, string>> = {
${errors.map((error) => `  ${error.code}: ${JSON.stringify(error.sentence)},`).join("\n")}
};
`;
}

const cell = (text) => text.replaceAll("|", "\\|");

function markdown(errors) {
  const parts = [
    "# Errors",
    "",
    `Made from \`${table}\` by \`scripts/gen-errors.mjs\`; do not edit. Programs branch on the code, never on the text.`,
  ];
  for (const [fault, meaning] of Object.entries(faults)) {
    const rows = errors.filter((error) => error.fault === fault);
    if (rows.length === 0) continue;
    parts.push(
      "",
      `## ${fault}`,
      "",
      `${meaning}.`,
      "",
      "| code | number | HTTP | retry | meaning |",
      "| --- | --- | --- | --- | --- |",
    );
    for (const error of rows) {
      parts.push(
        `| \`${error.code}\` | ${error.number} | ${error.status} | ${error.retryable ? "yes" : "no"} | ${cell(error.sentence)} |`,
      );
    }
  }
  return `${parts.join("\n")}\n`;
}

function main() {
  helpFor(usage);
  const check = process.argv.includes("--check");
  const errors = readErrors();
  let stale = false;
  for (const [path, content] of [
    ["js-glue/core/error-codes.ts", typescript(errors)],
    ["js-glue/core/error-sentences.ts", sentences(errors)],
    ["docs/errors.md", markdown(errors)],
  ]) {
    if (existsSync(at(path)) && readFileSync(at(path), "utf8") === content) continue;
    if (check) {
      stale = true;
      process.stderr.write(`${path} does not match ${table}: run node scripts/gen-errors.mjs\n`);
      continue;
    }
    mkdirSync(dirname(at(path)), { recursive: true });
    writeFileSync(at(path), content);
  }
  if (stale) process.exit(1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main();
