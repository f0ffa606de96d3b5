// IndexedDB in a real browser passes what the store in memory passes, and survives what browsers do to it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, chromiumPath } from "./chromium.ts";
import { Site } from "./site.ts";

interface Results {
  runStoreCases(): Promise<readonly { readonly name: string; readonly error?: string }[]>;
}

test("IndexedDB store", { skip: chromiumPath() ? false : "there is no Chromium" }, async (context) => {
  const site = new Site("dist", process.env["OAS_TEST_BUILD"]);
  await site.start();
  const browser = new Browser();
  await browser.start();
  try {
    const page = await browser.page(site.url);
    const results = await page.evaluate(async (path) => {
      const suite = (await import(path)) as Results;
      return suite.runStoreCases();
    }, "/tests/tests/browser/store.main.js");
    assert.ok(results.length > 15);
    for (const { name, error } of results) await context.test(name, () => assert.equal(error, undefined));
  } finally {
    await browser.stop();
    await site.stop();
  }
});
