/** The schema is checked at the start, by name; a schema one migration behind serves what it can. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { MIGRATION_LEVEL } from "../../js-glue/server/store/migrations.ts";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import type { Store } from "../../js-glue/server/store/store.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { START, segment } from "./frames.ts";
import { TestServer } from "./harness.ts";

const BEFORE = MIGRATION_LEVEL - 1;
/** The registry of models came with this one, and its routes say so. */
const MODELS = 5;
const open = (database: TestDatabase): Promise<Store> =>
  openStore(database.url, { now: Date.now, onIdleError: () => undefined });

async function damage(database: TestDatabase, sql: string): Promise<void> {
  const store = await open(database);
  await store.write((tx) => tx.connection.run(sql));
  await store.close();
}

for (const kind of databaseKinds) {
  describe(`schema, ${kind.name}`, { skip: kind.skip }, () => {
    for (const [what, sql] of [
      ["index offline_sync_queue_arrival", "DROP INDEX offline_sync_queue_arrival"],
      ["column device_sync_state.late_head", "ALTER TABLE device_sync_state DROP COLUMN late_head"],
      ["column record.server_n", "ALTER TABLE record DROP COLUMN server_n"],
      ["table space_cursor", "DROP TABLE space_cursor"],
    ] as const)
      test(`a start without ${what} names it`, async () => {
        const database = await kind.create();
        await damage(database, sql);
        await assert.rejects(open(database), (error: Error & { code?: string }) => {
          assert.equal(error.code, "storage_failed");
          assert.ok(error.message.includes(`lacks ${what}`), error.message);
          return true;
        });
        await database.drop();
      });

    test("columns and tables of somebody else are no fault", async () => {
      const database = await kind.create();
      await damage(database, "ALTER TABLE space ADD COLUMN colour text");
      await damage(database, "CREATE TABLE app_table (id bigint PRIMARY KEY)");
      await (await open(database)).close();
      await database.drop();
    });

    test("one migration behind: syncs, and refuses by name what needs the last one until it has run", async () => {
      const database = await kind.create();
      const old = await TestServer.on(database, { schema: { upTo: MODELS - 1 } });
      const ann = await old.client("acme", "ann", ["sync", "admin"]);
      const refused = async (server: TestServer): Promise<unknown> => {
        const answer = await fetch(`${server.url}/models`, { headers: { authorization: `Bearer ${ann.key}` } });
        return [answer.status, ((await answer.json()) as { code?: string }).code, answer.headers.get("retry-after")];
      };
      const push = async (server: TestServer, epoch: bigint): Promise<void> => {
        const answer = await fetch(`${server.url}/sync/push`, {
          method: "POST",
          body: Buffer.from(ann.frame({ items: [segment(epoch, 2, START, [{}])] })),
          headers: { authorization: `Bearer ${ann.key}`, "content-type": "application/vnd.oas.batch" },
        });
        assert.equal(answer.status, 200);
        assert.equal((await fetch(`${server.url}/health/ready`)).status, 200);
      };
      await push(old, 1n);
      assert.deepEqual(await refused(old), [503, "schema_behind", "5"]);

      const waiting = await TestServer.on(database, { schema: { upTo: MODELS, apply: false } });
      await push(waiting, 2n);
      assert.deepEqual(await refused(waiting), [503, "schema_behind", "5"]);

      const fresh = await TestServer.on(database, { schema: { upTo: MODELS } });
      for (const [epoch, server] of [old, waiting, fresh].entries()) await push(server, BigInt(epoch + 3));
      assert.deepEqual(await refused(old), [503, "schema_behind", "5"]);
      assert.deepEqual(await refused(fresh), [200, undefined, null]);
      // It looks again once a second.
      const deadline = performance.now() + 20_000;
      while (performance.now() < deadline && ((await refused(waiting)) as unknown[])[0] !== 200) await setImmediate();
      assert.deepEqual(await refused(waiting), [200, undefined, null]);
      for (const server of [old, waiting]) await server.stop();
      await fresh.end();
    });

    test("two migrations behind, left alone, is no start", async () => {
      const database = await kind.create();
      const old = await openStore(database.url, {
        now: Date.now,
        onIdleError: () => undefined,
        schema: { upTo: BEFORE - 1 },
      });
      await old.close();
      const start = openStore(database.url, { now: Date.now, onIdleError: () => undefined, schema: { apply: false } });
      await assert.rejects(start, { code: "storage_failed" });
      await database.drop();
    });
  });
}
