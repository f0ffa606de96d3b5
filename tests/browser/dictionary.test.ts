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
  before(async () => {
    await site.start();
    await browser.start();
    page = await browser.page(site.url);
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
    const start = site.seen.length;
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
    return pushed("page", start) / count;
  }
  /** Bytes of the pushes since then. */
  const pushed = (context: string, start: number): number =>
    site.seen
      .slice(start)
      .filter((one) => one.path.endsWith("/sync/push") && one.context === context)
      .reduce((sum, one) => sum + one.sent, 0);
  const brought = (): number => site.seen.filter(({ path, status }) => path.includes(PUT) && status === 200).length;
  async function broughtTimes(times: number): Promise<void> {
    for (let i = 0; i < 100 && brought() < times; i++) await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(brought(), times);
    await new Promise((resolve) => setTimeout(resolve, 100)); // the page hears of it
  }
  const deviceOf = () => page.evaluate(async () => (await globals.engine.registerDevice()).deviceId);

  let plain = 0;
  /** Sends until the pushes are as small as with a dictionary: the page may still be looking for it. */
  async function sendUntilSmall(): Promise<void> {
    let size = plain;
    for (let i = 0; i < 50 && size * 4 >= plain * 3; i++) size = await send(5);
    assert.ok(size * 4 < plain * 3, `${plain} bytes at first, ${size} in the end`);
  }

  test("is learned, brought to the server once, and makes its pushes smaller", async () => {
    await open();
    plain = await send(20);
    for (let i = 0; i < 50 && brought() === 0; i++) await send(10);
    await broughtTimes(1);
    await sendUntilSmall();
  });

  test("is still there for the next page", async () => {
    await page.reload();
    await page.waitForFunction(() => (globals as { ready?: boolean }).ready);
    await open();
    await sendUntilSmall();
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
    await sendUntilSmall();
    const numbers = (await site.history(deviceId)).map(({ eventData }) => (eventData as { n: number }).n);
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: sent }, (_, n) => n),
    );
  });

  /** The page queues, one segment each, and the worker sends. Returns the size of its requests. */
  async function sendByWorker(count: number): Promise<number> {
    const start = site.seen.length;
    const drained = await page.evaluate(
      async ({ key, from, count }) => {
        const worker = { url: "/sw.classic.js", shareToken: true };
        const engine = globals.lib.open({
          name: "repeats",
          url: "/api/offline-ai",
          auth: () => key,
          drains: false,
          worker,
        });
        await engine.registerDevice(); // the token is there for the worker now
        for (let n = from; n < from + count; n++) {
          const eventData = { n, page: `/shop/shelf/${n % 7}`, referrer: "https://example.org/start?from=mail" };
          await engine.queueEvent({ eventType: "page.view", moduleId: "shop", eventData });
        }
        const { active } = await navigator.serviceWorker.ready;
        const { port1, port2 } = new MessageChannel();
        const answer = new Promise((resolve) => {
          port1.onmessage = () => resolve(true);
          setTimeout(resolve, 20_000, false);
        });
        active?.postMessage({ type: "oas-drain", name: "repeats" }, [port2]);
        const drained = await answer;
        await engine.close();
        return drained;
      },
      { key: site.key, from: sent, count },
    );
    assert.ok(drained);
    sent += count;
    return pushed("worker", start);
  }

  test("is used by the worker, too", async () => {
    await page.evaluate(() => globals.engine.close());
    const packed = await sendByWorker(10);
    await page.evaluate(
      () =>
        new Promise((resolve, reject) => {
          const opening = indexedDB.open("oas:repeats");
          opening.onerror = reject;
          opening.onsuccess = () => {
            const { result: db } = opening;
            const change = db.transaction("meta", "readwrite");
            change.objectStore("meta").delete(new TextEncoder().encode("mhd"));
            change.oncomplete = () => {
              db.close();
              resolve(undefined);
            };
          };
        }),
    );
    const plain = await sendByWorker(10);
    assert.ok(packed > 0 && packed * 3 < plain * 2, `${packed} bytes with it, ${plain} without`);
  });
});
