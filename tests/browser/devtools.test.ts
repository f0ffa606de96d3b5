// The devtools on a real page: they show what is there, and change nothing unless they may.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import type { OfflineSync } from "../../js-glue/browser/client.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import { Demo, troublesOf } from "./demo.ts";

declare const globals: { engine: OfflineSync }; // the page's own `globalThis`, inside `evaluate`

describe("the devtools", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const demo = new Demo();
  const browser = new Browser();
  let page: Page;
  let errors: readonly string[] = [];
  before(async () => {
    await demo.start();
    await browser.start();
    page = await browser.context.newPage();
    errors = troublesOf(page);
    await page.addInitScript("globalThis.globals = globalThis");
    await page.goto(`${demo.url}/device.html?device=tools&documents=no`);
    await page.waitForSelector("#tools [role=tab]");
    await page.waitForFunction(() => globals.engine.status.get().phase === "idle");
  });
  after(async () => {
    await browser.stop();
    await demo.stop();
  });

  const open = (tab: string) => page.click(`#tab-${tab}`);
  const panel = () => page.locator("#panel");

  /** Resolves when this colour covers more of the first chart than any other: it is that of the grid. */
  const covered = (colour: string) =>
    page.waitForFunction((wanted) => {
      const canvas = document.querySelector("#tools")?.shadowRoot?.querySelector("canvas");
      const { data } = canvas?.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height) ?? { data: [] };
      const counts = new Map<string, number>();
      for (let i = 0; i < data.length; i += 4) {
        const seen = data.slice(i, i + 3).join();
        if (data[i + 3] === 255) counts.set(seen, (counts.get(seen) ?? 0) + 1);
      }
      return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0] === wanted;
    }, colour);

  test("the queue is listed as it will be sent, and has drained when there is a network", async () => {
    await page.uncheck("#online");
    await page.click("#add");
    await page.click("#order");
    await panel().getByText("order.place").waitFor();
    const lanes = await panel().locator("tbody tr td:first-child").allTextContents();
    assert.deepEqual(lanes, ["critical", "normal"]);
    await page.locator("#tab-queue", { hasText: /2$/ }).waitFor();
    await page.check("#online");
    await panel().getByText("Nothing waits").waitFor();
  });

  test("a refused event can be mended only where actions are allowed", async () => {
    await page.click("#bad");
    await open("dead-letters");
    await panel().getByText("demo.refuse").waitFor();
    const buttons = (): Promise<string[]> => panel().locator("li button").allTextContents();
    assert.deepEqual(await buttons(), ["Retry", "Edit", "Drop"]);
    await page.locator("#tools").evaluate((tools) => tools.removeAttribute("allow-actions"));
    await panel().locator("li button").first().waitFor({ state: "detached" });
    assert.deepEqual(await buttons(), []);
    await page.locator("#tools").evaluate((tools) => tools.setAttribute("allow-actions", ""));
    await panel().getByRole("button", { name: "Drop" }).click();
    await panel().getByText("has refused nothing").waitFor();
    assert.deepEqual(await page.evaluate(() => globals.engine.deadLetters.export()), []);
  });

  test("the timeline has the whole way of what this page has sent", async () => {
    await open("timeline");
    await panel().getByText("order.place").waitFor();
    const row = panel().locator("tr", { hasText: "order.place" }).locator("td");
    for (const cell of (await row.allTextContents()).slice(2)) assert.match(cell, /^\d+(\.\d+)? (ms|s)$/);
  });

  test("charts come with their own file when they are asked for, and a table says the same", async () => {
    const scripts = (): Promise<number> =>
      page.evaluate(() => performance.getEntriesByType("resource").filter(({ name }) => name.endsWith(".js")).length);
    const before = await scripts();
    await open("metrics");
    await panel().locator(".u-wrap canvas").nth(2).waitFor();
    assert.equal(await scripts(), before + 1);
    assert.equal(await panel().locator(".charts").getAttribute("aria-hidden"), "true");
    await page.uncheck("#online");
    await page.click("#views");
    const waiting = panel().locator("tbody").first().locator("td");
    await waiting.nth(1).getByText("100", { exact: true }).waitFor();
    assert.equal(await waiting.first().textContent(), "Waiting here");
    await page.check("#online");
    await waiting.nth(1).getByText("0", { exact: true }).waitFor();
    const most = await panel().locator("tbody").nth(1).locator("td").last().textContent();
    assert.ok(Number(most) > 0, `applied a second: ${most}`);
  });

  test("lines and axes follow the scheme of the system", async () => {
    await page.emulateMedia({ colorScheme: "light" });
    await covered("223,228,236"); // --oas-line
    await page.emulateMedia({ colorScheme: "dark" });
    await covered("50,64,84");
    await page.emulateMedia({ colorScheme: null });
  });

  test("panels for what was not given are not there, and nothing broke the policy", async () => {
    const tabs = await page.locator("#tools [role=tab]").evaluateAll((all) => all.map(({ id }) => id));
    const names = ["queue", "dead-letters", "timeline", "metrics", "storage", "privacy"];
    assert.deepEqual(
      tabs,
      names.map((name) => `tab-${name}`),
    );
    assert.deepEqual(errors, []);
  });
});
