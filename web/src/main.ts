/** The server's side of the demo: what has been applied, read through the public API. */

import { element, setRows, setText } from "./dom.ts";
import { showUpdates } from "./update.ts";

interface HistoryItem {
  readonly id: string;
  readonly lane: string;
  readonly eventType: string;
  readonly eventData: unknown;
  readonly verdict: string;
}

const api = "/api/offline-ai";
const shown = 14;
const devices = new Map<string, { id: string; items: HistoryItem[]; cursor: string | undefined }>();

interface Word {
  readonly device?: string;
  readonly deviceId?: string;
  readonly height?: number;
}

addEventListener("message", ({ origin, data, source }: MessageEvent<Word>) => {
  if (origin === location.origin && data?.height !== undefined)
    for (const frame of document.querySelectorAll("iframe"))
      if (frame.contentWindow === source) frame.style.height = `${data.height}px`;
  if (origin !== location.origin || !data?.device || !data.deviceId || devices.has(data.device)) return;
  devices.set(data.device, { id: data.deviceId, items: [], cursor: undefined });
});

async function readNew(device: { id: string; items: HistoryItem[]; cursor: string | undefined }): Promise<void> {
  for (let page = 0; page < 20; page++) {
    const query = new URLSearchParams({ limit: "500", ...(device.cursor ? { cursor: device.cursor } : {}) });
    const response = await fetch(`${api}/events/${device.id}/history?${query}`);
    if (!response.ok) throw new Error(`${response.status}`);
    const { items, nextCursor } = (await response.json()) as { items: HistoryItem[]; nextCursor: string | null };
    device.items.push(...items);
    if (nextCursor) device.cursor = nextCursor;
    if (!nextCursor || items.length === 0) return;
  }
}

// Of an edit: the document it belongs to; its delta is for machines.
function dataOf({ eventType, eventData }: HistoryItem): string {
  if (eventType !== "oas:document") return JSON.stringify(eventData);
  const { collection, id } = eventData as { readonly collection: string; readonly id: string };
  return `edit of ${collection}/${id}`;
}

function show(): void {
  const all = [...devices].flatMap(([name, { items }]) => items.map((item) => ({ name, item })));
  // A page without a cursor is read again from where it began, so rows are counted by id.
  const unique = new Map(all.map((row) => [row.item.id, row]));
  const applied = [...unique.values()].filter(({ item }) => item.verdict === "applied");
  setText("applied", applied.length);
  setText("refused", unique.size - applied.length);
  setRows(
    "events",
    [...unique.values()]
      .slice(-shown)
      .reverse()
      .map(({ name, item }) => [name, item.lane, item.eventType, dataOf(item)]),
  );
}

async function poll(): Promise<void> {
  try {
    for (const device of devices.values()) {
      if (!device.cursor) device.items = [];
      await readNew(device);
    }
    setText("server-state", "running");
    element("server-state").setAttribute("data-tone", "good");
    show();
  } catch (error) {
    setText("server-state", `unreachable (${error instanceof Error ? error.message : String(error)})`);
    element("server-state").setAttribute("data-tone", "bad");
  }
  setTimeout(() => void poll(), 700);
}

void poll();
// Without it the page works as well, only not without a network.
navigator.serviceWorker?.register("/sw.js").catch(() => undefined);
showUpdates(["/", "/device.html"]);
