// At a server: every entry may be imported, and components are rendered from what is known before anything has loaded.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { type ComponentType, createElement } from "react";
import { renderToString as renderReact } from "react-dom/server";
import { type Component, createSSRApp } from "vue";
import { renderToString as renderVue } from "vue/server-renderer";
import { bundlePages, type Framework } from "../browser/bindings/bundle.ts";

const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as { exports: Record<string, object | string> };
const entries = Object.keys(exports)
  // Made for servers; its packages may look around.
  .filter((name) => name !== "./server")
  .filter((name) => typeof exports[name] === "object")
  .map((name) => name.replace(/^\./, "offline-ai-sync"));

/** What the framework does when it is imported is its own affair: it has been by then. */
const others: Readonly<Record<string, string>> = { vue: "vue", react: "react", svelte: "svelte/store" };

// Everything a page has and a server has not; looking at any of it is an error.
const guard = `
  for (const name of ["window", "document", "navigator", "location", "indexedDB", "localStorage", "caches", "self"])
    Object.defineProperty(globalThis, name, { get() { throw new Error("touched " + name); }, configurable: true });
  globalThis.fetch = () => { throw new Error("touched fetch"); };
`;

describe("at a server", () => {
  test("importing an entry touches nothing and keeps nothing running", () => {
    assert.ok(entries.length >= 15, `${entries}`);
    // The worker's entries look at \`self\` to learn whether they are the worker's script, which a server may have.
    for (const entry of entries) {
      const own = /\/sw/.test(entry) ? guard.replace(', "self"', "") : guard;
      const other = others[entry.split("/").pop() ?? ""];
      const first = other === undefined ? "" : `await import("${other}");`;
      execFileSync(process.execPath, ["--input-type=module", "-e", `${first} ${own} await import("${entry}");`], {
        timeout: 20_000,
        stdio: ["ignore", "ignore", "pipe"],
      });
    }
  });

  test("an engine opened in Node finds its own files, says that nothing is kept, and syncs", () => {
    const program = `
      import { createServer } from "node:http";
      import { createSyncServer } from "offline-ai-sync/server";
      import { open } from "offline-ai-sync";
      const sync = await createSyncServer({ db: "sqlite::memory:" });
      const key = await sync.createApiKey({ tenant: "default", principal: "node" });
      const http = createServer(sync.handler).listen(0, "127.0.0.1", async () => {
        const url = "http://127.0.0.1:" + http.address().port + "/api/offline-ai";
        const engine = open({ name: "node", url, auth: () => key });
        const receipt = await engine.queueEvent({ eventType: "n", moduleId: "test", eventData: {} });
        const { kind } = await receipt.synced;
        await engine.close();
        console.log(receipt.durability, kind);
        process.exit();
      });
    `;
    const said = execFileSync(process.execPath, ["--input-type=module", "-e", program], { timeout: 30_000 });
    assert.equal(said.toString().trim(), "memory applied");
  });

  describe("components", () => {
    // Below the checkout, so that the frameworks are found.
    const folder = mkdtempSync("build/js/ssr-");
    before(() => bundlePages(folder, "node"));
    after(() => rmSync(folder, { recursive: true, force: true }));

    const load = async (framework: Framework): Promise<{ App: unknown }> =>
      import(pathToFileURL(join(folder, `${framework}.mjs`)).href);
    const loadEngine = async () => {
      const { open } = await import("offline-ai-sync");
      return open({ name: "server", url: "/api/offline-ai", drains: false, register: false });
    };
    const texts = (html: string): string[] =>
      [...html.matchAll(/<pre id="(\w+)">(?:<!--.*?-->)*([^<]*)/g)].map(([, , text]) => text ?? "");
    const FIRST = ["0", ...Array<string>(7).fill("-")];

    const render: Record<Framework, (app: never, props: object) => Promise<string>> = {
      react: async (app: ComponentType<object>, props) => renderReact(createElement(app, props)),
      vue: (app: Component, props) => renderVue(createSSRApp(app, { parts: props })),
      svelte: async (app, props) => {
        const { render: renderSvelte } = await import("svelte/server");
        return renderSvelte(app, { props: { parts: props } } as never).body;
      },
    };
    for (const framework of ["react", "vue", "svelte"] as const) {
      test(`${framework}: the same first picture, with an engine and without`, async () => {
        const { App } = await load(framework);
        assert.deepEqual(texts(await render[framework](App as never, {})), FIRST);
        const engine = await loadEngine();
        assert.deepEqual(texts(await render[framework](App as never, { engine })), FIRST);
        await engine.close();
      });
    }
  });
});
