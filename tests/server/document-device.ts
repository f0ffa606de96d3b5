/** A device that edits documents: the real merge core, and real pushes; what it misses on purpose it can be told again. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { OfflineSync } from "../../js-glue/browser/index.ts";
import { DocumentsCore, type Edit, type RulesHandle } from "../../js-glue/core/documents-core.ts";
import type { withDocuments } from "../../js-glue/documents/index.ts";
import { type Mark, type Reply, START, segment, type TestEvent } from "./frames.ts";
import type { TestClient } from "./harness.ts";

const WAIT_MS_MAX = 20_000;
const root = process.env["OAS_ROOT"] ?? process.cwd();

export async function documentsCore(): Promise<DocumentsCore> {
  const bytes = await readFile(join(root, "dist/documents.wasm"));
  return DocumentsCore.create(await WebAssembly.compile(bytes));
}

/** As a user's program has them, bundled. */
export interface Library {
  open(options: object): OfflineSync;
  withDocuments: typeof withDocuments;
}

export async function library(): Promise<Library> {
  const [main, documents] = ["offline-ai-sync", "offline-ai-sync/documents"];
  return { ...(await import(main as string)), ...(await import(documents as string)) } as Library;
}

/** Returns also when it did not come: what is asserted next says what is missing. */
export async function until(done: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + WAIT_MS_MAX; !(await done()) && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 20));
}

export interface Change {
  readonly n: number;
  readonly key: string;
  readonly body: string;
  readonly from?: string;
}

export interface ChangesPage {
  readonly space: string;
  readonly cursor: string;
  readonly more: boolean;
  readonly changes: readonly Change[];
}

export const fromBase64 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "base64"));

/** Events in runs that fit into one segment each; at least one run. */
function runs(events: readonly TestEvent[]): readonly (readonly TestEvent[])[] {
  const all: TestEvent[][] = [[]];
  let size = 0;
  for (const event of events) {
    size += event.json?.length ?? 0;
    if (size > 40_000) {
      all.push([]);
      size = event.json?.length ?? 0;
    }
    all.at(-1)?.push(event);
  }
  return all;
}

/** One replica of one space. */
export class Device {
  readonly client: TestClient;
  readonly space: string;
  readonly core: DocumentsCore;
  readonly epoch = randomBytes(8).readBigUInt64LE() | 1n;
  cursor: string | undefined;
  rules: RulesHandle = 0;
  wall = 1_800_000_000_000;
  readonly #handles = new Map<string, number>();
  readonly #numbers = new Map<string, number>();
  #head: Mark = START;
  readonly outbox: TestEvent[] = [];

  constructor(client: TestClient, space: string, core: DocumentsCore) {
    this.client = client;
    this.space = space;
    this.core = core;
  }

  handle(key: string): number {
    let handle = this.#handles.get(key);
    if (handle === undefined) {
      handle = this.core.open(new Uint8Array(0), []).document;
      this.#handles.set(key, handle);
    }
    return handle;
  }

  #edit(key: string, make: (place: { epoch: bigint; firstN: number; wall: number }) => Edit): TestEvent {
    const n = (this.#numbers.get(key) ?? 0) + 1;
    const edit = make({ epoch: this.epoch, firstN: n, wall: ++this.wall });
    this.#numbers.set(key, n + edit.count - 1);
    const event = this.event(key, edit.delta);
    this.outbox.push(event);
    return event;
  }

  event(key: string, delta: Uint8Array): TestEvent {
    const [collection = "", id = ""] = key.split("/");
    const eventData = { space: this.space, collection, id, delta: Buffer.from(delta).toString("base64") };
    return { type: "oas:document", entity: `${this.space}/${key}`, json: JSON.stringify(eventData) };
  }

  /** The same edit as events that hold so many bytes each. */
  parts(key: string, delta: Uint8Array, size: number, edit = "a.1"): readonly TestEvent[] {
    const of = Math.ceil(delta.length / size);
    return Array.from({ length: of }, (_, i) => {
      const event = this.event(key, delta.subarray(i * size, (i + 1) * size));
      const eventData = { ...JSON.parse(String(event.json)), part: { edit, k: i + 1, of } };
      return { ...event, json: JSON.stringify(eventData) };
    });
  }

  /** Queues the edit that makes the shown document this value; undefined deletes it. */
  put(key: string, value: unknown): TestEvent {
    return this.putText(key, value === undefined ? undefined : JSON.stringify(value));
  }

  /** As `put`, of JSON text. */
  putText(key: string, json: string | undefined): TestEvent {
    const document = this.handle(key);
    this.core.view(document, this.rules, true);
    return this.#edit(key, (place) => this.core.put(document, this.rules, place, json));
  }

  /** Sends everything queued, and what stands in `extra`. */
  async push(extra: readonly TestEvent[] = []): Promise<Reply> {
    const items: ReturnType<typeof segment>[] = [];
    let head = this.#head;
    for (const events of runs([...this.outbox.splice(0), ...extra])) {
      items.push(segment(1n, 2, head, events));
      head = items.at(-1)?.after ?? head;
    }
    const stored = [{ epoch: 1n, lane: 2, ...this.#head }];
    const reply = await this.client.sync({ items, stored });
    const mark = reply.streams[0]?.mark;
    assert.equal(mark?.seq, head.seq);
    this.#head = head;
    return reply;
  }

  get(path: string): Promise<Response> {
    return this.client.json("GET", path);
  }

  async page(query = ""): Promise<ChangesPage> {
    const cursor = this.cursor === undefined ? "" : `&cursor=${this.cursor}`;
    const response = await this.get(`/sync/changes?space=${this.space}${cursor}${query}`);
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as ChangesPage;
  }

  take(changes: readonly Change[]): void {
    for (const { key, body } of changes) this.core.accept(this.handle(key), this.rules, [fromBase64(body)]);
  }

  async pull(limit = 500): Promise<number> {
    let count = 0;
    for (;;) {
      const page = await this.page(`&limit=${limit}&device=${this.client.deviceId}`);
      this.take(page.changes);
      count += page.changes.length;
      this.cursor = page.cursor;
      if (!page.more) return count;
    }
  }

  async snapshot(limit = 500): Promise<void> {
    let after = "";
    let cursor: string | undefined;
    for (;;) {
      const response = await this.get(
        `/sync/snapshot?space=${this.space}&limit=${limit}&after=${encodeURIComponent(after)}`,
      );
      assert.equal(response.status, 200);
      const page = (await response.json()) as {
        cursor: string;
        documents: { key: string; state: string; digest: string }[];
        next: string | null;
      };
      cursor ??= page.cursor;
      for (const { key, state } of page.documents)
        this.#handles.set(key, this.core.open(fromBase64(state), []).document);
      if (page.next === null) break;
      after = page.next;
    }
    this.cursor = cursor;
  }

  showText(key: string): string | undefined {
    return this.core.view(this.handle(key), this.rules, false).json;
  }

  show(key: string): unknown {
    const json = this.showText(key);
    return json === undefined ? undefined : JSON.parse(json);
  }

  pending(key: string): number {
    return this.core.view(this.handle(key), this.rules, false).pending;
  }

  conflicts(key: string) {
    return this.core.view(this.handle(key), this.rules, false).records;
  }

  digest(key: string): string {
    return this.core.view(this.handle(key), this.rules, false).digest.toString(16).padStart(16, "0");
  }

  state(key: string): string {
    return Buffer.from(this.core.state(this.handle(key))).toString("hex");
  }
}
