// One page, or two, against the real server through a proxy that misbehaves: every event arrives, exactly once.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

const skip = chromiumPath() ? false : "there is no Chromium";
declare const globals: PageGlobals; // the page's own, inside `evaluate`

describe("client in Chromium", { skip }, () => {
  const site = new Site("dist");
  const browser = new Browser();
  let databases = 0;
  let name = "";

  before(async () => {
    await site.start();
    await browser.start();
  });
  after(async () => {
    await browser.stop();
    await site.stop();
  });
  beforeEach(() => {
    name = `client-${databases++}`;
    site.weather = "clear";
    site.hold = undefined;
    site.seen.length = 0;
  });

  const newPage = async (): Promise<Page> => browser.page(site.url);

  const openIn = (page: Page, key = site.key): Promise<void> =>
    page.evaluate(
      ({ name, key }) => {
        globals.engine = globals.lib.open({ name, url: "/api/offline-ai", auth: () => key });
        globals.receipts = [];
      },
      { name, key },
    );

  /** Queues `count` numbered events and waits until all are stored. */
  const queue = (page: Page, from: number, count: number): Promise<string[]> =>
    page.evaluate(
      async ({ from, count }) => {
        const calls = Array.from({ length: count }, (_, i) =>
          globals.engine.queueEvent({ eventType: "n", moduleId: "test", eventData: { n: from + i }, entity: "e" }),
        );
        const receipts = await Promise.all(calls);
        globals.receipts.push(...receipts);
        return receipts.map(({ id }) => id);
      },
      { from, count },
    );

  /** A page that holds the lease and cannot send, with so many events. */
  async function holder(count: number): Promise<Page> {
    site.weather = "down";
    const page = await newPage();
    await openIn(page);
    await queue(page, 0, count);
    await page.waitForFunction(() => globals.engine.status.get().phase === "offline");
    return page;
  }

  const synced = (page: Page): Promise<string[]> =>
    page.evaluate(async () => {
      const verdicts = await Promise.all(globals.receipts.map((receipt) => receipt.synced));
      return [...new Set(verdicts.map(({ kind }) => kind))];
    });

  const deviceOf = (page: Page): Promise<string> =>
    page.evaluate(async () => (await globals.engine.registerDevice()).deviceId);

  const statusOf = (page: Page) => page.evaluate(() => globals.engine.status.get());
  const close = (page: Page): Promise<void> => page.evaluate(() => globals.engine.close());

  /** What the server holds, as the numbers queued. */
  async function arrived(page: Page): Promise<number[]> {
    const events = await site.history(await deviceOf(page));
    assert.equal(new Set(events.map(({ id }) => id)).size, events.length);
    return events.map(({ eventData }) => (eventData as { n: number }).n).sort((a, b) => a - b);
  }
  const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

  test("events are journalled before the core has loaded, and arrive once", async () => {
    let release = (): void => undefined;
    site.hold = { path: "core.wasm", until: new Promise((resolve) => (release = resolve)) };
    const page = await newPage();
    await openIn(page);
    const ids = await queue(page, 0, 300);
    assert.equal((await statusOf(page)).phase, "starting");
    assert.equal(site.count("/sync/push"), 0);
    // The page may even die now: its journal is taken over by whoever opens the queue next.
    await page.close();
    site.hold = undefined;
    release();
    const next = await newPage();
    await openIn(next);
    await queue(next, 300, 1);
    assert.deepEqual(await synced(next), ["applied"]);
    await next.evaluate(() => globals.engine.drain());
    assert.deepEqual(await arrived(next), numbers(301));
    const events = await site.history(await deviceOf(next));
    assert.deepEqual(
      ids.filter((id) => !events.some((event) => event.id === id)),
      [],
    );
    await next.close();
  });

  test("closed while it opens: nothing goes on behind it, and its work is another's", async () => {
    const page = await newPage();
    const deleted = await page.evaluate(
      async ({ name, key }) => {
        const all = [0, 1, 5, 20, 50].map(async (ms, i) => {
          const engine = globals.lib.open({ name: `${name}-${i}`, url: "/api/offline-ai", auth: () => key });
          const queued = engine.queueEvent({ eventType: "n", eventData: { n: i } }).then(
            () => "stored",
            ({ code }) => code as string,
          );
          await new Promise((resolve) => setTimeout(resolve, ms));
          await engine.close();
          const outcome = await queued;
          await new Promise((resolve) => setTimeout(resolve, 1_000));
          // A connection that was left open holds this up.
          const request = indexedDB.deleteDatabase(`oas:${name}-${i}`);
          const free = await new Promise((resolve) => {
            request.onsuccess = () => resolve(true);
            request.onblocked = () => resolve(false);
          });
          return { outcome, free, phase: engine.status.get().phase };
        });
        return Promise.all(all);
      },
      { name, key: site.key },
    );
    for (const { outcome, free, phase } of deleted) {
      assert.ok(["stored", "closed"].includes(outcome), outcome);
      assert.ok(free, "the database is let go of");
      assert.equal(phase, "stopped");
    }
    await page.close();
  });

  test("second tab", async () => {
    const first = await newPage();
    const second = await newPage();
    await Promise.all([openIn(first), openIn(second)]);
    await Promise.all([queue(first, 0, 200), queue(second, 200, 200)]);
    assert.deepEqual(await synced(first), ["applied"]);
    assert.deepEqual(await synced(second), ["applied"]);
    assert.deepEqual(await arrived(first), numbers(400));
    assert.equal(await deviceOf(first), await deviceOf(second));
    await Promise.all([first.close(), second.close()]);
  });

  test("what another tab has sent before this one had its core is told here all the same", async () => {
    const first = await newPage();
    await openIn(first);
    await queue(first, 0, 1);
    assert.deepEqual(await synced(first), ["applied"]);
    const second = await newPage();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    await second.route("**/core*.wasm", async (route) => {
      await held;
      await route.continue();
    });
    await openIn(second);
    await queue(second, 1, 5);
    await first.evaluate(() => globals.engine.drain());
    assert.deepEqual(await arrived(first), numbers(6));
    release();
    assert.deepEqual(await synced(second), ["applied"]);
    await Promise.all([first.close(), second.close()]);
  });

  test("captive portal answers 200 HTML", async () => {
    const page = await newPage();
    site.weather = { status: 200, body: "<!doctype html><title>Please sign in</title>" };
    await openIn(page);
    await queue(page, 0, 10);
    await page.evaluate(() => globals.engine.drain());
    const status = await statusOf(page);
    assert.equal(status.pending, 10);
    assert.equal(status.attempts, 0, "a portal costs no attempts");
    site.weather = "clear";
    await page.evaluate(() => globals.engine.drain());
    assert.deepEqual(await synced(page), ["applied"]);
    assert.deepEqual(await arrived(page), numbers(10));
    await page.close();
  });

  test("500", async () => {
    const page = await newPage();
    site.weather = { status: 500, body: "{}", type: "application/problem+json" };
    await openIn(page);
    await queue(page, 0, 10);
    await page.evaluate(() => globals.engine.drain());
    const status = await statusOf(page);
    assert.equal(status.pending, 10);
    assert.equal(status.reason, "server_busy");
    site.weather = "clear";
    await page.evaluate(() => globals.engine.drain());
    assert.deepEqual(await synced(page), ["applied"]);
    assert.deepEqual(await arrived(page), numbers(10));
    await page.close();
  });

  test("401 for an hour", async () => {
    // A browser of its own: from now on its clock is ours, in all its pages.
    const patient = new Browser();
    await patient.start();
    const page = await patient.page(site.url);
    await page.clock.install(); // goes on as it does, until we make it jump
    await page.evaluate(
      ({ name, key }) => {
        const state = globals as PageGlobals & { asked: number; token: string };
        state.asked = 0;
        state.token = "expired";
        globals.engine = globals.lib.open({
          name,
          url: "/api/offline-ai",
          register: false,
          auth: () => {
            state.asked++;
            return state.token;
          },
        });
        globals.receipts = [];
        Object.assign(globals, { key });
      },
      { name, key: site.key },
    );
    await queue(page, 0, 10);
    await page.waitForFunction(() => globals.engine.status.get().parked);
    // The hour: the server is asked once a quarter, in case the credential was mended there; nothing is dropped.
    let asked = site.count("/sync/push");
    assert.ok(asked <= 2, `${asked} requests`);
    for (let quarter = 0; quarter < 4; quarter++) {
      await page.clock.fastForward("14:00");
      assert.equal(site.count("/sync/push"), asked);
      const answer = page.waitForResponse((response) => response.url().endsWith("/sync/push"));
      await page.clock.fastForward("01:01");
      await answer;
      await page.waitForFunction(() => globals.engine.status.get().parked);
      assert.equal(site.count("/sync/push"), ++asked);
    }
    assert.equal((await statusOf(page)).reason, "unauthorized");
    assert.equal((await statusOf(page)).pending, 10);
    await page.evaluate(() => {
      const state = globals as PageGlobals & { token: string; key: string };
      state.token = state.key;
      window.dispatchEvent(new Event("focus"));
    });
    assert.deepEqual(await synced(page), ["applied"]);
    assert.deepEqual(await arrived(page), numbers(10));
    await patient.stop();
  });

  test("reply lost after commit", async () => {
    const page = await newPage();
    site.weather = "reply-lost";
    await openIn(page);
    await queue(page, 0, 50);
    await page.evaluate(() => globals.engine.drain());
    await page.evaluate(() => globals.engine.drain());
    assert.deepEqual(await arrived(page), numbers(50), "the server has them already");
    assert.equal((await statusOf(page)).pending, 50, "and the page does not know");
    site.weather = "clear";
    await page.evaluate(() => globals.engine.drain());
    assert.deepEqual(await synced(page), ["applied"]);
    assert.deepEqual(await arrived(page), numbers(50));
    await page.close();
  });

  test("offline: queued, page closed, sent by the next one", async () => {
    const page = await holder(100);
    await page.close({ runBeforeUnload: false });
    site.weather = "clear";
    const next = await newPage();
    // The page went with the lease in its hand. That it is gone is known, not waited for.
    const heard = await next.evaluate(
      async ({ name, key }) => {
        globals.engine = globals.lib.open({ name, url: "/api/offline-ai", auth: () => key });
        const kinds: string[] = [];
        globals.engine.on("trace", ({ entry }) => kinds.push((entry as { readonly kind: string }).kind));
        const { drained } = await globals.engine.drain();
        return { drained, kinds: kinds.filter((kind) => ["follow", "gone", "send"].includes(kind)).slice(0, 3) };
      },
      { name, key: site.key },
    );
    assert.deepEqual(heard, { drained: true, kinds: ["follow", "gone", "send"] });
    assert.deepEqual(await arrived(next), numbers(100));
    await next.close();
  });

  test("a page that is put aside lets the other one go on", async () => {
    const first = await holder(10);
    const second = await newPage();
    await openIn(second);
    await second.waitForFunction(() => globals.engine.status.get().phase === "following");
    await first.evaluate(() => {
      globalThis.dispatchEvent(new PageTransitionEvent("pagehide", { persisted: true }));
    });
    await second.waitForFunction(() => globals.engine.status.get().phase === "offline");
    // Back again, it finds the lease with the other one and follows.
    await first.evaluate(async () => {
      globalThis.dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
      void globals.engine.drain();
    });
    await first.waitForFunction(() => globals.engine.status.get().phase === "following");
    await second.close();
    site.weather = "clear";
    assert.deepEqual(await first.evaluate(() => globals.engine.drain()), { drained: true });
    assert.deepEqual(await arrived(first), numbers(10));
    await first.close();
  });

  test("the storage connection breaks in the middle", async () => {
    const page = await newPage();
    await page.evaluate(() => {
      const original = IDBDatabase.prototype.transaction;
      let count = 0;
      IDBDatabase.prototype.transaction = function patched(...args: Parameters<typeof original>) {
        count++;
        if (count % 7 === 3) this.close();
        const tx = original.apply(this, args);
        if (count % 7 === 5 && args[1] === "readwrite") queueMicrotask(() => tx.abort());
        return tx;
      };
    });
    await openIn(page);
    for (let i = 0; i < 20; i++) await queue(page, i * 5, 5);
    assert.deepEqual(await synced(page), ["applied"]);
    assert.deepEqual(await arrived(page), numbers(100));
    await page.close();
  });

  test("without IndexedDB work goes on in memory, and the status says so", async () => {
    const page = await newPage();
    await page.evaluate(() => {
      IDBFactory.prototype.open = () => {
        throw new DOMException("private mode", "SecurityError");
      };
    });
    await openIn(page);
    const durability = await page.evaluate(async () => {
      const receipt = await globals.engine.queueEvent({ eventType: "n", moduleId: "t", eventData: { n: 0 } });
      globals.receipts.push(receipt);
      return receipt.durability;
    });
    assert.equal(durability, "memory");
    assert.deepEqual(await synced(page), ["applied"]);
    // Long after everything has started: nothing was there that could have been lost.
    const status = await statusOf(page);
    assert.deepEqual([status.storage, status.durability, status.storageReason], ["memory", "memory", "storage_failed"]);
    await page.close();
  });

  test("an emptied database is noticed, and the device stays the same", async () => {
    const page = await newPage();
    await openIn(page);
    await queue(page, 0, 1);
    const device = await deviceOf(page);
    await close(page);
    await page.evaluate((name) => {
      return new Promise((resolve) => {
        indexedDB.deleteDatabase(`oas:${name}`).onsuccess = resolve;
      });
    }, name);
    await openIn(page);
    await queue(page, 1, 1);
    await page.waitForFunction(() => globals.engine.status.get().storage === "lost");
    assert.equal(await deviceOf(page), device);
    assert.deepEqual(await synced(page), ["applied"]);
    assert.deepEqual(await arrived(page), numbers(2));
    await page.close();
  });

  test("bad input is refused by name before anything is stored", async () => {
    const page = await newPage();
    await openIn(page);
    const codes = await page.evaluate(async () => {
      const cycle: { self?: unknown } = {};
      cycle.self = cycle;
      const bad: unknown[] = [Number.NaN, 1n, undefined, () => 1, cycle, new Date(0), "\ud800", "x".repeat(40_001)];
      const results = bad.map((eventData) =>
        globals.engine.queueEvent({ eventType: "n", moduleId: "t", eventData }).then(
          () => "taken",
          (error: unknown) => (error as { code: string }).code,
        ),
      );
      return Promise.all(results);
    });
    const bad = "unsupported_value";
    assert.deepEqual(codes, [bad, bad, bad, bad, bad, bad, "lone_surrogate", "event_too_large"]);
    assert.deepEqual(await page.evaluate(() => globals.engine.pending.list()), { items: [] });
    await page.close();
  });

  test("what waits is sent before the browser is asked what it can do", async () => {
    const page = await newPage();
    // Asking for WebGL blocks a page while it is answered.
    await page.addInitScript(() => {
      OffscreenCanvas.prototype.getContext = new Proxy(OffscreenCanvas.prototype.getContext, {
        apply(asked, canvas, given) {
          performance.mark("asked");
          return Reflect.apply(asked, canvas, given);
        },
      });
    });
    await page.reload();
    await openIn(page);
    await queue(page, 0, 3);
    assert.deepEqual(await synced(page), ["applied"]);
    assert.equal(await page.evaluate(() => performance.getEntriesByName("asked").length), 0);
    await page.waitForFunction(() => performance.getEntriesByName("asked").length > 0);
    while (site.count("/device/register") === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    await close(page);
  });

  test("what it can do is told at registration, and pending events can be listed", async () => {
    const page = await newPage();
    site.weather = "down";
    await openIn(page);
    await queue(page, 0, 3);
    await page.waitForFunction(() => globals.engine.status.get().phase === "offline");
    const listed = await page.evaluate(() => globals.engine.pending.list());
    assert.deepEqual(
      listed.items.map(({ eventType, entity, lane, eventData }) => ({ eventType, entity, lane, eventData })),
      numbers(3).map((n) => ({ eventType: "n", entity: "e", lane: "normal", eventData: { n } })),
    );
    const offline = await page.evaluate(() => globals.engine.registerDevice());
    assert.equal(offline.registered, false);
    site.weather = "clear";
    const online = await page.evaluate(() => globals.engine.registerDevice());
    assert.deepEqual(online, { deviceId: offline.deviceId, registered: true });
    await page.close();
  });
});
