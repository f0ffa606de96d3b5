/** The server behind `Request` and `Response`, alone, below Hono, and as a route handler is called. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Hono } from "hono";
import { createSyncServer, type SyncServer } from "../../js-glue/server/index.ts";

const API = "http://app.test/api/offline-ai";

describe("the server as a fetch handler", () => {
  let sync: SyncServer;
  let key = "";
  before(async () => {
    sync = await createSyncServer({ db: "sqlite::memory:" });
    key = await sync.createApiKey({ tenant: "default", principal: "ann" });
  });
  after(() => sync.close());

  const post = (path: string, body: unknown, more: RequestInit = {}): Request =>
    new Request(API + path, {
      method: "POST",
      body: JSON.stringify(body),
      ...more,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...more.headers },
    });
  const read = async <T>(response: Response): Promise<T> => (await response.json()) as T;

  test("answers like the listener: device, event, history, refusals", async () => {
    const app = new Hono();
    app.all("/api/offline-ai/*", (context) => sync.fetch(context.req.raw));
    const answer = await app.fetch(post("/device/register", { deviceType: "desktop" }));
    assert.equal(answer.status, 200);
    assert.ok(answer.headers.get("oas-protocol"));
    const { deviceId } = await read<{ deviceId: string }>(answer);
    const event = { deviceId, eventType: "user_action", moduleId: "quiz", eventData: { n: 1 } };
    // As a compressed body, which the framework passes on as it came.
    const packed = { body: gzipSync(JSON.stringify(event)), headers: { "content-encoding": "gzip" } };
    assert.equal((await app.fetch(post("/events/queue", event, packed))).status, 201);
    const history = await sync.fetch(
      new Request(`${API}/events/${deviceId}/history?limit=5`, { headers: { authorization: `Bearer ${key}` } }),
    );
    const { items } = await read<{ items: { eventData: unknown }[] }>(history);
    assert.deepEqual(items[0]?.eventData, { n: 1 });
    assert.equal((await sync.fetch(new Request(`${API}/models`))).status, 401);
    assert.equal((await sync.fetch(new Request(`${API}/nowhere`))).status, 404);
    assert.equal((await sync.fetch(new Request(`${API}/device/register`))).status, 405);
    assert.equal((await sync.fetch(post("/events/queue", "x".repeat(50)))).status, 400);
  });

  test("a stream comes piece by piece, and one nobody reads any more makes room for another", async () => {
    // A subject has at most fifty at once.
    for (let i = 0; i < 60; i++) {
      const leave = new AbortController();
      const headers = { authorization: `Bearer ${key}` };
      const response = await sync.fetch(new Request(`${API}/sync/stream`, { headers, signal: leave.signal }));
      assert.equal(response.status, 200, `stream ${i}`);
      assert.equal(response.headers.get("content-type"), "text/event-stream");
      const reader = response.body?.getReader();
      assert.match(new TextDecoder().decode((await reader?.read())?.value), /retry:/);
      if (i % 2 === 0) leave.abort();
      else await reader?.cancel();
    }
  });

  test("whoever leaves before there is an answer is not waited for", async () => {
    const leave = new AbortController();
    const headers = { authorization: `Bearer ${key}` };
    const waiting = sync.fetch(
      new Request(`${API}/sync/changes?space=~&wait=20000`, { headers, signal: leave.signal }),
    );
    setTimeout(() => leave.abort(), 50);
    const late = new Promise((resolve) => setTimeout(resolve, 10_000, "still waiting").unref());
    assert.equal(((await Promise.race([waiting, late])) as Response).status, 503);
  });

  test("HEAD has headers and no body", async () => {
    const response = await sync.fetch(new Request(`${API}/health/live`, { method: "HEAD" }));
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
  });
});
