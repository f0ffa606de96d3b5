// The storage ladder in a real Chromium: the real core, cache, queue and server; only the browser's estimate is told.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { openCache } from "../../js-glue/cache/index.ts";
import type { watchStorage } from "../../js-glue/storage/index.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

const skip = chromiumPath() ? false : "there is no Chromium";

interface Parts {
  watchStorage: typeof watchStorage;
  openCache: typeof openCache;
}
declare const globals: PageGlobals;

describe("storage ladder in Chromium", { skip }, () => {
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

  test("says how full it is, gives up content, turns bulk away, and comes back", async () => {
    const page = await browser.page(site.url);
    const seen = await page.evaluate(async (key) => {
      const load = async (file: string): Promise<Parts> => (await import(file)) as Parts;
      const { watchStorage } = await load("/lib/storage.js");
      const { openCache } = await load("/lib/cache.js");
      const engine = globals.lib.open({ name: "full", url: "/api/offline-ai", auth: () => key });
      const cache = await openCache({ name: "full", keys: "none" });
      const text = Array.from(crypto.getRandomValues(new Uint8Array(20_000)), (byte) => byte.toString(16)).join("");
      for (let n = 0; n < 10; n++)
        await cache.cacheContent({ contentType: "page", contentId: String(n), contentData: text + n });
      const stored = async (): Promise<number> => (await cache.list()).reduce((sum, item) => sum + item.stored, 0);
      const real = await watchStorage(engine, { everyMs: 0 });
      const honest = real.status.get();
      real.close();

      const told = { usage: 100, quota: 1_000_000 };
      const watch = await watchStorage(engine, { cache, everyMs: 0, estimate: async () => told });
      const before = await stored();
      told.usage = 850_000;
      await watch.look();
      const after = await stored();
      told.usage = 960_000;
      await watch.look();
      const event = { eventType: "e", moduleId: "m", eventData: {} } as const;
      const bulk = await watch.queueEvent({ ...event, priority: "analytics" }).then(
        () => "queued",
        (error) => String(error.code),
      );
      const normal = await watch.queueEvent(event).then((receipt) => receipt.durability);
      told.usage = 100;
      const { rung } = await watch.look();
      const again = await watch.queueEvent({ ...event, priority: "analytics" }).then((receipt) => receipt.synced);
      watch.close();
      await engine.close();
      return { honest, freed: before - after, bulk, normal, rung, again };
    }, site.key);
    assert.ok(seen.honest.quota > 0 && seen.honest.usage > 0);
    assert.equal(seen.honest.rung, "ok");
    assert.ok(seen.freed >= 100_000 && seen.freed < 200_000, `${seen.freed} bytes of content gave way`);
    assert.equal(seen.bulk, "storage_quota");
    assert.equal(seen.normal, "strict");
    assert.equal(seen.rung, "ok");
    assert.equal(seen.again.kind, "applied");
    await page.close();
  });

  test("a critical event passes a disk that takes nothing", async () => {
    const page = await browser.page(site.url);
    const seen = await page.evaluate(async (key) => {
      const load = async (file: string): Promise<Parts> => (await import(file)) as Parts;
      const { watchStorage } = await load("/lib/storage.js");
      const engine = globals.lib.open({ name: "shut", url: "/api/offline-ai", auth: () => key });
      await engine.registerDevice();
      const { OfflineSyncError } = globals.lib;
      const queueEvent = (): Promise<never> =>
        Promise.reject(new OfflineSyncError("storage_quota", "environment", true, "the browser refused to store more"));
      const full = { queueEvent, parts: engine.parts, status: engine.status };
      const watch = await watchStorage(full, { everyMs: 0 });
      const event = { eventType: "order", moduleId: "m", eventData: { total: 5 } } as const;
      const normal = await watch.queueEvent(event).then(
        () => "queued",
        (error) => String(error.code),
      );
      const receipt = await watch.queueEvent({ ...event, priority: "critical" });
      const verdict = await receipt.synced;
      const status = watch.status.get();
      watch.close();
      return { normal, durability: receipt.durability, verdict, status };
    }, site.key);
    assert.equal(seen.normal, "storage_quota");
    assert.equal(seen.durability, "replicated");
    assert.equal(seen.verdict.kind, "applied");
    assert.equal(seen.status.sentDirectly, 1);
    assert.equal(seen.status.rung, "critical-only");
    await page.close();
  });
});
