// What a device holds of a person can be read as a whole, and ended as a whole, in a real Chromium.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Analytics } from "../../js-glue/analytics/index.ts";
import type { openCache } from "../../js-glue/cache/index.ts";
import type { withDocuments } from "../../js-glue/documents/index.ts";
import type { eraseDevice, exportDevice } from "../../js-glue/privacy/index.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

const skip = chromiumPath() ? false : "there is no Chromium";

interface Parts {
  Analytics: typeof Analytics;
  withDocuments: typeof withDocuments;
  exportDevice: typeof exportDevice;
  eraseDevice: typeof eraseDevice;
  openCache: typeof openCache;
}
declare const globals: PageGlobals;

describe("privacy in Chromium", { skip }, () => {
  const site = new Site("dist");
  const browser = new Browser();

  before(async () => {
    await site.start();
    await browser.start();
  });
  after(async () => {
    await browser.stop();
    await site.stop();
  });

  test("consent withdrawn: nothing of it is stored any more, and nothing of it is sent", async () => {
    const page = await browser.page(site.url);
    site.weather = "down";
    const secret = "ann-looked-at-this";
    const { waited, found, bytes } = await page.evaluate(
      async ({ key, secret }) => {
        const load = async <T>(file: string): Promise<T> => (await import(file)) as T;
        const { Analytics } = await load<Parts>("/lib/analytics.js");
        globals.engine = globals.lib.open({ name: "consent", url: "/api/offline-ai", auth: () => key });
        const analytics = new Analytics(globals.engine);
        await analytics.consent(true);
        // Too varied to be packed beyond recognition.
        const word = (i: number): string =>
          secret + Array.from({ length: 8 }, (_, k) => (i * 7_919 + k * 104_729).toString(36)).join("");
        await Promise.all(Array.from({ length: 60 }, (_, i) => analytics.trackEvent("view", { word: word(i) })));
        await globals.engine.queueEvent({ eventType: "order", eventData: { n: 1 } });
        const stored = async (): Promise<string> => {
          const opening = indexedDB.open("oas:consent");
          const db = await new Promise<IDBDatabase>((resolve) => {
            opening.onsuccess = () => resolve(opening.result);
          });
          const values = db.transaction("segments").objectStore("segments").getAll();
          const all = await new Promise<Uint8Array[]>((resolve) => {
            values.onsuccess = () => resolve(values.result as Uint8Array[]);
          });
          db.close();
          return all.map((value) => new TextDecoder("latin1").decode(value)).join("");
        };
        const bytes = (await stored()).length;
        const waited = await analytics.consent(false);
        const left = await stored();
        return { waited, found: left.includes(secret), bytes: bytes - left.length };
      },
      { key: site.key, secret },
    );
    assert.equal(waited, 60);
    assert.equal(found, false);
    assert.ok(bytes > 1_000, `${bytes} bytes less`);
    site.weather = "clear";
    const { deviceId, status } = await page.evaluate(async () => {
      await globals.engine.drain();
      return { deviceId: (await globals.engine.registerDevice()).deviceId, status: globals.engine.status.get() };
    });
    assert.equal(status.pending, 0);
    const events = await site.history(deviceId);
    assert.deepEqual(
      events.map(({ eventType }) => eventType),
      ["order"],
    );
    await page.close();
  });

  test("everything of this device is exported, and erased", async () => {
    const page = await browser.page(site.url);
    site.weather = "down";
    const {
      lines,
      left,
      before: first,
    } = await page.evaluate(async (key) => {
      const load = async <T>(file: string): Promise<T> => (await import(file)) as T;
      const { withDocuments } = await load<Parts>("/lib/documents.js");
      const { openCache } = await load<Parts>("/lib/cache.js");
      const { exportDevice, eraseDevice } = await load<Parts>("/lib/privacy.js");
      const app = withDocuments(globals.lib.open({ name: "mine", url: "/api/offline-ai", auth: () => key }));
      await app.queueEvent({ eventType: "secret", moduleId: "m", eventData: { n: 1 } });
      await app.collection<{ text: string }>("notes").put("n", { text: "mine" });
      const cache = await openCache({ name: "mine" });
      await cache.cacheContent({ contentType: "page", contentId: "p", contentData: { body: "read" } });
      const lines: string[] = [];
      for await (const line of exportDevice({ engine: app, documents: app.documents, cache })) lines.push(line);
      const { deviceId } = await app.registerDevice();
      await eraseDevice({ name: "mine", engine: app, cache });
      return { lines, before: deviceId, left: (await indexedDB.databases()).map(({ name }) => name) };
    }, site.key);
    const items = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      items.map(({ kind }) => kind),
      ["device", "pending", "pending", "document", "content"],
    );
    assert.deepEqual(items.find(({ kind }) => kind === "document")?.["value"], { text: "mine" });
    assert.deepEqual(items.find(({ kind }) => kind === "content")?.["contentData"], { body: "read" });
    assert.deepEqual(
      left.filter((name) => name?.includes("mine")),
      [],
    );
    // Whoever comes next is another device, and finds nothing.
    site.weather = "clear";
    const next = await browser.page(site.url);
    const after = await next.evaluate(async (key) => {
      const engine = globals.lib.open({ name: "mine", url: "/api/offline-ai", auth: () => key });
      const { deviceId } = await engine.registerDevice();
      return { deviceId, pending: (await engine.pending.list()).items.length };
    }, site.key);
    assert.notEqual(after.deviceId, first);
    assert.equal(after.pending, 0);
    await Promise.all([page, next].map((one) => one.close()));
  });
});
