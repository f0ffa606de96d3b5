/** The registry over HTTP, on every database: who may publish, what is refused, ranges, the signed list. */

import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, sign, verify } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { systemCrypto } from "../../js-glue/browser/contexts.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import {
  blockHashes,
  type ModelStatement,
  manifestMessage,
  statementMessage,
} from "../../js-glue/core/model-statement.ts";
import { ModelStore } from "../../js-glue/models/model-store.ts";
import { fetchRegistry, webVerifier } from "../../js-glue/models/registry.ts";
import { ModelUpdater, type Registry } from "../../js-glue/models/updater.ts";
import { parseRange } from "../../js-glue/server/http/range.ts";
import { runModels } from "../../js-glue/server/models/cli.ts";
import { renewModels } from "../../js-glue/server/models/publish.ts";
import { ModelRegistry } from "../../js-glue/server/models/registry.ts";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import { databaseKinds, type TestDatabase } from "./databases.ts";
import { TestServer } from "./harness.ts";
import { caller, newKey, nextVersion, publish, shippedModel, statementOf } from "./model-files.ts";

const sha256 = (bytes: Uint8Array): Uint8Array => createHash("sha256").update(bytes).digest();
const content = shippedModel("content");

interface Shown {
  readonly modelId: string;
  readonly state: string;
  readonly etag: string;
  readonly accuracy: number;
  readonly metric: string;
  readonly rollout: { readonly percent: number; readonly salt: string };
}
const codeOf = async (response: Response): Promise<string> => ((await response.json()) as { code: string }).code;

const isSigned = (text: string, message: (body: string) => Uint8Array, signature: string, key: string): boolean =>
  verify(
    null,
    message(text),
    createPublicKey({
      key: Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), Buffer.from(key, "base64")]),
      format: "der",
      type: "spki",
    }),
    Buffer.from(signature, "base64"),
  );

test("ranges as HTTP writes them", () => {
  assert.deepEqual(parseRange("bytes=0-9", 100), { from: 0, to: 10 });
  assert.deepEqual(parseRange("bytes=90-", 100), { from: 90, to: 100 });
  assert.deepEqual(parseRange("bytes=-7", 100), { from: 93, to: 100 });
  assert.deepEqual(parseRange("bytes=-700", 100), { from: 0, to: 100 });
  assert.deepEqual(parseRange("bytes=95-200", 100), { from: 95, to: 100 });
  for (const none of ["bytes=9-5", "bytes=-", "bytes=0-1,5-6", "lines=0-1", "bytes=a-b", ""])
    assert.equal(parseRange(none, 100), undefined, none);
  for (const beyond of ["bytes=100-", "bytes=-0"]) assert.equal(parseRange(beyond, 100), null, beyond);
});

for (const kind of databaseKinds) {
  describe(`registry of models, ${kind.name}`, { skip: kind.skip ?? false }, () => {
    const key = newKey();
    let server: TestServer;
    let admin: ReturnType<typeof caller>;
    let device: ReturnType<typeof caller>;
    let stranger: ReturnType<typeof caller>;
    before(async () => {
      server = await TestServer.start(kind, { models: { key } });
      admin = caller(server.url, (await server.client("acme", "root", ["admin"])).key);
      device = caller(server.url, (await server.client("acme", "ann")).key);
      stranger = caller(server.url, (await server.client("other", "ann", ["admin"])).key);
    });
    after(() => server.end());

    const manifest = async (call = device, query = "") => {
      const response = await call("GET", `/models/manifest${query}`);
      const { body, signature } = (await response.json()) as { body: string; signature: string };
      assert.ok(isSigned(body, manifestMessage, signature, key.publicKey));
      type Body = {
        issuedAt: number;
        expiresAt: number;
        models: { id: string; statement: string; signature: string; status: string }[];
      };
      return { etag: response.headers.get("etag") ?? "", ...(JSON.parse(body) as Body) };
    };

    test("a draft becomes visible with its file and state; the file comes back whole, in ranges, or not at all", async () => {
      const statement = await statementOf("content", content);
      const made = await admin("POST", "/models", { statement: JSON.stringify(statement) });
      assert.equal(made.status, 201);
      const { modelId, state, accuracy, metric } = (await made.json()) as Shown;
      assert.equal(modelId, "content-1.0.0-native-int8");
      assert.equal(state, "draft");
      assert.equal(accuracy, statement.metrics[0]?.value);
      assert.equal(metric, statement.metrics[0]?.metric);
      const path = `/models/${modelId}`;
      assert.equal((await device("GET", path)).status, 404);
      assert.equal(await codeOf(await admin("PUT", path, { state: "active" })), "invalid_argument");
      assert.equal(await codeOf(await admin("GET", `${path}/artifact`)), "not_found");
      const damaged = content.slice();
      damaged[9_999] = (damaged[9_999] ?? 0) ^ 1;
      assert.equal(await codeOf(await admin("PUT", `${path}/artifact`, damaged)), "checksum");
      assert.equal((await admin("PUT", `${path}/artifact`, content)).status, 200);
      assert.equal((await admin("PUT", `${path}/artifact`, content)).status, 200);
      assert.equal((await device("GET", `${path}/artifact`)).status, 404);
      assert.deepEqual((await manifest()).models, []);
      assert.equal((await admin("PUT", path, { state: "active" })).status, 200);

      const whole = await device("GET", `${path}/artifact`);
      assert.deepEqual(Buffer.from(await whole.arrayBuffer()), Buffer.from(content));
      assert.match(whole.headers.get("cache-control") ?? "", /immutable/);
      assert.equal(whole.headers.get("oas-model-sha256"), statement.sha256);
      const etag = whole.headers.get("etag") ?? "";
      const get = (headers: Record<string, string>) => device("GET", `${path}/artifact`, undefined, headers);
      assert.equal((await get({ "if-none-match": etag })).status, 304);
      for (const [from, to] of [
        [0, 1],
        [65_535, 65_537],
        [100, content.length],
        [131_072, 131_073],
      ] as const) {
        const part = await get({ range: `bytes=${from}-${to - 1}`, "if-range": etag });
        assert.equal(part.status, 206);
        assert.equal(part.headers.get("content-range"), `bytes ${from}-${to - 1}/${content.length}`);
        assert.deepEqual(Buffer.from(await part.arrayBuffer()), Buffer.from(content.subarray(from, to)));
      }
      const tail = Buffer.from(await (await get({ range: "bytes=-32" })).arrayBuffer());
      assert.deepEqual(tail, Buffer.from(content.subarray(-32)));
      const beyond = await get({ range: `bytes=${content.length}-` });
      assert.equal(beyond.headers.get("content-range"), `bytes */${content.length}`);
      assert.equal(await codeOf(beyond), "range_not_satisfiable");
      assert.equal((await get({ range: "bytes=0-9", "if-range": '"another"' })).status, 200);
      const blocks = Buffer.from(await (await device("GET", `${path}/blocks`)).arrayBuffer());
      assert.deepEqual(blocks, Buffer.from(await blockHashes({ sha256 }, content)));
    });

    test("the list is signed, stands still while nothing changes, and names nothing of another tenant", async () => {
      const first = await manifest();
      const [entry] = first.models;
      assert.equal(entry?.status, "active");
      assert.ok(isSigned(entry?.statement ?? "", statementMessage, entry?.signature ?? "", key.publicKey));
      server.clock.now += 60_000;
      assert.equal((await manifest()).etag, first.etag);
      const again = await device("GET", "/models/manifest", undefined, { "if-none-match": first.etag });
      assert.equal(again.status, 304);
      assert.deepEqual((await manifest(stranger)).models, []);
      assert.equal((await stranger("GET", `/models/${entry?.id}`)).status, 404);
      assert.equal((await stranger("PUT", `/models/${entry?.id}`, { state: "retired" })).status, 404);
      assert.equal((await stranger("DELETE", `/models/${entry?.id}`)).status, 404);
      assert.equal((await stranger("PUT", `/models/${entry?.id}/artifact`, content)).status, 404);
    });

    test("devices read, administrators write", async () => {
      const statement = JSON.stringify(await statementOf("content", content, { version: "9.0.0" }));
      for (const refused of [
        await device("POST", "/models", { statement }),
        await device("PUT", "/models/content-1.0.0-native-int8", { state: "retired" }),
        await device("PUT", "/models/content-1.0.0-native-int8/artifact", content),
        await device("DELETE", "/models/content-1.0.0-native-int8"),
        await device("GET", "/models?state=all"),
      ])
        assert.equal(await codeOf(refused), "forbidden");
    });

    test("canary, active, retired; every change under its revision, in the audit log, and later than the one before", async () => {
      const file = nextVersion(content, "1.1.0", [40_000]);
      const statement = await statementOf("content", file, { version: "1.1.0" });
      const id = await publish(admin, file, statement, { state: "canary" });
      const read = async (): Promise<Shown> => (await (await device("GET", `/models/${id}`)).json()) as Shown;
      const canary = await read();
      assert.deepEqual(canary.rollout, { percent: 10, salt: "content-1.1.0" });
      const issued = (await manifest()).issuedAt;
      const stale = await admin("PUT", `/models/${id}`, { state: "active" }, { "if-match": '"older"' });
      assert.equal(stale.status, 412);
      assert.equal(await codeOf(stale), "precondition_failed");
      // The clock goes back, the list does not.
      server.clock.now -= 3_600_000;
      const widened = await admin("PUT", `/models/${id}`, { rollout: { percent: 50 } }, { "if-match": canary.etag });
      assert.equal(((await widened.json()) as Shown).rollout.percent, 50);
      assert.ok((await manifest()).issuedAt > issued);
      server.clock.now += 3_600_000;
      await admin("PUT", `/models/${id}`, { state: "active" });
      assert.equal((await read()).rollout.percent, 100);
      assert.equal((await manifest()).models.length, 2);
      assert.equal((await admin("DELETE", `/models/${id}`)).status, 204);
      assert.equal((await admin("DELETE", `/models/${id}`)).status, 204);
      assert.deepEqual(
        (await manifest()).models.map((one) => one.id),
        ["content-1.0.0-native-int8"],
      );
      assert.equal((await device("GET", `/models/${id}/artifact`)).status, 200);
      const rows = await server.query(
        "SELECT action FROM audit_log WHERE tenant_id = 'acme' AND action LIKE 'model.%' AND detail LIKE $1 ORDER BY at",
        [`%${id}%`],
      );
      const actions = rows.map((row) => String(row["action"])).sort();
      const updates = Array.from({ length: 3 }, () => "model.update");
      assert.deepEqual(actions, ["model.create", "model.retire", ...updates, "model.upload"]);
    });

    test("published bytes never change; what is no statement, or has no metrics, is refused by name", async () => {
      const statement = await statementOf("content", content);
      const text = JSON.stringify(statement);
      const same = await admin("POST", "/models", { statement: text });
      assert.equal(((await same.json()) as Shown).state, "active");
      const other = JSON.stringify({ ...statement, licence: "another" });
      assert.equal(await codeOf(await admin("POST", "/models", { statement: other })), "already_exists");
      const bad: readonly (readonly [Partial<ModelStatement> | { metrics: unknown }, string])[] = [
        [{ slug: "Not A Slug" }, "malformed"],
        [{ version: "1" }, "malformed"],
        [{ sha256: "00" }, "malformed"],
        [{ bytes: 0 }, "malformed"],
        [{ bytes: 9_000_000 }, "limit_exceeded"],
        [{ metrics: [{ dataset: "x" }] }, "malformed"],
      ];
      for (const [change, code] of bad) {
        const wrong = JSON.stringify({ ...statement, version: "3.0.0", ...change });
        assert.equal(await codeOf(await admin("POST", "/models", { statement: wrong })), code, JSON.stringify(change));
      }
      assert.equal(await codeOf(await admin("POST", "/models", { statement: "no JSON" })), "malformed");
      const bare = await statementOf("content", content, { version: "4.0.0", metrics: [] });
      await assert.rejects(publish(admin, content, bare), /without metrics/);
      assert.equal((await admin("PUT", "/models/content-4.0.0-native-int8", { state: "canary" })).status, 200);
      await admin("DELETE", "/models/content-4.0.0-native-int8");
    });

    test("the list is filtered by what a device has, and paged", async () => {
      const statement = await statementOf("content", content, {
        version: "5.0.0",
        minCaps: { simd: true, memoryMB: 512 },
      });
      const id = await publish(admin, content, statement);
      const ids = async (query: string): Promise<readonly string[]> => {
        const { items } = (await (await device("GET", `/models?${query}`)).json()) as { items: Shown[] };
        return items.map(({ modelId }) => modelId);
      };
      assert.ok(!(await ids("caps=simd")).includes(id));
      assert.ok(!(await ids("caps=simd,memoryMB=256")).includes(id));
      assert.ok((await ids("caps=simd,memoryMB=512,webgl2")).includes(id));
      assert.ok(!(await manifest(device, "?caps=simd")).models.some((one) => one.id === id));
      assert.deepEqual(await ids("slug=intent"), []);
      assert.equal((await ids("slug=content&runtime=native")).length, 2);
      const page = (await (await device("GET", "/models?limit=1")).json()) as { items: Shown[]; nextCursor: string };
      assert.deepEqual(await ids(`limit=1&cursor=${page.nextCursor}`), [id]);
      const all = (await (await admin("GET", "/models?state=all")).json()) as { items: Shown[] };
      assert.ok(all.items.some(({ state }) => state === "retired"));
      assert.equal((await device("GET", "/models?caps=simd%3Bdrop")).status, 400);
    });

    test("a table of recommendations comes as its changed rows; a delta that is wrong costs a detour, not the model", async () => {
      const old = shippedModel("recommendation");
      const rows = [3, 77, 200];
      const places = rows.flatMap((row) => [5_312 + 64 * row, 5_312 + 64 * row + 62, 5_312 + 64 * 294 + 32 * row + 5]);
      const next = nextVersion(old, "1.1.0", places);
      const describe = (file: Uint8Array, version: string) =>
        statementOf("recommendation", file, { version, kind: "history" });
      await publish(admin, old, await describe(old, "1.0.0"));
      const honest = fetchRegistry({ url: server.url, auth: () => Promise.resolve(device.key) });
      const begin = async () => {
        const store = new ModelStore(new MemoryStore(), systemCrypto);
        const update = (registry: Registry) =>
          new ModelUpdater({
            ...{ store, registry, verifier: webVerifier, keys: [Buffer.from(key.publicKey, "base64")] },
            now: () => server.clock.now,
          }).update("recommendation", { device: Buffer.from("d"), caps: {}, quant: "int8" });
        assert.equal((await update(honest))?.loaded, old.length);
        return { update, file: async () => Buffer.from((await store.open("recommendation"))?.file ?? []) };
      };
      const devices = [await begin(), await begin(), await begin()] as const;
      const id = await publish(admin, next, await describe(next, "1.1.0"));

      const loaded = (await devices[0].update(honest))?.loaded ?? 0;
      assert.ok(loaded <= rows.length * 112 + 128, `${loaded} bytes`);
      assert.ok((await devices[0].file()).equals(next));
      // By blocks it is most of the table; so it is when the delta was changed on its way.
      const { delta: _, ...blocksAlone } = honest;
      const byBlocks = (await devices[1].update(blocksAlone))?.loaded ?? 0;
      assert.ok(byBlocks > 20 * loaded, `${byBlocks} bytes`);
      const changed = async (...asked: [string, string]) =>
        (await honest.delta?.(...asked))?.map((byte, at) => (at === 1 ? byte ^ 1 : byte));
      assert.equal((await devices[2].update({ ...honest, delta: changed }))?.loaded, byBlocks + loaded);
      assert.ok((await devices[2].file()).equals(next));

      const from = Buffer.from(sha256(old)).toString("hex");
      assert.equal((await stranger("GET", `/models/${id}/delta?from=${from}`)).status, 404);
      assert.equal((await device("GET", `/models/${id}/delta?from=${"0".repeat(64)}`)).status, 404);
      assert.equal((await device("GET", `/models/${id}/delta?from=x`)).status, 400);
      assert.equal((await device("GET", `/models/content-1.0.0-native-int8/delta?from=${from}`)).status, 404);
    });

    test("the list ends a fortnight from today, and is signed anew day by day", async () => {
      const DAY = 86_400_000;
      const first = await manifest();
      const left = first.expiresAt - server.clock.now;
      assert.ok(left > 14 * DAY && left <= 15 * DAY, `${left}`);
      server.clock.now += DAY;
      const next = await manifest();
      assert.deepEqual([next.issuedAt, next.expiresAt], [first.issuedAt, first.expiresAt + DAY]);
      assert.notEqual(next.etag, first.etag);
    });

    test("a statement is renewed in its state by the same one with a later date; nothing else of it may differ", async () => {
      const { now } = server.clock;
      const dated = (issuedAt: number, expiresAt: number, more: Partial<ModelStatement> = {}) =>
        statementOf("content", content, { version: "6.0.0", issuedAt, expiresAt, ...more });
      const send = async (statement: ModelStatement) =>
        admin("POST", "/models", { statement: JSON.stringify(statement) });
      assert.equal(await codeOf(await send(await dated(now - 10, now))), "expired");
      const id = await publish(admin, content, await dated(now, now + 1_000), { state: "canary" });
      const before = (await manifest()).issuedAt;
      assert.equal(await codeOf(await send(await dated(now, now + 2_000))), "already_exists");
      assert.equal(await codeOf(await send(await dated(now - 1, now + 2_000))), "already_exists");
      assert.equal(await codeOf(await send(await dated(now + 1, now + 2_000, { licence: "other" }))), "already_exists");
      server.clock.now += 1_500;
      assert.equal(await codeOf(await admin("PUT", `/models/${id}`, { state: "active" })), "expired");
      const renewed = (await (await send(await dated(now + 1_500, now + 9_000))).json()) as Shown & {
        expiresAt: number;
      };
      assert.deepEqual([renewed.state, renewed.rollout.percent, renewed.expiresAt], ["canary", 10, now + 9_000]);
      const listed = await manifest();
      assert.ok(listed.issuedAt > before);
      const entry = listed.models.find((one) => one.id === id);
      assert.ok(isSigned(entry?.statement ?? "", statementMessage, entry?.signature ?? "", key.publicKey));
      assert.equal((await admin("PUT", `/models/${id}`, { state: "active" })).status, 200);

      // All that is published, by the program that operators have.
      const all = await renewModels({
        ...{ url: server.url, credential: admin.key, models: [] },
        validity: { issuedAt: now + 1_600, expiresAt: now + 20_000 },
      });
      assert.deepEqual([...all].sort(), listed.models.map((one) => one.id).sort());
      const ends = (await manifest()).models.map(
        ({ statement }) => (JSON.parse(statement) as ModelStatement).expiresAt,
      );
      assert.deepEqual(
        ends,
        ends.map(() => now + 20_000),
      );
      assert.equal(
        (await server.query("SELECT 1 AS n FROM audit_log WHERE action = 'model.renew'")).length,
        1 + all.length,
      );
      await admin("DELETE", `/models/${id}`);
    });

    test("the command line publishes for a year unless told otherwise, and renews", async () => {
      process.env["OAS_KEY"] = admin.key;
      const file = `${process.env["OAS_ROOT"] ?? "."}/models/content/model.oasm`;
      const daysLeft = async (id: string): Promise<number> => {
        const { expiresAt } = (await (await admin("GET", `/models/${id}`)).json()) as { expiresAt: number | null };
        return expiresAt === null ? Number.POSITIVE_INFINITY : (expiresAt - Date.now()) / 86_400_000;
      };
      const run = (...args: readonly string[]): Promise<string> => runModels([...args, "--url", server.url]);
      const id = await run("publish", file, "--version", "7.0.0", "--state", "canary");
      assert.equal(Math.round(await daysLeft(id)), 365);
      assert.equal(await run("renew", id, "--days", "0"), id);
      assert.equal(await daysLeft(id), Number.POSITIVE_INFINITY);
      assert.equal(await run("renew", id, "--days", "900"), id);
      assert.equal(Math.round(await daysLeft(id)), 900);
      for (const days of ["-1", "soon", "1.5"]) await assert.rejects(run("renew", `--days=${days}`), TypeError);
      await admin("DELETE", `/models/${id}`);
    });
  });

  describe(`trust and stored files, ${kind.name}`, { skip: kind.skip ?? false }, () => {
    test("only known publishers, when there are any; without a key there is no manifest", async () => {
      const publisher = generateKeyPairSync("ed25519").privateKey;
      const spki = createPublicKey(publisher).export({ format: "der", type: "spki" }).subarray(12).toString("base64");
      const server = await TestServer.start(kind, { models: { publishers: [spki] } });
      try {
        const admin = caller(server.url, (await server.client("acme", "root", ["admin"])).key);
        const statement = JSON.stringify(await statementOf("content", content));
        assert.equal(await codeOf(await admin("POST", "/models", { statement })), "signature");
        const forged = Buffer.from(newKey().signStatement(statement)).toString("base64");
        assert.equal(await codeOf(await admin("POST", "/models", { statement, signature: forged })), "signature");
        const good = sign(null, statementMessage(statement), publisher).toString("base64");
        assert.equal((await admin("POST", "/models", { statement, signature: good })).status, 201);
        assert.equal(await codeOf(await admin("GET", "/models/manifest")), "not_found");
      } finally {
        await server.end();
      }
    });

    test("a restored database shows a later list than the one before it", async () => {
      const database: TestDatabase = await kind.create();
      const key = newKey();
      let now = 1_000_000;
      const issued = async (restored: boolean): Promise<number> => {
        const store = await openStore(database.url, { now: () => now, onIdleError: assert.fail, restored });
        const registry = new ModelRegistry(store, () => now, { key });
        const { text } = await store.read((reads) => registry.manifest(reads, "acme"));
        await store.close();
        return (JSON.parse((JSON.parse(text) as { body: string }).body) as { issuedAt: number }).issuedAt;
      };
      try {
        const before = await issued(false);
        now += 5_000;
        assert.equal(await issued(false), before);
        assert.ok((await issued(true)) > before);
      } finally {
        await database.drop();
      }
    });

    test("eight megabytes are stored and read back; one byte more is too much", async () => {
      const server = await TestServer.start(kind, { models: { key: newKey() } });
      try {
        const admin = caller(server.url, (await server.client("acme", "root", ["admin"])).key);
        const file = new Uint8Array(8_000_000).map((_, i) => (i * 31) ^ (i >> 8));
        const statement = await statementOf("large", file, {
          metrics: (await statementOf("content", content)).metrics,
        });
        const id = await publish(admin, file, statement);
        const back = Buffer.from(await (await admin("GET", `/models/${id}/artifact`)).arrayBuffer());
        assert.ok(back.equals(file));
        const more = await admin("PUT", `/models/${id}/artifact`, new Uint8Array(8_000_001));
        assert.equal(more.status, 413);
      } finally {
        await server.end();
      }
    });
  });
}
