/**
 * A restored server, and a device that still has what others wrote and the server has lost: it comes back, once, also when its
 * writer does; nobody else's history is given back, nor to those who may not write.
 */

import assert from "node:assert/strict";
import { cpSync, rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { OfflineSync } from "../../js-glue/browser/index.ts";
import type { DocumentsCore } from "../../js-glue/core/documents-core.ts";
import { databaseKinds } from "./databases.ts";
import { Device, documentsCore, type Library, library, until } from "./document-device.ts";
import { TestClient, TestServer } from "./harness.ts";

const SCHEMA = { "/n": "counter" };

interface Plan {
  readonly [name: string]: unknown;
}
for (const kind of databaseKinds.filter(({ name }) => name === "SQLite")) {
  describe("a restored server gets documents back", { skip: kind.skip }, () => {
    let server: TestServer;
    let core: DocumentsCore;
    let lib: Library;
    /** Where requests to the first server go. */
    let target: string | undefined;
    /** What stands between a device and the server answers what it gives back. */
    let between: (() => Response) | undefined;
    /** Happens when a page of a snapshot was answered; pages hold one document meanwhile. */
    let onPage: (() => void) | undefined;
    const engines: OfflineSync[] = [];
    const realFetch = globalThis.fetch;

    before(async () => {
      server = await TestServer.start(kind, { cleanupIntervalMs: 0 });
      core = await documentsCore();
      lib = await library();
      globalThis.fetch = async (input, init) => {
        const url = String(input);
        if (between && url.endsWith("/sync/repair")) return between();
        const moved = url.replace(server.url, target ?? server.url);
        if (!onPage || !url.includes("/sync/snapshot?")) return realFetch(moved, init);
        const page = await realFetch(moved.replace(/limit=\d+/, "limit=1"), init);
        onPage?.();
        return page;
      };
    });
    after(async () => {
      globalThis.fetch = realFetch;
      await Promise.all(engines.map((engine) => engine.close()));
      await server.end();
    });

    async function restored(file: string, folder: string): Promise<TestServer> {
      const drop = async (): Promise<void> => rmSync(folder, { recursive: true, force: true });
      return TestServer.on({ url: `sqlite:${file}`, drop }, { restored: true, cleanupIntervalMs: 0 });
    }

    const snapshotOf = async (from: TestClient, space: string, before?: string) => {
      const query = new URLSearchParams({ space, ...(before === undefined ? {} : { before }) });
      const response = await from.json("GET", `/sync/snapshot?${query}`);
      assert.equal(response.status, 200);
      return (await response.json()) as { cursor: string; shared?: number };
    };

    /** `device`: another one of the same principal has numbers of its own. */
    const on = (
      to: TestServer,
      from: Device,
      space = from.space,
      client: Pick<TestClient, "key" | "device"> = from.client,
    ): Device => {
      const { key, device } = client;
      const moved = new Device(new TestClient(to.url, key, device), space, core);
      moved.rules = core.rules(JSON.stringify(SCHEMA));
      return moved;
    };

    /** A real client that has seen what bob wrote after the backup. */
    async function world(space: string) {
      const bob = new Device(await server.client("acme", `${space}-bob`), space, core);
      bob.rules = core.rules(JSON.stringify(SCHEMA));
      assert.equal((await bob.client.json("POST", "/spaces", { spaceId: space })).status, 201);
      const path = `/spaces/${space}/members/${space}-ann`;
      assert.equal((await bob.client.json("PUT", path, { role: "writer" })).status, 200);
      const { key } = await server.client("acme", `${space}-ann`);
      const failures: Error[] = [];
      const engine = lib.open({ name: space, url: server.url, auth: () => key });
      const app = lib.withDocuments(engine, { failed: (error) => failures.push(error), pulls: false });
      engines.push(app);
      const plans = app.collection<Plan>("plan", { schema: SCHEMA, space });
      await (await plans.put("1", { a: 1, n: 0 })).synced;
      await plans.pull();
      await bob.pull();
      const folder = `${process.env["TMPDIR"] ?? "/tmp"}/oas-repair-${process.pid}-${space}`;
      const file = await server.sync.store.backUp(folder, 1);
      assert.ok(file);
      const events = [bob.put("plan/1", { a: 2, n: 5 }), bob.put("plan/2", { made: "after the backup" })];
      await bob.push();
      await plans.pull();
      return { app, plans, bob, events, failures, file, folder, key };
    }

    test("from a device that only read it, and once more from its writer it changes nothing", async () => {
      const { plans, bob, events, failures, file, folder } = await world("seen");
      const copy = await restored(file, folder);
      target = copy.url;
      try {
        for (const status of [200, 404, 503]) {
          between = () =>
            new Response("<html>Please sign in</html>", { status, headers: { "content-type": "text/html" } });
          await assert.rejects(plans.pull());
          assert.deepEqual(await plans.get("1"), { a: 2, n: 5 });
        }
        between = undefined;
        await until(async () => {
          await plans.pull();
          return (await plans.get("2")) !== undefined;
        });
        assert.deepEqual(await plans.get("1"), { a: 2, n: 5 });
        assert.deepEqual(await plans.get("2"), { made: "after the backup" });
        const fresh = on(copy, bob);
        await fresh.snapshot();
        assert.deepEqual(fresh.show("plan/1"), { a: 2, n: 5 });
        assert.equal(fresh.digest("plan/1"), await plans.digest("1"));
        await fresh.push(events);
        await fresh.pull();
        assert.deepEqual(fresh.show("plan/1"), { a: 2, n: 5 });
        await plans.pull();
        for (const id of ["1", "2"]) assert.equal(fresh.digest(`plan/${id}`), await plans.digest(id));
        assert.deepEqual(failures, []);
        assert.match(await copy.sync.metrics.text(), /verdict="mended"\} 2/);
      } finally {
        target = undefined;
        await copy.end();
      }
    });

    test("a device that has not sent its own edits again says nothing of what it has seen since", async () => {
      const { app, plans, file, folder } = await world("resent");
      const copy = await restored(file, folder);
      target = copy.url;
      const noted = async (): Promise<number[]> => {
        await plans.pull();
        const rows = await copy.query("SELECT seq FROM space_cursor WHERE space_id = 'resent'");
        return rows.map(({ seq }) => Number(seq));
      };
      try {
        await plans.pull();
        const head = await copy.query("SELECT head FROM space WHERE space_id = 'resent'");
        assert.equal(Number(head[0]?.["head"]), 4);
        assert.ok(!(await noted()).includes(4));
        await until(async () => {
          await app.drain();
          return (await noted()).includes(4);
        });
      } finally {
        target = undefined;
        await copy.end();
      }
    });

    test("a snapshot during which the server is restored once more is read anew", async () => {
      const { plans, bob, failures, file, folder } = await world("mixed");
      cpSync(file, `${file}-second`);
      const first = await restored(file, folder);
      const second = await restored(`${file}-second`, folder);
      target = first.url;
      onPage = () => {
        onPage = undefined;
        target = second.url;
      };
      try {
        await plans.pull();
        assert.equal(onPage, undefined);
        assert.deepEqual(await plans.get("1"), { a: 2, n: 5 });
        const there = on(second, bob);
        await there.snapshot();
        for (const id of ["1", "2"]) assert.equal(there.digest(`plan/${id}`), await plans.digest(id));
        assert.deepEqual(failures, []);
      } finally {
        target = undefined;
        onPage = undefined;
        await first.end();
        await second.end();
      }
    });

    test("whoever comes back is told up to where the histories are one", async () => {
      const { bob, file, folder } = await world("parted");
      const { cursor: before } = await snapshotOf(bob.client, "parted");
      const other = () => ({ key: bob.client.key, device: crypto.getRandomValues(new Uint8Array(16)) });
      const own = on(server, bob, "~", other());
      own.put("plan/1", { a: 1 });
      await own.push();
      const { cursor: ownBefore } = await snapshotOf(bob.client, "~");
      assert.equal((await snapshotOf(bob.client, "parted", before)).shared, 4);
      const copy = await restored(file, folder);
      const second = `${folder}-second`;
      let twice: TestServer | undefined;
      try {
        const here = on(copy, bob);
        // Nobody has written there since.
        assert.equal((await snapshotOf(here.client, "parted", before)).shared, 2);
        for (const id of ["5", "6", "7"]) here.put(`plan/${id}`, { id });
        await here.push();
        const { cursor: between } = await snapshotOf(here.client, "parted");
        assert.equal((await snapshotOf(here.client, "parted", before)).shared, 2);
        assert.equal((await snapshotOf(here.client, "parted", between)).shared, 5);
        for (const nonsense of ["", "1", "no cursor"])
          assert.equal((await snapshotOf(here.client, "parted", nonsense)).shared, 0);
        // A space that both histories have made is one by its name alone.
        const ownHere = on(copy, bob, "~", other());
        ownHere.put("plan/1", { a: 1 });
        ownHere.put("plan/2", { a: 1 });
        await ownHere.push();
        assert.equal((await snapshotOf(here.client, "~", ownBefore)).shared, 0);
        // Restored once more, from a backup of the second history.
        const again = await copy.sync.store.backUp(second, 1);
        assert.ok(again);
        twice = await restored(again, second);
        const there = on(twice, bob, "parted", other());
        there.put("plan/8", { id: 8 });
        await there.push();
        assert.equal((await snapshotOf(there.client, "parted", before)).shared, 2);
        assert.equal((await snapshotOf(there.client, "parted", between)).shared, 5);
      } finally {
        await copy.end();
        await twice?.end();
      }
    });

    test("nothing is taken of a history that goes on, from strangers, readers, or for somebody else's device", async () => {
      const { bob, file, folder } = await world("rights");
      const cursor = bob.cursor ?? "";
      await bob.pull();
      const lost = core.lost(core.state(bob.handle("plan/2")), new Uint8Array(0), 0);
      const documents = [{ key: "plan/9", delta: Buffer.from(lost).toString("base64") }];
      let { cursor: snapshot } = await snapshotOf(bob.client, "rights");
      const offer = async (from: TestClient, deviceId = from.deviceId) => {
        const body = { space: "rights", deviceId, cursor, snapshot, documents };
        const response = await from.json("POST", "/sync/repair", body);
        const said = (await response.json()) as { taken?: number; refused?: { code: string }[]; code?: string };
        return [response.status, said.taken ?? said.code, ...(said.refused ?? []).map(({ code }) => code)];
      };
      assert.deepEqual(await offer(bob.client), [200, 0]);
      const copy = await restored(file, folder);
      try {
        const here = on(copy, bob);
        assert.deepEqual(await offer(here.client), [410, "cursor_expired"]);
        ({ cursor: snapshot } = await snapshotOf(here.client, "rights"));
        // It has never met this server, so it has no device there.
        assert.deepEqual(await offer(here.client), [404, "unknown_device"]);
        await here.push([here.event("plan/3", new Uint8Array(0))]);
        const device = async (principal: string): Promise<TestClient> => {
          const key = await copy.sync.createApiKey({ tenant: "acme", principal }, { scopes: ["sync"] });
          const client = new TestClient(copy.url, key, crypto.getRandomValues(new Uint8Array(16)));
          await new Device(client, "~", core).push([here.event("plan/3", new Uint8Array(0))]);
          return client;
        };
        const stranger = await device("eve");
        assert.deepEqual(await offer(stranger), [200, 0, "not_a_member"]);
        assert.deepEqual(await offer(stranger, here.client.deviceId), [404, "unknown_device"]);
        assert.equal((await here.client.json("PUT", "/spaces/rights/members/eve", { role: "reader" })).status, 200);
        assert.deepEqual(await offer(stranger), [200, 0, "read_only"]);
        documents[0] = { key: "plan/9", delta: Buffer.from("no delta").toString("base64") };
        const [status, taken, code] = await offer(here.client);
        assert.deepEqual([status, taken], [200, 0]);
        assert.equal(code, "version_not_supported");
        documents[0] = { key: "plan/9", delta: Buffer.from(lost).toString("base64") };
        assert.deepEqual(await offer(here.client), [200, 1]);
        assert.deepEqual(await offer(here.client), [200, 0]);
        assert.equal((await copy.query("SELECT 1 AS n FROM record WHERE doc_key = 'plan/9'")).length, 1);
        assert.match(await copy.sync.metrics.text(), /verdict="mended"\} 1\n/);
      } finally {
        await copy.end();
      }
    });
  });
}
