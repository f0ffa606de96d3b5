/** The same events through a naive queue and through the engine; what became of them is counted at the server. */

import { open } from "offline-ai-sync";
import { element, setText } from "./dom.ts";
import { NaiveQueue } from "./naive.ts";
import { FINE, installWeather, type Weather } from "./network.ts";
import { changeWeather, showNetwork } from "./network-panel.ts";
import { showUpdates } from "./update.ts";

const api = "/api/offline-ai";
const WAYS = ["naive", "engine"] as const;
type Way = (typeof WAYS)[number];

/** What was sent outlives a killed tab, as the person's memory of it does. */
interface Sent {
  readonly run: string;
  readonly count: number;
}
const SENT_KEY = "oas-race";

function readSent(): Sent {
  const stored = localStorage.getItem(SENT_KEY);
  return stored ? (JSON.parse(stored) as Sent) : { run: crypto.randomUUID(), count: 0 };
}
let sent = readSent();

/** Anybody's page reads the server's counts, whatever the weather of this device is. */
const outside = fetch.bind(globalThis);
/** The same sequence for the same seed, so that a bad day can be had again. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
const seed = Number(new URLSearchParams(location.search).get("seed") ?? Number.NaN);
installWeather(Number.isFinite(seed) ? seeded(seed) : Math.random);

const engine = open({ name: "race", url: api, wasmUrl: "/core.wasm" });
const naive = new NaiveQueue(`${api}/events/queue`);
const device = (async (): Promise<string> => {
  for (;;) {
    const { deviceId, registered } = await engine.registerDevice();
    if (registered) return deviceId;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
})();

/** Resolves when the engine has stored them; the naive queue stores nothing. */
async function send(count: number): Promise<void> {
  const deviceId = await device;
  const { run, count: before } = sent;
  sent = { run, count: before + count };
  localStorage.setItem(SENT_KEY, JSON.stringify(sent));
  const events = Array.from({ length: count }, (_, i) => ({ moduleId: "race", eventData: { run, n: before + i + 1 } }));
  for (const event of events) naive.send({ ...event, deviceId, eventType: "naive.event" });
  await Promise.all(events.map((event) => engine.queueEvent({ ...event, eventType: "engine.event" })));
}

interface Counts {
  readonly arrived: number;
  readonly doubled: number;
}
interface Item {
  readonly id: string;
  readonly eventType: string;
  readonly eventData: { readonly run?: string; readonly n?: number };
}
const seen = new Map<string, Item>();
let cursor = "";

/** Reads on from where the last reading ended; events are told apart by their ids. */
async function readHistory(): Promise<void> {
  for (;;) {
    const query = new URLSearchParams({ limit: "500", ...(cursor ? { cursor } : {}) });
    const response = await outside(`${api}/events/${await device}/history?${query}`);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const { items, nextCursor } = (await response.json()) as { items: Item[]; nextCursor: string | null };
    for (const item of items) seen.set(item.id, item);
    if (!nextCursor || items.length === 0) return;
    cursor = nextCursor;
  }
}

function counts(way: Way): Counts {
  const times = new Map<number, number>();
  for (const { eventType, eventData } of seen.values())
    if (eventType === `${way}.event` && eventData.run === sent.run && eventData.n !== undefined)
      times.set(eventData.n, (times.get(eventData.n) ?? 0) + 1);
  return { arrived: times.size, doubled: [...times.values()].filter((count) => count > 1).length };
}

const waiting = (way: Way): number => (way === "naive" ? naive.length : engine.status.get().pending);

/** `before` = what waited here before the server was asked, so that nothing on its way counts as lost. */
function show(before: Readonly<Record<Way, number>>): void {
  for (const way of WAYS) {
    const { arrived, doubled } = counts(way);
    const left = before[way];
    const lost = Math.max(0, sent.count - arrived - left);
    setText(`${way}-sent`, sent.count);
    setText(`${way}-arrived`, arrived);
    setText(`${way}-lost`, lost);
    setText(`${way}-doubled`, doubled);
    setText(`${way}-state`, left > 0 ? `${left} waiting` : "nothing waits");
    for (const [name, count] of Object.entries({ lost, doubled }))
      element(`${way}-${name}`).setAttribute("data-tone", count > 0 ? "bad" : "good");
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A day as phones have it: a bad line, a portal, a tunnel, a tab that the system throws away. */
async function storm(): Promise<void> {
  const hours: readonly (readonly [words: string, weather: Partial<Weather>])[] = [
    ["A bad line: one request in four and one answer in three is lost.", { requestsLost: 0.25, repliesLost: 0.34 }],
    ["A captive portal answers everything with its own page.", { trouble: "captive" }],
    ["A tunnel: no network at all. The tab is killed in it.", { online: false }],
  ];
  for (const [words, weather] of hours) {
    setText("word", words);
    changeWeather({ ...FINE, ...weather });
    await send(20);
    await sleep(6_000);
  }
  sessionStorage.setItem(
    "after-storm",
    "The tab was killed and the network is back: what is left to send is being sent.",
  );
  location.reload();
}

async function poll(): Promise<void> {
  try {
    const before = { naive: waiting("naive"), engine: waiting("engine") };
    await readHistory();
    show(before);
  } catch (error) {
    setText("word", String(error));
  }
  setTimeout(() => void poll(), 700);
}

showNetwork();
element("send").addEventListener("click", () => void send(20));
element("storm").addEventListener("click", () => void storm());
element("kill").addEventListener("click", () => location.reload());
element("anew").addEventListener("click", () => {
  localStorage.removeItem(SENT_KEY);
  sent = readSent();
});
setText("word", sessionStorage.getItem("after-storm") ?? "");
sessionStorage.removeItem("after-storm");
void poll();
// For scripts that drive this page.
Object.assign(globalThis, { engine, race: { send, waiting, changeWeather, device, sent: () => sent } });
showUpdates(["/"]);
