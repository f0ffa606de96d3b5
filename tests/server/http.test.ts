/** The outside of the server: credentials, isolation, limits, shapes of errors. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import express from "express";
import { databaseKinds } from "./databases.ts";
import { START, segment } from "./frames.ts";
import { BATCH, TestClient, TestServer } from "./harness.ts";

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly limits?: { readonly pushBytesMax: number };
  readonly protocol?: object;
}

async function problem(response: Response): Promise<Problem> {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  assert.equal(response.headers.get("oas-protocol"), "1");
  const body = (await response.json()) as Problem;
  assert.equal(body.status, response.status);
  return body;
}

const [sqlite] = databaseKinds;

describe("HTTP", () => {
  let server: TestServer;
  let ann: TestClient;
  let bob: TestClient;
  let other: TestClient;
  before(async () => {
    server = await TestServer.start(sqlite!);
    ann = await server.client("acme", "ann");
    bob = await server.client("acme", "bob");
    other = await server.client("globex", "ann");
    await ann.sync({ items: [segment(1n, 2, START, [{ json: '{"secret":1}' }, { json: "nonsense" }])] });
  });
  after(() => server.end());

  const one = () => ann.frame({ items: [segment(2n, 2, START, [{}])] });

  test("without a valid key there is nothing", async () => {
    for (const key of [
      "",
      "nonsense",
      `${ann.key}x`,
      ann.key.replace(/.$/, "!"),
      `oas_000000000000_${"a".repeat(43)}`,
    ]) {
      const response = await fetch(`${server.url}/sync/push`, {
        method: "POST",
        body: Buffer.from(one()),
        headers: { "content-type": BATCH, ...(key ? { authorization: `Bearer ${key}` } : {}) },
      });
      assert.equal(response.status, 401);
      assert.equal((await problem(response)).code, "unauthorized");
    }
  });

  test("a revoked key stops working", async () => {
    const gone = await server.client("acme", "carol");
    await server.execute(`UPDATE api_key SET revoked_at = 1 WHERE principal_id = 'carol'`);
    assert.equal((await gone.json("GET", `/events/${gone.deviceId}/history`)).status, 401);
  });

  test("another subject's device, another tenant's and an unknown one look alike, on every route", async () => {
    const unknown = "00000000-0000-0000-0000-00000000abcd";
    const letter = ((await (await ann.json("GET", "/dead-letter")).json()) as { items: { id: string }[] }).items[0]!.id;
    const body = { eventType: "t", eventData: 1 };
    for (const stranger of [bob, other]) {
      for (const id of [ann.deviceId, unknown, "garbage", "%00", "..%2f"]) {
        const answers = [
          await stranger.json("GET", `/device/${id}/status`),
          await stranger.json("PUT", `/device/${id}/online-status`, { online: true }),
          await stranger.json("GET", `/events/${id}/history`),
          await stranger.json("GET", `/events/${id}/pending`),
          await stranger.json("POST", "/events/queue", { ...body, deviceId: id }),
        ];
        // In another tenant this would be the first contact of a device of its own.
        if (stranger === bob || id !== ann.deviceId) answers.push(await stranger.post(`/events/sync/${id}`, one()));
        for (const answer of answers) {
          assert.equal(answer.status, 404, answer.url);
          assert.equal((await problem(answer)).code, "unknown_device");
        }
      }
      const retry = await stranger.json("POST", `/dead-letter/${letter}/retry`, {});
      assert.equal(retry.status, 404);
      assert.deepEqual(((await (await stranger.json("GET", "/dead-letter")).json()) as { items: [] }).items, []);
    }
    // The same device id in another tenant is another device; in the same tenant it is someone else's.
    assert.equal((await bob.post("/sync/push", one())).status, 404);
    assert.equal((await other.post("/sync/push", one())).status, 200);
    assert.equal((await ann.history()).length, 2);
  });

  test("an administrator sees the tenant's devices, not those of others", async () => {
    const admin = await server.client("acme", "root", ["admin"]);
    assert.equal((await admin.json("GET", `/events/${ann.deviceId}/history`)).status, 200);
    const foreign = await server.client("globex", "root", ["admin"]);
    const seen = await foreign.json("GET", `/device/${bob.deviceId}/status`);
    assert.equal(seen.status, 404);
  });

  test("media types, encodings and sizes are checked before anything is decoded", async () => {
    const wrong = await ann.post("/sync/push", one(), { "content-type": "application/json" });
    assert.equal(wrong.status, 415);
    assert.equal((await problem(wrong)).code, "unsupported_media_type");
    const encoding = await ann.post("/sync/push", one(), { "content-encoding": "zstd" });
    assert.equal(encoding.status, 415);
    const big = await ann.post("/sync/push", new Uint8Array(1_000_001));
    assert.equal(big.status, 413);
    assert.equal((await problem(big)).limits?.pushBytesMax, 1_000_000);
    const zeros = new Uint8Array(50_000_000);
    for (const [name, bytes] of [
      ["gzip", gzipSync(zeros)],
      ["br", brotliCompressSync(zeros)],
    ] as const) {
      const bomb = await ann.post("/sync/push", bytes, { "content-encoding": name });
      assert.equal(bomb.status, 413);
      await bomb.arrayBuffer();
    }
    const broken = await ann.post("/sync/push", Uint8Array.of(1, 2, 3), { "content-encoding": "gzip" });
    assert.equal((await problem(broken)).code, "invalid_request");
  });

  test("a compressed push is as good as a plain one", async () => {
    const response = await ann.post("/sync/push", gzipSync(one()), { "content-encoding": "gzip" });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), BATCH);
    assert.ok(response.headers.get("oas-incarnation"));
    assert.equal(response.headers.get("oas-server-time"), String(server.clock.now));
    await response.arrayBuffer();
  });

  test("another protocol version is told the range", async () => {
    const response = await ann.post("/sync/push", ann.frame({ version: 9 }));
    assert.equal(response.status, 426);
    const body = await problem(response);
    assert.equal(body.code, "version_not_supported");
    assert.deepEqual(body.protocol, { oldest: 1, newest: 1 });
  });

  test("damaged frames are refused by name, whatever byte is wrong", async () => {
    const frame = one();
    for (let at = 0; at < frame.length; at += 3) {
      const damaged = frame.slice();
      damaged[at] = damaged[at]! ^ 0x10;
      const response = await ann.post("/sync/push", damaged);
      assert.ok(response.status >= 400 && response.status < 500, `byte ${at}: ${response.status}`);
      assert.notEqual((await problem(response)).code, "internal");
      const cut = await ann.post("/sync/push", frame.subarray(0, at));
      assert.ok(cut.status >= 400 && cut.status < 500, `cut at ${at}: ${cut.status}`);
      await cut.arrayBuffer();
    }
  });

  test("unknown paths are 404, other methods 405", async () => {
    assert.equal((await problem(await ann.json("GET", "/no/such"))).code, "not_found");
    const method = await ann.json("DELETE", "/health");
    assert.equal(method.status, 405);
    assert.equal(method.headers.get("allow"), "GET");
    await method.arrayBuffer();
  });

  test("analytics come as JSON, once with an idempotency key, and add up per day", async () => {
    const client = await server.client("metrics", "mia");
    await client.json("POST", "/device/register", {
      deviceId: client.deviceId,
      deviceType: "mobile",
      capabilities: {},
    });
    const events = [{ name: "page", properties: { path: "/a" } }, { name: "page" }, { name: "buy" }];
    const body = { deviceId: client.deviceId, events };
    const headers = { "idempotency-key": "batch" };
    assert.equal((await client.json("POST", "/analytics/buffer", body, headers)).status, 201);
    assert.equal((await client.json("POST", "/analytics/buffer", body, headers)).status, 200);
    assert.deepEqual(
      (await client.history()).map(({ eventData }) => (eventData as { name: string }).name),
      ["page", "page", "buy"],
    );
    assert.equal((await client.json("GET", "/analytics/summary")).status, 403);
    const admin = await server.client("metrics", "root", ["admin"]);
    await server.sync.maintenance.tick();
    const { items } = (await (await admin.json("GET", "/analytics/summary?name=page")).json()) as {
      items: { name: string; count: number }[];
    };
    assert.deepEqual(
      items.map(({ name, count }) => [name, count]),
      [["page", 2]],
    );
  });

  test("an event queued as JSON is applied, and an idempotency key makes it one", async () => {
    const client = await server.client();
    await client.json("POST", "/device/register", {
      deviceId: client.deviceId,
      deviceType: "desktop",
      capabilities: {},
    });
    const event = { deviceId: client.deviceId, eventType: "user_action", moduleId: "quiz", eventData: { score: 85 } };
    const headers = { "idempotency-key": "k1" };
    const first = await client.json("POST", "/events/queue", event, headers);
    assert.equal(first.status, 201);
    const again = await client.json("POST", "/events/queue", event, headers);
    assert.equal(again.status, 200);
    assert.equal(
      ((await again.json()) as { eventId: string }).eventId,
      ((await first.json()) as { eventId: string }).eventId,
    );
    await client.json("POST", "/events/queue", event);
    assert.deepEqual(
      (await client.history()).map(({ eventData }) => eventData),
      [{ score: 85 }, { score: 85 }],
    );
    const numbered = { ...event, epoch: "00000000000000aa", seq: 1 };
    assert.equal((await client.json("POST", "/events/queue", numbered)).status, 201);
    assert.equal((await client.json("POST", "/events/queue", numbered)).status, 200);
    const gap = await client.json("POST", "/events/queue", { ...numbered, seq: 5 });
    assert.equal(gap.status, 409);
    assert.equal((await problem(gap)).code, "gap");
  });

  test("what is wrong with a JSON event has a name", async () => {
    const client = await server.client();
    await client.json("POST", "/device/register", { deviceId: client.deviceId });
    const event = { deviceId: client.deviceId, eventType: "t", eventData: {} };
    const deep = JSON.parse("[".repeat(65) + "]".repeat(65)) as unknown;
    for (const [change, status, code] of [
      [{ priority: "urgent" }, 400, "unknown_priority"],
      [{ eventType: "" }, 400, "invalid_request"],
      [{ eventType: "a\0b" }, 400, "invalid_request"],
      [{ entity: "\ud800" }, 400, "invalid_request"],
      [{ eventData: undefined }, 400, "invalid_request"],
      [{ eventData: "\ud800" }, 400, "lone_surrogate"],
      [{ eventData: deep }, 400, "too_deep"],
      [{ eventData: "x".repeat(40_000) }, 413, "event_too_large"],
      [{ userId: "bob" }, 403, "forbidden"],
    ] as const) {
      const response = await client.json("POST", "/events/queue", { ...event, ...change });
      assert.equal(response.status, status, code);
      assert.equal((await problem(response)).code, code);
    }
    const text = await fetch(`${server.url}/events/queue`, {
      method: "POST",
      body: '{"deviceId":',
      headers: { authorization: `Bearer ${client.key}`, "content-type": "application/json" },
    });
    assert.equal((await problem(text)).code, "invalid_json");
    assert.deepEqual(await client.history(), []);
  });

  test("a dead letter can be mended and tried again, once", async () => {
    const { items } = (await (await ann.json("GET", "/dead-letter")).json()) as {
      items: { id: string; code: string }[];
    };
    assert.equal(items[0]?.code, "invalid_json");
    const path = `/dead-letter/${items[0]?.id}/retry`;
    assert.equal((await ann.json("POST", path, { eventData: { mended: true } })).status, 201);
    assert.equal((await ann.json("POST", path, { eventData: { mended: true } })).status, 404);
    assert.ok((await ann.history()).some(({ eventData }) => JSON.stringify(eventData) === '{"mended":true}'));
  });

  test("register keeps what it was told and answers with time and limits", async () => {
    const client = await server.client();
    const body = { deviceType: "desktop", platform: "chrome", capabilities: { webgl: true, text: "a\0b" } };
    const response = await client.json("POST", "/device/register", body);
    const answer = (await response.json()) as { deviceId: string; serverTime: number; limits: object };
    assert.match(answer.deviceId, /^[0-9a-f]{8}-/);
    assert.equal(answer.serverTime, server.clock.now);
    assert.ok(answer.limits);
    await client.json("PUT", `/device/${answer.deviceId}/online-status`, { online: true, networkType: "4g" });
    const status = (await (await client.json("GET", `/device/${answer.deviceId}/status`)).json()) as {
      online: boolean;
    };
    assert.equal(status.online, true);
  });

  test("a push made by a Service Worker is marked in the log, and no line holds data or keys", async () => {
    const client = await server.client();
    const frame = client.frame({ items: [segment(1n, 2, START, [{ json: '{"secret":"hush"}' }])] });
    await (await client.post("/sync/push", frame, { "oas-context": "worker" })).arrayBuffer();
    const push = server.log.lines.filter(({ message }) => message === "push").at(-1);
    assert.deepEqual(push?.fields, {
      device: client.deviceId,
      from: "worker",
      applied: 1,
      rejected: 0,
      deferred: 0,
      duplicate: 0,
    });
    const all = JSON.stringify(server.log.lines);
    assert.ok(!all.includes("hush") && !all.includes(client.key));
  });

  test("a cookie counts from the same origin only", async () => {
    const get = (headers: Record<string, string>): Promise<Response> =>
      fetch(`${server.url}/events/${ann.deviceId}/history`, { headers: { cookie: `oas_key=${ann.key}`, ...headers } });
    assert.equal((await get({ "sec-fetch-site": "same-origin" })).status, 200);
    assert.equal((await get({ "sec-fetch-site": "cross-site" })).status, 401);
    const post = await fetch(`${server.url}/sync/push`, {
      method: "POST",
      body: Buffer.from(one()),
      headers: { cookie: `oas_key=${ann.key}`, origin: "https://evil.example", "content-type": BATCH },
    });
    assert.equal(post.status, 401);
  });

  test("the Express router serves the same routes", async () => {
    const app = express();
    app.use("/api/offline-ai", server.sync.router);
    const http = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => http.once("listening", resolve));
    const { port } = http.address() as { port: number };
    const client = new TestClient(`http://127.0.0.1:${port}/api/offline-ai`, ann.key, ann.device);
    const reply = await client.sync({ items: [segment(3n, 2, START, [{}])] });
    assert.equal(reply.streams[0]?.mark.seq, 1);
    assert.equal((await client.json("GET", "/health/ready")).status, 200);
    assert.equal((await client.json("GET", "/nothing")).status, 404);
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });

  test("readiness ends when draining begins; requests are still answered", async () => {
    const draining = await TestServer.start(sqlite!);
    const client = await draining.client();
    assert.equal((await client.json("GET", "/health/ready")).status, 200);
    draining.sync.drain();
    assert.equal((await client.json("GET", "/health/ready")).status, 503);
    assert.equal((await client.json("GET", "/health/live")).status, 200);
    assert.equal((await client.sync({ items: [segment(1n, 2, START, [{}])] })).streams[0]?.mark.seq, 1);
    await draining.end();
  });
});
