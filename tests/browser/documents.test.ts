// Two profiles of a real Chromium, one server, one person's own space: edits made offline on both, in either order, end in
// one document with one digest and one set of conflict records, and whoever joins late sees the same.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import { Browser, chromiumPath } from "./chromium.ts";
import { type DevicePage, MERGED, makeFirst, meet, openDevice, setOffline, settle, stateOf } from "./devices.ts";
import { Site } from "./site.ts";

const skip = chromiumPath() ? false : "there is no Chromium";
declare const globals: DevicePage; // the page's own, inside `evaluate`

describe("documents in Chromium", { skip }, () => {
  const site = new Site("dist");
  const browsers = [new Browser(), new Browser(), new Browser()];
  let names = 0;

  before(async () => {
    await site.start();
    await Promise.all(browsers.map((browser) => browser.start()));
  });
  after(async () => {
    await Promise.all(browsers.map((browser) => browser.stop()));
    await site.stop();
  });

  function device(index: number, name: string): Promise<Page> {
    const browser = browsers[index];
    assert.ok(browser);
    return openDevice(browser, site, name);
  }

  test("edits of two devices meet, in either order, and a third joins late", async () => {
    for (const first of [0, 1] as const) {
      const { pages, states } = await meet(browsers, site, `both${names++}`, first);
      const [a, b, late] = pages;
      assert.deepEqual(states[0]?.value, MERGED);
      assert.equal(states[0].conflicts.length, 1);
      assert.match(states[0].conflicts[0] ?? "", /"class":"manual"/);
      assert.deepEqual(states[1], states[0]);
      assert.deepEqual(states[2], states[0]);
      // A person decides on one device; the others follow.
      await late.evaluate(async () => {
        const [conflict] = await globals.carts.conflicts.list("c");
        const receipt = await globals.carts.conflicts.resolve("c", conflict?.id ?? "", "a");
        await receipt.synced;
      });
      for (const page of [a, b]) {
        await settle(page);
        const { value, conflicts } = await stateOf(page);
        assert.equal(value?.note, "a");
        assert.deepEqual(conflicts, []);
      }
      await Promise.all([a, b, late].map((page) => page.close()));
    }
  });

  test("an edit is there after the tab died, before and after the server has it", async () => {
    const name = `dies${names++}`;
    let page = await device(0, name);
    await setOffline(page, true);
    await page.evaluate(() => globals.carts.put("c", { title: "kept" }).then(() => undefined));
    await page.close();
    await setOffline(await browsers[0]!.context.newPage(), false);
    site.weather = "down";
    page = await device(0, name);
    assert.deepEqual((await stateOf(page)).value, { title: "kept" });
    site.weather = "clear";
    await settle(page);
    await page.close();
    page = await device(0, name);
    assert.deepEqual((await stateOf(page)).value, { title: "kept" });
    const other = await device(1, name);
    await settle(other);
    assert.deepEqual(await stateOf(other), await stateOf(page));
    await Promise.all([page, other].map((one) => one.close()));
  });

  test("a document of hundreds of kilobytes is one edit: through a dead tab, to the server and to the other device", async () => {
    const name = `large${names++}`;
    const large = (): Record<string, string> =>
      Object.fromEntries(
        Array.from({ length: 3_000 }, (_, i) => [`row ${i}`, `what stands in row ${i} of a large document`]),
      );
    let page = await device(0, name);
    await setOffline(page, true);
    await page.evaluate(async (rows) => {
      await globals.carts.put("c", { title: "large", ...rows });
      await globals.carts.update("c", (cart) => ({ ...cart, title: "large and edited" }));
    }, large());
    await page.close();
    await setOffline(await browsers[0]!.context.newPage(), false);
    page = await device(0, name);
    assert.deepEqual((await stateOf(page)).value, { title: "large and edited", ...large() });
    await settle(page);
    const other = await device(1, name);
    await settle(other);
    assert.deepEqual((await stateOf(other)).value, { title: "large and edited", ...large() });
    assert.deepEqual(await stateOf(other), await stateOf(page));
    await Promise.all([page, other].map((one) => one.close()));
  });

  test("small changes come with the poke itself: both devices follow, and nobody can pull", async () => {
    const name = `news${names++}`;
    const [a, b] = [await device(0, name), await device(1, name)];
    await makeFirst(a);
    await settle(a);
    await settle(b);
    const pulls = (): number => site.seen.filter(({ path }) => path.includes("/sync/changes")).length;
    /** Whether `to` sees what `from` writes; a poke that came during a pull, or with another one, says "look" alone. */
    const follows = async (from: Page, to: Page, text: string): Promise<boolean> => {
      const seen = async (text: string): Promise<boolean> => (await globals.carts.get("c"))?.title === text;
      for (let tries = 0; tries < 5; tries++) {
        const title = `${text} ${tries}`;
        site.meddle = (path) => (path.includes("/sync/changes") ? 0 : undefined);
        await from.evaluate((value) => globals.carts.patch("c", [{ op: "set", path: "/title", value }]), title);
        const found = await to.waitForFunction(seen, title, { polling: 20, timeout: 3_000 }).catch(() => undefined);
        site.meddle = undefined;
        if (found) return true;
        await Promise.all([a, b].map(settle));
      }
      return false;
    };
    const before = pulls();
    for (const [from, to, text] of [
      [a, b, "one"],
      [b, a, "two"],
      [a, b, "three"],
    ] as const)
      assert.ok(await follows(from, to, text), text);
    // A pull tells the server that they are stored.
    for (const until = Date.now() + 10_000; pulls() < before + 2 && Date.now() < until; ) await b.waitForTimeout(50);
    assert.ok(pulls() >= before + 2);
    await Promise.all([a, b].map(settle));
    const { value } = await stateOf(a);
    assert.match(value?.title ?? "", /^three/);
    assert.deepEqual(await stateOf(b), await stateOf(a));
    await Promise.all([a, b].map((page) => page.close()));
  });

  test("two tabs of one device show each other's edits at once, offline too", async () => {
    const name = `tabs${names++}`;
    const one = await device(0, name);
    const two = await device(0, name);
    await setOffline(one, true);
    await two.evaluate(() => globals.carts.get("c"));
    await one.evaluate(() => globals.carts.put("c", { title: "seen" }).then(() => undefined));
    await two.waitForFunction(async () => (await globals.carts.get("c"))?.title === "seen");
    await setOffline(one, false);
    await settle(one);
    await two.evaluate(() => globals.carts.update("c", (cart) => ({ ...cart, note: "two" })).then(() => undefined));
    await settle(two);
    await settle(one);
    assert.deepEqual(await stateOf(one), await stateOf(two));
    await Promise.all([one, two].map((page) => page.close()));
  });

  test("a change shows on the other device by itself", async () => {
    const name = `live${names++}`;
    const [a, b] = [await device(0, name), await device(1, name)];
    await settle(b);
    await a.evaluate(() => globals.carts.put("c", { title: "live" }).then(() => undefined));
    await b.waitForFunction(async () => (await globals.carts.get("c"))?.title === "live", undefined, {
      timeout: 10_000,
    });
    await Promise.all([a, b].map((page) => page.close()));
  });

  test("seeding the same document on two devices makes one document without a conflict", async () => {
    const name = `seed${names++}`;
    const pages = [await device(0, name), await device(1, name)];
    await Promise.all(pages.map((page) => setOffline(page, true)));
    for (const page of pages)
      await page.evaluate(() =>
        globals.carts.seed("c", { title: "s", lines: [{ id: "x", n: 1 }] }).then(() => undefined),
      );
    for (const page of pages) {
      await setOffline(page, false);
      await settle(page);
    }
    for (const page of pages) await settle(page);
    const states = await Promise.all(pages.map((page) => stateOf(page)));
    assert.deepEqual(states[0]?.value, { title: "s", lines: [{ id: "x", n: 1 }] });
    assert.deepEqual(states[0].conflicts, []);
    assert.deepEqual(states[1], states[0]);
    await Promise.all(pages.map((page) => page.close()));
  });
});
