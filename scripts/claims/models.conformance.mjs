import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dataFolder, skippedWithoutData } from "../lib/data.mjs";
import { kernels, load, modelBytes, predictRequest, train } from "../models-lib.mjs";

const names = ["intent", "emotion", "content", "recommendation", "personalization"];

/** Inputs as the trainer dumped them: u32 count, then u32 size and bytes each; and the native answers to them, joined. */
function readDump(path) {
  const bytes = readFileSync(path);
  const list = [];
  for (let at = 4, left = bytes.readUInt32LE(0); left > 0; left--) {
    const size = bytes.readUInt32LE(at);
    list.push([...bytes.subarray(at + 4, at + 4 + size)]);
    at += 4 + size;
  }
  return list;
}

function answers(call, name, inputs) {
  const handle = load(call, modelBytes(name));
  const parts = [];
  for (let at = 0; at < inputs.length; at += 500)
    parts.push(Buffer.from(call(predictRequest(handle, 0, 0, inputs.slice(at, at + 500)))));
  call(Uint8Array.of(2, handle));
  return Buffer.concat(parts);
}

export const claim = {
  name: "models.conformance",
  title: "Native, WASM scalar and WASM SIMD give the same bits on whole test splits",
  bar: "every probability of every test row bit-equal in the three builds",
  quickSeconds: 180,
  async run({ log }) {
    for (const name of ["clinc150", "goemotions", "clickbait", "msweb", "online-shoppers"]) {
      if (!dataFolder(name)) return skippedWithoutData(name, log);
    }
    const folder = mkdtempSync(join(tmpdir(), "oas-models-"));
    const figures = {};
    let ok = true;
    try {
      const scalar = await kernels("wasm");
      const simd = await kernels("wasm-simd");
      for (const name of names) {
        const { code } = await train("dump", name, "--out", folder);
        if (code !== 0) throw new Error(`train dump ${name} failed`);
        const inputs = readDump(join(folder, `${name}.inputs`));
        const native = readFileSync(join(folder, `${name}.answers`));
        const equal = [scalar, simd].map(({ call }) => answers(call, name, inputs).equals(native));
        log(
          `${name}: ${inputs.length} rows, ${native.length} answer bytes; scalar ${equal[0] ? "equal" : "DIFFERS"}, SIMD ${equal[1] ? "equal" : "DIFFERS"}`,
        );
        figures[`${name}_rows`] = inputs.length;
        figures[`${name}_equal`] = equal[0] && equal[1];
        ok &&= equal[0] && equal[1];
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return {
      ok,
      scope:
        "whole test splits; native by this machine's compiler; ONNX Runtime Web and TF.js adapters do not exist yet",
      figures,
    };
  },
};
