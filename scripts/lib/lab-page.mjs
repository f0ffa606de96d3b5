// A bare page around the built package, served by the real server under its strict policy, for proofs about the client.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { at } from "./run.mjs";
import { Server } from "./server.mjs";

const page = `<!doctype html><meta charset="utf-8"><title>lab</title><script type="module" src="/page.js"></script>`;
// What a proof needs to know about the page is collected in the page, from its first line on.
const script = `
globalThis.violations = [];
addEventListener("securitypolicyviolation", (event) => violations.push(event.violatedDirective + " " + event.blockedURI));
const { open } = await import("/lib/index.js");
globalThis.open_engine = open;
globalThis.ready = true;
`;

export class Lab {
  #folder = mkdtempSync(join(tmpdir(), "oas-lab-"));
  server;

  constructor() {
    const site = join(this.#folder, "site");
    mkdirSync(join(site, "lib"), { recursive: true });
    for (const name of readdirSync(at("dist"))) {
      if (!/\.(js|mjs|wasm)$/.test(name)) continue;
      cpSync(at("dist", name), join(site, "lib", name));
      // A worker's reach is its folder, and the core lies beside it.
      if (/^(sw\.|core)/.test(name)) cpSync(at("dist", name), join(site, name));
    }
    writeFileSync(join(site, "index.html"), page);
    writeFileSync(join(site, "page.js"), script);
    this.server = new Server(["--static", site, "--db", `sqlite:${join(this.#folder, "lab.sqlite")}`]);
  }

  get site() {
    return join(this.#folder, "site");
  }

  start() {
    return this.server.start();
  }

  async open(context, url = `${this.server.url}/index.html`) {
    const tab = await context.newPage();
    await tab.goto(url);
    await tab.waitForFunction(() => globalThis.ready === true);
    return tab;
  }

  async stop() {
    await this.server.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
