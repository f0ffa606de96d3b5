/** Content kept at the server: sealed, conditional, expiring, and nobody else's. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { databaseKinds } from "./databases.ts";
import { START, segment } from "./frames.ts";
import { type TestClient, TestServer } from "./harness.ts";

for (const kind of databaseKinds) {
  describe(`content cache, ${kind.name}`, { skip: kind.skip }, () => {
    let server: TestServer;
    let ann: TestClient;
    let bob: TestClient;
    let device = "";
    before(async () => {
      server = await TestServer.start(kind);
      ann = await server.client("acme", "ann");
      bob = await server.client("acme", "bob");
      await ann.sync({ items: [segment(1n, 2, START, [{}])] });
      device = ann.deviceId;
    });
    after(() => server.end());

    const call = (
      client: TestClient,
      method: string,
      path: string,
      body?: object,
      headers: Record<string, string> = {},
    ) =>
      fetch(`${server.url}${path}`, {
        method,
        headers: { authorization: `Bearer ${client.key}`, "content-type": "application/json", ...headers },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
    const lesson = { contentType: "lesson", contentId: "42", contentData: { title: "secret words" }, ttl: 60 };

    test("comes back with its ETag, is sealed in the row, and expires", async () => {
      const stored = await call(ann, "POST", "/cache/content", { deviceId: device, ...lesson });
      assert.equal(stored.status, 201);
      const { etag } = (await stored.json()) as { etag: string };
      const path = `/cache/${device}/lesson/42`;
      const read = await call(ann, "GET", path);
      assert.deepEqual(await read.json(), lesson.contentData);
      assert.equal(read.headers.get("etag"), etag);
      assert.equal((await call(ann, "GET", path, undefined, { "if-none-match": etag })).status, 304);
      const rows = await server.query("SELECT ciphertext FROM offline_content_cache");
      assert.equal(rows.length, 1);
      assert.ok(!Buffer.from(rows[0]?.["ciphertext"] as Uint8Array).includes("secret"));
      server.clock.now += 61_000;
      assert.equal((await call(ann, "GET", path)).status, 404);
      assert.equal((await call(ann, "GET", `${path}?stale=1`)).status, 200);
      const { items } = (await (await call(ann, "GET", `/cache/${device}?sort=hits`)).json()) as {
        items: { hits: number }[];
      };
      assert.equal(items[0]?.hits, 3);
    });

    test("the client's own ciphertext passes through", async () => {
      const ciphertext = Buffer.from([1, 2, 3, 250]).toString("base64");
      const own = { deviceId: device, contentType: "note", contentId: "1", ciphertext, keyId: "k1" };
      assert.equal((await call(ann, "POST", "/cache/content", own)).status, 201);
      const read = await call(ann, "GET", `/cache/${device}/note/1`);
      assert.equal(read.headers.get("oas-key-id"), "k1");
      assert.deepEqual(new Uint8Array(await read.arrayBuffer()), Uint8Array.of(1, 2, 3, 250));
      const both = { ...own, contentData: 1 };
      assert.equal((await call(ann, "POST", "/cache/content", both)).status, 400);
    });

    test("is nobody else's to read, list or delete", async () => {
      const { items } = (await (await call(ann, "GET", `/cache/${device}`)).json()) as { items: { cacheId: string }[] };
      const id = items[0]?.cacheId ?? "";
      assert.equal((await call(bob, "GET", `/cache/${device}/note/1`)).status, 404);
      assert.equal((await call(bob, "GET", `/cache/${device}`)).status, 404);
      assert.equal((await call(bob, "DELETE", `/cache/${id}`)).status, 204);
      assert.equal((await server.query("SELECT 1 AS n FROM offline_content_cache")).length, items.length);
      assert.equal((await call(ann, "DELETE", `/cache/${id}`)).status, 204);
      assert.equal((await call(ann, "DELETE", `/cache/${id}`)).status, 204);
      assert.equal((await server.query("SELECT 1 AS n FROM offline_content_cache")).length, items.length - 1);
    });
  });
}
