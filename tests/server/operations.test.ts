/** What operators rely on: metrics, overview, maintenance, the audit chain, traces, the document of the API; and erasure. */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Context, context, type Span, trace } from "@opentelemetry/api";
import { operationId } from "../../js-glue/server/http/openapi.ts";
import { createSyncServer } from "../../js-glue/server/server.ts";
import { databaseKinds } from "./databases.ts";
import { START, segment } from "./frames.ts";
import { LogLines, type TestClient, TestServer } from "./harness.ts";

const DAY_MS = 86_400_000;
const body = async <T>(response: Response): Promise<T> => (await response.json()) as T;

for (const kind of databaseKinds) {
  describe(`operations on ${kind.name}`, { skip: kind.skip ?? false }, () => {
    let server: TestServer;
    let root: TestClient;
    before(async () => {
      server = await TestServer.start(kind, { retentionDays: 30, cleanupIntervalMs: 0 });
      root = await server.client("acme", "root", ["admin"]);
    });
    after(() => server.end());

    test("metrics count verdicts, streams and requests, and name nobody", async () => {
      const client = await server.client();
      await client.sync({ items: [segment(1n, 0, START, [{}, {}, { json: "no JSON" }])] });
      await client.sync({ items: [segment(1n, 0, { seq: 9, hash: 1n }, [{}])] });
      await client.json("POST", "/events/queue", { deviceId: client.deviceId, eventType: "t", eventData: 1 });
      const text = await (await root.json("GET", "/metrics")).text();
      const value = (line: string): number =>
        Number(
          text
            .split("\n")
            .find((one) => one.startsWith(line))
            ?.split(" ")
            .at(-1),
        );
      assert.equal(value('oas_push_events_total{lane="critical",verdict="applied"}'), 2);
      assert.equal(value('oas_push_events_total{lane="critical",verdict="rejected"}'), 1);
      assert.equal(value('oas_push_streams_total{status="gap"}'), 1);
      assert.equal(value("oas_dead_letters"), 1);
      assert.ok(value("oas_devices_registered_total") >= 1);
      assert.ok(value('oas_http_requests_total{method="POST",route="/sync/push",status="200"}') >= 2);
      assert.ok(value("oas_store_commit_seconds_count") > 0);
      assert.ok(!text.includes("acme") && !text.includes("ann") && !text.includes(client.deviceId));
      assert.equal((await client.json("GET", "/metrics")).status, 403);
    });

    test("the overview adds up", async () => {
      const client = await server.client("sums", "ann");
      const admin = await server.client("sums", "root", ["admin"]);
      const capabilities = { webgl: true, webassembly: true, indexeddb: false };
      await client.json("POST", "/device/register", { deviceId: client.deviceId, deviceType: "phone", capabilities });
      await client.sync({ items: [segment(1n, 2, START, [{ type: "a" }, { type: "a" }, { type: "b", json: "x" }])] });
      await server.sync.maintenance.tick();
      interface Overview {
        devices: { total: number; byType: object; capabilities: object };
        events: { total: number; applied: number; rejected: number; byLane: object; deadLettersOpen: number };
        insight: Record<string, object>;
      }
      const overview = await body<Overview>(await admin.json("GET", "/status/overview"));
      assert.equal(overview.devices.total, 1);
      assert.deepEqual(overview.devices.byType, { phone: 1 });
      assert.deepEqual(overview.devices.capabilities, { devices: 1, declared: { webgl: 1, webassembly: 1 } });
      assert.equal(overview.events.total, 3);
      assert.equal(overview.events.applied, 2);
      assert.equal(overview.events.rejected, 1);
      assert.equal(overview.events.deadLettersOpen, 1);
      assert.deepEqual(overview.events.byLane, { normal: 3 });
      assert.deepEqual(overview.insight["event_type"], { a: 2, b: 1 });
    });

    test("maintenance removes what has expired, and neither open events nor a stream's last", async () => {
      const client = await server.client("old", "ann");
      const admin = await server.client("old", "root", ["admin"]);
      await client.json("POST", "/device/register", { deviceId: client.deviceId });
      const headers = { "idempotency-key": "k" };
      await client.json("POST", "/events/queue", { deviceId: client.deviceId, eventType: "t", eventData: 1 }, headers);
      const one = segment(1n, 2, START, [{}, {}, { json: "x" }, {}]);
      await client.sync({ items: [one] });
      server.clock.now += 40 * DAY_MS;
      const clean = async (dryRun: boolean): Promise<Record<string, number>> =>
        (await body<{ removed: Record<string, number> }>(await admin.json("POST", "/maintenance/cleanup", { dryRun })))
          .removed;
      const planned = await clean(true);
      assert.equal(planned["offline_sync_queue"], 2);
      assert.equal(planned["dedupe_key"], 1);
      assert.equal((await client.history()).length, 5);
      assert.deepEqual(await clean(false), planned);
      assert.equal((await client.history()).length, 3);
      assert.equal((await clean(false))["offline_sync_queue"], 0);
      // The stream goes on, and what was sent before is still known.
      const next = segment(1n, 2, one.after, [{}]);
      const reply = await client.sync({ items: [next], stored: [{ epoch: 1n, lane: 2, ...one.after }] });
      assert.equal(reply.streams[0]?.mark.seq, 5);
      assert.equal((await client.sync({ items: [one] })).streams[0]?.status, 0);
    });

    test("the audit chain holds, and every kind of tampering breaks it", async () => {
      const admin = await server.client("books", "root", ["admin"]);
      for (let i = 0; i < 5; i++) await admin.json("POST", "/auth/keys", { principal: `p${i}` });
      interface Verified {
        ok: boolean;
        sealed: number;
        open: number;
        head: { no: number; hash: string };
        broken?: { no: number };
      }
      const verify = async (query = ""): Promise<Verified> => body(await admin.json("GET", `/audit/verify${query}`));
      const first = await verify();
      assert.equal(first.ok, true);
      assert.equal(first.open, 0);
      assert.ok(first.sealed >= 6);
      assert.equal((await verify(`?no=${first.head.no}&hash=${first.head.hash}`)).ok, true);
      assert.equal((await verify(`?no=${first.head.no}&hash=${"0".repeat(64)}`)).ok, false);
      await admin.json("POST", "/auth/keys", { principal: "later" });
      assert.equal((await verify(`?no=${first.head.no}&hash=${first.head.hash}`)).ok, true);

      const tampering = [
        "UPDATE audit_log SET detail = 'another' WHERE tenant_id = 'books' AND seal_no = 3",
        "UPDATE audit_log SET actor = 'another' WHERE tenant_id = 'books' AND seal_no = 2",
        "UPDATE audit_log SET at = at + 1 WHERE tenant_id = 'books' AND seal_no = 4",
        "DELETE FROM audit_log WHERE tenant_id = 'books' AND seal_no = 3",
        "DELETE FROM audit_log WHERE tenant_id = 'books' AND seal_no = (SELECT max(seal_no) FROM audit_log WHERE tenant_id = 'books')",
      ];
      for (const sql of tampering) {
        const undone = await server.sync.store
          .write(async (tx) => {
            await tx.connection.run(sql);
            const { verifyAudit } = await import("../../js-glue/server/store/audit.ts");
            const found = await verifyAudit(tx.connection, "books");
            assert.equal(found.ok, false, sql);
            throw new Error("undo");
          })
          .catch((error: Error) => error.message);
        assert.equal(undone, "undo");
      }
      assert.equal((await verify()).ok, true);
      const page = await body<{ items: { actor: string; action: string }[] }>(
        await admin.json("GET", "/audit?limit=3"),
      );
      assert.equal(page.items.length, 3);
      assert.equal(page.items[0]?.actor, "root");
      assert.equal((await (await server.client("books", "p1")).json("GET", "/audit")).status, 403);
    });

    test("an erased subject leaves nothing behind, and is refused when it comes late", async () => {
      const gone = await server.client("forget", "greta-garbo");
      const stays = await server.client("forget", "ann");
      for (const client of [gone, stays])
        await client.sync({ items: [segment(1n, 2, START, [{ json: '{"diary":1}' }, { json: "x" }])] });
      const lines = (await (await gone.json("GET", "/privacy/export")).text())
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      assert.equal(lines.at(-1)?.["complete"], true);
      assert.ok(lines.some(({ row }) => JSON.stringify(row).includes('{\\"diary\\":1}')));
      assert.equal((await gone.json("GET", "/privacy/export?principal=ann")).status, 403);
      const { jobId } = await body<{ jobId: string }>(await gone.json("POST", "/privacy/erase", { confirm: "erase" }));
      await server.sync.maintenance.tick();
      const receipt = await body<{ state: string; deleted: Record<string, number> }>(
        await fetch(`${server.url}/privacy/erase/${jobId}?tenant=forget`),
      );
      assert.equal(receipt.state, "done");
      assert.equal(receipt.deleted["offline_sync_queue"], 2);
      assert.equal(receipt.deleted["dead_letter"], 1);
      assert.equal((await gone.json("GET", "/device")).status, 401);
      // The person's other, offline device comes back with a credential that is still good.
      const late = await server.client("forget", "greta-garbo");
      const refused = await late.post("/sync/push", late.frame({ items: [segment(1n, 2, START, [{}])] }));
      assert.equal(refused.status, 410);
      assert.equal((await body<{ code: string }>(refused)).code, "erased");
      assert.equal((await stays.history()).length, 2);
      const audited = await body<{ ok: boolean }>(
        await (await server.client("forget", "root", ["admin"])).json("GET", "/audit/verify"),
      );
      assert.equal(audited.ok, true);
    });
  });
}

describe("operations", () => {
  test("a copy of an SQLite database opens as a database, and moves the horizon", async () => {
    const folder = mkdtempSync(join(tmpdir(), "oas-backup-"));
    const server = await TestServer.start(databaseKinds[0]!, { backupFolder: folder });
    const client = await server.client();
    const admin = await server.client("acme", "root", ["admin"]);
    await client.sync({ items: [segment(1n, 2, START, [{}, {}])] });
    const { backup } = await body<{ backup: string }>(
      await admin.json("POST", "/maintenance/cleanup", { backup: true }),
    );
    assert.ok(existsSync(backup));
    const copy = await createSyncServer({ db: `sqlite:${backup}`, log: new LogLines(), releaseIntervalMs: 0 });
    const counts = await copy.store.read((reads) => reads.counts("acme", client.device));
    assert.equal(counts.applied, 2);
    await copy.close();
    assert.equal((await client.sync({})).horizon, server.clock.now);
    await server.end();
    rmSync(folder, { recursive: true });
  });

  test("the document names every route once, and a page shows it", async () => {
    const server = await TestServer.start(databaseKinds[0]!);
    interface Document {
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; responses: Record<string, object> }>>;
    }
    const document = await body<Document>(await fetch(`${server.url}/openapi.json`));
    assert.equal(document.openapi, "3.1.0");
    const named = Object.values(document.paths).flatMap((methods) => Object.values(methods));
    assert.deepEqual(named.map((one) => one.operationId).sort(), server.sync.routes.map(operationId).sort());
    for (const one of named) assert.ok(Object.keys(one.responses).some((status) => status.startsWith("2")));
    const page = await (await fetch(`${server.url}/docs`)).text();
    for (const { path } of server.sync.routes) assert.ok(page.includes(path.replace(/:(\w+)/g, "{$1}")), path);
    await server.end();
  });

  test("a trace reaches from the request to the commit", async () => {
    const spans: { name: string; parent: string | undefined; id: string; traceId: string }[] = [];
    let ids = 0;
    const tracer = {
      startActiveSpan(name: string, ...rest: unknown[]) {
        const work = rest.at(-1) as (span: Span) => unknown;
        const given = rest.find((one) => typeof (one as Context)?.getValue === "function") as Context | undefined;
        const parent = trace.getSpanContext(given ?? context.active());
        const id = String(++ids).padStart(16, "0");
        const traceId = parent?.traceId ?? "0".repeat(31) + "1";
        spans.push({ name, parent: parent?.spanId, id, traceId });
        const span = trace.wrapSpanContext({ traceId, spanId: id, traceFlags: 1 });
        return context.with(trace.setSpan(given ?? context.active(), span), () => work(span));
      },
    };
    const { AsyncLocalStorage } = await import("node:async_hooks");
    const storage = new AsyncLocalStorage<Context>();
    const { ROOT_CONTEXT, propagation } = await import("@opentelemetry/api");
    context.setGlobalContextManager({
      active: () => storage.getStore() ?? ROOT_CONTEXT,
      with: (one, work, self, ...args) => storage.run(one, () => work.apply(self as never, args)),
      bind: (_, target) => target,
      enable: () => undefined as never,
      disable: () => undefined as never,
    });
    propagation.setGlobalPropagator({
      inject: () => undefined,
      fields: () => ["traceparent"],
      extract(one, carrier, getter) {
        const [, traceId = "", spanId = ""] = String(getter.get(carrier, "traceparent") ?? "").split("-");
        return spanId ? trace.setSpanContext(one, { traceId, spanId, traceFlags: 1, isRemote: true }) : one;
      },
    });
    trace.setGlobalTracerProvider({ getTracer: () => tracer as never });
    try {
      const server = await TestServer.start(databaseKinds[0]!);
      const client = await server.client();
      spans.length = 0;
      const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
      const frame = client.frame({ items: [segment(1n, 2, START, [{}])] });
      await client.post("/sync/push", frame, { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
      const [request, push, write] = ["POST /sync/push", "push", "store.write"].map((name) =>
        spans.find((one) => one.name === name),
      );
      assert.equal(request?.parent, "00f067aa0ba902b7");
      assert.equal(push?.parent, request?.id);
      assert.equal(write?.parent, push?.id);
      assert.ok([request, push, write].every((one) => one?.traceId === traceId));
      await server.end();
    } finally {
      trace.disable();
      context.disable();
      propagation.disable();
    }
  });
});
