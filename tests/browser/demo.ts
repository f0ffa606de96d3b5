/** The demo server as `npm run demo` starts it, on a database of its own; what its pages must not do. */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Page } from "playwright-core";

export interface AppliedEvent {
  readonly id: string;
  readonly eventType: string;
  readonly eventData: Readonly<Record<string, unknown>>;
  readonly verdict: string;
}

/** What must not happen on any page: uncaught errors, and breaches of the policy. The list grows as they do. */
export function troublesOf(page: Page): readonly string[] {
  const troubles: string[] = [];
  page.on("pageerror", (error) => troubles.push(String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy/.test(message.text())) troubles.push(message.text());
  });
  return troubles;
}

export class Demo {
  readonly #folder = mkdtempSync(join(tmpdir(), "oas-demo-"));
  #server: ChildProcess | undefined;
  readonly #site: string;
  url = "";
  #key = "";

  constructor(site = "dist/demo") {
    this.#site = site;
  }

  async start(): Promise<void> {
    const db = `sqlite:${join(this.#folder, "db.sqlite")}`;
    const args = ["dist/cli.js", "serve", "--demo", this.#site, "--port", "0", "--json", "--log", "error", "--db", db];
    const server = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#server = server;
    const line = await new Promise<string>((resolve, reject) => {
      if (server.stdout) createInterface({ input: server.stdout }).once("line", resolve);
      server.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const { url, key } = JSON.parse(line) as { url: string; key: string };
    this.url = url;
    this.#key = key;
  }

  async get(path: string): Promise<unknown> {
    const headers = { authorization: `Bearer ${this.#key}` };
    const response = await fetch(`${this.url}/api/offline-ai${path}`, { headers });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Everything the server has of one device, oldest first, edits of documents left out. */
  async history(device: string): Promise<readonly AppliedEvent[]> {
    const all: AppliedEvent[] = [];
    for (let cursor = ""; ; ) {
      const page = (await this.get(`/events/${device}/history?limit=500${cursor && `&cursor=${cursor}`}`)) as {
        readonly items: readonly AppliedEvent[];
        readonly nextCursor?: string | null;
      };
      all.push(...page.items);
      if (!page.nextCursor || page.items.length === 0) break;
      cursor = encodeURIComponent(page.nextCursor);
    }
    return all.filter(({ eventType }) => eventType !== "oas:document");
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#server?.once("exit", resolve));
    this.#server?.kill("SIGTERM");
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
