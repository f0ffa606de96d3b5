/** One device of the demo: an ordinary page that uses the engine, with the devtools beside it. */

import { type OfflineSync, OfflineSyncError, open, type SyncStatus } from "offline-ai-sync";
import { type ContentCache, openCache } from "offline-ai-sync/cache";
import { showBoard } from "./board.ts";
import { element, setText } from "./dom.ts";
import { getWeather, installWeather } from "./network.ts";
import { changeWeather, showNetwork } from "./network-panel.ts";
import { onTakeover, showUpdates } from "./update.ts";

const query = new URLSearchParams(location.search);
const device = query.get("device") ?? "phone";
const name = `demo-${device}`;

// Only the queue's own requests are in its trace; before the tools have come nobody keeps one.
installWeather(Math.random, (what, path) => {
  if (path.includes("/sync/")) element("tools").note?.({ kind: "lost", what });
});
addEventListener("weather", () => {
  const { online, trouble } = getWeather();
  const mode = online ? (trouble === "none" ? "online" : trouble) : "offline";
  element("tools").note?.({ kind: "network", mode });
});
const engine: OfflineSync = open({
  name,
  url: "/api/offline-ai",
  wasmUrl: "/core.wasm",
  worker: { url: "/device-sw.js", scope: `/device.html?device=${device}` },
});

const tones: Partial<Record<SyncStatus["phase"], string>> = {
  idle: "good",
  sending: "good",
  offline: "warn",
  waiting: "warn",
  parked: "bad",
};

function showStatus(status: SyncStatus): void {
  setText("phase", status.pending > 0 ? `${status.phase}, ${status.pending} waiting` : status.phase);
  element("phase").setAttribute("data-tone", tones[status.phase] ?? "");
  setText("reason", status.storage === "ok" ? (status.reason ?? "") : `storage: ${status.storage}`);
}

async function act(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    setText("reason", error instanceof OfflineSyncError ? `${error.code}: ${error.message}` : String(error));
  }
}

const onClick = (id: string, work: () => Promise<unknown>): void =>
  element(id).addEventListener("click", () => void act(work));
const shop = (eventType: string, data: object, more: object = {}) =>
  engine.queueEvent({ eventType, moduleId: "shop", eventData: { ...data, device }, ...more });

let item = 0;
onClick("add", () => shop("cart.add", { item: ++item }, { entity: "cart/1" }));
onClick("order", () => shop("order.place", { items: item }, { entity: "cart/1", priority: "critical" }));
onClick("views", () =>
  Promise.all(Array.from({ length: 100 }, (_, i) => shop("page.view", { page: `/p/${i}` }, { priority: "low" }))),
);
onClick("bad", () => shop("demo.refuse", {}));
// No farewell to anyone: the page is simply gone, as after a crash.
onClick("kill", async () => location.reload());

const ARTICLES = 12;
let cache: Promise<ContentCache> | undefined;
function openedCache(): Promise<ContentCache> {
  cache ??= openCache({ name, wasmUrl: "/core.wasm", budgetBytes: 1_000_000 });
  return cache;
}
/** What a server would answer; longer for some than for others. */
const article = (n: number): string =>
  Array.from({ length: 200 * n }, (_, word) => `word${(word * word * n) % 9_973}`).join(" ");
onClick("read", async () => {
  const [kept] = await Promise.all([openedCache(), tools]);
  element("tools").cache = kept;
  for (let read = 0; read < 6; read++) {
    const n = 1 + Math.floor(Math.random() ** 2 * ARTICLES);
    await kept.cachedContent("article", String(n), () => article(n), { priority: n % 3 === 0 ? 7 : 5, ttl: "7d" });
  }
});

// The server pane asks for this device's history under its id.
async function announce(): Promise<void> {
  const { deviceId } = await engine.registerDevice();
  parent.postMessage({ device, deviceId }, location.origin);
}
function announceUntilHeard(): void {
  announce().catch(() => setTimeout(announceUntilHeard, 1_000));
}

setText("name", device);
showNetwork();
engine.status.subscribe(showStatus);
showStatus(engine.status.get());
// A page that is only to show the queue says `documents=no`.
if (query.get("documents") === "no") element("board").hidden = true;
else showBoard(engine);
announceUntilHeard();
// In a frame the page around it asks, and its worker may take over later than that page's.
if (parent === window) showUpdates(["/device.html"]);
else onTakeover(() => location.reload());
// The tools are for whoever looks; the app itself comes first.
const tools = import("offline-ai-sync/devtools").then(({ defineDevtools }) => {
  defineDevtools();
  element("tools").engine = engine;
});
tools.catch((error: unknown) => setText("reason", String(error)));
new ResizeObserver(() => parent.postMessage({ height: document.body.scrollHeight }, location.origin)).observe(
  document.body,
);
Object.assign(globalThis, { engine, changeWeather });
