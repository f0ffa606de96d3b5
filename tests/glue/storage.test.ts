/** The storage ladder at a page: what is let go of at which point, who is turned away, and the way past a full disk. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { QueuedEvent } from "../../js-glue/core/calls.ts";
import { failure } from "../../js-glue/core/errors.ts";
import { RUNGS, type StorageOptions, StorageWatch } from "../../js-glue/storage/watch.ts";

const device = Uint8Array.from({ length: 16 }, (_, i) => i);

interface Posted {
  readonly path: string;
  readonly body: Record<string, unknown>;
}

function start(more: { readonly pending?: number; readonly answers?: (Response | undefined)[] } & StorageOptions = {}) {
  const disk = { usage: 0, quota: 1_000, full: false };
  const queued: QueuedEvent[] = [];
  const posted: Posted[] = [];
  const commands: number[] = [];
  const cache = {
    held: 600,
    list: async () => [{ stored: cache.held }],
    shrinkTo: async (bytes: number) => {
      disk.usage -= cache.held - bytes;
      cache.held = bytes;
    },
  };
  const transport = {
    async post(path: string, body: Record<string, unknown>) {
      posted.push({ path, body });
      const answer = more.answers?.shift();
      if (!answer) throw failure("offline", "there is no network");
      return answer;
    },
  };
  const registered: boolean[] = [];
  const register = async (force: boolean) => registered.push(force);
  const engine = {
    status: { get: () => ({ pending: more.pending ?? 0 }) },
    parts: {
      host: async () => ({ device, transport, register, loop: { command: async (op: number) => commands.push(op) } }),
    },
    async queueEvent(event: QueuedEvent) {
      if (disk.full) throw failure("storage_quota", "the browser refused to store more");
      queued.push(event);
      return { id: "1", durability: "strict", synced: Promise.resolve({ kind: "applied" }) };
    },
  };
  // The real ladder is C++ (tests/unit/device); here only what the page makes of its word.
  const rungs = { next: 0 };
  const ladder = { look: () => rungs.next, refused: () => RUNGS.length - 1, delete: () => undefined };
  const options = { cache, estimate: async () => disk, everyMs: 0, ...more };
  const watch = new StorageWatch(engine as never, options, ladder);
  const look = (rung: (typeof RUNGS)[number], usage: number) => {
    rungs.next = RUNGS.indexOf(rung);
    disk.usage = usage;
    return watch.look();
  };
  return { watch, look, disk, queued, posted, commands, cache, registered };
}

const event = (priority: QueuedEvent["priority"], entity?: string): QueuedEvent => ({
  eventType: "e",
  eventData: 1,
  priority,
  entity,
});
const code = (wanted: string) => (error: unknown) => (error as { code?: string }).code === wanted;

test("content goes before anything else, as far as it has to", async () => {
  const { look, cache, commands, watch } = start();
  const seen: string[] = [];
  watch.status.subscribe(({ rung }) => seen.push(rung));
  await look("warn", 710);
  assert.equal(cache.held, 600);
  await look("compact", 760);
  assert.deepEqual(commands, [6]);
  await look("evict", 850);
  assert.equal(cache.held, 500, "from 850 back to 750 of 1,000");
  assert.deepEqual([...new Set(seen)], ["warn", "compact", "evict"]);
});

test("new bulk work is turned away, work that matters is not", async () => {
  const { look, watch, queued } = start();
  await look("refuse-bulk", 960);
  for (const priority of ["low", "analytics"] as const)
    await assert.rejects(watch.queueEvent(event(priority)), code("storage_quota"));
  for (const priority of ["normal", "high", "critical"] as const) await watch.queueEvent(event(priority));
  assert.equal(queued.length, 3);
  await look("critical-only", 990);
  await assert.rejects(watch.queueEvent(event("high")), code("storage_quota"));
  await watch.queueEvent(event("critical"));
  assert.equal(queued.length, 4);
  assert.equal(watch.status.get().refused, 3);
  assert.equal(await watch.usage(), 1);
});

test("a critical event that cannot be stored goes to the server, once however often it is sent", async () => {
  const ok = (): Response => Response.json({ eventId: "x", status: "applied" }, { status: 201 });
  const { watch, disk, posted } = start({ answers: [new Response("", { status: 503 }), ok()] });
  disk.full = true;
  const receipt = await watch.queueEvent(event("critical"));
  assert.equal(receipt.durability, "replicated");
  assert.deepEqual(await receipt.synced, { kind: "applied" });
  assert.equal(posted.length, 2);
  assert.deepEqual(posted[0], posted[1], "the same event under the same number");
  assert.match(String(posted[0]?.body["epoch"]), /^[0-9a-f]{16}$/);
  assert.equal(watch.status.get().rung, "critical-only");
  assert.equal(watch.status.get().sentDirectly, 1);
});

test("a device the server does not know yet makes itself known first", async () => {
  const unknown = (): Response => Response.json({ code: "unknown_device", detail: "no" }, { status: 404 });
  const ok = Response.json({ eventId: "x", status: "applied" }, { status: 201 });
  const { watch, disk, posted, registered } = start({ answers: [unknown(), ok] });
  disk.full = true;
  await watch.queueEvent(event("critical"));
  assert.deepEqual(registered, [true]);
  assert.equal(posted.length, 2);
  const stranger = start({ answers: [unknown(), unknown()] });
  stranger.disk.full = true;
  await assert.rejects(stranger.watch.queueEvent(event("critical")), code("unknown_device"));
});

test("without a server, or behind others of its entity, it is refused by name", async () => {
  const { watch, disk, posted } = start();
  disk.full = true;
  await assert.rejects(watch.queueEvent(event("critical")), code("storage_quota"));
  assert.equal(posted.length, 3);
  const waiting = start({ pending: 1 });
  waiting.disk.full = true;
  await assert.rejects(waiting.watch.queueEvent(event("critical", "cart")), code("storage_quota"));
  assert.equal(waiting.posted.length, 0);
  const refused = start({ answers: [Response.json({ code: "event_too_large", detail: "no" }, { status: 413 })] });
  refused.disk.full = true;
  await assert.rejects(refused.watch.queueEvent(event("critical")), code("event_too_large"));
});
