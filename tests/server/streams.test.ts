/** Pokes: they reach the subject's streams, on this process and on others, and nobody else's. */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:net";
import { after, describe, test } from "node:test";
import { Envelope, Gatherer, topicOf, topicsOf } from "../../js-glue/server/bus/bus.ts";
import { currentTenant, followTenants, inNoTenant, inTenant } from "../../js-glue/server/store/tenant.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { START, segment } from "./frames.ts";
import { type TestClient, TestServer } from "./harness.ts";
import { Listener } from "./stream-listener.ts";

const [sqlite, postgres] = databaseKinds;
const hasRedis = spawnSync("redis-server", ["--version"]).status === 0;

const push = (client: TestClient, epoch: bigint): Promise<unknown> =>
  client.sync({ items: [segment(epoch, 2, START, [{}])] });

describe("streams", () => {
  test("a push pokes the subject's streams and waits, nobody else's; draining says good-bye", async () => {
    const server = await TestServer.start(sqlite!);
    const ann = await server.client("acme", "ann");
    const phone = await server.client("acme", "ann");
    const bob = await server.client("acme", "bob");
    const [mine, his] = [await Listener.open(phone), await Listener.open(bob)];
    const wait = phone.json("GET", "/sync/wait");
    await new Promise((resolve) => setTimeout(resolve, 20));
    await push(ann, 1n);
    await mine.until(2);
    assert.deepEqual(mine.events, ["poke", "poke"]);
    assert.deepEqual(his.events, ["poke"]);
    assert.deepEqual(await (await wait).json(), { poke: true });
    assert.deepEqual(await (await bob.json("GET", "/sync/wait?wait=1")).json(), { poke: false });
    // A refused event is a late verdict for nobody: no poke.
    server.sync.drain();
    await his.until(2);
    assert.deepEqual(his.events, ["poke", "bye"]);
    await server.end();
  });

  test("a late verdict pokes the device that waits for it", async () => {
    let fails = 1;
    const server = await TestServer.start(sqlite!);
    server.sync.on("flaky", () => {
      if (fails-- > 0) throw new Error("later");
    });
    const ann = await server.client();
    const stream = await Listener.open(ann);
    await ann.sync({ items: [segment(1n, 2, START, [{ type: "flaky" }])] });
    server.clock.now += 5_000;
    await server.sync.release();
    await stream.until(2);
    assert.ok(stream.events.length >= 2);
    await server.end();
  });

  test("a subject has at most fifty streams", async () => {
    const server = await TestServer.start(sqlite!);
    const ann = await server.client();
    const streams = await Promise.all(Array.from({ length: 50 }, () => Listener.open(ann)));
    const more = await ann.json("GET", "/sync/stream");
    assert.equal(more.status, 429);
    await Promise.all(streams.map((stream) => stream.close()));
    await server.end();
  });

  test("messages of another shape are nobody's topics, and a burst is one message", async () => {
    const topic = topicOf("acme", "ann");
    assert.notEqual(topic, topicOf("acm", "eann"));
    assert.deepEqual(topicsOf(`${topic} <script> ${topic}x`), [topic]);
    assert.deepEqual(topicsOf("x".repeat(9_000)), []);
    const [mine, other] = [new Envelope(), new Envelope()];
    assert.deepEqual(mine.open(other.seal(topic)), [topic]);
    assert.deepEqual(mine.open(mine.seal(topic)), []); // its own streams know
    assert.deepEqual(topicsOf(mine.seal(topic)), [topic]); // for a process that knows of no envelopes
    const sent: string[] = [];
    await new Promise<void>((resolve) => {
      const gatherer = new Gatherer((message) => {
        sent.push(message);
        resolve();
      });
      for (let i = 0; i < 100; i++) gatherer.add([topic, topicOf("acme", "bob")]);
    });
    assert.equal(sent.length, 1);
    assert.equal(sent[0]?.split(" ").length, 2);
  });

  test("while a message is on its way, what comes is gathered into the next", async () => {
    const topics = Array.from({ length: 5 }, (_, i) => topicOf("acme", `p${i}`));
    const sent: string[] = [];
    let arrived = (): void => undefined;
    let done = (): void => undefined;
    const all = new Promise<void>((resolve) => {
      done = resolve;
    });
    const gatherer = new Gatherer((message) => {
      sent.push(message);
      if (sent.length === 2) done();
      return new Promise<void>((resolve) => {
        arrived = resolve;
        // Everything else comes while the first message is not through yet.
        if (sent.length === 1) for (const topic of topics.slice(1)) gatherer.add([topic]);
      });
    });
    gatherer.add([topics[0]!]);
    while (sent.length === 0) await new Promise((resolve) => setImmediate(resolve));
    arrived();
    await all;
    assert.deepEqual(sent, [topics[0], topics.slice(1).join(" ")]);
    gatherer.close();
  });

  test("whose a stream is now is asked on behalf of nobody, whoever's push made the question necessary", () => {
    followTenants();
    inTenant("acme", () => {
      assert.equal(currentTenant(), "acme");
      assert.equal(inNoTenant(currentTenant), undefined);
    });
  });

  const across = async (database: TestDatabase, redis?: string): Promise<void> => {
    const options = redis === undefined ? {} : { redis };
    const one = await TestServer.on(database, options);
    const two = await TestServer.on(database, options);
    const ann = await one.client("acme", "ann");
    const stream = await Listener.open(Object.assign(Object.create(Object.getPrototypeOf(ann)), ann, { url: two.url }));
    // The buses connect in the background; pokes are hints, so the push is repeated until one is heard.
    for (let epoch = 1n; stream.events.length < 2 && epoch < 100n; epoch++) {
      await push(ann, epoch);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok(stream.events.length >= 2);
    await stream.close();
    await one.stop();
    await two.stop();
  };

  test("pokes cross processes by PostgreSQL", { skip: postgres!.skip ?? false }, async () => {
    const database = await postgres!.create();
    await across(database);
    await database.drop();
  });

  describe("with Redis", { skip: hasRedis ? false : "no redis-server here" }, () => {
    let stop = (): void => undefined;
    after(() => stop());
    test("pokes cross processes by Redis, and its absence stops nothing", async () => {
      const port = await new Promise<number>((resolve) => {
        const probe = createServer().listen(0, "127.0.0.1", () => {
          const { port: free } = probe.address() as { port: number };
          probe.close(() => resolve(free));
        });
      });
      const start = () =>
        spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], { stdio: "ignore" });
      const redis = start();
      stop = () => redis.kill("SIGKILL");
      const database = await sqlite!.create();
      await across(database, `redis://127.0.0.1:${port}`);
      redis.kill("SIGKILL");
      const alone = await TestServer.on(database, { redis: `redis://127.0.0.1:${port}` });
      const ann = await alone.client("acme", "ann");
      const stream = await Listener.open(ann);
      await push(ann, 1n);
      await stream.until(2);
      await stream.close();
      await alone.end();
    });
  });
});
