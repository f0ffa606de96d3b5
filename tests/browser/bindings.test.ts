// The bindings in their real frameworks: what a component shows follows the engine, and stops when the component goes.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, describe, test } from "node:test";
import type { Page } from "playwright-core";
import type { openCache } from "../../js-glue/cache/index.ts";
import type { withDocuments } from "../../js-glue/documents/index.ts";
import type { createModels } from "../../js-glue/models/index.ts";
import { bundlePages, FRAMEWORKS, type Framework } from "./bindings/bundle.ts";
import type { Mount, Mounted, Parts, Todo } from "./bindings/parts.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

interface Lib {
  readonly openCache: typeof openCache;
  readonly withDocuments: typeof withDocuments;
  readonly createModels: typeof createModels;
}
type BindingPage = PageGlobals & { parts: Parts; other: Parts; mounted: Mounted };
declare const globals: BindingPage; // the page's own, inside `evaluate`

describe("bindings in Chromium", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const pages = mkdtempSync(join(tmpdir(), "oas-bindings-"));
  const site = new Site("dist", pages);
  const browser = new Browser();

  before(async () => {
    await Promise.all([bundlePages(pages, "browser"), site.start(), browser.start()]);
  });
  after(async () => {
    await browser.stop();
    await site.stop();
    rmSync(pages, { recursive: true, force: true });
  });
  beforeEach(() => {
    site.weather = "clear";
  });

  /** Two devices of one user in one page: `parts` is what is shown, `other` what the world does meanwhile. */
  const openParts = (page: Page, framework: Framework): Promise<void> =>
    page.evaluate(
      async ({ framework, key }) => {
        const load = <T>(path: string): Promise<T> => import(path) as Promise<T>;
        const lib = {
          ...(await load<Lib>("/lib/cache.js")),
          ...(await load<Lib>("/lib/documents.js")),
          ...(await load<Lib>("/lib/models.js")),
        };
        const open = (device: string): Parts => {
          const name = `${framework}-${device}`;
          const engine = lib.withDocuments(globals.lib.open({ name, url: "/api/offline-ai", auth: () => key }));
          const todos = engine.collection<Todo>(framework, { schema: { "/note": "manual" } });
          return { engine, todos, cache: lib.openCache({ name }), models: lib.createModels(engine) };
        };
        globals.parts = open("this");
        globals.other = open("other");
        const { mount } = await load<{ mount: Mount }>(`/tests/${framework}.mjs`);
        await globals.parts.todos.list(); // all is loaded: the network may go
        await globals.other.todos.list();
        const root = document.body.appendChild(document.createElement("main"));
        globals.mounted = mount(globals.parts, root);
      },
      { framework, key: site.key },
    );

  const shows = (page: Page, id: string, value: unknown): Promise<unknown> =>
    page
      .waitForFunction(
        ({ id, value }) => document.getElementById(id)?.textContent === value,
        { id, value: value === undefined ? "-" : JSON.stringify(value) },
        { timeout: 15_000 },
      )
      .catch(async (error: unknown) => {
        throw new Error(`#${id} shows ${await page.textContent(`#${id}`)}, not ${JSON.stringify(value)}`, {
          cause: error,
        });
      });

  const settle = (page: Page): Promise<void> =>
    page.evaluate(async () => {
      for (let i = 0; i < 2; i++)
        for (const { engine, todos } of [globals.parts, globals.other]) {
          await engine.drain();
          await todos.pull();
        }
    });

  for (const framework of FRAMEWORKS) {
    test(`${framework}: components follow queue, documents, conflicts, cache and models`, async () => {
      const page = await browser.page(site.url);
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(String(error)));
      await openParts(page, framework);

      // Known at once or soon, without anybody changing anything.
      await shows(page, "cached", "lesson");
      await shows(page, "model", "balance");
      await shows(page, "one", undefined);
      await shows(page, "all", []);
      await shows(page, "letters", []);

      // The queue fills up while nobody answers, and empties when somebody does.
      await settle(page);
      site.weather = "down";
      await page.evaluate(async () => {
        await globals.parts.engine.queueEvent({ eventType: "first", moduleId: "test", eventData: {} });
        await globals.parts.engine.queueEvent({ eventType: "second", moduleId: "test", eventData: {} });
      });
      await shows(page, "pending", 2);
      await shows(page, "queue", ["first", "second"]);
      site.weather = "clear";
      await settle(page);
      await shows(page, "pending", 0);
      await shows(page, "queue", []);

      // A document that another device made, then one beside it; the component changes to that.
      await page.evaluate(() => globals.other.todos.put("one", { title: "theirs" }).then(() => undefined));
      await shows(page, "one", { title: "theirs" });
      await page.evaluate(() => globals.parts.todos.put("two", { title: "ours" }).then(() => undefined));
      await shows(page, "all", ["one", "two"]);
      await page.evaluate(() => globals.mounted.show("two"));
      await shows(page, "one", { title: "ours" });

      // Both sides write what only a person can decide.
      await settle(page);
      site.weather = "down";
      await page.evaluate(async () => {
        await globals.parts.todos.update("two", (todo) => ({ ...todo, note: "mine" }));
        await globals.other.todos.update("two", (todo) => ({ ...todo, note: "yours" }));
      });
      site.weather = "clear";
      await settle(page);
      await shows(page, "conflicts", ["/note"]);

      // What the server refuses is shown with its reason.
      await page.evaluate(async () => {
        const { synced } = await globals.parts.engine.queueEvent({
          eventType: "oas:document",
          eventData: { nonsense: true },
        });
        await synced;
      });
      const letters = (await page.textContent("#letters")) ?? "";
      assert.equal((JSON.parse(letters) as string[]).length, 1, letters);

      // Gone is gone: nothing is drawn, nothing is asked.
      const after = await page.evaluate(async () => {
        globals.mounted.unmount();
        await new Promise((resolve) => setTimeout(resolve, 50));
        const before = globals.mounted.drawn();
        await globals.parts.todos.put("two", { title: "later" });
        await globals.parts.engine.drain();
        await new Promise((resolve) => setTimeout(resolve, 50));
        return { more: globals.mounted.drawn() - before, shown: document.querySelectorAll("pre").length };
      });
      assert.deepEqual(after, { more: 0, shown: 0 });
      assert.deepEqual(errors, []);
      await page.close();
    });
  }
});
