#!/usr/bin/env node
// Type-checks every ts and js block of README.md and docs/ against the types of the built package, as a reader would meet
// them. What a block takes for granted stands in a comment before it:  <!-- given: declare const clicked: boolean; -->
// `<!-- given: above -->` = it goes on from the block before it.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { at, capture, filesBelow, helpFor } from "./lib/run.mjs";

helpFor("usage: node scripts/check-docs.mjs\n\nNeeds the types in dist/ (npm run build).");
if (!existsSync(at("dist/index.d.ts"))) {
  console.log("nothing built");
  process.exit(0);
}

const FOLDER = "build/docs-code";

/** Blocks of one page: where they begin, what is given, what they say. */
function blocksOf(page) {
  const blocks = [];
  let given = [];
  let open;
  readFileSync(at(page), "utf8")
    .split("\n")
    .forEach((line, index) => {
      const fence = /^```(\w*)/.exec(line);
      if (open) {
        if (!fence) return open.lines.push(line);
        if (["ts", "js"].includes(open.language)) blocks.push(open);
        open = undefined;
        given = [];
      } else if (fence) {
        open = { language: fence[1], line: index + 2, given, lines: [] };
      } else {
        const comment = /^<!-- given: (.*) -->$/.exec(line);
        if (comment) given.push(comment[1]);
      }
    });
  return blocks;
}

/** The module a block is, and at which of its lines the block begins. */
function moduleOf(block, before) {
  const above = block.given.includes("above") ? moduleOf(before.at(-1), before.slice(0, -1)).lines : [];
  const head = [...above, ...block.given.filter((line) => line !== "above")];
  return { lines: [...head, ...block.lines], offset: head.length };
}

rmSync(at(FOLDER), { recursive: true, force: true });
mkdirSync(at(FOLDER), { recursive: true });
const places = new Map();
for (const page of ["README.md", ...filesBelow("docs", (name) => name.endsWith(".md"))]) {
  blocksOf(page).forEach((block, index, all) => {
    const name = `${page.replaceAll(/[^a-z0-9]+/gi, "-")}-${index + 1}.ts`;
    const { lines, offset } = moduleOf(block, all.slice(0, index));
    writeFileSync(at(FOLDER, name), `${lines.join("\n")}\nexport {};\n`);
    places.set(name, { page, line: block.line - offset });
  });
}
const compilerOptions = {
  lib: ["ES2023", "DOM", "DOM.Iterable", "ESNext.Disposable"],
  types: ["node"],
  jsx: "react-jsx",
  noUnusedLocals: false,
  noUnusedParameters: false,
  noPropertyAccessFromIndexSignature: false,
  noUncheckedIndexedAccess: false,
};
writeFileSync(
  at(FOLDER, "tsconfig.json"),
  JSON.stringify({ extends: "../../tsconfig.base.json", compilerOptions, include: ["*.ts"] }),
);
const { code, stdout } = capture(at("node_modules/.bin/tsc"), ["-p", at(FOLDER), "--pretty", "false"], {
  check: false,
});
for (const line of stdout.split("\n")) {
  const [, name, at_line, text] = /([^/]+\.ts)\((\d+),\d+\): (.*)$/.exec(line) ?? [];
  const place = places.get(name);
  if (place) console.log(`${place.page}:${place.line + Number(at_line) - 1}: ${text}`);
  else if (line) console.log(line);
}
if (code === 0) console.log(`${places.size} blocks of code in the documentation compile`);
process.exit(code);
