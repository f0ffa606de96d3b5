import { readFileSync } from "node:fs";
import { brotliCompressSync, constants } from "node:zlib";
import { buildPreset } from "../lib/native.mjs";
import { modelBytes, models } from "../models-lib.mjs";

export const claim = {
  name: "models.size",
  title: "What the five models and their kernels weigh",
  bar: "five models <= 1.1 MB int8, <= 0.6 MB int4; infer.wasm <= 27 kB brotli",
  quickSeconds: 120,
  async run({ log }) {
    const total = (quant) => models.reduce((sum, name) => sum + modelBytes(name, quant).length, 0);
    for (const name of models)
      log(`${name}: ${modelBytes(name).length} bytes int8, ${modelBytes(name, "int4").length} data saver`);
    const wasm = readFileSync(`${await buildPreset("wasm-simd", ["infer"])}/infer.wasm`);
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: wasm.length };
    const figures = {
      int8_bytes: total("int8"),
      int4_bytes: total("int4"),
      infer_wasm_brotli_bytes: brotliCompressSync(wasm, { params }).length,
    };
    return {
      ok: figures.int8_bytes <= 1_100_000 && figures.int4_bytes <= 600_000 && figures.infer_wasm_brotli_bytes <= 27_000,
      scope: "files as committed; int4 for the three text models, the two small ones as they are; SIMD build",
      figures,
    };
  },
};
