// The site of the analytics proofs: our sync server with a handler that notes what came, and sinks for the others.

import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { bundlePage, sendFile } from "./race-page.mjs";
import { at } from "./run.mjs";

export class AnalyticsSite {
  #folder = mkdtempSync(join(tmpdir(), "oas-analytics-"));
  #http;
  #sync;
  url;
  key;
  /** What arrived, per contender: number -> how often. */
  arrived = { ours: new Map(), segment: new Map(), posthog: new Map() };
  /** Of ours: milliseconds from the call to the handler that stores it. */
  delays = [];
  pushes = 0;

  async start() {
    await bundlePage("tests/bench/analytics/page.mjs", join(this.#folder, "page"));
    const { createSyncServer } = await import(pathToFileURL(at("dist/server.js")).href);
    const db = `sqlite:${join(this.#folder, "sync.sqlite")}`;
    this.#sync = await createSyncServer({ db, rateEventsPerMinute: 0 });
    this.#sync.on("*", ({ eventData }) => {
      const { n, at: made } = eventData.properties;
      this.#note("ours", n);
      this.delays.push(Date.now() - made);
    });
    this.key = await this.#sync.createApiKey({ tenant: "default", principal: "visitor" }, { scopes: ["sync"] });
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((error) => response.writeHead(500).end(String(error.message)));
    });
    await new Promise((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.#http.address().port}`;
    return this;
  }

  #note(id, n) {
    this.arrived[id].set(n, (this.arrived[id].get(n) ?? 0) + 1);
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.url);
    if (pathname.startsWith("/api/offline-ai/")) {
      if (pathname.endsWith("/sync/push")) this.pushes++;
      return this.#sync.handler(request, response);
    }
    const sink = /^\/(segment|posthog)\//.exec(pathname)?.[1];
    if (sink) {
      const parts = [];
      for await (const part of request) parts.push(part);
      this.#take(sink, Buffer.concat(parts).toString());
      return response.writeHead(200, { "content-type": "application/json" }).end('{"status":1,"success":true}');
    }
    if (pathname === "/")
      return response
        .writeHead(200, { "content-type": "text/html" })
        .end('<!doctype html><meta charset="utf-8"><script type="module" src="/page/page.js"></script>');
    if (!sendFile(response, pathname, "page", join(this.#folder, "page"))) response.writeHead(404).end();
  }

  // Segment sends one event or { batch }, PostHog a list, one event, or `data=` with either.
  #take(sink, text) {
    let value;
    try {
      value = JSON.parse(text.startsWith("data=") ? decodeURIComponent(text.slice(5)) : text);
    } catch {
      return; // not an event
    }
    const list = Array.isArray(value) ? value : (value.batch ?? [value]);
    for (const event of list) if (event?.event === "n") this.#note(sink, event.properties.n);
  }

  async stop() {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
    await this.#sync.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

export async function openTracker(context, site, id, name) {
  const page = await context.newPage();
  await page.goto(site.url);
  await page.waitForFunction(() => globalThis.ready === true);
  await page.evaluate(([id, key, name]) => globalThis.begin(id, key, name), [id, site.key, name]);
  return page;
}
