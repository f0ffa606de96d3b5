// The kernels in WebAssembly: the committed models answer, damaged files are refused, learners keep their promises.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { OfflineSyncError } from "../../js-glue/core/errors.ts";
import { CoreKernels, simdSupported } from "../../js-glue/runtimes/core-kernels.ts";
import { ActionLearner, Recommender } from "../../js-glue/runtimes/learners.ts";

const modelFile = (name: string, file = "model.oasm") => new Uint8Array(readFileSync(`models/${name}/${file}`));
const code = (wanted: string) => (error: unknown) => error instanceof OfflineSyncError && error.code === wanted;

for (const build of ["infer", "infer-base"]) {
  describe(`${build}.wasm`, () => {
    let kernels: CoreKernels;
    before(async () => {
      kernels = await CoreKernels.open({ binary: new Uint8Array(readFileSync(`dist/${build}.wasm`)) });
    });
    after(() => kernels.close());

    test("intent names what was asked, and abstains on what it does not know", () => {
      const model = kernels.loadModel(modelFile("intent"));
      const { answers, timings } = kernels.predict(
        model,
        ["what is my bank balance", "please set a timer for ten minutes", "zxqv blorp wug"],
        { top: 3 },
      );
      assert.equal(answers[0]?.predictions[0]?.label, "balance");
      assert.equal(answers[1]?.predictions[0]?.label, "timer");
      assert.equal(answers[0]?.abstain, false);
      assert.equal(answers[2]?.abstain, true);
      assert.equal(answers[0]?.predictions.length, 3);
      assert.ok(timings.totalMs >= 0);
      assert.equal(model.meta["licence"], "CC-BY-3.0");
      model.close();
      assert.throws(() => kernels.predict(model, ["x"]), code("not_found"));
    });

    test("emotion answers in every view", () => {
      using model = kernels.loadModel(modelFile("emotion"));
      assert.deepEqual([...model.views.keys()], ["labels", "basic4", "ekman6", "ekman7", "polarity", "polarity3"]);
      for (const view of model.views.keys()) {
        const { answers } = kernels.predict(model, ["I love this so much, thank you!", ""], { view });
        const sum = answers[0]?.predictions.reduce((total, { value }) => total + value, 0) ?? 0;
        assert.ok(Math.abs(sum - 1) < 1e-3, `${view} sums to ${sum}`);
      }
      const best = kernels.predict(model, ["I love this so much, thank you!"], { view: "basic4", top: 1 });
      assert.equal(best.answers[0]?.predictions[0]?.label, "joy");
    });

    test("content scores come in parts", () => {
      using model = kernels.loadModel(modelFile("content"));
      const bait = kernels.scoreContent(model, "21 Things You Won't Believe Happened At This Wedding!!");
      const news = kernels.scoreContent(model, "Central bank raises interest rates by a quarter of a point");
      assert.ok(bait.parts.clickbait > 0.8 && news.parts.clickbait < 0.2);
      assert.ok(news.score > bait.score);
      assert.equal(news.words, 11);
    });

    test("recommendation and propensity take numbers", () => {
      using items = kernels.loadModel(modelFile("recommendation"));
      const { answers } = kernels.predict(items, [[0, 1], []], { top: 5 });
      assert.equal(answers[0]?.predictions.length, 5);
      assert.ok(answers[0]?.predictions.every(({ index }) => index > 1));
      using prior = kernels.loadModel(modelFile("personalization"));
      const row = Array.from({ length: prior.inputs }, () => 0);
      const buyer = row.with(8, 40).with(4, 30).with(5, 1200);
      const scores = kernels.predict(prior, [row, buyer]).answers.map(({ predictions }) => predictions[0]?.value ?? 0);
      assert.ok((scores[1] ?? 0) > 0.5 && (scores[0] ?? 1) < 0.5);
      assert.throws(() => kernels.predict(prior, [[1, 2]]), code("invalid_argument"));
    });

    test("a few phrases make an intent classifier of the app's own", () => {
      using base = kernels.loadModel(modelFile("intent"));
      const examples = [
        ...["where is my parcel", "track my order", "has my package shipped"].map((text) => ({ text, label: "track" })),
        ...["i want my money back", "refund please", "return this item"].map((text) => ({ text, label: "refund" })),
      ];
      using model = kernels.fitIntent(base, examples, { threshold: 0.3 });
      assert.deepEqual(model.labels, ["refund", "track"]);
      const { answers } = kernels.predict(model, ["tracking my package", "can i get a refund"], { top: 1 });
      assert.deepEqual(
        answers.map(({ predictions }) => predictions[0]?.label),
        ["track", "refund"],
      );
      assert.throws(() => kernels.fitIntent(base, []), code("invalid_argument"));
    });

    test("one changed byte is a refused model", () => {
      const file = modelFile("personalization");
      for (let at = 0; at < file.length; at += 97) {
        const damaged = file.slice();
        damaged[at] = (damaged[at] ?? 0) ^ 0x10;
        assert.throws(() => kernels.loadModel(damaged), OfflineSyncError, `byte ${at}`);
      }
      assert.throws(() => kernels.loadModel(file.subarray(0, 5000)), code("truncated"));
      assert.throws(() => kernels.loadModel(new Uint8Array(0)), code("truncated"));
    });

    test("buckets equal the golden vectors", () => {
      const golden = new Uint8Array(readFileSync("tests/golden/infer_ngram_v1.bin"));
      let at = 4;
      const varint = () => {
        let value = 0;
        for (let scale = 1; ; scale *= 128) {
          const byte = golden[at++] ?? 0;
          value += (byte & 127) * scale;
          if (byte < 128) return value;
        }
      };
      let compared = 0;
      for (let i = 0; i < 1000; i++) {
        const params = [golden[at++] ?? 0, golden[at++] ?? 0, golden[at++] ?? 0] as const;
        const size = varint();
        const bytes = golden.subarray(at, at + size);
        at += size;
        let bucket = 0;
        const wanted = Array.from({ length: varint() }, () => (bucket += varint()));
        const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
        // Texts with broken bytes cannot be a JavaScript string; the native test covers them.
        if (Buffer.compare(Buffer.from(text), Buffer.from(bytes)) !== 0) continue;
        assert.deepEqual(kernels.features(text, ...params), wanted, `text ${i}`);
        compared++;
      }
      assert.ok(compared > 850);
    });

    test("visits become recommendations, and erasing them takes them back", () => {
      const recommender = new Recommender(kernels, 6);
      for (let i = 0; i < 3; i++) recommender.learn([0, 1, 2]);
      const before = recommender.save();
      recommender.learn([0, 4]);
      recommender.learn([0, 4], { erase: true });
      assert.deepEqual(recommender.save(), before);
      assert.deepEqual(
        recommender.recommend([0], { top: 2 }).map(({ item }) => item),
        [1, 2],
      );
      assert.deepEqual(
        recommender.recommend([0], { top: 1, exclude: [1] }).map(({ item }) => item),
        [2],
      );
      const copy = new Recommender(kernels, before);
      assert.deepEqual(copy.recommend([0]), recommender.recommend([0]));
      recommender.close();
      copy.close();
    });

    test("feedback teaches; joining twice changes nothing; erasing forgets", () => {
      const phone = new ActionLearner(kernels, { epoch: 1n, seed: 5n, explore: 0 });
      const tablet = new ActionLearner(kernels, { epoch: 2n, seed: 6n, explore: 0.5 });
      for (let i = 0; i < 30; i++) {
        phone.feedback(["morning"], "news", 1);
        phone.feedback(["morning"], "games", 0);
        tablet.feedback(["evening"], "games", 1);
        tablet.feedback(["evening"], "news", 0);
      }
      phone.join(tablet.save());
      const once = phone.save();
      phone.join(tablet.save());
      assert.deepEqual(phone.save(), once);
      assert.equal(phone.decide(["morning"], ["games", "news"]).action, "news");
      assert.equal(phone.decide(["evening"], ["games", "news"]).action, "games");
      const { propensity } = tablet.decide(["evening"], ["games", "news"]);
      assert.ok(Math.abs(propensity - 0.75) < 1e-6 || Math.abs(propensity - 0.25) < 1e-6);
      phone.erase();
      assert.deepEqual([...phone.save()], [1, 0]);
      assert.throws(() => phone.join(Uint8Array.of(9)), code("version_not_supported"));
    });
  });
}

test("Node has SIMD, and a closed instance says so", async () => {
  assert.equal(simdSupported(), true);
  const kernels = await CoreKernels.open({ binary: new Uint8Array(readFileSync("dist/infer.wasm")) });
  kernels.close();
  assert.throws(() => kernels.loadModel(new Uint8Array(0)), code("closed"));
});

test("a compiled module serves as well as bytes, and a foreign one is an error, not a wait", async () => {
  const compiled = await WebAssembly.compile(new Uint8Array(readFileSync("dist/infer.wasm")));
  using kernels = await CoreKernels.open({ binary: compiled });
  assert.equal(kernels.features("a b").length, 7);
  const foreign = await WebAssembly.compile(
    Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 2, 7, 1, 1, 120, 1, 121, 0, 0),
  );
  await assert.rejects(CoreKernels.open({ binary: foreign }), code("internal"));
  await assert.rejects(CoreKernels.open({ binary: new Uint8Array(8) }), code("internal"));
});
