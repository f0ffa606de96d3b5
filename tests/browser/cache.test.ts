// The cache's records in a real Chromium: long items, shorter successors, changes of the index, and what 0.1 stored.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { openCache } from "../../js-glue/cache/index.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import { Site } from "./site.ts";

const skip = chromiumPath() ? false : "there is no Chromium";

interface Parts {
  openCache: typeof openCache;
}

describe("content cache in Chromium", { skip }, () => {
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

  test("a long item and its shorter successor come back from the disk", async () => {
    const page = await browser.page(site.url);
    const seen = await page.evaluate(async () => {
      const load = async (file: string): Promise<Parts> => (await import(file)) as Parts;
      const { openCache } = await load("/lib/cache.js");
      const item = { contentType: "t", contentId: "long" };
      const long = new Uint8Array(150_000);
      for (let at = 0; at < long.length; at += 50_000) crypto.getRandomValues(long.subarray(at, at + 50_000));
      const read = async (): Promise<unknown> => {
        const cache = await openCache({ name: "long" });
        const value = await cache.cachedContent("t", "long");
        await cache.close();
        return value;
      };
      const write = async (contentData: unknown): Promise<void> => {
        const cache = await openCache({ name: "long" });
        await cache.cacheContent({ ...item, contentData });
        await cache.close();
      };
      const same = (value: unknown): boolean =>
        value instanceof Uint8Array && value.length === long.length && long.every((byte, i) => value[i] === byte);
      await write(long);
      const whole = same(await read());
      await write({ short: true });
      const short = await read();
      await write(long);
      return { whole, short, again: same(await read()) };
    });
    assert.deepEqual(seen, { whole: true, short: { short: true }, again: true });
    await page.close();
  });

  test("items that version 0.1 stored are read, pinned, replaced and removed", async () => {
    const page = await browser.page(site.url);
    const seen = await page.evaluate(async () => {
      const load = async (file: string): Promise<Parts> => (await import(file)) as Parts;
      const { openCache } = await load("/lib/cache.js");
      const database = (): Promise<IDBDatabase> =>
        new Promise((resolve, reject) => {
          const opening = indexedDB.open("oas-cache:old", 1);
          opening.onupgradeneeded = () => {
            for (const store of ["index", "body", "keys"]) opening.result.createObjectStore(store);
          };
          opening.onsuccess = () => resolve(opening.result);
          opening.onerror = () => reject(opening.error);
        });
      const ended = (tx: IDBTransaction): Promise<unknown> => new Promise((resolve) => (tx.oncomplete = resolve));
      // Chunks stood alone: method 0 (as it is), the size as a varint, the content.
      const old = await database();
      const tx = old.transaction(["index", "body"], "readwrite");
      for (const [contentId, length] of [
        ["small", 100],
        ["large", 60_000],
      ] as const) {
        const size = length < 128 ? [length] : [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
        const body = Uint8Array.from([0, ...size, ...new Array<number>(length).fill(97)]);
        const [key, chunks] = [`t\0${contentId}`, Math.ceil(body.length / 48_000)];
        for (let chunk = 0; chunk < chunks; chunk++)
          tx.objectStore("body").put(body.slice(chunk * 48_000, (chunk + 1) * 48_000), [key, chunk]);
        tx.objectStore("index").put(
          {
            ...{ contentType: "t", contentId, kind: "text", bytes: length, stored: body.length, chunks, version: 1 },
            ...{ sealed: false, priority: 5, pinned: false, etag: undefined, cachedAt: 0, expiresAt: undefined },
          },
          key,
        );
      }
      await ended(tx);
      old.close();

      const lengths = async (): Promise<(number | undefined)[]> => {
        const cache = await openCache({ name: "old", keys: "none" });
        const values = [await cache.cachedContent("t", "small"), await cache.cachedContent("t", "large")];
        await cache.close();
        return values.map((value) => (value as string | undefined)?.length);
      };
      const first = await lengths();
      const cache = await openCache({ name: "old", keys: "none" });
      const pinned = [await cache.pin("t", "small"), await cache.pin("t", "large"), await cache.pin("t", "none")];
      const listed = (await cache.list()).map((item) => item.pinned);
      await cache.close();
      const second = await lengths();
      const changed = await openCache({ name: "old", keys: "none" });
      await changed.cacheContent({ contentType: "t", contentId: "large", contentData: "new" });
      await changed.delete("t", "small");
      await changed.close();
      const third = await lengths();
      const db = await database();
      const left = await new Promise((resolve) => {
        const asked = db.transaction("body").objectStore("body").getAllKeys();
        asked.onsuccess = () => resolve(asked.result);
      });
      db.close();
      return { first, pinned, listed, second, third, left };
    });
    assert.deepEqual(seen, {
      first: [100, 60_000],
      pinned: [true, true, false],
      listed: [true, true],
      second: [100, 60_000],
      third: [undefined, 3],
      left: [["t\0large", 0]],
    });
    await page.close();
  });

  test("a full disk hides nothing that is stored, and nothing that could not be changed", async () => {
    const page = await browser.page(site.url);
    const seen = await page.evaluate(async () => {
      const load = async (file: string): Promise<Parts> => (await import(file)) as Parts;
      const { openCache } = await load("/lib/cache.js");
      const items = ["a", "b"].map((contentId) => ({ contentType: "t", contentId, contentData: contentId }));
      const died = await openCache({ name: "full", keys: "none" });
      const begin = IDBDatabase.prototype.transaction;
      let full = (names: string | Iterable<string>): boolean => [...names].includes("index");
      IDBDatabase.prototype.transaction = function (names, mode, options) {
        if (mode === "readwrite" && full(names)) throw new DOMException("no room", "QuotaExceededError");
        return begin.call(this, names, mode, options);
      };
      for (const item of items) await died.cacheContent(item);
      const pinned = await died.pin("t", "a").catch(() => "refused");
      const names = async (cache: typeof died) => (await cache.list()).map(({ contentId }) => contentId).sort();
      const before = await names(died);
      const next = await openCache({ name: "full", keys: "none" }); // as the page after one that died
      const after = [await names(next), await next.cachedContent("t", "b")];
      full = () => false;
      await next.close();
      const later = await openCache({ name: "full", keys: "none" });
      const freed = [await later.pin("t", "a"), await names(later)];
      IDBDatabase.prototype.transaction = begin;
      await Promise.all([died.close(), later.close()]);
      return { pinned, before, after, freed };
    });
    assert.deepEqual(seen, {
      pinned: "refused",
      before: ["a", "b"],
      after: [["a", "b"], "b"],
      freed: [true, ["a", "b"]],
    });
    await page.close();
  });

  test("the index gets what is owed to it, and nothing of what has gone", async () => {
    const page = await browser.page(site.url);
    const seen = await page.evaluate(async () => {
      const load = async (file: string): Promise<Parts> => (await import(file)) as Parts;
      const { openCache } = await load("/lib/cache.js");
      const index = async (change: (store: IDBObjectStore) => IDBRequest): Promise<unknown> => {
        const db = await new Promise<IDBDatabase>((resolve) => {
          const opening = indexedDB.open("oas-cache:owed", 1);
          opening.onsuccess = () => resolve(opening.result);
        });
        const asked = change(db.transaction("index", "readwrite").objectStore("index"));
        await new Promise((resolve) => (asked.onsuccess = resolve));
        db.close();
        return asked.result as unknown;
      };
      const item = (contentId: string) => ({ contentType: "t", contentId, contentData: { n: contentId } });
      const ids = async (cache: Awaited<ReturnType<typeof openCache>>): Promise<string[]> =>
        (await cache.list()).map(({ contentId, pinned }) => (pinned ? `${contentId}!` : contentId));

      const one = await openCache({ name: "owed" });
      const other = await openCache({ name: "owed" });
      for (const id of ["kept", "deleted", "deleted elsewhere", "lost", "pinned"]) await one.cacheContent(item(id));
      await one.delete("t", "deleted");
      await other.delete("t", "deleted elsewhere");
      const pinned = await other.pin("t", "pinned"); // it may not be in the index yet
      await other.cacheContent({ contentType: "t", contentId: "kept", contentData: "longer", pinned: true });
      await one.close();
      await other.close();
      const paid = await index((store) => store.getAllKeys());
      // A page that died here would have left the item without its record.
      await index((store) => store.delete("t\0lost"));
      const again = await openCache({ name: "owed" });
      const listed = await ids(again);
      const found = await again.cachedContent("t", "lost");
      await again.close();
      return { pinned, paid, listed, found };
    });
    assert.deepEqual(seen, {
      pinned: true,
      paid: ["t\0kept", "t\0lost", "t\0pinned"],
      listed: ["kept!", "lost", "pinned!"],
      found: { n: "lost" },
    });
    await page.close();
  });
});
