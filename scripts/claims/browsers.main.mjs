import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BrowsersSite } from "../lib/browsers-site.mjs";
import { buildPreset, nativeProgram } from "../lib/native.mjs";
import { names, PlainBrowser } from "../lib/plain-browser.mjs";
import { bundlePage } from "../lib/race-page.mjs";
import { at, capture } from "../lib/run.mjs";

const answer_ms_max = 60_000;
const vectors = at("tests/golden/vectors");

/** What a page of one browser must come to, step by step; gives figures, throws at the first thing that is not so. */
class Tour {
  #browser;
  #site;
  constructor(browser, site) {
    this.#browser = browser;
    this.#site = site;
  }

  /** The browser, started anew on its profile: what the page tells first. */
  async #visit(step, more = []) {
    await this.#browser.kill();
    await this.#browser.open(this.#site.visit(step, more));
    return this.#site.next(answer_ms_max);
  }

  /** Offline; killed while it queues; opened again with a network. */
  async queue(count, kills) {
    const figures = { acknowledged: 0, applied: 0, lost: 0, doubled: 0, disordered: 0 };
    this.#site.online = false;
    const told = await this.#visit("queue", [["count", count]]);
    if (told.durability !== "strict" || told.storage !== "ok") throw new Error(`stored as ${JSON.stringify(told)}`);
    let stored = told.stored;
    while (stored < count + kills) ({ stored } = await this.#site.next(answer_ms_max));
    await this.#browser.kill();
    for (const mail of this.#site.takeMail()) stored = Math.max(stored, mail.stored);
    figures.acknowledged = stored;
    this.#site.online = true;
    const { deviceId, pending, drainedMs } = await this.#visit("resume");
    const numbers = (await this.#site.history(deviceId)).map(({ eventData }) => eventData.n);
    const applied = new Set(numbers);
    figures.applied = applied.size;
    figures.doubled = numbers.length - applied.size;
    for (let n = 0; n < stored; n++) figures.lost += applied.has(n) ? 0 : 1;
    numbers.forEach((n, i) => {
      figures.disordered += i > 0 && n < numbers[i - 1] ? 1 : 0;
    });
    figures.drained_ms = Math.round(drainedMs);
    if (pending !== 0) throw new Error(`${pending} events are left`);
    return figures;
  }

  async worker() {
    this.#site.pushedBy.length = 0;
    const told = await this.#visit("worker");
    return told.drained && told.kind === "applied" && this.#site.pushedBy.includes("worker");
  }

  async documents() {
    const { document } = await this.#visit("documents");
    return document === JSON.stringify({ title: "new", count: 7, note: "kept" });
  }

  async cache() {
    const { sealed } = await this.#visit("cache", [["fill", ""]]);
    const { read } = await this.#visit("cache");
    return sealed === true && read?.title === "Rain";
  }

  async models() {
    const { label } = await this.#visit("models");
    return typeof label === "string" ? label : false;
  }

  /** How many cases hold, all of them. */
  async store() {
    const { cases, failed_ones } = await this.#visit("store");
    for (const { name, error } of failed_ones) throw new Error(`${name}: ${error}`);
    return cases;
  }

  async golden(expected) {
    const names = readdirSync(vectors).map((name) => ["vectors", name]);
    const { code, lines } = await this.#visit("golden", names);
    return code === 0 && lines.join("\n") === expected.trim();
  }
}

export const claim = {
  name: "browsers.main",
  title: "The main job and what stands on it in Chromium, Firefox and WebKit",
  bar: "each browser, no driver, no flags: events queued strictly without a network, browser killed while it queues, opened again: lost 0, doubled 0, order kept; the Service Worker sends when asked; two devices' edits merge, and one is told of the other's; a sealed item outlives the browser; one answer of a model; every case of a store holds on its IndexedDB; golden vectors as native",
  needs: ["build", "browsers"],
  quickSeconds: 180,
  async run({ quick, log }) {
    const [count, kills] = quick ? [500, 20] : [5_000, 200];
    const expected = capture(await nativeProgram("golden"), ["check", vectors]).stdout;
    const bundled = mkdtempSync(join(tmpdir(), "oas-store-"));
    await bundlePage("tests/browser/store.main.ts", bundled);
    const folders = { store: bundled, golden: await buildPreset("wasm", ["golden-web"]), vectors };
    const figures = {};
    let ok = true;
    for (const name of names) {
      const site = await new BrowsersSite(folders).start();
      const browser = new PlainBrowser(name);
      try {
        const tour = new Tour(browser, site);
        const queue = await tour.queue(count, kills);
        const rest = { golden: await tour.golden(expected) };
        for (const step of ["worker", "documents", "cache", "models", "store"]) rest[step] = await tour[step]();
        figures[name] = { ...queue, ...rest };
        ok &&= queue.lost + queue.doubled + queue.disordered === 0 && Object.values(rest).every(Boolean);
      } catch (error) {
        figures[name] = { error: error.message };
        ok = false;
      } finally {
        await browser.remove();
        await site.stop();
      }
      log(`${name.padEnd(8)} ${JSON.stringify(figures[name])}`);
    }
    rmSync(bundled, { recursive: true });
    const labels = new Set(Object.values(figures).map(({ models }) => models));
    return {
      ok: ok && labels.size === 1,
      scope: `${count} events at once and then one by one, killed after ${kills} of them; Firefox ESR and WebKitGTK's MiniBrowser as Debian has them; WebKitGTK is Safari's engine, not Safari`,
      figures,
    };
  },
};
