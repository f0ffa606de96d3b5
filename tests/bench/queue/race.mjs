// What the page measures. Every function takes numbers and gives numbers, so that the driver can call it from outside.
import { DexieQueue, IdbKeyval, Ours, page_size, Raw, RxdbQueue, WorkboxQueue } from "./contenders.mjs";

const contenders = {
  ours: () => new Ours(),
  keyval: () => new IdbKeyval(),
  dexie: () => new DexieQueue(),
  rxdb: () => new RxdbQueue(),
  workbox: () => new WorkboxQueue(),
  keyvalStrict: () => new IdbKeyval(true),
  dexieStrict: () => new DexieQueue(true),
  rxdbStrict: () => new RxdbQueue(true),
};
export const names = () => Object.fromEntries(Object.entries(contenders).map(([id, make]) => [id, make().name]));

const open_ones = new Map();
let events = [];
/** Fetches what will be queued, while there is a network. */
export async function prepare(count) {
  events = await (await fetch(`/events?count=${count}`)).json();
}
const online = () => navigator.onLine || new Promise((resolve) => addEventListener("online", resolve, { once: true }));

/** Opens a contender for this round; it stays open until `finish`. */
export async function begin(id, database, key) {
  open_ones.set(id, await contenders[id]().open(`${database}-${id}`, { key }));
}

/**
 * Milliseconds until the last of `count` calls, none of them awaited before the next, has been answered; for each of
 * `bursts` bursts. The first one meets code that has never run, as a page does.
 */
export async function concurrent(id, count, bursts) {
  const queue = open_ones.get(id);
  const times = [];
  for (let from = 0; times.length < bursts; from += count) {
    const some = events.slice(from, from + count);
    const start = performance.now();
    await Promise.all(some.map((event) => queue.add(event)));
    times.push(performance.now() - start);
  }
  return times;
}

/** Queues more, by the contender's fastest way. */
export async function fill(id, count) {
  const queue = open_ones.get(id);
  for (let from = 0; from < count; from += 10_000) await queue.fill(events.slice(from, Math.min(from + 10_000, count)));
}

/** Sends everything, from the moment the network is back. Events and milliseconds, and what was left. */
export async function drain(id) {
  const queue = open_ones.get(id);
  await online();
  const start = performance.now();
  const sent = await queue.drain();
  const ms = performance.now() - start;
  return { sent, ms, left: await queue.left() };
}

export async function finish(id) {
  await open_ones.get(id).close();
  open_ones.delete(id);
}

/** One event at a time, each awaited, ours and the raw store in turn. Milliseconds each. */
export async function singles(count, database) {
  const ours = open_ones.get("ours");
  const raw = await new Raw().open(`${database}-raw`);
  const times = { ours: [], raw: [] };
  const timed = async (list, queue, event) => {
    const start = performance.now();
    await queue.add(event);
    list.push(performance.now() - start);
  };
  for (const [i, event] of events.slice(0, count).entries()) {
    // Who goes second profits from a warm disk; they change places.
    if (i % 2 === 0) await timed(times.ours, ours, event);
    await timed(times.raw, raw, event);
    if (i % 2 === 1) await timed(times.ours, ours, event);
  }
  raw.close();
  return times;
}

/** One strict transaction with one packed record: the floor of any queue of JSON in IndexedDB. */
export async function floor(count, database) {
  const raw = await new Raw().open(`${database}-packed`);
  const some = events.slice(0, count);
  const start = performance.now();
  await raw.packed(some);
  const ms = performance.now() - start;
  raw.close();
  return ms;
}

/** From opening our database to one of its segments in hand: what IndexedDB alone takes, for whoever reads anything. */
async function firstRecord(database) {
  const start = performance.now();
  const opening = indexedDB.open(`oas:${database}-ours`);
  const db = await new Promise((resolve, reject) => {
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  const request = db.transaction("segments").objectStore("segments").getAll(null, 1);
  const records = await new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const ms = performance.now() - start;
  if (records.length !== 1) throw new Error("our database holds no segment");
  db.close();
  return ms;
}

/** Everything that our `open` would load, so that it is counted apart as a peer's script is. */
async function loadOurs() {
  const index = await (await fetch("/lib/index.js")).text();
  const chunks = [...index.matchAll(/import\("\.\/([\w-]+\.js)"\)/g)].map(([, name]) => `/lib/${name}`);
  const [wasmModule] = await Promise.all([
    WebAssembly.compileStreaming(fetch("/lib/core.wasm")),
    ...["/lib/glue.mjs", ...chunks].map((path) => import(path)),
  ]);
  return wasmModule;
}

async function firstOfOurs(database, key, wasmModule) {
  const { open } = await import("/lib/index.js");
  const start = performance.now();
  const engine = open({ name: `${database}-ours`, url: "/api/offline-ai", auth: () => key, wasmModule });
  const ms = await new Promise((resolve) => {
    const stop = engine.on("trace", ({ at, direction, entry }) => {
      if (direction !== "out" || entry.kind !== "send" || entry.pull) return;
      stop();
      resolve(at - start);
    });
  });
  await engine.close();
  return ms;
}

async function firstOfDexie(database) {
  const start = performance.now();
  const queue = await new DexieQueue().open(`${database}-dexie`);
  const batch = await queue.first();
  const ms = performance.now() - start;
  if (batch.length !== page_size) throw new Error(`Dexie gave ${batch.length}`);
  queue.close();
  return ms;
}

const firsts = {
  ours: { load: loadOurs, run: firstOfOurs },
  oursLoading: { load: () => import("/lib/index.js"), run: (database, key) => firstOfOurs(database, key) },
  dexie: { load: () => import("dexie"), run: firstOfDexie },
  floor: { load: () => undefined, run: firstRecord },
};
/** The browser has come up by then, and does nothing of its own any more. */
const quiet_after_ms = 1_000;

/** From opening a full queue to the first batch in hand, ready to be sent; and what loading the code for it took before. */
export async function firstBatch(id, database, key) {
  await new Promise((resolve) => setTimeout(resolve, quiet_after_ms));
  const { load, run } = firsts[id];
  const start = performance.now();
  const loaded = await load();
  const loading = performance.now() - start;
  await new Promise((resolve) => setTimeout(resolve, quiet_after_ms));
  return { ms: await run(database, key, loaded), loading };
}

Object.assign(globalThis, {
  names,
  prepare,
  begin,
  concurrent,
  fill,
  drain,
  finish,
  singles,
  floor,
  firstBatch,
  ready: true,
});
