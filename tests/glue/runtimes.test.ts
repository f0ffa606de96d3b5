// Other runtimes give the kernels' answers from the same files, and the kernels answer when another runtime fails.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { failure } from "../../js-glue/core/errors.ts";
import { CoreKernels, type ModelInput } from "../../js-glue/runtimes/core-kernels.ts";
import { readProgram } from "../../js-glue/runtimes/oasm.ts";
import { onnxRuntime } from "../../js-glue/runtimes/onnx.ts";
import { exportOnnx } from "../../js-glue/runtimes/onnx-export.ts";
import type { ModelRuntime } from "../../js-glue/runtimes/runtime.ts";
import { chooseQuant, type Fallback, RuntimeModel } from "../../js-glue/runtimes/runtime-model.ts";
import { tfjsRuntime } from "../../js-glue/runtimes/tfjs.ts";
import { exportTfjs } from "../../js-glue/runtimes/tfjs-export.ts";

const modelFile = (name: string, file = "model.oasm") => new Uint8Array(readFileSync(`models/${name}/${file}`));
const rows = readFileSync("tests/golden/infer_rows.tsv", "utf8")
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => line.split("\t"));
const textsOf = (name: string) => rows.filter(([model]) => model === name).map(([, , text]) => text ?? "");

const shopper = (seed: number): number[] =>
  Array.from({ length: 17 }, (_, i) => [seed % 5, seed * 13, 0, 0, seed, seed * 40, 0.01, 0.03, seed][i] ?? seed % 3);
const inputsOf: Readonly<Record<string, readonly ModelInput[]>> = {
  intent: [...textsOf("intent"), "", "zxqv blorp wug"],
  emotion: [...textsOf("emotion"), "🎉"],
  content: textsOf("content"),
  recommendation: [[0, 1], [], [7, 7, 9], [100, 3, 290, 5000]],
  personalization: Array.from({ length: 40 }, (_, seed) => shopper(seed)),
};

let kernels: CoreKernels;
before(async () => {
  kernels = await CoreKernels.open({ binary: new Uint8Array(readFileSync("dist/infer.wasm")) });
});
after(() => kernels.close());

for (const runtime of [onnxRuntime("wasm"), tfjsRuntime("cpu")]) {
  describe(runtime.name, () => {
    for (const [name, inputs] of Object.entries(inputsOf)) {
      test(`answers ${name} as the kernels do`, async () => {
        const fallbacks: Fallback[] = [];
        const model = new RuntimeModel(kernels, modelFile(name), {
          runtimes: [runtime],
          onFallback: (fallback) => fallbacks.push(fallback),
        });
        const theirs = await model.predictWith(runtime.name, inputs);
        assert.deepEqual(fallbacks, []);
        assert.equal(theirs.runtime, runtime.name);
        const ours = kernels.predict(model.model, inputs);
        let worst = 0;
        ours.answers.forEach((answer, i) => {
          const other = theirs.answers[i];
          assert.equal(other?.abstain, answer.abstain, `row ${i}`);
          worst = Math.max(worst, Math.abs((other?.confidence ?? 9) - answer.confidence));
          answer.predictions.forEach(({ value }, k) => {
            worst = Math.max(worst, Math.abs((other?.predictions[k]?.value ?? 9) - value));
          });
        });
        assert.ok(worst <= 1e-3, `differs by ${worst}`);
        await model.close();
      });
    }
  });
}

test("views and top come out as the kernels give them", async () => {
  const runtimes = [onnxRuntime("wasm")];
  const model = new RuntimeModel(kernels, modelFile("emotion"), { runtimes });
  const inputs = inputsOf["emotion"] ?? [];
  for (const view of model.model.views.keys()) {
    const [ours, theirs] = [
      kernels.predict(model.model, inputs, { view, top: 1 }),
      await model.predictWith("onnx-wasm", inputs, { view, top: 1 }),
    ];
    assert.deepEqual(
      theirs.answers.map(({ predictions, abstain }) => [predictions[0]?.label, abstain]),
      ours.answers.map(({ predictions, abstain }) => [predictions[0]?.label, abstain]),
    );
  }
  await model.close();
});

test("the 4-bit file unpacks to the same model", async () => {
  const runtimes = [onnxRuntime("wasm")];
  const model = new RuntimeModel(kernels, modelFile("intent", "model.i4.oasm"), { runtimes });
  const inputs = inputsOf["intent"] ?? [];
  const [ours, theirs] = [kernels.predict(model.model, inputs), await model.predictWith("onnx-wasm", inputs)];
  const worst = Math.max(
    ...ours.answers.map(({ confidence }, i) => Math.abs(confidence - (theirs.answers[i]?.confidence ?? 9))),
  );
  assert.ok(worst <= 1e-3, `differs by ${worst}`);
  await model.close();
});

function failing(when: "open" | "run"): ModelRuntime {
  const lost = () => Promise.reject(failure("runtime_unavailable", "the context was lost"));
  return {
    name: "onnx-webgl",
    gpu: false,
    supported: () => true,
    open: () => (when === "open" ? lost() : Promise.resolve({ run: lost, close: () => Promise.resolve() })),
  };
}

for (const when of ["open", "run"] as const) {
  test(`a runtime that fails at ${when} is reported once, and the kernels answer`, async () => {
    const fallbacks: Fallback[] = [];
    const model = new RuntimeModel(kernels, modelFile("content"), {
      runtimes: [failing(when)],
      onFallback: (fallback) => fallbacks.push(fallback),
    });
    for (let i = 0; i < 2; i++) {
      const { answers, runtime } = await model.predictWith("onnx-webgl", ["21 things you will not believe"]);
      assert.equal(runtime, "core");
      assert.equal(answers.length, 1);
    }
    assert.deepEqual(
      fallbacks.map(({ runtime, error }) => [runtime, error.code]),
      [["onnx-webgl", "runtime_unavailable"]],
    );
    await model.close();
  });
}

test("a wrong input is the caller's error and costs no runtime", async () => {
  const model = new RuntimeModel(kernels, modelFile("content"), { runtimes: [onnxRuntime("wasm")] });
  await assert.rejects(model.predictWith("onnx-wasm", [[1, 2]]), { code: "invalid_argument" });
  assert.equal((await model.predictWith("onnx-wasm", ["hello"])).runtime, "onnx-wasm");
  await model.close();
});

test("predict takes another runtime only when this device measured it to be quicker", async () => {
  let ms = 0;
  const instant: ModelRuntime = {
    name: "tfjs-cpu",
    gpu: false,
    supported: () => true,
    open: () =>
      Promise.resolve({
        run: (inputs) => Promise.resolve({ values: new Float32Array(inputs.length * 2) }),
        close: () => Promise.resolve(),
      }),
  };
  const model = new RuntimeModel(kernels, modelFile("content"), { runtimes: [instant], now: () => ms++ });
  assert.equal((await model.predict(["hello"])).runtime, "core");
  const measured = await model.benchmark(["hello", "world"]);
  assert.deepEqual(
    measured.map(({ runtime, rows }) => [runtime, rows]),
    [
      ["core", 2],
      ["tfjs-cpu", 2],
    ],
  );
  model.restore([{ runtime: "tfjs-cpu", rows: 2, msPerRow: 0 }]);
  assert.equal((await model.predict(["hello"])).runtime, "tfjs-cpu");
  model.restore([{ runtime: "tfjs-cpu", rows: 2, msPerRow: 1e9 }]);
  assert.equal((await model.predict(["hello"])).runtime, "core");
  await model.close();
});

test("exports keep 8-bit weights in 8 bits", () => {
  const file = modelFile("intent");
  assert.ok(exportOnnx(file, "int8").length < file.length * 1.2);
  assert.ok(exportOnnx(file, "f32").length > file.length * 3);
  const { json, weights } = exportTfjs(file);
  assert.ok(weights.length < 150 * 64 * 2);
  assert.ok(json.weightsManifest[0].weights.some(({ quantization }) => quantization?.dtype === "uint8"));
  assert.equal(readProgram(file).labels.length, 150);
});

test("bytes are dear: the 4-bit file", () => {
  assert.equal(chooseQuant({}), "int8");
  assert.equal(chooseQuant({ saveData: true }), "int4");
  assert.equal(chooseQuant({ memoryGb: 0.5 }), "int4");
  assert.equal(chooseQuant({ quotaUsed: 0.9 }), "int4");
});
