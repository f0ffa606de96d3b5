/** The first steps of the description, `cacheContent` at the server excepted: only import path, address and user agent differ. */

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { createSyncServer, offlineAiSyncEngine, type SyncServer } from "../../js-glue/server/index.ts";

describe("first steps", () => {
  let sync: SyncServer;
  let http: Server;
  before(async () => {
    // Without these two lines the engine opens the database that DATABASE_URL names.
    sync = await createSyncServer({ db: "sqlite::memory:", auth: () => Promise.resolve(visitor) });
    offlineAiSyncEngine.use(sync);
    http = createServer(sync.handler);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  });
  after(async () => {
    http.closeAllConnections();
    http.close();
    await offlineAiSyncEngine.close();
  });
  const visitor = { tenant: "default", principal: "user123", scopes: ["sync" as const] };

  test("at the server", async () => {
    const deviceId = await offlineAiSyncEngine.registerDevice({
      userId: "user123",
      deviceType: "desktop",
      platform: "chrome",
    });
    await offlineAiSyncEngine.queueEvent({
      deviceId,
      eventType: "user_action",
      moduleId: "quiz",
      eventData: { action: "answer_selected", questionId: "q1" },
    });
    assert.match(deviceId, /^[0-9a-f-]{36}$/);
  });

  test("in the page", async () => {
    const { port } = http.address() as AddressInfo;
    const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init);
    const response = await ask("/api/offline-ai/device/register", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        deviceType: "desktop",
        userAgent: "Mozilla/5.0",
        capabilities: { webgl: false, webassembly: typeof WebAssembly !== "undefined" },
      }),
    });
    const { deviceId } = (await response.json()) as { deviceId: string };
    const queued = await ask("/api/offline-ai/events/queue", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        deviceId,
        eventType: "user_action",
        moduleId: "quiz",
        eventData: { action: "quiz_completed", score: 85 },
      }),
    });
    assert.equal(queued.status, 201);
    const history = await ask(`/api/offline-ai/events/${deviceId}/history`);
    const { items } = (await history.json()) as { items: { eventData: unknown }[] };
    assert.deepEqual(items.at(-1)?.eventData, { action: "quiz_completed", score: 85 });
  });
});
