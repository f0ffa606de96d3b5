import {
  f32Bytes,
  kernels,
  load,
  modelBytes,
  models,
  percentile,
  predictRequest,
  textBytes,
  varint,
} from "../models-lib.mjs";

const texts = [
  "what is the exchange rate between us dollars and euros today please",
  "i would like to book a table for four people at an italian restaurant tonight",
  "thank you so much this made my whole day and i cannot wait to see you again",
  "21 things you will only understand if you grew up in a small town",
];
const inputsOf = {
  intent: texts.map(textBytes),
  emotion: texts.map(textBytes),
  content: texts.map(textBytes),
  recommendation: [[0, 1, 2], [5, 9, 30, 31], [100], [7, 8]].map((ids) => [
    ...varint(ids.length),
    ...ids.flatMap(varint),
  ]),
  personalization: [
    [3, 80, 0, 0, 30, 1200, 0.01, 0.02, 12, 0, 10, 2, 2, 1, 2, 0, 0],
    [0, 0, 0, 0, 2, 30, 0.1, 0.15, 0, 0, 4, 1, 1, 3, 3, 1, 1],
  ].map(f32Bytes),
};

/** Microseconds of one call with one input: the timer is coarse, so each sample is the mean of a short loop. */
function sample(call, handle, inputs, samples, loop) {
  const requests = inputs.map((input) => predictRequest(handle, 0, 3, [input]));
  for (let i = 0; i < 3000; i++) call(requests[i % requests.length]);
  const times = [];
  for (let s = 0; s < samples; s++) {
    const start = performance.now();
    for (let i = 0; i < loop; i++) call(requests[(s + i) % requests.length]);
    times.push(((performance.now() - start) * 1000) / loop);
  }
  return times.sort((a, b) => a - b);
}

export const claim = {
  name: "models.latency",
  title: "One prediction, text featurising and the border included",
  bar: "p50 <= 50 µs and p99 <= 1 ms for each model, WASM SIMD",
  quickSeconds: 120,
  async run({ quick, log }) {
    const figures = {};
    let ok = true;
    for (const preset of ["wasm-simd", "wasm"]) {
      const begun = performance.now();
      const { call } = await kernels(preset);
      const started = performance.now();
      for (const name of models) {
        const before = performance.now();
        const handle = load(call, modelBytes(name));
        call(predictRequest(handle, 0, 3, inputsOf[name].slice(0, 1)));
        const first = performance.now() - before;
        const times = sample(call, handle, inputsOf[name], quick ? 1000 : 10_000, 4);
        const [p50, p99] = [percentile(times, 0.5), percentile(times, 0.99)];
        log(
          `${preset} ${name}: p50 ${p50.toFixed(1)} µs, p99 ${p99.toFixed(1)} µs, file in hand to first answer ${first.toFixed(1)} ms`,
        );
        if (preset === "wasm-simd") {
          Object.assign(figures, {
            [`${name}_p50_us`]: +p50.toFixed(1),
            [`${name}_p99_us`]: +p99.toFixed(1),
            [`${name}_first_ms`]: +first.toFixed(1),
          });
          ok &&= p50 <= 50 && p99 <= 1000;
        } else {
          figures[`${name}_base_p50_us`] = +p50.toFixed(1);
        }
      }
      log(`${preset}: build and start ${(started - begun).toFixed(0)} ms`);
    }
    return {
      ok,
      scope:
        "Node on this machine; single calls of 2 to 16 words or one row, samples of 4 calls; not compared with ONNX Runtime Web yet",
      figures,
    };
  },
};
