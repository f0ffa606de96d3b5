/**
 * Two devices and a third that joins late, on real Chromium profiles and one database: what they end with, and how long a
 * change takes to be seen on the other device. Arguments: sqlite | postgres, rounds, changes to time. Prints one JSON line.
 */

import type { Page } from "playwright-core";
import { Browser } from "./chromium.ts";
import { type DevicePage, MERGED, makeFirst, meet, openDevice, settle } from "./devices.ts";
import { Site } from "./site.ts";

declare const globals: DevicePage; // the page's own, inside `evaluate`

const [kind = "sqlite", rounds = "4", changes = "100"] = process.argv.slice(2);
const db = kind === "postgres" ? process.env["OAS_TEST_POSTGRES"] : undefined;
const site = new Site("dist", undefined, db);
const browsers = [new Browser(), new Browser(), new Browser()];

async function round(name: string, first: 0 | 1): Promise<boolean> {
  const { pages, states } = await meet(browsers, site, name, first);
  await Promise.all(pages.map((page) => page.close()));
  const texts = new Set(states.map((state) => JSON.stringify(state)));
  const equal = texts.size === 1 && JSON.stringify(states[0]?.value) === JSON.stringify(sorted(MERGED));
  if (!equal) console.error([...texts].join("\n"));
  return equal && states[0]?.conflicts.length === 1;
}

// Documents print their keys in order.
const sorted = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(sorted)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .sort()
            .map(([key, one]) => [key, sorted(one)]),
        )
      : value;

/** From the call on one device to the subscriber on the other, both clocks being this machine's. */
async function latencies(count: number): Promise<readonly number[]> {
  const [a, b] = (await Promise.all(browsers.slice(0, 2).map((browser) => openDevice(browser, site, "live")))) as [
    Page,
    Page,
  ];
  await makeFirst(a);
  await settle(b);
  await b.evaluate(() => {
    const seen = new Map<string, number>();
    Object.assign(globals, { seen });
    globals.carts.subscribe(({ id, origin }) => {
      if (origin !== "server") return;
      globals.carts.get(id).then((cart) => {
        if (cart?.title !== undefined && !seen.has(cart.title)) seen.set(cart.title, Date.now());
      });
    });
  });
  const made: [string, number][] = [];
  for (let i = 0; i < count; i++) {
    const title = `change ${i}`;
    made.push([
      title,
      await a.evaluate((title) => {
        const at = Date.now();
        return globals.carts.update("c", (cart) => ({ ...cart, title })).then(() => at);
      }, title),
    ]);
    await b.waitForFunction((title) => (globals as unknown as { seen: Map<string, number> }).seen.has(title), title, {
      polling: 5,
    });
  }
  const seen = new Map(await b.evaluate(() => [...(globals as unknown as { seen: Map<string, number> }).seen]));
  await Promise.all([a, b].map((page) => page.close()));
  return made.map(([title, at]) => (seen.get(title) ?? Number.POSITIVE_INFINITY) - at).sort((x, y) => x - y);
}

await site.start();
await Promise.all(browsers.map((browser) => browser.start()));
let equal = 0;
for (let i = 0; i < Number(rounds); i++) if (await round(`round${i}`, i % 2 === 0 ? 0 : 1)) equal++;
const times = await latencies(Number(changes));
const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
await Promise.all(browsers.map((browser) => browser.stop()));
await site.stop();
console.log(JSON.stringify({ rounds: Number(rounds), equal, changes: times.length, p50Ms: at(0.5), p95Ms: at(0.95) }));
