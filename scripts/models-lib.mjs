// What the model claims share: the trainer as a program, its reports as numbers, and the kernels without TypeScript.

import { existsSync, readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { buildPreset, nativeProgram } from "./lib/native.mjs";
import { at, capture, helpFor } from "./lib/run.mjs";

helpFor("usage: this file is imported by scripts/claims/models.*.mjs and does nothing by itself");

export const models = ["intent", "emotion", "content", "recommendation", "personalization"];
export const folders = {
  intent: "clinc150",
  emotion: "goemotions",
  content: "clickbait",
  recommendation: "msweb",
  personalization: "online-shoppers",
};

export const modelBytes = (name, quant = "int8") => {
  const small = at("models", name, "model.i4.oasm");
  return new Uint8Array(readFileSync(quant === "int4" && existsSync(small) ? small : at("models", name, "model.oasm")));
};

/** Runs the trainer from the checkout; returns what it printed. Exit codes are the caller's to judge. */
export async function train(...args) {
  const program = await nativeProgram("train");
  return capture(program, args, { check: false });
}

/** The figures of `train evaluate NAME --quick`, which writes nothing; undefined when its data is not here. */
export async function evaluate(name) {
  const { code, stdout } = await train("evaluate", name, "--quick");
  if (code !== 0) throw new Error(`train evaluate ${name} failed`);
  const line = stdout.split("\n").find((text) => text.startsWith(`METRICS ${name} `));
  return line && JSON.parse(line.slice(`METRICS ${name} `.length));
}

export const find = (figures, dataset, metric) =>
  figures.find((figure) => figure.dataset.startsWith(dataset) && figure.metric.startsWith(metric));

/** One instance of the kernels, spoken to in bytes (src/infer/session.h), from a preset's own build. */
export async function kernels(preset) {
  const folder = await buildPreset(preset, ["infer"]);
  const { default: create } = await import(pathToFileURL(`${folder}/infer.mjs`).href);
  const module = await create({ wasmBinary: readFileSync(`${folder}/infer.wasm`) });
  const core = new module.WasmInfer();
  const call = (bytes) => {
    core.input(bytes.length).set(bytes);
    return core.call();
  };
  return { call, folder };
}

export function varint(value) {
  const out = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) out.push((value % 0x80) | 0x80);
  return [...out, value];
}

const encoder = new TextEncoder();
export const textBytes = (text) => {
  const bytes = encoder.encode(text);
  return [...varint(bytes.length), ...bytes];
};
export const f32Bytes = (values) => [...new Uint8Array(Float32Array.from(values).buffer)];

export function load(call, file) {
  const request = new Uint8Array(file.length + 1);
  request[0] = 1;
  request.set(file, 1);
  const answer = call(request);
  if (answer[0] !== 0) throw new Error(`refused with code ${answer[1] | (answer[2] << 8)}`);
  return answer[1];
}

/** A predict request over ready-made input bytes: the same for every build, so answers can be compared byte by byte. */
export const predictRequest = (handle, view, top, inputs) =>
  Uint8Array.from([4, ...varint(handle), ...varint(view), ...varint(top), ...varint(inputs.length), ...inputs.flat()]);

export const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
