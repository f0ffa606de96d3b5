// Labels fitted on one device answer on the user's other ones: the phrases travel as a document, and each device fits them to
// the same weights. Two profiles of a real Chromium, one server.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import type { Collection, withDocuments } from "../../js-glue/documents/index.ts";
import type { FittedIntent, Models, withModels } from "../../js-glue/models/index.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

type Globals = PageGlobals & { intents: Collection<FittedIntent>; models: Models };
declare const globals: Globals; // the page's own, inside `evaluate`

const PHRASES = {
  track: ["where is my parcel", "track my order", "has it been shipped", "when will it arrive", "parcel status"],
  return: ["i want my money back", "return this item", "send it back to you", "refund please", "it does not fit"],
};
const EXAMPLES = Object.entries(PHRASES).flatMap(([label, texts]) => texts.map((text) => ({ text, label })));

describe("fitted labels in Chromium", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const site = new Site("dist", "models");
  const browsers = [new Browser(), new Browser()] as const;

  before(async () => {
    await site.start();
    await Promise.all(browsers.map((browser) => browser.start()));
  });
  after(async () => {
    await Promise.all(browsers.map((browser) => browser.stop()));
    await site.stop();
  });

  async function device(browser: Browser): Promise<Page> {
    const page = await browser.page(site.url);
    await page.evaluate(async (key) => {
      const [documents, models] = ["/lib/documents.js", "/lib/models.js"];
      const lib = {
        ...((await import(documents)) as { withDocuments: typeof withDocuments }),
        ...((await import(models)) as { withModels: typeof withModels }),
      };
      const app = lib.withDocuments(globals.lib.open({ name: "fits", url: "/api/offline-ai", auth: () => key }));
      globals.intents = app.collection<FittedIntent>("intents");
      globals.engine = app;
      globals.models = lib.withModels(app, { weights: "/tests", intents: globals.intents });
    }, site.key);
    return page;
  }
  const settle = (page: Page): Promise<void> =>
    page.evaluate(async () => {
      await globals.engine.drain();
      await globals.intents.pull();
    });
  const ask = (page: Page, text: string) =>
    page.evaluate(
      (text) => globals.models.predict("support", text, { top: 3 }).then(({ predictions }) => predictions),
      text,
    );

  test("are on the other device, follow later fits, and are gone from both when they are erased", async () => {
    const [a, b] = [await device(browsers[0]), await device(browsers[1])];
    const labels = await a.evaluate((examples) => globals.models.intent.fit("support", examples), EXAMPLES);
    assert.deepEqual(labels, ["return", "track"]);
    const text = "my parcel is late, where is it";
    await assert.rejects(ask(b, text), /there is no model/);
    await settle(a);
    await settle(b);
    const answer = await ask(b, text);
    assert.equal(answer[0]?.label, "track");
    assert.deepEqual(await ask(a, text), answer, "the same weights");

    // What b has loaded is fitted again once other phrases come in.
    const more = [
      ...EXAMPLES,
      ...["a voucher", "discount code", "coupon", "sale"].map((text) => ({ text, label: "price" })),
    ];
    await a.evaluate((examples) => globals.models.intent.fit("support", examples), more);
    await settle(a);
    await settle(b);
    assert.equal((await ask(b, "is there a discount code"))[0]?.label, "price");

    // A document that holds no phrases is refused by name, and nothing else suffers.
    await b.evaluate(() => globals.intents.put("support", { examples: "all" } as never).then(() => undefined));
    await settle(b);
    await settle(a);
    await assert.rejects(ask(a, text), /no phrases of a classifier/);
    await a.evaluate(() => globals.models.models.eraseLearned());
    await settle(a);
    await settle(b);
    await assert.rejects(ask(b, text), /there is no model/);
    await Promise.all([a, b].map((page) => page.close()));
  });
});
