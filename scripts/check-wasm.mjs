#!/usr/bin/env node
// What the built WebAssembly and its glue must look like to run under a strict CSP, in every host, from either build.

import { existsSync, readFileSync } from "node:fs";
import { at, die, filesBelow, helpFor } from "./lib/run.mjs";

helpFor(`
usage: node scripts/check-wasm.mjs

Reads dist/ and build/wasm*: no eval, new Function, import() or import.meta in the glue; the stack lies before the data;
both builds import and export the same names; no JSON library and no simulator code in core.wasm. Exits 1 otherwise.`);

const problems = [];
const expect = (condition, text) => {
  if (!condition) problems.push(text);
};

function checkGlue(name) {
  const glue = readFileSync(at("dist", name), "utf8");
  for (const [what, pattern] of [
    ["eval", /\beval\s*\(/],
    ["new Function", /\bnew\s+Function\b|[^.\w]Function\s*\(/],
    ["import()", /\bimport\s*\(/],
    ["import.meta", /\bimport\.meta\b/],
    ["require()", /\brequire\s*\(/],
  ]) {
    expect(!pattern.test(glue), `dist/${name} contains ${what}`);
  }
}

// --- the wasm binary ----------------------------------------------------------------------------------------------------

function readVarUint(bytes, offset) {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[offset++];
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return [value >>> 0, offset];
  }
}

function sections(bytes) {
  const found = new Map();
  for (let offset = 8; offset < bytes.length; ) {
    const id = bytes[offset];
    const [size, start] = readVarUint(bytes, offset + 1);
    if (id !== 0) found.set(id, bytes.subarray(start, start + size));
    offset = start + size;
  }
  return found;
}

const stack_bytes = 256 * 1024;
const section_global = 6;
const section_data = 11;

// The first global is the stack pointer. With the stack first it starts at the stack's size (rounded), below all data.
function checkStackFirst(name, bytes) {
  const globals = sections(bytes).get(section_global);
  if (!globals) return expect(false, `${name}: no global section`);
  const [, first] = readVarUint(globals, 0);
  const [type, mutable, opcode] = globals.subarray(first, first + 3);
  const [stack_top] = readVarUint(globals, first + 3);
  expect(type === 0x7f && mutable === 1 && opcode === 0x41, `${name}: the first global is not the stack pointer`);
  expect(
    stack_top === stack_bytes,
    `${name}: the stack starts at ${stack_top}, not at ${stack_bytes}: is --stack-first gone?`,
  );
  const data = sections(bytes).get(section_data);
  if (!data) return;
  const [count, start] = readVarUint(data, 0);
  const [flags, at_offset] = readVarUint(data, start);
  if (count > 0 && flags === 0 && data[at_offset] === 0x41) {
    const [address] = readVarUint(data, at_offset + 1);
    expect(address >= stack_bytes, `${name}: data at ${address} lies inside the stack`);
  }
}

const names = (list) =>
  list
    .map((entry) => `${entry.kind} ${entry.module ?? ""} ${entry.name}`)
    .sort()
    .join("\n");

function checkPair(name) {
  const simd = readFileSync(at("dist", `${name}.wasm`));
  const base = readFileSync(at("dist", `${name}-base.wasm`));
  checkStackFirst(`${name}.wasm`, simd);
  checkStackFirst(`${name}-base.wasm`, base);
  const a = new WebAssembly.Module(simd);
  const b = new WebAssembly.Module(base);
  expect(
    names(WebAssembly.Module.imports(a)) === names(WebAssembly.Module.imports(b)),
    `${name}: the two builds import different names`,
  );
  expect(
    names(WebAssembly.Module.exports(a)) === names(WebAssembly.Module.exports(b)),
    `${name}: the two builds export different names`,
  );
}

function checkLinkMap(name) {
  for (const preset of ["wasm", "wasm-simd"]) {
    const map = at("build", preset, "bin", `${name}.map`);
    if (!existsSync(map)) continue;
    const text = readFileSync(map, "utf8");
    expect(!/nlohmann/.test(text), `${name} (${preset}) links nlohmann/json`);
    expect(!/_sim\.a|liboas_simulator/.test(text), `${name} (${preset}) links the simulator's build of the core`);
  }
}

if (!existsSync(at("dist/glue.mjs"))) die("dist/glue.mjs is missing: run npm run build");
checkGlue("glue.mjs");
for (const name of ["core", "server", "infer", "documents"]) {
  if (!existsSync(at("dist", `${name}.wasm`))) continue;
  checkPair(name);
  checkLinkMap(name);
}
for (const file of ["sw.js", "sw.classic.js"]) {
  if (!existsSync(at("dist", file))) continue;
  const text = readFileSync(at("dist", file), "utf8");
  expect(!/\bimport\s*\(/.test(text), `dist/${file} contains import(), which no Service Worker may call`);
  expect(!/\beval\s*\(|\bnew\s+Function\b/.test(text), `dist/${file} contains eval or new Function`);
}
for (const file of filesBelow("dist")) {
  expect(!readFileSync(at(file)).includes(at()), `${file} contains the path of this checkout`);
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
