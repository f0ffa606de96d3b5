import { setTimeout as sleep } from "node:timers/promises";
import { AnalyticsSite, openTracker } from "../lib/analytics-site.mjs";
import { Profile } from "../lib/browser.mjs";

const events = 100;
const wait_ms = 1_000;
const arrive_ms = 15_000;

/** Online, everything arrives: whoever loses events below does so offline, not by our sink. */
async function control(site, id) {
  const profile = new Profile();
  try {
    const page = await openTracker(await profile.start(), site, id, `control-${id}`);
    await page.evaluate((count) => globalThis.trackMany(1_000, count), events);
    for (const end = Date.now() + arrive_ms; Date.now() < end && site.arrived[id].size < events; ) await sleep(200);
    const arrived = site.arrived[id].size;
    site.arrived[id].clear();
    return arrived;
  } finally {
    await profile.stop();
  }
}

/** Tracks offline, kills the renderer, starts the browser again, online: how many arrive, and how many twice. */
async function survive(site, id) {
  const profile = new Profile();
  try {
    const context = await profile.start();
    const page = await openTracker(context, site, id, `kill-${id}`);
    await context.setOffline(true);
    await page.evaluate((count) => void globalThis.trackMany(0, count), events);
    await sleep(wait_ms);
    const devtools = await context.newCDPSession(page);
    await Promise.race([devtools.send("Page.crash").catch(() => undefined), sleep(1_000)]); // it answers by dying
    await profile.kill();
    await openTracker(await profile.start(), site, id, `kill-${id}`);
    for (const end = Date.now() + arrive_ms; Date.now() < end && site.arrived[id].size < events; ) await sleep(200);
    await sleep(1_000); // a second copy would come now
    const counts = [...site.arrived[id].values()];
    return { arrived: counts.length, twice: counts.filter((count) => count > 1).length };
  } finally {
    await profile.stop();
  }
}

export const claim = {
  name: "analytics.durable",
  title: "Events tracked offline survive the death of the page",
  bar: `renderer killed ${wait_ms / 1_000} s after ${events} tracked events offline: ours ${events} of ${events} arrive, each once; Segment and PostHog at their defaults are printed beside it`,
  needs: ["build", "browser"],
  async run({ log }) {
    const site = await new AnalyticsSite().start();
    try {
      const figures = {};
      for (const id of ["ours", "segment", "posthog"]) {
        const online = await control(site, id);
        figures[id] = { online, ...(await survive(site, id)) };
        log(
          `${id}: online ${online}, after the kill ${figures[id].arrived} of ${events} arrived, ${figures[id].twice} twice`,
        );
      }
      return {
        ok:
          Object.values(figures).every(({ online }) => online === events) &&
          figures.ours.arrived === events &&
          figures.ours.twice === 0,
        scope: `fresh profile each, embedded SQLite, loopback; after the renderer the browser is started anew on its profile, ${arrive_ms / 1_000} s to arrive`,
        figures,
      };
    } finally {
      await site.stop();
    }
  },
};
