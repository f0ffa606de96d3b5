// One origin for pages that drive themselves: the built package under the strictest policy, the real sync server, and a mailbox for
// what pages find out. "Offline" is a server that hangs up: the browsers' own switches are not the same in all of them.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { pathToFileURL } from "node:url";
import { at } from "./run.mjs";

const policy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'; img-src 'self'";
const types = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".json": "application/json",
};
const page =
  '<!doctype html><meta charset="utf-8"><title>page</title><script type="module" src="/tests/plain-page.mjs"></script>';

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

export class BrowsersSite {
  #folder = mkdtempSync(join(tmpdir(), "oas-browsers-"));
  #sync;
  #http;
  #waiting = [];
  #mail = [];
  #visit = 0;
  /** Folders by the first part of the path; without one of these it is the built package's. */
  #folders;
  online = true;
  url;
  key;
  /** Contexts that pushed: page, worker. */
  pushedBy = [];

  constructor(folders) {
    this.#folders = { ...folders, tests: at("tests/browser") };
  }

  async start() {
    const { createSyncServer } = await import(pathToFileURL(at("dist/server.js")).href);
    this.#sync = await createSyncServer({ db: `sqlite:${join(this.#folder, "db.sqlite")}`, rateEventsPerMinute: 0 });
    this.key = await this.#sync.createApiKey(
      { tenant: "default", principal: "somebody" },
      { scopes: ["sync", "read"] },
    );
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch((error) => response.destroy(error));
    });
    await new Promise((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    this.url = `http://localhost:${this.#http.address().port}`;
    return this;
  }

  async stop() {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
    await this.#sync.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The address of the next page to be opened; what earlier ones still post is heard no more. */
  visit(step, more = []) {
    this.#mail = [];
    const query = new URLSearchParams([["step", step], ["visit", ++this.#visit], ["key", this.key], ...more]);
    return `${this.url}/page?${query}`;
  }

  /** What the page posts next. Rejects after `ms`, and with what a page says that it could not do. */
  async next(ms) {
    if (this.#mail.length === 0) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`the page says nothing for ${ms / 1000} s`)), ms);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
    const told = this.#mail.shift();
    if (told.failed) throw new Error(told.failed);
    return told;
  }

  /** What was posted and not asked for. */
  takeMail() {
    return this.#mail.splice(0);
  }

  /** Everything the server has applied of a device, in the order it came. */
  async history(deviceId) {
    const all = [];
    for (let cursor = ""; cursor !== undefined; ) {
      const query = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const response = await fetch(`${this.url}/api/offline-ai/events/${deviceId}/history?limit=500${query}`, {
        headers: { authorization: `Bearer ${this.key}` },
      });
      if (!response.ok) throw new Error(`history: ${response.status}`);
      const { items, nextCursor } = await response.json();
      all.push(...items);
      cursor = nextCursor ?? undefined;
    }
    return all;
  }

  async #answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.url);
    if (pathname.startsWith("/api/")) {
      if (!this.online) return request.socket.destroy();
      if (pathname.endsWith("/sync/push")) this.pushedBy.push(request.headers["oas-context"]);
      return this.#sync.handler(request, response);
    }
    if (pathname === "/told") {
      const told = JSON.parse(await bodyOf(request));
      if (Number(searchParams.get("visit")) === this.#visit) {
        this.#mail.push(told);
        this.#waiting.shift()?.();
      }
      return response.writeHead(204).end();
    }
    if (pathname === "/network") {
      this.online = (await bodyOf(request)) === "on";
      return response.writeHead(204).end();
    }
    response.setHeader("content-security-policy", policy);
    response.setHeader("cache-control", "no-cache");
    if (pathname === "/page") return response.setHeader("content-type", "text/html").end(page);
    const [, first, rest] = /^\/(\w+)\/(.*)$/.exec(pathname) ?? [];
    const folder = this.#folders[first];
    const file = folder ? join(folder, normalize(`/${rest}`)) : at("dist", normalize(pathname));
    try {
      const bytes = readFileSync(file);
      response.setHeader("content-type", types[extname(pathname)] ?? "application/octet-stream").end(bytes);
    } catch {
      response.writeHead(404).end();
    }
  }
}
