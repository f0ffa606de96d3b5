// The playground of the demo: five models, another runtime, consent, reports, intents of one's own, and all of it offline.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { Browser, chromiumPath } from "./chromium.ts";
import { Demo, troublesOf } from "./demo.ts";

interface Reports {
  readonly models: readonly {
    readonly id: string;
    readonly metrics: readonly { value: number; headline?: boolean }[];
  }[];
}

describe("the playground", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const demo = new Demo();
  const browser = new Browser();
  let page: Page;
  let errors: readonly string[] = [];
  before(async () => {
    await demo.start();
    await browser.start();
    page = await browser.context.newPage();
    errors = troublesOf(page);
    await page.goto(demo.url);
    await page.click('a[href="/models.html"]');
    await page.waitForURL("**/models.html");
  });
  after(async () => {
    await browser.stop();
    await demo.stop();
  });

  const ready = () => page.waitForFunction(() => document.getElementById("state")?.textContent !== "working");
  const state = () => page.textContent("#state");
  const best = (list: string) => page.textContent(`#${list} li:first-child span`);
  const choose = async (id: string, value: string): Promise<void> => {
    await page.selectOption(`#${id}`, value);
    await ready();
  };

  test("five models answer, abstain, and show what their evaluator measured", async () => {
    const { models } = JSON.parse(readFileSync("dist/demo/models/manifest.json", "utf8")) as Reports;
    await page.waitForSelector("#answers li");
    assert.equal(await best("answers"), "balance");
    await page.fill("#input", "zxqv blorp wug");
    await page.click("#ask button");
    await ready();
    assert.match((await page.textContent("#verdict")) ?? "", /Abstains/);
    const seen: string[] = [];
    for (const name of ["intent", "content", "recommendation", "personalization"]) {
      await choose("model", name);
      assert.equal(await state(), "ready", name);
      seen.push((await best("answers")) ?? "");
      const rows = await page.locator("#metrics tr").allTextContents();
      const wanted = models.find(({ id }) => id === name)?.metrics.filter(({ headline }) => headline) ?? [];
      assert.equal(rows.length, wanted.length);
      assert.ok(wanted.length > 0);
      wanted.forEach(({ value }, i) => {
        const shown = rows[i]?.includes(value.toFixed(value < 10 ? 3 : 1));
        assert.ok(shown, `${name}: ${rows[i]} without ${value}`);
      });
    }
    assert.deepEqual(
      seen.filter((_, i) => i !== 2),
      ["balance", "clickbait", "purchase"],
    );
  });

  test("emotion loads nothing before consent", async () => {
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    await choose("model", "emotion");
    assert.equal(await page.locator("#answers li").count(), 0);
    assert.ok(!asked.some((one) => one.includes("/emotion/")));
    await page.check("#consent");
    await ready();
    await page.waitForSelector("#answers li");
    assert.equal(await best("answers"), "joy");
    assert.ok(asked.some((one) => one.includes("/emotion/")));
    await page.uncheck("#consent");
    await ready();
    assert.equal(await page.locator("#answers li").count(), 0);
  });

  test("other runtimes give the same answer, and calls are timed", async () => {
    await choose("model", "content");
    const kernels = await page.locator("#answers li").allTextContents();
    for (const runtime of ["onnx-wasm", "tfjs-cpu"]) {
      await choose("runtime", runtime);
      assert.equal(
        await page.getAttribute("#verdict", "data-runtime"),
        runtime,
        (await page.textContent("#verdict")) ?? "",
      );
      assert.deepEqual(await page.locator("#answers li").allTextContents(), kernels);
    }
    await choose("runtime", "core");
    await page.click("#measure");
    await page.waitForFunction(() => document.getElementById("median")?.textContent !== "–");
    assert.match((await page.textContent("#median")) ?? "", /µs|ms/);
  });

  test("what is no input is said so", async () => {
    await choose("model", "personalization");
    await page.fill("#input", "1, 2, three");
    await page.click("#ask button");
    await ready();
    assert.match((await state()) ?? "", /Only numbers/);
    await choose("model", "recommendation");
    await page.fill("#input", "no such area");
    await page.click("#ask button");
    await ready();
    assert.match((await state()) ?? "", /knows no area/);
  });

  test("intents of one's own are fitted here, and are there after a reload without a server for weights", async () => {
    await page.click("#fit button");
    await page.waitForSelector("#fit-answers li");
    assert.equal(await best("fit-answers"), "parcel");
    assert.match((await page.textContent("#fit-state")) ?? "", /3 labels from 12 phrases/);
    await page.reload();
    await page.route("**/models/**", (route) => route.abort());
    await page.fill("#question", "i would like a refund");
    await page.click("#try button");
    await page.waitForSelector("#fit-answers li");
    assert.equal(await best("fit-answers"), "refund");
    assert.deepEqual(errors, []);
  });
});
