import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Profile } from "../lib/browser.mjs";
import { at } from "../lib/run.mjs";
import { Server } from "../lib/server.mjs";

const drain_ms_max = 90_000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const fine = { online: true, latencyMs: 0, requestsLost: 0, repliesLost: 0, trouble: "none" };

/** The same day for both queues; after each hour `part` of the events are sent, and the weather stays for `ms`. */
const day = [
  { words: "fine weather", weather: {}, part: 0.1, ms: 500 },
  {
    words: "a bad line: a quarter of the requests and a third of the answers is lost",
    weather: { latencyMs: 20, requestsLost: 0.25, repliesLost: 0.34 },
    part: 0.4,
    ms: 8_000,
  },
  { words: "a captive portal answers everything", weather: { trouble: "captive" }, part: 0.1, ms: 3_000 },
  { words: "the server answers 500", weather: { trouble: "error" }, part: 0.1, ms: 1_500 },
  { words: "the credential has run out: 401", weather: { trouble: "unauthorized" }, part: 0.1, ms: 1_500 },
  { words: "no network", weather: { online: false }, part: 0.2, ms: 500 },
];

async function openRace(context, server) {
  const page = await context.newPage();
  await page.goto(`${server.url}/naive.html?seed=7`);
  await page.waitForFunction(() => globalThis.race && globalThis.engine.status.get().phase !== "starting");
  return page;
}

/** How often the server has applied each event of one way. */
function counted(items, type, sent) {
  const times = new Map();
  for (const { eventType, eventData, verdict } of items)
    if (eventType === type && verdict === "applied") times.set(eventData.n, (times.get(eventData.n) ?? 0) + 1);
  const all = [...times.values()];
  return {
    sent,
    applied: all.reduce((sum, count) => sum + count, 0),
    lost: sent - times.size,
    doubled: all.filter((count) => count > 1).length,
  };
}

async function scenario({ log, count, server, profile }) {
  const context = await profile.start();
  const first = await openRace(context, server);
  const device = await first.evaluate(() => globalThis.race.device);
  for (const { words, weather, part, ms } of day) {
    log(words);
    await first.evaluate(
      ({ weather, events }) => {
        globalThis.race.changeWeather(weather);
        return globalThis.race.send(events);
      },
      { weather: { ...fine, ...weather }, events: Math.round(count * part) },
    );
    await sleep(ms);
  }
  const waiting = await first.evaluate(() => [globalThis.race.waiting("naive"), globalThis.race.waiting("engine")]);
  log(`the renderer is killed while ${waiting[0]} wait in the naive queue and ${waiting[1]} in the engine`);
  const session = await context.newCDPSession(first);
  await Promise.race([session.send("Page.crash").catch(() => undefined), sleep(1_000)]);

  log("the page is opened again, in fine weather");
  const second = await openRace(context, server);
  const sent = await second.evaluate(() => globalThis.race.sent().count);
  const end = Date.now() + drain_ms_max;
  while (Date.now() < end) {
    const left = await second.evaluate(() => globalThis.race.waiting("naive") + globalThis.race.waiting("engine"));
    if (left === 0) break;
    await sleep(250);
  }
  const items = await server.history(device);
  return {
    naive: counted(items, "naive.event", sent),
    engine: counted(items, "engine.event", sent),
    waiting_when_killed: { naive: waiting[0], engine: waiting[1] },
  };
}

export const claim = {
  name: "demo.naive",
  title: "Under the same bad network a plain fetch queue loses and doubles events, and the engine does neither",
  bar: "real Chromium, counted at the server: naive lost > 0 and doubled > 0, engine lost 0 and doubled 0 of the same events",
  quickSeconds: 120,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-naive-"));
    const server = new Server(["--demo", at("dist/demo"), "--db", `sqlite:${join(folder, "demo.sqlite")}`]);
    const profile = new Profile();
    try {
      await server.start();
      const figures = await scenario({ log, count: quick ? 100 : 500, server, profile });
      const { naive, engine } = figures;
      const ok =
        naive.lost > 0 &&
        naive.doubled > 0 &&
        engine.sent === naive.sent &&
        engine.sent > 0 &&
        engine.applied === engine.sent &&
        engine.lost === 0 &&
        engine.doubled === 0;
      return { ok, scope: "the demo's page, one tab, its renderer killed once; losses from one seed", figures };
    } finally {
      await profile.remove();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
