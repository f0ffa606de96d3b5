import { Profile } from "../lib/browser.mjs";
import { Lab } from "../lib/lab-page.mjs";

const applied_ms_max = 1_000;

/** In the page, without a network: many unimportant events, then one that matters. */
async function fill(count) {
  const engine = globalThis.open_engine({ name: "priority", url: "/api/offline-ai" });
  const { deviceId } = await engine.registerDevice();
  globalThis.came_back = new Promise((resolve) =>
    addEventListener("online", () => resolve(performance.now()), { once: true }),
  );
  globalThis.fill_events = async () => {
    const batch = 500;
    for (let from = 0; from < count; from += batch) {
      await Promise.all(
        Array.from({ length: batch }, (_, i) =>
          engine.queueEvent({
            eventType: "tick",
            moduleId: "lab",
            eventData: { n: from + i },
            priority: "low",
            entity: `e/${(from + i) % 50}`,
          }),
        ),
      );
    }
    const urgent = await engine.queueEvent({
      eventType: "alarm",
      moduleId: "lab",
      eventData: { n: count },
      priority: "critical",
    });
    globalThis.settled = urgent.synced.then(() => performance.now());
    return urgent.id;
  };
  return deviceId;
}

export const claim = {
  name: "queue.priority",
  title: "An urgent event goes first, whatever waits before it",
  bar: "real Chromium: 10,000 low events queued offline, then one critical: in the first request after reconnecting, applied in < 1 s; entity order kept",
  quickSeconds: 120,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    const count = quick ? 5_000 : 10_000;
    const lab = new Lab();
    const profile = new Profile();
    try {
      await lab.start();
      const context = await profile.start();
      const page = await lab.open(context);
      const deviceId = await page.evaluate(fill, count);
      await context.setOffline(true);
      log(`${count} low events without a network, then one critical`);
      const urgent = await page.evaluate(() => globalThis.fill_events());
      await context.setOffline(false);
      const applied_ms = await page.evaluate(async () => (await globalThis.settled) - (await globalThis.came_back));
      log("waiting for the rest");
      let history = [];
      for (let tries = 0; tries < 120 && history.length < count + 1; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        history = await lab.server.history(deviceId);
      }
      const last = new Map();
      let disorder = 0;
      for (const { entity, eventData } of history) {
        if (!entity) continue;
        if (eventData.n < (last.get(entity) ?? -1)) disorder++;
        last.set(entity, eventData.n);
      }
      const first_push = lab.server.log.find(({ msg, applied }) => msg === "push" && applied > 0);
      const place = history.findIndex(({ id }) => id === urgent);
      const in_first_request = place >= 0 && place < (first_push?.applied ?? 0);
      return {
        ok: in_first_request && applied_ms < applied_ms_max && disorder === 0 && history.length === count + 1,
        scope:
          "one page, the network switched off and on by the browser, embedded SQLite, loopback; from the online event to the stored verdict in the page",
        figures: {
          queued: count + 1,
          on_server: history.length,
          place_of_the_urgent_one: place + 1,
          events_in_first_request: first_push?.applied ?? 0,
          applied_ms: Math.round(applied_ms),
          out_of_order: disorder,
        },
      };
    } finally {
      await profile.remove();
      await lab.stop();
    }
  },
};
