// The Service Worker, classic and module: it starts without a network, sends what pages left behind, and survives being
// stopped in the middle of it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { CDPSession, Page } from "playwright-core";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

declare const globals: PageGlobals;
const skip = chromiumPath() ? false : "there is no Chromium";
const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

for (const type of ["classic", "module"] as const) {
  describe(`worker, ${type} build`, { skip }, () => {
    const site = new Site("dist");
    const browser = new Browser();
    let page: Page;
    let device = "";
    let registration = "";
    let cdp: CDPSession;

    before(async () => {
      await site.start();
      await browser.start();
      page = await browser.page(site.url);
      cdp = await browser.context.newCDPSession(page);
      cdp.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
        registration = registrations.find(({ isDeleted }) => !isDeleted)?.registrationId ?? registration;
      });
      await cdp.send("ServiceWorker.enable");
    });
    after(async () => {
      await browser.stop();
      await site.stop();
    });

    /** Opens the queue; `drains: false` leaves the sending to the worker. */
    const open = (): Promise<void> =>
      page.evaluate(
        async ({ key, type }) => {
          const url = `${type === "module" ? "/sw.js" : "/sw.classic.js"}?captureFetch=^/forms/`;
          const worker = { url, type, shareToken: true };
          globals.engine = globals.lib.open({
            name: "w",
            url: "/api/offline-ai",
            auth: () => key,
            drains: false,
            worker,
          });
          await navigator.serviceWorker.ready;
        },
        { key: site.key, type },
      );

    const queue = (from: number, count: number): Promise<void> =>
      page.evaluate(
        async ({ from, count }) => {
          await Promise.all(
            Array.from({ length: count }, (_, i) =>
              globals.engine.queueEvent({
                eventType: "n",
                moduleId: "t",
                eventData: { n: from + i, pad: "x".repeat(200) },
              }),
            ),
          );
        },
        { from, count },
      );

    const arrived = async (): Promise<number[]> => {
      const events = (await site.history(device)).filter(({ eventType }) => eventType === "n");
      assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
      return events.map(({ eventData }) => (eventData as { n: number }).n).sort((a, b) => a - b);
    };

    const drainByMessage = (timeoutMs = 20_000): Promise<unknown> =>
      page.evaluate(async (timeoutMs) => {
        const { active } = await navigator.serviceWorker.ready;
        const { port1, port2 } = new MessageChannel();
        const answer = new Promise((resolve) => {
          port1.onmessage = ({ data }) => resolve(data);
          setTimeout(resolve, timeoutMs, "no answer");
        });
        active?.postMessage({ type: "oas-drain", name: "w" }, [port2]);
        return answer;
      }, timeoutMs);

    const syncEvent = (): Promise<unknown> =>
      cdp.send("ServiceWorker.dispatchSyncEvent", {
        origin: site.url,
        registrationId: registration,
        tag: "oas-drain:w",
        lastChance: false,
      });

    async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
      for (let i = 0; i < 250; i++) {
        if (await condition()) return;
        await page.waitForTimeout(100);
      }
      assert.fail(`waited in vain until ${what}`);
    }

    test("drains when a page asks, with the token the page has stored, and without fetching the core", async () => {
      await open();
      device = await page.evaluate(async () => (await globals.engine.registerDevice()).deviceId);
      await queue(0, 50);
      site.hold = { path: ".wasm", until: new Promise(() => undefined) };
      assert.deepEqual(await drainByMessage(), { drained: true });
      assert.deepEqual(await arrived(), numbers(50));
      assert.ok(site.count("/sync/push", "worker") >= 1);
      assert.equal(site.count("/sync/push", "page"), 0);
    });

    test("the page that queued learns what became of it", async () => {
      const verdict = page.evaluate(async () => {
        const receipt = await globals.engine.queueEvent({ eventType: "n", moduleId: "t", eventData: { n: 50 } });
        return receipt.synced;
      });
      await until(() => page.evaluate(() => globals.engine.status.get().pending === 1), "it is queued");
      await drainByMessage();
      assert.deepEqual(await verdict, { kind: "applied" });
      await until(() => page.evaluate(() => globals.engine.status.get().pending === 0), "the status says so");
    });

    test("a sync event sends what was left behind", async () => {
      site.weather = "down";
      await queue(51, 49);
      await syncEvent();
      await until(() => Promise.resolve(site.count("/sync/push", "worker") >= 2), "the worker has tried");
      site.weather = "clear";
      await until(async () => {
        await syncEvent();
        return (await arrived()).length === 100;
      }, "everything has arrived");
      assert.deepEqual(await arrived(), numbers(100));
    });

    test("a request that finds no network is an event, and reaches the server once", async () => {
      await page.reload();
      await page.waitForFunction(
        () => (globalThis as { ready?: boolean }).ready && navigator.serviceWorker.controller !== null,
      );
      const post = (path: string, body: string | number[]): Promise<{ status: number; queued: string | null }> =>
        page.evaluate(
          async ({ path, body }) => {
            const bytes = typeof body === "string" ? body : new Uint8Array(body);
            const headers = { "content-type": "text/x-test", authorization: "never stored" };
            const response = await fetch(path, { method: "POST", body: bytes, headers });
            return { status: response.status, queued: response.headers.get("oas-queued") };
          },
          { path, body },
        );
      const captured = async (): Promise<unknown[]> => {
        const events = await site.history(device);
        return events.filter(({ eventType }) => eventType === "http.request").map(({ eventData }) => eventData);
      };
      assert.equal((await post("/forms/contact", "online")).status, 404); // the network answers for itself
      await browser.context.setOffline(true);
      const first = await post("/forms/contact?from=page", "grüße");
      assert.deepEqual([first.status, first.queued === null], [202, false]);
      assert.equal((await post("/forms/contact", [0xff, 0x00])).status, 202);
      await assert.rejects(post("/elsewhere", "is not asked for"));
      await assert.rejects(post("/forms/large", "x".repeat(30_000)));
      site.weather = "down";
      await browser.context.setOffline(false);
      await cdp.send("ServiceWorker.stopAllWorkers");
      site.weather = "clear";
      await until(async () => {
        await syncEvent();
        return (await captured()).length === 2;
      }, "both have arrived");
      assert.deepEqual(await captured(), [
        { method: "POST", url: "/forms/contact?from=page", contentType: "text/x-test", body: "grüße" },
        { method: "POST", url: "/forms/contact", contentType: "text/x-test", bodyBase64: "/wA=" },
      ]);
      assert.equal((await site.history(device)).find(({ id }) => id === first.queued)?.eventType, "http.request");
      await open();
    });

    // The two builds differ only in how they are loaded; one of them is killed, which takes a stale lease each time.
    test("Service Worker stopped mid-drain", { skip: type === "module" }, async () => {
      const total = 4_100;
      for (let from = 100; from < total; from += 1_000) await queue(from, 1_000);
      for (let kill = 0; kill < 2; kill++) {
        const before = site.count("/sync/push", "worker");
        await syncEvent();
        await until(() => Promise.resolve(site.count("/sync/push", "worker") > before), "a push was made").catch(
          () => undefined,
        );
        await cdp.send("ServiceWorker.stopAllWorkers");
      }
      // The lease of the last one killed goes stale before the next one may send.
      await syncEvent();
      await until(async () => (await arrived()).length >= total, "everything has arrived");
      assert.deepEqual(await arrived(), numbers(total));
    });
  });
}
