import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Profile } from "../lib/browser.mjs";
import { at } from "../lib/run.mjs";
import { Server } from "../lib/server.mjs";
import { weblogEvents } from "../lib/weblog.mjs";

const tabs = 2;
const drain_ms_max = 150_000;
const batch = 500;

const page_url = (server) => `${server.url}/device.html?device=phone&documents=no`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function openTab(context, server) {
  const page = await context.newPage();
  await page.goto(page_url(server));
  await page.waitForFunction(() => globalThis.engine?.status.get().phase !== "starting");
  return page;
}

/** Queues the events of one tab; resolves with the ids that were acknowledged as strictly stored. */
async function queue(page, events, tab) {
  const acked = [];
  for (let from = 0; from < events.length; from += batch) {
    const part = events.slice(from, from + batch).map((event, i) => ({ event, n: from + i, tab }));
    const ids = await page.evaluate(
      (rows) =>
        Promise.all(
          rows.map(({ event, n, tab }) =>
            globalThis.engine
              .queueEvent({
                eventType: "page_view",
                moduleId: `tab-${tab}`,
                eventData: event,
                priority: n % 10 === 0 ? "high" : "normal",
                entity: `${tab}/${event.visitor}`,
              })
              .then(({ id, durability }) => ({ id, durability, entity: `${tab}/${event.visitor}` })),
          ),
        ),
      part,
    );
    for (const { durability } of ids) if (durability !== "strict") throw new Error(`acknowledged as ${durability}`);
    acked.push(...ids);
  }
  return acked;
}

/** Per entity, the server must have applied in the order in which the page made the calls. */
function countDisorder(acked, applied) {
  const place = new Map(applied.map(({ id }, i) => [id, i]));
  const last = new Map();
  let disorder = 0;
  for (const { id, entity } of acked) {
    const at = place.get(id);
    if (at === undefined) continue;
    if (at < (last.get(entity) ?? -1)) disorder++;
    last.set(entity, at);
  }
  return disorder;
}

/** The page itself may send nothing: what arrives is sent by the worker, woken by the browser. */
async function askForSync(context, server) {
  const page = await context.newPage();
  await page.route("**/api/offline-ai/sync/**", (route) => route.abort());
  await page.goto(page_url(server));
  await page.waitForFunction(async () => {
    const registration = await navigator.serviceWorker.ready;
    return globalThis.engine.status.get().pending === 0 || (await registration.sync.getTags()).length > 0;
  });
  await page.close();
}

async function waitForDrain(server, device, wanted) {
  const end = Date.now() + drain_ms_max;
  for (;;) {
    const items = await server.history(device);
    if (items.length >= wanted || Date.now() > end) return items;
    await sleep(1_000);
  }
}

async function scenario({ log, count, folder, profile, elsewhere }) {
  const server = new Server(["--demo", at("dist/demo"), "--db", `sqlite:${join(folder, "demo.sqlite")}`]);
  const port = (await server.start(0)).port;
  try {
    log("first visit, online: the page registers its device and its Service Worker");
    const first = await openTab(await profile.start({ quickSync: true }), server);
    const { deviceId } = await first.evaluate(() => globalThis.engine.registerDevice());
    await first.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
    await sleep(1_000);
    await profile.stop();

    const { real, events } = weblogEvents(count);
    log(`two tabs, then the server goes away; ${count} events of ${real ? "the web log" : "generated traffic"}`);
    const context = await profile.start({ quickSync: true });
    const pages = await Promise.all(Array.from({ length: tabs }, () => openTab(context, server)));
    await server.stop();
    const share = Math.ceil(events.length / tabs);
    const parts = await Promise.all(
      pages.map((page, tab) => queue(page, events.slice(tab * share, (tab + 1) * share), tab)),
    );
    const acked = parts.flat();
    log(`${acked.length} acknowledged as strict; the renderer of one tab is killed, then the whole browser`);
    const session = await context.newCDPSession(pages[0]);
    await Promise.race([session.send("Page.crash").catch(() => undefined), sleep(1_000)]);
    await profile.kill();

    log("the browser and the server come back; the page, kept from sending, asks for a sync event and is closed");
    const again = await profile.start({ quickSync: true });
    await (await again.newPage()).goto(elsewhere);
    await server.start(port);
    await askForSync(again, server);
    const items = await waitForDrain(server, deviceId, acked.length);
    const opened = again.pages().filter((page) => page.url().startsWith(server.url)).length;

    const ids = items.map(({ id }) => id);
    const unique = new Set(ids);
    const pushes = server.log.filter(({ path, status }) => String(path).endsWith("/sync/push") && status === 200);
    const lost = acked.filter(({ id }) => !unique.has(id)).length;
    const figures = {
      queued: acked.length,
      on_server: unique.size,
      lost,
      duplicated: ids.length - unique.size,
      out_of_order: countDisorder(acked, items),
      worker_pushes: pushes.filter(({ from }) => from === "worker").length,
      page_pushes: pushes.filter(({ from }) => from === "page").length,
      app_pages_open: opened,
      real_web_log: real,
    };
    return figures;
  } finally {
    await server.stop();
  }
}

export const claim = {
  name: "demo.check",
  title:
    "Events queued offline by two tabs outlive a killed renderer and browser and reach the server once, sent by the Service Worker",
  bar: "real Chromium: every acknowledged event on the server once, lost 0, duplicated 0, entity order kept; all sent by the worker on the browser's own sync event",
  quickSeconds: 240,
  needs: ["build", "browser"],
  async run({ quick, log }) {
    const folder = mkdtempSync(join(tmpdir(), "oas-demo-"));
    const profile = new Profile();
    const other = createServer((_, response) => response.end("<!doctype html><title>elsewhere</title>"));
    await new Promise((resolve) => other.listen(0, "127.0.0.1", resolve));
    try {
      const elsewhere = `http://127.0.0.1:${other.address().port}/`;
      const figures = await scenario({ log, count: quick ? 2_000 : 10_000, folder, profile, elsewhere });
      const ok =
        figures.lost === 0 &&
        figures.duplicated === 0 &&
        figures.out_of_order === 0 &&
        figures.worker_pushes > 0 &&
        figures.page_pushes === 0 &&
        figures.app_pages_open === 0;
      return {
        ok,
        scope: `fresh profile, ${tabs} tabs, embedded SQLite, loopback; sync retries after seconds instead of minutes by a browser switch`,
        figures,
      };
    } finally {
      other.close();
      await profile.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
