// A page that does what its address asks for, and posts what came of it: the same in every browser, with no driver.
import { openCache } from "/cache.js";
import { withDocuments } from "/documents.js";
import { open } from "/index.js";
import { withModels } from "/models.js";

const asked = new URLSearchParams(location.search);
const auth = () => asked.get("key");
const url = "/api/offline-ai";
const tell = (found) => fetch(`/told?visit=${asked.get("visit")}`, { method: "POST", body: JSON.stringify(found) });
const network = (state) => fetch("/network", { method: "POST", body: state });
const event = (n) => ({ eventType: "n", moduleId: "test", eventData: { n }, entity: "one" });

function openQueue(more = {}) {
  return open({ name: "main", url, auth, worker: { url: "/sw.classic.js", shareToken: true }, ...more });
}

async function until(holds) {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** Queues `count` at once, then one after the other until somebody kills the browser; each is told once it is stored. */
async function queue() {
  const engine = openQueue();
  const count = Number(asked.get("count"));
  const first = await Promise.all(Array.from({ length: count }, (_, n) => engine.queueEvent(event(n))));
  await tell({ stored: first.length, durability: first[0].durability, storage: engine.status.get().storage });
  for (let n = count; ; n++) {
    await engine.queueEvent(event(n));
    await tell({ stored: n + 1 });
  }
}

/** Opens what the killed one has left. */
async function resume() {
  const start = performance.now();
  const engine = openQueue();
  await until(() => engine.drain().then(({ drained }) => drained));
  const drainedMs = performance.now() - start;
  const { deviceId } = await engine.registerDevice();
  await tell({ deviceId, pending: engine.status.get().pending, drainedMs });
  await engine.close();
}

/** A page that does not send has the worker do it; no browser event is needed for that. */
async function worker() {
  const engine = openQueue({ drains: false });
  const receipt = await engine.queueEvent({ eventType: "by worker", eventData: {} });
  const registration = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data);
  });
  registration.active.postMessage({ type: "oas-drain", name: "main" }, [port2]);
  const { drained, code } = await answer;
  const { kind } = await receipt.synced;
  await tell({ drained, code, kind });
  await engine.close();
}

/** Two devices that edit one document while the server is away. */
async function documents() {
  const [left, right] = ["left", "right"].map((name) => withDocuments(open({ name, url, auth, subject: name })));
  const schema = { "/count": "counter" };
  const [mine, yours] = [left, right].map((device) => device.collection("things", { schema }));
  await (await mine.put("a", { title: "old", count: 1 })).synced;
  await yours.pull();
  await network("off");
  await Promise.all([
    mine.update("a", (thing) => ({ ...thing, title: "new" })),
    mine.patch("a", [{ op: "inc", path: "/count", by: 2 }]),
    yours.patch("a", [{ op: "inc", path: "/count", by: 4 }]),
    yours.update("a", (thing) => ({ ...thing, note: "kept" })),
  ]);
  await network("on");
  await Promise.all([left.drain(), right.drain()]);
  const same = async () => {
    await Promise.all([mine.pull(), yours.pull()]);
    const [one, other] = [await mine.get("a"), await yours.get("a")].map((thing) =>
      JSON.stringify(thing, ["title", "count", "note"]),
    );
    return one === other && one.includes("kept") && one.includes("new") ? one : undefined;
  };
  let document;
  await until(async () => {
    document = await same();
    return document !== undefined;
  });
  // Nobody pulls any more: the other one is told.
  await mine.update("a", (thing) => ({ ...thing, title: "live" }));
  await until(async () => (await yours.get("a")).title === "live");
  await tell({ document });
}

/** Written and sealed by one visit, read by the next one without a network. */
async function cache() {
  const content = await openCache({ name: "main" });
  if (asked.has("fill")) {
    await content.cacheContent({ contentType: "lesson", contentId: "1", contentData: { title: "Rain" } });
    await tell({ sealed: (await content.list())[0]?.sealed });
  } else {
    await tell({ read: await content.cachedContent("lesson", "1") });
  }
}

async function models() {
  const engine = withModels(open({ name: "main", url, auth }), { kernelUrl: "/infer.wasm", weights: "/models" });
  const { predictions } = await engine.predict("intent", "what is my balance", { top: 1 });
  await tell({ label: predictions[0]?.label });
}

/** What every store must hold to, on this browser's IndexedDB. */
async function store() {
  const { runStoreCases } = await import("/store/store.main.js");
  const results = await runStoreCases();
  await tell({ cases: results.length, failed_ones: results.filter(({ error }) => error) });
}

/** The core's answers to all golden vectors, a line a kind. */
async function golden() {
  const { default: create } = await import("/golden/golden-web.mjs");
  const lines = [];
  const program = await create({ print: (line) => lines.push(line), printErr: (line) => lines.push(line) });
  program.FS.mkdir("/vectors");
  for (const name of asked.getAll("vectors")) {
    const bytes = await (await fetch(`/vectors/${name}`)).arrayBuffer();
    program.FS.writeFile(`/vectors/${name}`, new Uint8Array(bytes));
  }
  const code = program.callMain(["check", "/vectors"]);
  await tell({ code, lines });
}

const steps = { queue, resume, worker, documents, cache, models, store, golden };
steps[asked.get("step")]().catch((error) =>
  tell({ failed: `${asked.get("step")}: ${error.code ?? ""} ${error.stack}` }),
);
