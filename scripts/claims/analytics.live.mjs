import { setTimeout as sleep } from "node:timers/promises";
import { AnalyticsSite, openTracker } from "../lib/analytics-site.mjs";
import { Profile } from "../lib/browser.mjs";

const p50_ms_max = 250;
const requests_max = 8;
const burst = 500;
const singles = { quick: 20, full: 100 };
const pause_ms = 100;

export const claim = {
  name: "analytics.live",
  title: "Online, a tracked event is at the server at once, and a burst costs few requests",
  bar: `tracked to stored p50 <= ${p50_ms_max} ms; ${burst} events in a burst <= ${requests_max} requests`,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    const site = await new AnalyticsSite().start();
    const profile = new Profile();
    try {
      const page = await openTracker(await profile.start(), site, "ours", "live");
      const count = quick ? singles.quick : singles.full;
      for (let n = 0; n < count; n++) {
        await page.evaluate((n) => globalThis.track(n), n);
        await sleep(pause_ms);
      }
      await arrive(site, count);
      const delays = [...site.delays].sort((a, b) => a - b);
      const before = site.pushes;
      await page.evaluate(([from, burst]) => globalThis.trackMany(from, burst), [count, burst]);
      await arrive(site, count + burst);
      const figures = {
        p50_ms: delays[delays.length >> 1],
        p95_ms: delays[Math.floor(delays.length * 0.95)],
        burst_requests: site.pushes - before,
      };
      log(JSON.stringify(figures));
      return {
        ok: figures.p50_ms <= p50_ms_max && figures.burst_requests <= requests_max,
        scope: `${count} single events ${pause_ms} ms apart, then ${burst} at once; real Chromium, embedded SQLite, loopback; durability \`durable\``,
        figures,
      };
    } finally {
      await profile.stop();
      await site.stop();
    }
  },
};

async function arrive(site, count) {
  for (const end = Date.now() + 20_000; site.arrived.ours.size < count; await sleep(20))
    if (Date.now() > end) throw new Error(`${site.arrived.ours.size} of ${count} events have arrived`);
}
