// A page that says much the same again and again: its pushes become smaller, and lose nothing when the server forgets why.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

declare const globals: PageGlobals; // the page's own, inside `evaluate`

const PUT = "/sync/dictionary/";
/** The smallest there is, as it is sent: its size, and one lz4 block of literals. */
const OTHER = new Uint8Array([3, 0x30, 0x44, 1, 0]);

describe("dictionary of a page", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const site = new Site("dist");
  const browser = new Browser();
  let page: Page;
  let sent = 0;
  let pushes: number[] = [];
  before(async () => {
    await site.start();
    await browser.start();
    page = await browser.page(site.url);
    page.on("request", (request) => {
      if (request.url().endsWith("/sync/push")) pushes.push(request.postDataBuffer()?.length ?? 0);
    });
  });
  after(async () => {
    await browser.stop();
    await site.stop();
  });

  const open = () =>
    page.evaluate(async (key) => {
      globals.engine = globals.lib.open({ name: "repeats", url: "/api/offline-ai", auth: () => key });
      await new Promise((resolve) => setTimeout(resolve, 1_500)); // it looks for its dictionary after a second
    }, site.key);

  /** One at a time, each until it is settled. Returns the mean size of their requests. */
  async function send(count: number): Promise<number> {
    pushes = [];
    await page.evaluate(
      async ({ from, count }) => {
        for (let n = from; n < from + count; n++) {
          const eventData = { n, page: `/shop/shelf/${n % 7}`, referrer: "https://example.org/start?from=mail" };
          const { synced } = await globals.engine.queueEvent({ eventType: "page.view", moduleId: "shop", eventData });
          await synced;
        }
      },
      { from: sent, count },
    );
    sent += count;
    return pushes.reduce((sum, size) => sum + size, 0) / count;
  }
  const brought = (): number => site.seen.filter(({ path, status }) => path.includes(PUT) && status === 200).length;
  async function broughtTimes(times: number): Promise<void> {
    for (let i = 0; i < 100 && brought() < times; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(brought(), times);
    await new Promise((resolve) => setTimeout(resolve, 100)); // the page hears of it
  }
  const deviceOf = () => page.evaluate(async () => (await globals.engine.registerDevice()).deviceId);

  test("is learned, brought to the server once, and makes its pushes smaller", async () => {
    await open();
    const before = await send(100);
    await broughtTimes(1);
    const behind = await send(20);
    assert.ok(behind * 4 < before * 3, `${before} bytes before, ${behind} with it`);
  });

  test("is still there for the next page", async () => {
    await page.reload();
    await page.waitForFunction(() => (globals as { ready?: boolean }).ready);
    await open();
    const size = await send(20);
    assert.ok(size < 300, `${size} bytes`);
    assert.equal(brought(), 1);
  });

  test("comes back to a server that has lost it, and nothing is lost or doubled on the way", async () => {
    const deviceId = await deviceOf();
    const answer = await page.evaluate(
      async ({ path, key, body }) => {
        const headers = { authorization: `Bearer ${key}`, "content-type": "application/octet-stream" };
        const response = await fetch(`/api/offline-ai${path}`, { method: "PUT", headers, body: new Uint8Array(body) });
        return response.status;
      },
      { path: PUT + deviceId, key: site.key, body: [...OTHER] },
    );
    assert.equal(answer, 200);
    await send(3);
    await broughtTimes(3);
    const size = await send(5);
    assert.ok(size < 300, `${size} bytes`);
    const numbers = (await site.history(deviceId)).map(({ eventData }) => (eventData as { n: number }).n);
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: sent }, (_, n) => n),
    );
  });
});
