import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Profile } from "../lib/browser.mjs";
import { at } from "../lib/run.mjs";
import { Server } from "../lib/server.mjs";

const event_bytes = 1_000;
const batch = 50;
const pause_ms = 300;
const batches_refused = 5;
/** The browser believes its last count of free space for half a minute. */
const notice_ms = 90_000;
const arrive_ms = 30_000;
// Otherwise a quota is always ten gigabytes more than what is used.
const real_quota = ["--disable-features=StaticStorageQuota"];

/** Queues a batch of numbered events of 1 kB; what each call came to. */
const queueBatch = (page, from) =>
  page.evaluate(
    ([from, count, bytes]) =>
      Promise.all(
        Array.from({ length: count }, (_, i) => {
          // Random, so that no codec makes it small.
          const filler = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(bytes))));
          return globalThis.engine
            .queueEvent({ eventType: "n", moduleId: "quota", eventData: { n: from + i, filler } })
            .then(
              () => [from + i, "stored"],
              (error) => [from + i, String(error.code)],
            );
        }),
      ),
    [from, batch, event_bytes],
  );

/** Batch after batch until `enough` of them in a row have come to what is wanted; all outcomes. */
async function queueUntil(page, from, wanted, enough) {
  const outcomes = [];
  const end = Date.now() + notice_ms;
  for (let row = 0; row < enough; await sleep(pause_ms)) {
    if (Date.now() > end) throw new Error(`no ${enough} batches in a row within ${notice_ms / 1_000} s`);
    const made = await queueBatch(page, from + outcomes.length);
    outcomes.push(...made);
    row = made.every(([, outcome]) => wanted(outcome)) ? row + 1 : 0;
  }
  return outcomes;
}

export const claim = {
  name: "quota.pressure",
  title: "A full disk refuses new work by name, touches nothing that is stored, and is forgotten once there is room",
  bar: "real Chromium, the origin's quota cut while writing: every refusal a typed error, no unhandled rejection; after the quota returns new events are stored, and every event that was acknowledged reaches the server once",
  needs: ["build", "browser"],
  async run({ log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-quota-"));
    const server = new Server(["--demo", at("dist/demo"), "--db", `sqlite:${join(folder, "demo.sqlite")}`]);
    const profile = new Profile();
    try {
      await server.start();
      const context = await profile.start({ more: real_quota });
      const page = await context.newPage();
      const broken = [];
      page.on("pageerror", (error) => broken.push(String(error)));
      await page.goto(`${server.url}/device.html?device=quota&documents=no`);
      await page.waitForFunction(() => globalThis.engine?.status.get().phase === "idle");
      const { deviceId } = await page.evaluate(() => globalThis.engine.registerDevice());
      await page.evaluate(() => document.getElementById("online").click()); // off
      const devtools = await context.newCDPSession(page);
      const before = await queueUntil(page, 0, (outcome) => outcome === "stored", 3);
      const { usage } = await devtools.send("Storage.getUsageAndQuota", { origin: server.url });
      await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url, quotaSize: usage });
      const cut = await queueUntil(page, before.length, (outcome) => outcome !== "stored", batches_refused);
      await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.url });
      const after = await queueUntil(page, before.length + cut.length, (outcome) => outcome === "stored", 3);
      const of = (list, what) => list.filter(([, outcome]) => outcome === what).map(([n]) => n);
      const stored = of([...before, ...cut, ...after], "stored");
      const refusals = [
        ...new Set([...cut, ...after].map(([, outcome]) => outcome).filter((outcome) => outcome !== "stored")),
      ];
      log(`${stored.length} stored; refused: ${refusals.join(", ")}`);
      await page.evaluate(() => document.getElementById("online").click());
      let arrived = [];
      for (const end = Date.now() + arrive_ms; Date.now() < end; await sleep(200)) {
        arrived = (await server.history(deviceId)).map(({ eventData }) => eventData.n);
        if (arrived.length >= stored.length) break;
      }
      const figures = {
        stored: stored.length,
        refused: before.length + cut.length + after.length - stored.length,
        codes: refusals,
        lost: stored.filter((n) => !arrived.includes(n)).length,
        twice: arrived.length - new Set(arrived).size,
        never_acknowledged: arrived.filter((n) => !stored.includes(n)).length,
        unhandled: broken.length,
      };
      const typed = refusals.length === 1 && refusals[0] === "storage_quota";
      return {
        ok:
          typed &&
          figures.refused > 0 &&
          figures.lost + figures.twice + figures.never_acknowledged + figures.unhandled === 0,
        scope: `events of ${event_bytes} random bytes, ${batch} at a time; the devtools protocol sets the quota to what is used, and gives it back`,
        figures,
      };
    } finally {
      await profile.stop();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
