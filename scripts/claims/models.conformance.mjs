import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dataFolder, skippedWithoutData } from "../lib/data.mjs";
import { openRuntimesPage } from "../lib/models-page.mjs";
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

const decoder = new TextDecoder();

/** A dumped input as the runtimes take it: text, numbers, or a history. */
function decodeInput(name, bytes) {
  if (name === "personalization") return [...new Float32Array(Uint8Array.from(bytes).buffer)];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      value += (bytes[at] & 0x7f) * scale;
      if (bytes[at++] < 0x80) return value;
    }
  };
  const count = varint();
  return name === "recommendation"
    ? Array.from({ length: count }, varint)
    : decoder.decode(Uint8Array.from(bytes.slice(at)));
}

const runtimes = ["onnx-wasm", "onnx-webgl", "onnx-webgpu", "tfjs-cpu", "tfjs-wasm", "tfjs-webgl"];
const batch = 256;
const agree_min = 0.999;
const difference_max = 1e-3;

/** Every other runtime in headless Chromium against the kernels in the same page. */
async function otherRuntimes({ inputs, rowsMax, log }) {
  const site = await openRuntimesPage((name) => inputs[name].map((bytes) => decodeInput(name, bytes)));
  const figures = {};
  let ok = true;
  try {
    for (const runtime of runtimes) {
      await site.reload();
      let [worst, least, total] = [0, 1, 0];
      for (const name of names) {
        const result = await site.page.evaluate((args) => globalThis.compare(...args), [runtime, name, batch, rowsMax]);
        if (result.failure === "not supported here") {
          log(`SKIPPED (${runtime} is not in this browser)`);
          figures[`${runtime}_skipped`] = true;
          break;
        }
        const share = result.agree / result.rows;
        const good = result.failure === undefined && share >= agree_min && result.worst <= difference_max;
        log(
          `${runtime} ${name}: ${result.rows} rows, top-1 equal ${(100 * share).toFixed(3)} %, worst difference ${result.worst.toExponential(1)}; first batch ${result.firstMs.toFixed(0)} ms${good ? "" : ` FAILS ${result.failure ?? ""}`}`,
        );
        ok &&= good;
        [worst, least, total] = [Math.max(worst, result.worst), Math.min(least, share), total + result.rows];
      }
      if (figures[`${runtime}_skipped`]) continue;
      figures[`${runtime}_rows`] = total;
      figures[`${runtime}_top1_equal_percent`] = +(100 * least).toFixed(3);
      figures[`${runtime}_worst_difference`] = +worst.toExponential(2);
    }
    for (const runtime of ["onnx-webgl", "tfjs-webgl"]) {
      await site.reload();
      const [before, report, after, difference] = await site.page.evaluate(
        (one) => globalThis.loseContext(one),
        runtime,
      );
      const good =
        before === runtime && report === `${runtime} runtime_unavailable` && after === "core" && difference === "0";
      log(`${runtime}: context lost in the middle: ${good ? "reported, the kernels answer" : "NOT noticed"}`);
      figures[`${runtime}_context_loss_survived`] = good;
      ok &&= good;
    }
  } finally {
    await site.close();
  }
  return { ok, figures };
}

export const claim = {
  name: "models.conformance",
  title: "Native, scalar and SIMD give the same bits on whole test splits; ONNX Runtime Web and TF.js the same answers",
  bar: "native, scalar, SIMD bit-equal on every test row; ONNX wasm, webgl, webgpu and TF.js cpu, wasm, webgl: top-1 equal >= 99.9 %, |difference| <= 1e-3; a lost WebGL context is reported and the kernels answer",
  quickSeconds: 240,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    for (const name of ["clinc150", "goemotions", "clickbait", "msweb", "online-shoppers"]) {
      if (!dataFolder(name)) return skippedWithoutData(name, log);
    }
    const folder = mkdtempSync(join(tmpdir(), "oas-models-"));
    const figures = {};
    const dumped = {};
    let ok = true;
    try {
      const scalar = await kernels("wasm");
      const simd = await kernels("wasm-simd");
      for (const name of names) {
        const { code } = await train("dump", name, "--out", folder);
        if (code !== 0) throw new Error(`train dump ${name} failed`);
        const inputs = readDump(join(folder, `${name}.inputs`));
        dumped[name] = inputs;
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
    const others = await otherRuntimes({ inputs: dumped, rowsMax: quick ? 1_000 : 1e9, log });
    Object.assign(figures, others.figures);
    ok &&= others.ok;
    return {
      ok,
      scope: `whole test splits for the three builds, ${quick ? "their first 1,000 rows" : "the same"} for the others; headless Chromium with software graphics; batches of ${batch}; trees as trees in ONNX wasm, as dense layers elsewhere`,
      figures,
    };
  },
};
