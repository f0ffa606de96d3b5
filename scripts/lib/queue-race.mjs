// Our queue and others in one browser, in one run: rounds on fresh profiles, contenders in turn, medians of the rounds.

import { Profile } from "./browser.mjs";
import { QueueServer } from "./queue-server.mjs";

export const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

const defaults = ["keyval", "dexie", "rxdb", "workbox"]; // as they come: relaxed
const strict = ["keyvalStrict", "dexieStrict", "rxdbStrict"];
// They take their time: fewer calls at once and a shorter queue are a favour to them.
const slow = new Set(["rxdb", "rxdbStrict", "workbox"]);
const slow_part = 4;

async function openPage(context, url) {
  const page = await context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => globalThis.ready === true);
  return page;
}

/** One contender in a page of its own: how fast bursts of calls are stored, and how fast a full queue empties. */
async function contend(context, server, id, database, size) {
  const part = slow.has(id) ? slow_part : 1;
  const calls = size.calls / part;
  const queued = id === "workbox" ? calls * size.bursts : Math.max(calls * size.bursts, size.drained / part);
  const page = await openPage(context, server.url);
  server.round++;
  await page.evaluate((count) => globalThis.prepare(count), queued);
  await page.evaluate(([id, database, key]) => globalThis.begin(id, database, key), [id, database, server.key]);
  await context.setOffline(true);
  const times = await page.evaluate(
    ([id, calls, bursts]) => globalThis.concurrent(id, calls, bursts),
    [id, calls, size.bursts],
  );
  const more = queued - calls * size.bursts;
  if (more > 0) await page.evaluate(([id, more]) => globalThis.fill(id, more), [id, more]);
  const draining = page.evaluate((id) => globalThis.drain(id), id);
  await context.setOffline(false);
  const { sent, left, ms } = await draining;
  if (sent !== queued || left !== 0) throw new Error(`${id}: sent ${sent} of ${queued}, ${left} are left`);
  if (id !== "ours" && server.stored() !== sent) throw new Error(`${id}: ${server.stored()} rows in the sink`);
  await page.evaluate((id) => globalThis.finish(id), id);
  await page.close();
  return { stored: times.map((time) => calls / (time / 1_000)), drained: sent / (ms / 1_000) };
}

/** Awaited events one by one beside the raw store, and the floor for all calls at once. */
async function floors(context, server, database, { calls, singles }) {
  const page = await openPage(context, server.url);
  await page.evaluate((count) => globalThis.prepare(count), Math.max(calls, singles));
  await page.evaluate(([database, key]) => globalThis.begin("ours", database, key), [`${database}-one`, server.key]);
  await context.setOffline(true);
  const times = await page.evaluate(([count, database]) => globalThis.singles(count, database), [singles, database]);
  const ms = await page.evaluate(([calls, database]) => globalThis.floor(calls, database), [calls, database]);
  await context.setOffline(false);
  await page.close();
  return { ...times, packed: calls / (ms / 1_000) };
}

/** Throughput and single events: `rounds` rounds, each on a fresh profile that lies on disk, everybody in turn. */
export async function race(server, { rounds, singles, ...size }, log) {
  const results = { names: {}, ours: [], raw: [], packed: [], stored: {}, drained: {} };
  for (let round = 0; round < rounds; round++) {
    const profile = new Profile();
    try {
      const context = await profile.start();
      const all = ["ours", ...defaults, ...strict];
      // Everybody is first once.
      const order = all.map((_, i) => all[(i + round * 3) % all.length]);
      for (const id of order) {
        const { stored, drained: out } = await contend(context, server, id, `race${round}`, size);
        results.stored[id] = [...(results.stored[id] ?? []), ...stored];
        results.drained[id] = [...(results.drained[id] ?? []), out];
      }
      const one = await floors(context, server, `race${round}`, { calls: size.calls, singles });
      results.ours.push(...one.ours);
      results.raw.push(...one.raw);
      results.packed.push(one.packed);
      log(`round ${round + 1} of ${rounds}: ours ${Math.round(median(results.stored.ours))} stored/s`);
      if (round === 0) {
        const page = await openPage(context, server.url);
        results.names = await page.evaluate(() => globalThis.names());
      }
    } finally {
      await profile.remove();
    }
  }
  return results;
}

/** A profile of its own with a full queue of this contender. */
async function filled(server, id, queued) {
  const profile = new Profile();
  try {
    const context = await profile.start();
    const page = await openPage(context, server.url);
    await page.evaluate((count) => globalThis.prepare(count), queued);
    await page.evaluate(([id, key]) => globalThis.begin(id, "cold", key), [id, server.key]);
    await context.setOffline(true);
    await page.evaluate(([id, queued]) => globalThis.fill(id, queued), [id, queued]);
    await page.evaluate((id) => globalThis.finish(id), id);
    await profile.stop();
  } catch (error) {
    await profile.remove();
    throw error;
  }
  return profile;
}

const starters = ["ours", "oursLoading", "dexie", "floor"];

/** From opening a full queue in a browser just started to its first batch: milliseconds of each start, its loading apart. */
export async function firstBatches(server, { queued, starts }, log) {
  const profiles = [];
  const times = Object.fromEntries(starters.map((id) => [id, { ms: [], loading: [] }]));
  try {
    for (const id of ["ours", "dexie"]) profiles.push(await filled(server, id, queued));
    const [ours, dexie] = profiles;
    log(`${queued} events queued in ours and in Dexie`);
    for (let start = 0; start < starts; start++) {
      for (const id of start % 2 === 0 ? starters : starters.toReversed()) {
        const profile = id === "dexie" ? dexie : ours;
        profile.coolDown();
        const context = await profile.start();
        const page = await openPage(context, server.url);
        server.deaf = true; // what is measured is what stays queued
        const first = await page.evaluate(([id, key]) => globalThis.firstBatch(id, "cold", key), [id, server.key]);
        server.deaf = false;
        times[id].ms.push(first.ms);
        times[id].loading.push(first.loading);
        await profile.stop();
      }
    }
  } finally {
    for (const profile of profiles) await profile.remove();
  }
  return times;
}

export const peers = { defaults, strict };
export { QueueServer };
