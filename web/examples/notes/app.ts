/**
 * Field notes: documents with photos. Title and photo merge by themselves; a text that two devices have changed is put before
 * the person. A photo travels as one event, made small enough for that (40,000 bytes of JSON), and is kept in the content
 * cache of the device that took it.
 */

import { open } from "offline-ai-sync";
import { openCache } from "offline-ai-sync/cache";
import { type Conflict, withDocuments } from "offline-ai-sync/documents";
import { button, coalesced, element, setText } from "../../src/dom.ts";
import { showSync } from "../sync-line.ts";

interface Note {
  readonly title: string;
  readonly body: string;
  readonly writtenAt: number;
  /** Its bytes are in the event `note.photo`, and here in the cache. */
  readonly photo?: { readonly bytes: number };
}

const wasmUrl = "/core.wasm";
const engine = withDocuments(
  open({ name: "notes", url: "/api/offline-ai", wasmUrl, worker: "/examples/notes/sw.js" }),
  { wasmUrl: "/documents.wasm" },
);
showSync(engine, element("sync"));
const notes = engine.collection<Note>("notes", { schema: { "/body": "manual" } });
const photos = openCache({ name: "notes", wasmUrl });

const PHOTO_BYTES_MAX = 28_000; // four characters of base64 for three bytes, and the rest of the event
const SIDES = [800, 560, 400, 280];

/** The photo as a small JPEG: the largest of a few sizes that an event can carry. */
async function shrink(file: Blob): Promise<Blob> {
  const image = await createImageBitmap(file);
  for (const side of SIDES) {
    const scale = Math.min(1, side / Math.max(image.width, image.height));
    const canvas = new OffscreenCanvas(Math.max(1, image.width * scale), Math.max(1, image.height * scale));
    canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
    const small = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.7 });
    if (small.size <= PHOTO_BYTES_MAX) return small;
  }
  throw new Error("this photo cannot be made small enough");
}

const base64 = (bytes: Uint8Array): string => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));

async function attach(id: string, file: Blob): Promise<Note["photo"]> {
  const bytes = new Uint8Array(await (await shrink(file)).arrayBuffer());
  await (await photos).cacheContent({ contentType: "photo", contentId: id, contentData: bytes, pinned: true });
  await engine.queueEvent({
    eventType: "note.photo",
    moduleId: "notes",
    eventData: { note: id, type: "image/jpeg", base64: base64(bytes) },
    entity: `photo/${id}`,
  });
  return { bytes: bytes.length };
}

async function save(form: HTMLFormElement): Promise<void> {
  const data = new FormData(form);
  const id = crypto.randomUUID();
  const file = data.get("photo");
  const photo = file instanceof File && file.size > 0 ? await attach(id, file) : undefined;
  const note = { title: String(data.get("title")), body: String(data.get("body")), writtenAt: Date.now() };
  await notes.put(id, photo ? { ...note, photo } : note);
  form.reset();
  setText("word", "Saved on this device.");
}

function areaOf(label: string, value: string): HTMLTextAreaElement {
  const area = document.createElement("textarea");
  area.value = value;
  area.setAttribute("aria-label", label);
  return area;
}

async function pictureOf(id: string, photo: Note["photo"]): Promise<HTMLElement | undefined> {
  if (!photo) return undefined;
  const bytes = (await (await photos).cachedContent("photo", id)) as Uint8Array<ArrayBuffer> | undefined;
  if (!bytes)
    return Object.assign(document.createElement("p"), {
      textContent: "Its photo is on another device and the server.",
    });
  const canvas = document.createElement("canvas");
  const image = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
  Object.assign(canvas, { width: image.width, height: image.height });
  canvas.getContext("2d")?.drawImage(image, 0, 0);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "photo");
  return canvas;
}

async function rowOf({ id, value }: { readonly id: string; readonly value: Note }): Promise<HTMLElement> {
  const row = document.createElement("li");
  row.className = "note";
  row.dataset["id"] = id;
  const title = document.createElement("h3");
  title.textContent = value.title;
  const body = document.createElement("p");
  body.textContent = value.body;
  const edit = button("Edit", () => {
    const area = areaOf(`Text of ${value.title}`, value.body);
    const done = button("Done", () => {
      editing = false;
      act(notes.update(id, (note) => note && { ...note, body: area.value }));
    });
    editing = true;
    body.replaceWith(area);
    edit.replaceWith(done);
    area.focus();
  });
  const picture = await pictureOf(id, value.photo);
  row.append(
    title,
    body,
    ...(picture ? [picture] : []),
    edit,
    " ",
    button("Delete", () => act(notes.delete(id))),
  );
  return row;
}

function doubtOf(conflict: Conflict, title: string): HTMLElement {
  const card = document.createElement("div");
  card.className = "conflict";
  const head = document.createElement("p");
  head.textContent = `“${title}” was changed in two places. Before: ${String(conflict.base ?? "(nothing)")}`;
  const choices = conflict.siblings.map(({ value }) =>
    button(`Take: ${value === undefined ? "(deleted)" : String(value)}`, () =>
      act(notes.conflicts.resolve(conflict.documentId, conflict.id, value)),
    ),
  );
  const both = areaOf("Both, as you like it", conflict.siblings.map(({ value }) => String(value ?? "")).join("\n"));
  const take = button("Take what you wrote", () =>
    act(notes.conflicts.resolve(conflict.documentId, conflict.id, both.value)),
  );
  card.append(head, ...choices, both, take);
  return card;
}

let editing = false;
const refresh = coalesced(
  async () => {
    const all = (await notes.list()).toSorted((a, b) => b.value.writtenAt - a.value.writtenAt);
    // Nobody's half-written text is taken away from under the fingers.
    if (!editing) element("notes").replaceChildren(...(await Promise.all(all.map(rowOf))));
    const doubts = (await notes.conflicts.list()).filter((one) => one.class === "manual" || one.class === "failed");
    element("doubts").hidden = doubts.length === 0;
    const titleOf = (id: string): string => all.find((one) => one.id === id)?.value.title ?? "A note";
    element("conflicts").replaceChildren(...doubts.map((one) => doubtOf(one, titleOf(one.documentId))));
  },
  (error) => setText("word", String(error)),
);

function act(work: Promise<unknown>): void {
  work.then(
    () => refresh(),
    (error: unknown) => setText("word", error instanceof Error ? error.message : String(error)),
  );
}

const form = element<HTMLFormElement>("new");
form.addEventListener("submit", (event) => {
  event.preventDefault();
  act(save(form));
});
notes.subscribe(() => void refresh());
void refresh();
Object.assign(globalThis, { engine, notes });
