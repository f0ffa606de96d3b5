// Where the compiled modules come from: beside the package, an address, bytes, a module, or inside the script itself.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Page } from "playwright-core";
import type { OpenOptions } from "../../js-glue/browser/client.ts";
import type { openCache } from "../../js-glue/cache/index.ts";
import type { withDocuments } from "../../js-glue/documents/index.ts";
import type { createModels } from "../../js-glue/models/index.ts";
import { Browser, chromiumPath } from "./chromium.ts";
import type { PageGlobals } from "./page-types.ts";
import { Site } from "./site.ts";

type Inline = PageGlobals["lib"] & { readonly wasmModule: () => Promise<WebAssembly.Module> };
type OverridePage = PageGlobals & {
  files: { bytes(name: string): Promise<ArrayBuffer>; module(name: string): Promise<WebAssembly.Module> };
  load<T>(path: string): Promise<T>;
};
declare const globals: OverridePage; // the page's own, inside `evaluate`

describe("where the modules come from", { skip: chromiumPath() ? false : "there is no Chromium" }, () => {
  const site = new Site("dist");
  const browser = new Browser();
  let names = 0;
  before(() => Promise.all([site.start(), browser.start()]));
  after(async () => {
    await browser.stop();
    await site.stop();
  });

  /** A page, and the .wasm files it has asked for. */
  async function fresh(prepare?: (page: Page) => Promise<unknown>): Promise<{ page: Page; asked: string[] }> {
    const page = await browser.context.newPage();
    await prepare?.(page);
    const asked: string[] = [];
    page.on("request", (request) => {
      const { pathname } = new URL(request.url());
      if (pathname.endsWith(".wasm")) asked.push(pathname);
    });
    await page.goto(site.url);
    await page.waitForFunction("globalThis.ready === true");
    await page.evaluate(() => {
      globals.load = (path) => import(path);
      globals.files = {
        bytes: async (name) => (await fetch(`/files/${name}`)).arrayBuffer(),
        module: async (name) => WebAssembly.compile(await globals.files.bytes(name)),
      };
    });
    return { page, asked };
  }

  /** One event through an engine opened with what `how` says, made in the page. */
  const syncWith = (page: Page, how: string): Promise<string> =>
    page.evaluate(
      async ({ how, name, key }) => {
        const options: OpenOptions = { name, url: "/api/offline-ai", auth: () => key };
        const { files } = globals;
        const given: Record<string, () => Promise<Partial<OpenOptions>>> = {
          nothing: async () => ({}),
          wasmUrl: async () => ({ wasmUrl: "/files/core.wasm" }),
          wasmBinary: async () => ({ wasmBinary: await files.bytes("core.wasm") }),
          wasmModule: async () => ({ wasmModule: await files.module("core.wasm") }),
          "a function": async () => ({ wasmModule: () => files.module("core-base.wasm") }),
          inline: async () => ({}),
        };
        const { open } = how === "inline" ? await globals.load<Inline>("/lib/inline.js") : globals.lib;
        const engine = open({ ...options, ...(await given[how]?.()) });
        const receipt = await engine.queueEvent({ eventType: "override", moduleId: "test", eventData: { how } });
        const { kind } = await receipt.synced;
        await engine.close();
        return kind;
      },
      { how, name: `override-${names++}`, key: site.key },
    );

  const cases: readonly [how: string, asked: readonly string[]][] = [
    ["nothing", ["/lib/core.wasm"]],
    ["wasmUrl", ["/files/core.wasm"]],
    ["wasmBinary", ["/files/core.wasm"]],
    ["wasmModule", ["/files/core.wasm"]],
    ["a function", ["/files/core-base.wasm"]],
    ["inline", []],
  ];
  for (const [how, expected] of cases)
    test(`core: ${how}`, async () => {
      const { page, asked } = await fresh(atFiles);
      assert.equal(await syncWith(page, how), "applied");
      assert.deepEqual(asked, expected);
      await page.close();
    });

  test("without SIMD the baseline builds are asked for, beside the package and at an address", async () => {
    const { page, asked } = await fresh(async (page) => {
      await atFiles(page);
      await page.addInitScript(() => {
        WebAssembly.validate = () => false;
      });
    });
    assert.equal(await syncWith(page, "nothing"), "applied");
    assert.equal(await syncWith(page, "wasmUrl"), "applied");
    assert.deepEqual(asked, ["/lib/core-base.wasm", "/files/core-base.wasm"]);
    await page.close();
  });

  test("documents, models and cache take theirs", async () => {
    const { page, asked } = await fresh(atFiles);
    const done = await page.evaluate(
      async ({ name, key }) => {
        const { files, load } = globals;
        const inline = await load<Inline>("/lib/inline.js");
        const documents = await load<{ withDocuments: typeof withDocuments }>("/lib/documents.js");
        const models = await load<{ createModels: typeof createModels }>("/lib/models.js");
        const cache = await load<{ openCache: typeof openCache }>("/lib/cache.js");
        const open = (more: string) => inline.open({ name: name + more, url: "/api/offline-ai", auth: () => key });
        const ways = [
          { wasmUrl: "/files/documents.wasm" },
          { wasmBinary: await files.bytes("documents.wasm") },
          { wasmModule: () => files.module("documents-base.wasm") },
        ];
        const values: unknown[] = [];
        for (const [i, way] of ways.entries()) {
          const engine = documents.withDocuments(open(String(i)), way);
          await engine.collection("override").put(`d${i}`, { i });
          values.push(await engine.collection("override").get(`d${i}`));
          await engine.close();
        }
        const engine = open("models");
        for (const kernels of [
          { kernelUrl: "/files/infer.wasm" },
          { kernelBinary: await files.module("infer.wasm") },
        ]) {
          const made = models.createModels(engine, kernels);
          const { predictions } = await made.predict("intent", "what is my balance", { top: 1 });
          values.push(predictions[0]?.label);
          await made.models.close();
        }
        const content = await cache.openCache({ name, wasmModule: inline.wasmModule });
        await content.cacheContent({ contentType: "t", contentId: "1", contentData: "kept" });
        values.push(await content.cachedContent("t", "1"));
        return values;
      },
      { name: `override-${names++}`, key: site.key },
    );
    assert.deepEqual(done, [{ i: 0 }, { i: 1 }, { i: 2 }, "balance", "balance", "kept"]);
    assert.deepEqual(
      asked.filter((path) => !path.startsWith("/files/")),
      [],
      "nothing was fetched from beside the package",
    );
    await page.close();
  });

  test("a server that names no type for .wasm does no harm", async () => {
    const { page } = await fresh((page) =>
      page.route("**/lib/core.wasm", async (route) => {
        const response = await route.fetch();
        await route.fulfill({ response, headers: { ...response.headers(), "content-type": "text/plain" } });
      }),
    );
    assert.equal(await syncWith(page, "nothing"), "applied");
    await page.close();
  });
});

/** The package's files at an address of the application's. */
const atFiles = (page: Page): Promise<unknown> =>
  page.route("**/files/*", async (route) => {
    const { pathname, origin } = new URL(route.request().url());
    await route.fulfill({ response: await route.fetch({ url: origin + pathname.replace("/files/", "/lib/") }) });
  });
