/** One device of the demo: an ordinary page that uses the engine. */

import { type DeadLetter, type OfflineSync, OfflineSyncError, open, type SyncStatus } from "offline-ai-sync";
import { showBoard } from "./board.ts";
import { button, coalesced, element, setRows, setText } from "./dom.ts";
import { installSwitch, setNetwork } from "./network.ts";

const device = new URLSearchParams(location.search).get("device") ?? "phone";
const shown = 8;

installSwitch();
const engine: OfflineSync = open({
  name: `demo-${device}`,
  url: "/api/offline-ai",
  wasmUrl: "/core.wasm",
  worker: { url: "/sw.classic.js", scope: `/device.html?device=${device}` },
});

const tones: Partial<Record<SyncStatus["phase"], string>> = {
  idle: "good",
  sending: "good",
  offline: "warn",
  waiting: "warn",
  parked: "bad",
};

function showStatus(status: SyncStatus): void {
  setText("phase", status.phase);
  element("phase").setAttribute("data-tone", tones[status.phase] ?? "");
  setText("reason", status.storage === "ok" ? (status.reason ?? "") : `storage: ${status.storage}`);
  setText("pending", status.pending);
  setText("applied", status.applied);
  setText("dead", status.deadLetters);
  element("lanes").replaceChildren(
    ...Object.entries(status.pendingByLane)
      .filter(([, count]) => count > 0)
      .map(([lane, count]) => {
        const chip = document.createElement("span");
        chip.className = "lane";
        chip.textContent = `${lane} ${count}`;
        return chip;
      }),
  );
}

function letterRow(letter: DeadLetter): (string | Node)[] {
  const actions = document.createElement("span");
  actions.append(
    button("Mend and retry", () => void act(() => engine.deadLetters.edit(letter.id, { mended: true }))),
    button("Drop", () => void act(() => engine.deadLetters.drop(letter.id))),
  );
  return [letter.eventType, letter.code, actions];
}

async function showLists(): Promise<void> {
  const [queue, letters] = await Promise.all([
    engine.pending.list({ limit: shown }),
    engine.deadLetters.list({ limit: shown }),
  ]);
  setRows(
    "queue",
    queue.items
      .slice(0, shown)
      .map((event) => [event.lane, event.eventType, event.entity, String(JSON.stringify(event.eventData).length)]),
  );
  setRows("letters", letters.items.slice(0, shown).map(letterRow));
  element("letters-table").hidden = letters.items.length === 0;
}

const refresh = coalesced(showLists, (error) => setText("reason", String(error)));

async function act(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    setText("reason", error instanceof OfflineSyncError ? `${error.code}: ${error.message}` : String(error));
  }
  await refresh();
}

let item = 0;
element("name").textContent = device;
element("add").addEventListener(
  "click",
  () =>
    void act(() =>
      engine.queueEvent({
        eventType: "cart.add",
        moduleId: "shop",
        eventData: { item: ++item, device },
        entity: "cart/1",
      }),
    ),
);
element("order").addEventListener(
  "click",
  () =>
    void act(() =>
      engine.queueEvent({
        eventType: "order.place",
        moduleId: "shop",
        eventData: { items: item, device },
        priority: "critical",
        entity: "cart/1",
      }),
    ),
);
element("views").addEventListener(
  "click",
  () =>
    void act(() =>
      Promise.all(
        Array.from({ length: 100 }, (_, i) =>
          engine.queueEvent({
            eventType: "page.view",
            moduleId: "shop",
            eventData: { page: `/p/${i}`, device },
            priority: "low",
          }),
        ),
      ),
    ),
);
element("bad").addEventListener(
  "click",
  () => void act(() => engine.queueEvent({ eventType: "demo.refuse", moduleId: "shop", eventData: { device } })),
);
// No farewell to anyone: the page is simply gone, as after a crash.
element("kill").addEventListener("click", () => location.reload());
element<HTMLInputElement>("online").addEventListener("change", ({ target }) => {
  setNetwork((target as HTMLInputElement).checked);
});

engine.status.subscribe((status) => {
  showStatus(status);
  void refresh();
});
showStatus(engine.status.get());
void refresh();

// The server pane asks for this device's history under its id.
async function announce(): Promise<void> {
  const { deviceId } = await engine.registerDevice();
  parent.postMessage({ device, deviceId }, location.origin);
}
const announcing = setInterval(
  () =>
    void announce().then(
      () => clearInterval(announcing),
      () => undefined,
    ),
  1_000,
);
// A page that is only to show the queue says `documents=no`.
if (new URLSearchParams(location.search).get("documents") === "no") element("board").hidden = true;
else showBoard(engine);
new ResizeObserver(() => parent.postMessage({ height: document.body.scrollHeight }, location.origin)).observe(
  document.body,
);
Object.assign(globalThis, { engine });
