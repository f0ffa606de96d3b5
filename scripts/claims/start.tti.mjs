import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Profile } from "../lib/browser.mjs";
import { at } from "../lib/run.mjs";
import { Server } from "../lib/server.mjs";

const ratio_max = 0.4;
// What DevTools calls "Slow 3G" (its preset, as it reaches the browser): 400 kbit/s less a fifth, 400 ms five times over.
const slow_3g = { offline: false, downloadThroughput: 50_000 * 0.8, uploadThroughput: 50_000 * 0.8, latency: 2_000 };

/** Milliseconds from the navigation until goods and cart are shown and answer to clicks, on the throttled network. */
async function startOf(context, url) {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", slow_3g);
  await page.goto(url, { waitUntil: "commit", timeout: 60_000 });
  await page.waitForFunction(() => performance.getEntriesByName("interactive").length > 0, undefined, {
    timeout: 60_000,
  });
  const { ms, goods } = await page.evaluate(() => ({
    ms: performance.getEntriesByName("interactive")[0].startTime,
    goods: document.querySelectorAll("#goods button").length,
  }));
  if (goods === 0) throw new Error(`${url} says it is interactive and shows nothing`);
  await page.close();
  return ms;
}

async function firstVisit(context, url, worker) {
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => performance.getEntriesByName("interactive").length > 0);
  if (worker) await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  await page.close();
}

const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

export const claim = {
  name: "start.tti",
  title: "On its second visit over a slow network the shop can be used long before the same shop without the engine",
  bar: `real Chromium, Slow 3G (latency 2,000 ms, 40 kB/s): median time to interactive of second visits <= ${ratio_max} times that of the same shop with plain fetch`,
  quickSeconds: 120,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-tti-"));
    const server = new Server(["--demo", at("dist/demo"), "--db", `sqlite:${join(folder, "demo.sqlite")}`]);
    const profile = new Profile();
    try {
      await server.start();
      const context = await profile.start();
      const urls = { engine: `${server.url}/examples/shop/`, plain: `${server.url}/examples/shop-plain/` };
      await firstVisit(context, urls.engine, true);
      await firstVisit(context, urls.plain, false);
      const times = { engine: [], plain: [] };
      for (let visit = 0; visit < (quick ? 3 : 9); visit++)
        for (const way of ["engine", "plain"]) times[way].push(await startOf(context, urls[way]));
      log(`engine ${times.engine.map(Math.round).join(", ")} ms; plain ${times.plain.map(Math.round).join(", ")} ms`);
      const [engine, plain] = [median(times.engine), median(times.plain)];
      return {
        ok: engine <= ratio_max * plain,
        scope:
          "shop example beside its twin: same page, style, goods and server; HTTP cache and Service Worker as after one visit",
        figures: {
          ratio: Number((engine / plain).toFixed(3)),
          engine_ms: Math.round(engine),
          plain_ms: Math.round(plain),
        },
      };
    } finally {
      await profile.remove();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
