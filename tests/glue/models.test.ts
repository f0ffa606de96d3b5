// Models beside an engine: answers, fitting, learning in several tabs, consent, and what stays after a restart.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { systemCrypto } from "../../js-glue/browser/contexts.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import type { Store } from "../../js-glue/core/ports.ts";
import { createModels, type Models, type ModelsOptions, withModels } from "../../js-glue/models/client.ts";
import { ModelStore } from "../../js-glue/models/model-store.ts";

interface World {
  readonly models: Models;
  readonly queued: { eventType: string; eventData: unknown }[];
  readonly loaded: string[];
}

function open(store: Store, options: ModelsOptions = {}): World {
  const queued: World["queued"] = [];
  const loaded: string[] = [];
  const engine = {
    inspect: () => ({ database: "oas:shop" }),
    queueEvent: (event: { eventType: string; eventData: unknown }) => Promise.resolve(queued.push(event)),
  };
  const load = async (url: string): Promise<Uint8Array<ArrayBuffer>> => {
    loaded.push(url);
    const path = url.includes("infer") ? "dist/infer.wasm" : url.replace(/^\/models/, "models");
    return new Uint8Array(readFileSync(path));
  };
  return {
    models: createModels(engine, { store, load, kernelUrl: "http://host/infer.wasm", ...options }),
    queued,
    loaded,
  };
}

describe("models beside an engine", () => {
  test("predict answers one input or many, and loads nothing twice", async () => {
    const { models, loaded } = open(new MemoryStore());
    const answer = await models.predict("intent", "what is my bank balance", { top: 3 });
    assert.equal(answer.predictions[0]?.label, "balance");
    assert.ok(answer.ms >= 0);
    const { answers } = await models.predictBatch("intent", ["set a timer", "zxqv blorp wug"], { top: 1 });
    assert.deepEqual(
      answers.map(({ abstain }) => abstain),
      [false, true],
    );
    assert.equal(loaded.length, 2);
    // However few labels there are: asked for the best, the best comes first.
    const headline = await models.predict("content", "21 things you will not believe", { top: 5 });
    assert.deepEqual(
      headline.predictions.map(({ label }) => label),
      ["clickbait", "news"],
    );
    assert.ok((await models.scoreContent("Central bank raises rates")).score > 0);
    await assert.rejects(models.predict("nothing", "x"), { code: "not_found" });
    await models.models.close();
  });

  test("a model that was loaded once answers without a network", async () => {
    const store = new MemoryStore();
    await open(store).models.predict("content", "x");
    const later = open(store, {
      load: async (url) => {
        if (!url.includes("infer")) throw new Error("offline");
        return new Uint8Array(readFileSync("dist/infer.wasm"));
      },
    });
    assert.equal((await later.models.predict("content", "21 things you will not believe")).predictions.length, 2);
    await assert.rejects(later.models.predict("intent", "x"), { code: "offline" });
  });

  test("emotion needs the user's own consent", async () => {
    await assert.rejects(open(new MemoryStore()).models.predict("emotion", "I love it"), { code: "consent" });
    const { models } = open(new MemoryStore(), { consent: { emotion: true } });
    const { predictions } = await models.predict("emotion", "I love this, thank you", { view: "basic4", top: 1 });
    assert.equal(predictions[0]?.label, "joy");
  });

  test("fitted labels survive a restart; a shipped model's name is refused", async () => {
    const store = new MemoryStore();
    const examples = [
      ...["where is my parcel", "track my order"].map((text) => ({ text, label: "track" })),
      ...["i want my money back", "refund please"].map((text) => ({ text, label: "refund" })),
    ];
    const first = open(store).models;
    assert.deepEqual(await first.intent.fit("support", examples), ["refund", "track"]);
    const before = await first.predict("support", "can i get a refund");
    const after = await open(store).models.predict("support", "can i get a refund");
    assert.deepEqual(after.predictions, before.predictions);
    await assert.rejects(first.intent.fit("intent", examples), { code: "invalid_argument" });
  });

  test("recommendations follow visits, exclude what was seen, and outlive the page", async () => {
    const store = new MemoryStore();
    const first = open(store).models;
    for (const item of ["tent", "stove", "lamp"]) await first.visit(item);
    const others = open(store).models;
    await others.visit("rope");
    const seen = await others.recommend();
    assert.deepEqual(seen, []);
    const list = await others.recommend({ history: ["tent"], exclude: ["lamp"], top: 5 });
    assert.deepEqual(new Set(list.map(({ item }) => item)), new Set(["stove", "rope"]));
  });

  test("more items than the first matrix had room for", async () => {
    const store = new MemoryStore();
    const { models } = open(store);
    for (let i = 0; i < 70; i++) await models.visit(`item ${i}`);
    const list = await models.recommend({ history: ["item 3"], top: 100 });
    assert.equal(list.length, 69);
    assert.ok(list.every(({ item, score }) => item !== "item 3" && score > 0));
  });

  test("an item nobody has visited is placed by its title, and diversity spreads the list", async () => {
    const { models } = open(new MemoryStore());
    await models.visit("a");
    const titles = {
      a: "two person hiking tent",
      b: "three person hiking tent",
      c: "four person hiking tent",
      d: "cast iron frying pan",
    };
    const plain = await models.recommend({ titles, top: 3 });
    assert.deepEqual(
      plain
        .map(({ item }) => item)
        .slice(0, 2)
        .sort(),
      ["b", "c"],
    );
    const spread = await models.recommend({ titles, top: 2, diversity: 0.7 });
    assert.ok(spread.some(({ item }) => item === "d"));
    assert.ok((await models.recommend({ titles, exclude: ["b"] })).every(({ item }) => item !== "b" && item !== "a"));
  });

  test("personal decisions learn from feedback in two tabs at once, and are logged when asked", async () => {
    const store = new MemoryStore();
    const [one, two] = [open(store, { explore: 0.1, logDecisions: true }), open(store, { explore: 0.1 })];
    for (let i = 0; i < 150; i++) {
      const { models } = i % 2 === 0 ? one : two;
      const context = { hour: i % 2 === 0 ? "morning" : "evening" };
      const decision = await models.personalize(context, ["news", "games"]);
      assert.ok(decision.propensity > 0 && decision.propensity <= 1);
      const right = context.hour === "morning" ? "news" : "games";
      await models.feedback(decision, decision.action === right ? 1 : 0);
    }
    const decision = await one.models.personalize({ hour: "evening" }, ["news", "games"]);
    assert.ok((decision.expected[1] ?? 0) > (decision.expected[0] ?? 1));
    assert.equal(one.queued.filter(({ eventType }) => eventType === "personalization.feedback").length, 75);
    assert.equal(two.queued.length, 0);
    await one.models.models.eraseLearned();
    const [left = 9, right = 0] = (await two.models.personalize({ hour: "evening" }, ["news", "games"])).expected;
    assert.equal(left, right);
  });

  test("feedback given by two tabs at the same moment counts twice", async () => {
    const store = new MemoryStore();
    const tabs = [open(store).models, open(store).models];
    const decisions = await Promise.all(tabs.map((tab) => tab.personalize(["x"], ["a"])));
    const expected = async (): Promise<number> => (await tabs[0]?.personalize(["x"], ["a"]))?.expected[0] ?? 0;
    await tabs[0]?.feedback(decisions[0]!, 1);
    const once = await expected();
    await Promise.all(tabs.map((tab, i) => tab.feedback(decisions[i]!, 1)));
    assert.ok((await expected()) > once);
  });

  test("rollback brings the version before", async () => {
    const store = new MemoryStore();
    const shelf = new ModelStore(store, systemCrypto);
    const put = async (path: string, version: string) => {
      const file = new Uint8Array(readFileSync(path));
      const sha256 = Buffer.from(await systemCrypto.sha256(file)).toString("hex");
      await shelf.install("content", { version, quant: "int8", bytes: file.length, sha256 }, file);
    };
    await put("models/content/model.oasm", "1.0.0");
    await put("models/content/model.i4.oasm", "1.1.0");
    const { models } = open(store);
    await models.predict("content", "x");
    assert.equal(await models.models.rollback("content"), "1.0.0");
    assert.equal((await models.predict("content", "x")).predictions.length, 2);
    await assert.rejects(models.models.rollback("content"), { code: "not_found" });
  });

  test("withModels adds to the engine itself", async () => {
    const engine = withModels(
      { inspect: () => ({ database: "oas:x" }), queueEvent: () => Promise.resolve() },
      { store: new MemoryStore() },
    );
    assert.equal(typeof engine.predict, "function");
    assert.deepEqual(engine.inspect(), { database: "oas:x" });
  });
});
