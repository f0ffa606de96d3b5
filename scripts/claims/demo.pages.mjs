import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Profile } from "../lib/browser.mjs";
import { keepShot, pages, tour } from "../lib/demo-tour.mjs";
import { Lighthouse } from "../lib/lighthouse.mjs";
import { at } from "../lib/run.mjs";
import { Server } from "../lib/server.mjs";

const score_min = 95;
const events = 1_000;
const narrow = { width: 400, height: 900 };
const wide = { width: 1_400, height: 1_000 };

/** What axe calls serious or critical, in light and dark; and whether a narrow page scrolls sideways. */
async function inspect(context, url, log) {
  const { AxeBuilder } = await import("@axe-core/playwright");
  const serious = [];
  const sideways = [];
  for (const colorScheme of ["light", "dark"])
    for (const path of pages) {
      const page = await context.newPage();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(wide);
      await page.goto(url + path);
      await page.waitForTimeout(1_500); // engines and documents have come up; a stream of pokes is never idle
      const name = `${path.replace(/\W+/g, "-").replace(/^-|-$/g, "") || "index"}-${colorScheme}`;
      await keepShot(page, name);
      const { violations } = await new AxeBuilder({ page }).analyze();
      for (const { id, impact, nodes } of violations)
        if (impact === "serious" || impact === "critical") serious.push(`${name} ${id}: ${nodes[0]?.html}`);
      await page.setViewportSize(narrow);
      await page.waitForTimeout(300);
      await keepShot(page, `${name}-narrow`);
      if (await page.evaluate(() => document.documentElement.scrollWidth > innerWidth)) sideways.push(name);
      await page.close();
    }
  for (const found of [...serious, ...sideways]) log(found);
  return { serious: serious.length, sideways: sideways.length };
}

/** Long tasks of the page, devtools and all, from the first of the calls until all of them are stored. */
async function longTasks(context, url) {
  const page = await context.newPage();
  await page.goto(`${url}/device.html?device=busy`);
  await page.waitForSelector("#tools [role=tab]");
  await page.waitForTimeout(2_000);
  const durations = await page.evaluate(async (events) => {
    const seen = [];
    const observer = new PerformanceObserver((list) => seen.push(...list.getEntries().map(({ duration }) => duration)));
    observer.observe({ type: "longtask" });
    const calls = Array.from({ length: events }, (_, i) =>
      globalThis.engine.queueEvent({ eventType: "page.view", moduleId: "shop", eventData: { page: `/p/${i}`, i } }),
    );
    await Promise.all(calls);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    observer.disconnect();
    return seen;
  }, events);
  await page.close();
  return durations;
}

async function scores(url, quick, log) {
  const lighthouse = new Lighthouse();
  try {
    await lighthouse.install();
    const found = {};
    for (const path of quick ? ["/"] : pages) {
      const { costly, ...score } = lighthouse.measure(url + path, "desktop");
      log(`Lighthouse ${path} ${JSON.stringify(score)} ${costly.join("; ")}`);
      found[path] = score;
    }
    return found;
  } finally {
    lighthouse.remove();
  }
}

export const claim = {
  name: "demo.pages",
  title:
    "The demo's pages and every panel of the devtools work, are accessible, and look without slowing down what they look at",
  bar: `real Chromium: all panels do what they say; axe finds nothing serious in light and dark; nothing scrolls sideways at 400 px; 0 tasks above 50 ms while ${events} events queue; Lighthouse (desktop) performance and accessibility >= ${score_min} on every page (quick: the first)`,
  quickSeconds: 240,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-pages-"));
    const server = new Server(["--demo", at("dist/demo"), "--db", `sqlite:${join(folder, "demo.sqlite")}`]);
    const profile = new Profile();
    try {
      await server.start();
      const context = await profile.start();
      const errors = [];
      context.on("weberror", (error) => errors.push(String(error.error())));
      const page = await context.newPage();
      await page.setViewportSize(wide);
      const panels = await tour(page, server.url, log);
      await page.close();
      const tasks = await longTasks(context, server.url);
      const look = await inspect(context, server.url, log);
      await profile.stop();
      const lighthouse = await scores(server.url, quick, log);
      for (const error of errors) log(error);
      const scored = Object.values(lighthouse).flatMap(({ performance, accessibility }) => [
        performance,
        accessibility,
      ]);
      return {
        ok:
          errors.length === 0 &&
          tasks.length === 0 &&
          look.serious === 0 &&
          look.sideways === 0 &&
          scored.every((score) => score >= score_min),
        scope: "the built demo on loopback, screenshots in build/screenshots",
        figures: { panels: panels.length, errors: errors.length, long_tasks_ms: tasks, ...look, lighthouse },
      };
    } finally {
      await profile.remove();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
