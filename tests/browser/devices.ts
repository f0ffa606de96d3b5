/** Devices that edit documents in the browser tests: pages of the site with one collection open. */

import type { Page } from "playwright-core";
import type { Collection, withDocuments } from "../../js-glue/documents/index.ts";
import type { Browser } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import type { Site } from "./site.ts";

export interface Cart {
  title?: string;
  lines?: { id: string; n: number }[];
  note?: string;
}

export type DevicePage = PageGlobals & { carts: Collection<Cart>; withDocuments: typeof withDocuments };
declare const globals: DevicePage; // the page's own, inside `evaluate`

const SCHEMA = { "/lines": "list:key=id", "/lines/*/n": "counter", "/note": "manual" };

/** A page of this browser with the collection `name` open. */
export async function openDevice(browser: Browser, site: Site, name: string): Promise<Page> {
  const page = await browser.page(site.url);
  await page.evaluate(
    async ({ name, key, schema }) => {
      const path = "/lib/documents.js";
      const { withDocuments } = (await import(path)) as { withDocuments: typeof globals.withDocuments };
      const app = withDocuments(globals.lib.open({ name, url: "/api/offline-ai", auth: () => key }), {
        failed: (error) => console.error(String(error)),
      });
      globals.engine = app;
      globals.carts = app.collection(name, { schema });
      await globals.carts.get("c"); // everything is loaded: the page may go offline now
    },
    { name, key: site.key, schema: SCHEMA },
  );
  return page;
}

export const stateOf = (page: Page, id = "c") =>
  page.evaluate(
    async (id) => ({
      value: await globals.carts.get(id),
      digest: await globals.carts.digest(id),
      conflicts: (await globals.carts.conflicts.list(id)).map(({ record }) => JSON.stringify(record)),
    }),
    id,
  );

/** Sends and fetches everything, like a device that is online for a moment. */
export const settle = (page: Page): Promise<void> =>
  page.evaluate(async () => {
    for (let i = 0; i < 3; i++) {
      await globals.engine.drain();
      await globals.carts.pull();
    }
  });

export const setOffline = (page: Page, off: boolean): Promise<void> => page.context().setOffline(off);

/** Both edit one document offline: different fields, one counter, one list, and a field that a person decides. */
async function editBothOffline(a: Page, b: Page): Promise<void> {
  await Promise.all([a, b].map((page) => setOffline(page, true)));
  await a.evaluate(async () => {
    await globals.carts.update("c", (cart) => ({ ...cart, title: "from a", note: "a" }));
    await globals.carts.patch("c", [{ op: "inc", path: "/lines/0/n", by: 2 }]);
  });
  await b.evaluate(async () => {
    await globals.carts.update("c", (cart) => ({
      ...cart,
      note: "b",
      lines: [...(cart?.lines ?? []), { id: "y", n: 1 }],
    }));
    await globals.carts.patch("c", [{ op: "inc", path: "/lines/0/n", by: 3 }]);
  });
}

/** What that comes to. */
export const MERGED: Cart = {
  title: "from a",
  note: "old",
  lines: [
    { id: "x", n: 6 },
    { id: "y", n: 1 },
  ],
};

export const makeFirst = (page: Page): Promise<void> =>
  page.evaluate(async () => {
    const made = await globals.carts.put("c", { title: "t", note: "old", lines: [{ id: "x", n: 1 }] });
    await made.synced;
  });

/**
 * Both edit offline, come back in the order of `first`, and a third device joins late: what each of them then has. The pages
 * stay open.
 */
export async function meet(browsers: readonly Browser[], site: Site, name: string, first: 0 | 1) {
  const open = (index: number): Promise<Page> => openDevice(browsers[index] as Browser, site, name);
  const [a, b] = [await open(0), await open(1)];
  await makeFirst(a);
  await settle(b);
  await editBothOffline(a, b);
  const order = first === 0 ? [a, b] : [b, a];
  for (const page of order) {
    await setOffline(page, false);
    await settle(page);
  }
  for (const page of order) await settle(page);
  const late = await open(2);
  await settle(late);
  const pages = [a, b, late] as const;
  return { pages, states: await Promise.all(pages.map((page) => stateOf(page))) };
}
