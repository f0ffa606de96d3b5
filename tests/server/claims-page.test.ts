/** What docs/claims.md names without measuring it: six tables, four settings, fields of the overview, metrics. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { readSettings } from "../../js-glue/server/settings.ts";
import { databaseKinds } from "./databases.ts";
import { START, segment } from "./frames.ts";
import { type TestClient, TestServer } from "./harness.ts";

interface Figures {
  readonly seedFigures: readonly {
    readonly rows: readonly { readonly overview?: readonly string[]; readonly metrics?: readonly string[] }[];
  }[];
}
const TABLES = [
  "offline_sync_queue",
  "edge_ai_models",
  "device_sync_state",
  "offline_analytics_buffer",
  "offline_content_cache",
  "conflict_resolution_log",
];

const root = process.env["OAS_ROOT"] ?? process.cwd();
const { seedFigures } = (await import(pathToFileURL(join(root, "scripts/lib/seed-figures.mjs")).href)) as Figures;
const rows = seedFigures.flatMap((part) => part.rows);

for (const kind of databaseKinds) {
  describe(`named on the page of claims, ${kind.name}`, { skip: kind.skip ?? false }, () => {
    let server: TestServer;
    let admin: TestClient;
    before(async () => {
      server = await TestServer.start(kind, { cleanupIntervalMs: 0 });
      admin = await server.client("acme", "root", ["admin"]);
      const client = await server.client();
      await client.json("POST", "/device/register", { deviceId: client.deviceId, deviceType: "phone" });
      await client.sync({ items: [segment(1n, 2, START, [{ type: "a", module: "m" }])] });
      await server.sync.maintenance.tick();
    });
    after(() => server.end());

    test("the six tables", async () => {
      for (const name of TABLES) assert.equal((await server.query(`SELECT count(*) AS n FROM ${name}`)).length, 1);
    });

    test("every field of the overview", async () => {
      const overview: unknown = await (await admin.json("GET", "/status/overview")).json();
      const paths = rows.flatMap((row) => row.overview ?? []);
      assert.ok(paths.length > 0);
      for (const path of paths) {
        let at = overview;
        for (const name of path.split(".")) {
          assert.ok(typeof at === "object" && at !== null && name in at, `${path}: no '${name}'`);
          at = (at as Record<string, unknown>)[name];
        }
      }
    });

    test("every metric", async () => {
      const text = await (await admin.json("GET", "/metrics")).text();
      for (const name of rows.flatMap((row) => row.metrics ?? [])) assert.ok(text.includes(`# HELP ${name} `), name);
    });
  });
}

test("the four settings have the defaults that were described", () => {
  const settings = readSettings({});
  assert.equal(settings.OFFLINE_AI_SYNC_INTERVAL, 30_000);
  assert.equal(settings.OFFLINE_AI_CLEANUP_INTERVAL, 86_400_000);
  assert.equal(settings.OFFLINE_AI_MAX_EVENTS_PER_BATCH, 100);
  assert.equal(settings.OFFLINE_AI_MAX_CACHE_SIZE_MB, 500);
});
