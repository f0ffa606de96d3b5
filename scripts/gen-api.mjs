#!/usr/bin/env node
// docs/api.md: every name that an entry of the package exports, with its sentence and its declaration.
//
// The declarations are what the compiler emits for the sources, so they are what a consumer's editor shows. A public name without a
// sentence fails here: who reads the reference has nothing else.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { relative } from "node:path";
import {
  bindingEntries,
  extraEntries,
  inlineEntries,
  nodeEntries,
  pageEntries,
  workerEntries,
} from "./lib/entries.mjs";
import { at, die, filesBelow, helpFor, root } from "./lib/run.mjs";

const usage = `
usage: node scripts/gen-api.mjs [--check]

Writes docs/api.md from the sources of the package's entries. Fails when a public name has no sentence of documentation.
  --check  write nothing; fail when the page is not what would be written`;

const PAGE = "docs/api.md";
const BASE = {
  noEmit: false,
  declaration: true,
  emitDeclarationOnly: true,
  lib: [
    "lib.es2023.d.ts",
    "lib.dom.d.ts",
    "lib.dom.iterable.d.ts",
    "lib.dom.asynciterable.d.ts",
    "lib.esnext.disposable.d.ts",
  ],
  types: ["node"],
};

/** The entries in the order of the exports map, as a consumer names them. */
function entries() {
  const sources = new Map(
    [pageEntries, inlineEntries, extraEntries, bindingEntries, workerEntries, nodeEntries].flatMap((list) =>
      list().map(({ name, source }) => [`./dist/${name}.d.ts`, source]),
    ),
  );
  const { name, exports } = JSON.parse(readFileSync(at("package.json"), "utf8"));
  return Object.entries(exports).flatMap(([path, target]) => {
    const source = sources.get(target.types);
    return source ? [{ name: path.replace(/^\./, name), source }] : [];
  });
}

function programOf(ts, sources) {
  const { options, errors } = ts.convertCompilerOptionsFromJson(
    JSON.parse(readFileSync(at("tsconfig.base.json"), "utf8")).compilerOptions,
    root,
  );
  if (errors.length > 0) die(ts.formatDiagnostics(errors, ts.createCompilerHost({})));
  const ambient = [...filesBelow("js-glue", (name) => name.endsWith(".d.ts")), ...filesBelow("scripts/types")];
  const files = [...sources, ...ambient].map((name) => at(name));
  return ts.createProgram(files, { ...options, ...BASE });
}

/** Declaration files as the compiler would write them, parsed; made when first asked for. */
function emitted(ts, program) {
  const files = new Map();
  return (source) => {
    let file = files.get(source.fileName);
    if (!file) {
      let text = "";
      program.emit(source, (_, content) => (text = content), undefined, true);
      file = ts.createSourceFile(source.fileName.replace(/\.ts$/, ".d.ts"), text, ts.ScriptTarget.Latest, true);
      files.set(source.fileName, file);
    }
    return file;
  };
}

const namesOf = (ts, statement) =>
  ts.isVariableStatement(statement)
    ? statement.declarationList.declarations.map(({ name }) => name.text)
    : [statement.name?.text];

const hidden = (ts, member) =>
  (member.name && ts.isPrivateIdentifier(member.name)) ||
  ts.getCombinedModifierFlags(member) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected);

/** The declaration's text without what only the class itself may use. */
function textOf(ts, file, statement) {
  const gone = ts.isClassDeclaration(statement) ? statement.members.filter((member) => hidden(ts, member)) : [];
  let text = "";
  let from = statement.getStart(file);
  for (const member of gone) {
    text += file.text.slice(from, member.getFullStart());
    from = member.end;
  }
  text += file.text.slice(from, statement.end);
  return text
    .replace(/^(export )?(declare )?/, "")
    .replaceAll(/^(?: {4})+/gm, (spaces) => " ".repeat(spaces.length / 2));
}

const sentenceOf = (ts, statement) =>
  ts
    .getJSDocCommentsAndTags(statement)
    .map(({ comment }) => ts.getTextOfJSDocComment(comment) ?? "")
    .join("\n")
    .trim();

/**
 * Methods a caller may call, and that nobody has explained. `close` needs no explanation, and a class that implements an interface
 * has it there.
 */
function silentMembers(ts, statement) {
  if (!ts.isClassDeclaration(statement) && !ts.isInterfaceDeclaration(statement)) return [];
  if (statement.heritageClauses?.some(({ token }) => token === ts.SyntaxKind.ImplementsKeyword)) return [];
  const methods = statement.members
    .filter((member) => ts.isMethodDeclaration(member) || ts.isMethodSignature(member))
    .filter((member) => ts.isIdentifier(member.name) && member.name.text !== "close" && !hidden(ts, member));
  const told = methods.filter((member) => sentenceOf(ts, member) !== "").map(({ name }) => name.text);
  return methods.map(({ name }) => name.text).filter((name) => !told.includes(name));
}

function describe(ts, symbol, fileOf) {
  const [first] = symbol.declarations ?? [];
  const source = first?.getSourceFile();
  if (!source) return undefined;
  const file = fileOf(source);
  const found = file.statements.filter((statement) => namesOf(ts, statement).includes(symbol.name));
  if (found.length === 0) return undefined;
  return {
    place: relative(root, source.fileName),
    sentence: found.map((statement) => sentenceOf(ts, statement)).find((text) => text !== "") ?? "",
    code: found.map((statement) => textOf(ts, file, statement)).join("\n"),
    silent: found.flatMap((statement) => silentMembers(ts, statement)),
  };
}

/** Of each entry the names that no entry before it has, and where the others are. */
function collect(ts, list) {
  const program = programOf(
    ts,
    list.map(({ source }) => source),
  );
  const checker = program.getTypeChecker();
  const fileOf = emitted(ts, program);
  const seen = new Map();
  const missing = [];
  const parts = list.map(({ name, source }) => {
    const module = checker.getSymbolAtLocation(program.getSourceFile(at(source)));
    const symbols = checker
      .getExportsOfModule(module)
      .map((symbol) => ({
        as: symbol.name,
        symbol: symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
      }))
      .sort((a, b) => (a.as.toLowerCase() < b.as.toLowerCase() ? -1 : 1));
    const own = [];
    const others = [];
    for (const { as, symbol } of symbols) {
      const before = seen.get(symbol);
      if (before) {
        others.push({ as, entry: before });
        continue;
      }
      seen.set(symbol, name);
      const found = describe(ts, symbol, fileOf);
      if (!found) {
        missing.push(`${name}: ${as} has no declaration`);
        continue;
      }
      if (found.sentence === "") missing.push(`${found.place}: ${as}`);
      for (const member of found.silent) missing.push(`${found.place}: ${as}.${member}`);
      own.push({ as, ...found });
    }
    return { name, own, others };
  });
  return { parts, missing };
}

const anchor = (name) =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z0-9_ -]/g, "")
    .replaceAll(" ", "-");

function markdown(parts) {
  const lines = [
    "# API reference",
    "",
    "Made by `scripts/gen-api.mjs` from the sources; do not edit. The guides say how things belong together (docs/quickstart.md, docs/concepts.md); the",
    "HTTP interface is described by the server itself (`npx offline-ai-sync openapi`, docs/server.md).",
    "",
    "| entry | names |",
    "|---|---|",
    ...parts.map(
      ({ name, own }) => `| [\`${name}\`](#${anchor(name)}) | ${own.map(({ as }) => `\`${as}\``).join(", ") || "–"} |`,
    ),
  ];
  for (const { name, own, others } of parts) {
    lines.push("", `## ${name}`);
    for (const entry of new Set(others.map((other) => other.entry))) {
      const names = others.filter((other) => other.entry === entry).map(({ as }) => `\`${as}\``);
      lines.push("", `Also here, of \`${entry}\`: ${names.join(", ")}.`);
    }
    for (const { as, sentence, code } of own)
      lines.push("", `### ${as}`, "", sentence, "", "```typescript", code, "```");
  }
  return `${lines.join("\n")}\n`;
}

helpFor(usage);
const { default: ts } = await import("typescript");
const { parts, missing } = collect(ts, entries());
if (missing.length > 0)
  die(`public names without a sentence of documentation (/** … */):\n${[...new Set(missing)].sort().join("\n")}`);
const content = markdown(parts);
const fresh = existsSync(at(PAGE)) && readFileSync(at(PAGE), "utf8") === content;
if (!fresh && process.argv.includes("--check"))
  die(`${PAGE} is not what the sources say: run node scripts/gen-api.mjs`);
if (!fresh) writeFileSync(at(PAGE), content);
