/**
 * A real client that was away for longer than changes are kept: what it edited meanwhile is made again on top of what the server
 * has, once; nothing of the others is undone, nothing deleted comes back.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { OfflineSync } from "../../js-glue/browser/index.ts";
import type { DocumentsCore } from "../../js-glue/core/documents-core.ts";
import type { Collection } from "../../js-glue/documents/index.ts";
import { databaseKinds } from "./databases.ts";
import { Device, documentsCore, type Library, library, until } from "./document-device.ts";
import { TestServer } from "./harness.ts";

const SCHEMA = { "/n": "counter" };
const DAY_MS = 24 * 3_600_000;

interface Plan {
  readonly [name: string]: unknown;
}
for (const kind of databaseKinds) {
  describe(`a device that was away, ${kind.name}`, { skip: kind.skip }, () => {
    let server: TestServer;
    let core: DocumentsCore;
    let lib: Library;
    /** Keys whose requests do not arrive, and those whose answers do not. */
    const away = new Set<string>();
    const unheard = new Set<string>();
    const realFetch = globalThis.fetch;
    const engines: OfflineSync[] = [];

    before(async () => {
      server = await TestServer.start(kind);
      core = await documentsCore();
      lib = await library();
      globalThis.fetch = async (input, init) => {
        const key = (new Headers(init?.headers).get("authorization") ?? "").replace("Bearer ", "");
        if (away.has(key)) throw new TypeError("away");
        const isHeard = !unheard.has(key);
        const answer = await realFetch(input, init);
        if (!isHeard) throw new TypeError("nobody heard the answer");
        return answer;
      };
    });
    after(async () => {
      globalThis.fetch = realFetch;
      await Promise.all(engines.map((engine) => engine.close()));
      await server.end();
    });

    /** A client and another device of the same person, which both have the document. */
    async function pair(principal: string, value: Plan) {
      const { key } = await server.client("acme", principal);
      const failures: Error[] = [];
      const engine = lib.open({ name: `${kind.name} ${principal}`, url: server.url, auth: () => key });
      const app = lib.withDocuments(engine, { failed: (error) => failures.push(error) });
      engines.push(app);
      const plans: Collection<Plan> = app.collection<Plan>("plan", { schema: SCHEMA });
      await (await plans.put("1", value)).synced;
      await plans.pull();
      const other = new Device(await server.client("acme", principal), "~", core);
      other.rules = core.rules(JSON.stringify(SCHEMA));
      for (let i = 0; i < 2; i++) await other.pull();
      return { app, plans, other, key, failures };
    }

    /** The others edit on, and everything is folded. */
    async function fold(other: Device, last: Plan | undefined): Promise<void> {
      const from = other.show("plan/1") as Plan;
      for (let i = 0; i < 70; i++) other.put("plan/1", { ...from, i });
      other.put("plan/1", last);
      await other.push();
      await other.pull();
      server.clock.now += 15 * DAY_MS;
      await other.pull();
      await server.sync.maintenance.cleanUp("acme", false);
      await other.pull();
    }

    async function settled({ app, plans, other }: Awaited<ReturnType<typeof pair>>): Promise<void> {
      await until(async () => {
        await app.drain();
        await plans.pull();
        await other.pull();
        return (await app.pending.list()).items.length === 0 && (await plans.digest("1")) === other.digest("plan/1");
      });
      assert.equal(await plans.digest("1"), other.digest("plan/1"));
      assert.deepEqual(await plans.get("1"), other.show("plan/1"));
    }

    test("its edits happen once; what others changed, too, is for a person; what is gone stays gone", async () => {
      const world = await pair("away-1", { a: 1, b: 1, n: 0, gone: { deep: 1 } });
      const { app, plans, other, key } = world;
      away.add(key);
      await plans.patch("1", [{ op: "inc", path: "/n", by: 5 }]);
      await plans.update("1", (plan) => ({ ...plan, a: 2, b: 2 }));
      await plans.update("1", (plan) => ({ ...plan, gone: { deep: 2 }, mine: true }));
      await fold(other, { a: 3, b: 1, n: 1 });
      away.delete(key);
      await until(async () => {
        await app.drain();
        await plans.pull();
        await other.pull();
        return (other.show("plan/1") as Plan)["mine"] === true && other.conflicts("plan/1").length > 0;
      });
      await settled(world);
      assert.deepEqual(other.show("plan/1"), { a: 3, b: 2, mine: true, n: 6 });
      const [conflict, ...more] = await plans.conflicts.list();
      assert.deepEqual(
        [conflict?.path, conflict?.class, conflict?.rule, conflict?.siblings[0]?.value, conflict?.winner],
        ["/a", "manual", "R33 made before what was folded since", 2, 3],
      );
      assert.deepEqual(more, []);
      // What could not be made again is still to be read.
      const letters = (await app.deadLetters.list()).items;
      assert.deepEqual(
        letters.map(({ code }) => code),
        ["stale_edit"],
      );
      assert.deepEqual(world.failures, []);
      await (await plans.conflicts.undo("1", conflict?.id ?? "")).synced;
      await settled(world);
      assert.equal((other.show("plan/1") as Plan)["a"], 2);
      assert.deepEqual(await plans.conflicts.list(), []);
    });

    test("a deleted document does not come back", async () => {
      const world = await pair("away-2", { a: 1, n: 0 });
      const { app, plans, other, key } = world;
      away.add(key);
      await plans.update("1", (plan) => ({ ...plan, a: 2, b: 3 }));
      await fold(other, undefined);
      away.delete(key);
      await until(async () => {
        await app.drain();
        return (await app.deadLetters.list()).items.length > 0;
      });
      await settled(world);
      assert.equal(other.show("plan/1"), undefined);
      assert.equal((await app.deadLetters.list()).items.length, 1);
      assert.deepEqual(await plans.conflicts.list(), []);
    });

    test("an edit whose answer was lost, and whose change was folded since, counts once", async () => {
      const world = await pair("away-3", { a: 1, n: 0 });
      const { app, plans, other, key } = world;
      unheard.add(key);
      await plans.patch("1", [{ op: "inc", path: "/n", by: 5 }]);
      await app.drain().catch(() => undefined);
      await until(async () => {
        await other.pull();
        return (other.show("plan/1") as Plan)["n"] === 5;
      });
      away.add(key);
      unheard.delete(key);
      await fold(other, { a: 1, n: 6 });
      away.delete(key);
      await until(async () => {
        await app.drain();
        await plans.pull();
        return (await plans.get("1"))?.["n"] === 6;
      });
      await settled(world);
      assert.deepEqual(other.show("plan/1"), { a: 1, n: 6 });
      assert.deepEqual((await app.deadLetters.list()).items, []);
    });

    test("what a worker sent while no page was open is made again, or counted once, by the next page", async () => {
      const world = await pair("away-5", { a: 1, n: 0 });
      const { app, plans, other, key } = world;
      // Taken while nobody looks, and folded before anybody does.
      away.add(key);
      await plans.patch("1", [{ op: "inc", path: "/n", by: 5 }]);
      await app.documents.close();
      away.delete(key);
      await until(async () => {
        await app.drain();
        await other.pull();
        return (other.show("plan/1") as Plan)["n"] === 5;
      });
      await fold(other, { a: 1, n: 6 });
      const page = lib.withDocuments(app as OfflineSync);
      const again = page.collection<Plan>("plan", { schema: SCHEMA });
      await settled({ ...world, app: page, plans: again });
      assert.deepEqual(other.show("plan/1"), { a: 1, n: 6 });
      // Refused while nobody looks.
      away.add(key);
      await again.update("1", (plan) => ({ ...plan, mine: 1 }));
      await page.documents.close();
      await fold(other, { a: 2, n: 6 });
      away.delete(key);
      await until(async () => {
        await app.drain();
        return (await app.deadLetters.list()).items.length > 0;
      });
      const last = lib.withDocuments(app as OfflineSync);
      const plans3 = last.collection<Plan>("plan", { schema: SCHEMA });
      await until(async () => {
        await plans3.get("1");
        await app.drain();
        await other.pull();
        return (other.show("plan/1") as Plan)["mine"] === 1;
      });
      await settled({ ...world, app: last, plans: plans3 });
      assert.deepEqual(other.show("plan/1"), { a: 2, mine: 1, n: 6 });
      assert.deepEqual((await app.deadLetters.list()).items, []);
    });

    test("an edit in parts is made again by another page than the one that made it", async () => {
      const world = await pair("away-6", { a: 1, n: 0 });
      const { app, plans, other, key } = world;
      away.add(key);
      // Random letters, so that no codec makes one event of them.
      const mine = Array.from({ length: 2_000 }, () => crypto.randomUUID()).join(" ");
      await plans.update("1", (plan) => ({ ...plan, mine }));
      await app.documents.close();
      await fold(other, { a: 2, n: 0 });
      away.delete(key);
      await until(async () => {
        await app.drain();
        return (await app.deadLetters.list()).items.length > 0;
      });
      const last = lib.withDocuments(app as OfflineSync);
      const again = last.collection<Plan>("plan", { schema: SCHEMA });
      await until(async () => {
        await again.pull();
        await app.drain();
        await other.pull();
        return (other.show("plan/1") as Plan)["mine"] === mine;
      });
      await settled({ ...world, app: last, plans: again });
      const { mine: made, ...rest } = other.show("plan/1") as Plan;
      assert.ok(made === mine);
      assert.deepEqual(rest, { a: 2, n: 0 });
      assert.deepEqual((await app.deadLetters.list()).items, []);
    });

    test("a device that registers anew has acknowledged nothing, and loses nothing", async () => {
      const world = await pair("away-4", { a: 1, n: 0 });
      const { app, plans, other, key } = world;
      away.add(key);
      await plans.update("1", (plan) => ({ ...plan, mine: 1 }));
      for (let i = 0; i < 70; i++) other.put("plan/1", { a: 1, i, n: 0 });
      await other.push();
      for (let i = 0; i < 2; i++) await other.pull();
      // The server knows it no more, and nobody waits for what it has stored.
      await server.execute("DELETE FROM space_cursor WHERE space_id = '~away-4' AND seq < 10");
      server.clock.now += 2 * DAY_MS;
      await other.pull();
      await server.sync.maintenance.cleanUp("acme", false);
      await other.pull();
      away.delete(key);
      await until(async () => {
        await app.drain();
        await other.pull();
        return (other.show("plan/1") as Plan)["mine"] === 1;
      });
      await settled(world);
      assert.deepEqual(other.show("plan/1"), { a: 1, i: 69, mine: 1, n: 0 });
      assert.deepEqual((await app.deadLetters.list()).items, []);
      assert.deepEqual(await plans.conflicts.list(), []);
    });
  });
}
