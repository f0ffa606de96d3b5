/** Credentials beyond API keys: tokens and keys of devices, an issuer's JWTs, revocation, rates. */

import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { signedText } from "../../js-glue/server/identity/signature.ts";
import { nextLevel } from "../../js-glue/server/operations/load.ts";
import { adoptText, tokenText } from "../../js-glue/server/routes/auth.ts";
import { readSettings, redacted } from "../../js-glue/server/settings.ts";
import { databaseKinds } from "./databases.ts";
import { START, segment } from "./frames.ts";
import { TestClient, TestServer } from "./harness.ts";

const codeOf = async (response: Response): Promise<string> => ((await response.json()) as { code: string }).code;
const signature = (key: KeyObject, text: string): string =>
  sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");

describe("identity", () => {
  let server: TestServer;
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ format: "der", type: "spki" }).toString("base64");
  before(async () => {
    const issuer = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(issuer.publicKey)), kid: "a" };
    server = await TestServer.start(databaseKinds[0]!, {
      jwt: { jwks: { keys: [jwk] }, issuer: "https://app.example", audience: "sync" },
      rateEventsPerMinute: 500,
    });
    mint = (claims, life = 600) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: "ES256", kid: "a" })
        .setIssuer("https://app.example")
        .setAudience("sync")
        .setIssuedAt(Math.floor(server.clock.now / 1_000))
        .setExpirationTime(Math.floor(server.clock.now / 1_000) + life)
        .sign(issuer.privateKey);
  });
  after(() => server.end());
  let mint: (claims: Record<string, unknown>, life?: number) => Promise<string>;

  const signed = (client: TestClient, method: string, path: string, body: Uint8Array): Record<string, string> => {
    const at = server.clock.now;
    const text = signedText(method, path, at, client.device, body);
    return { "oas-signature": `v1.${client.deviceId}.${at}.${signature(privateKey, text)}` };
  };

  test("a device with a key is believed signed requests only, each for itself", async () => {
    const client = await server.client("keys", "ann");
    const registered = await client.json("POST", "/device/register", { deviceId: client.deviceId, publicKey: spki });
    assert.equal(registered.status, 200);
    const frame = client.frame({ items: [segment(1n, 2, START, [{}])] });
    const bare = await client.post("/sync/push", frame);
    assert.equal(bare.status, 401);
    assert.equal(await codeOf(bare), "signature_needed");
    const headers = signed(client, "POST", "/sync/push", frame);
    assert.equal((await client.post("/sync/push", frame, headers)).status, 200);
    const other = client.frame({ items: [segment(2n, 2, START, [{}])] });
    assert.equal(await codeOf(await client.post("/sync/push", other, headers)), "bad_signature");
    server.clock.now += 301_000;
    assert.equal(await codeOf(await client.post("/sync/push", frame, headers)), "bad_signature");
    const second = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "der", type: "spki" });
    const body = JSON.stringify({ deviceId: client.deviceId, publicKey: second.toString("base64") });
    const again = await client.json("POST", "/device/register", JSON.parse(body), {
      ...signed(client, "POST", "/device/register", Buffer.from(body)),
    });
    assert.equal(await codeOf(again), "forbidden");
    const p384 = generateKeyPairSync("ec", { namedCurve: "P-384" }).publicKey.export({ format: "der", type: "spki" });
    const wrong = await client.json("POST", "/device/register", { publicKey: p384.toString("base64") });
    assert.equal(await codeOf(wrong), "invalid_argument");
  });

  test("a proof of the key buys one token, which ends by time and by revocation", async () => {
    const client = await server.client("keys", "bea");
    await client.json("POST", "/device/register", { deviceId: client.deviceId, publicKey: spki });
    const at = server.clock.now;
    const proof = { deviceId: client.deviceId, tenant: "keys", at, signature: "" };
    proof.signature = signature(privateKey, tokenText("keys", client.deviceId, at));
    const anyone = new TestClient(server.url, "", client.device);
    const answer = await anyone.json("POST", "/auth/device/token", proof);
    assert.equal(answer.status, 200);
    const { token, expiresAt } = (await answer.json()) as { token: string; expiresAt: number };
    assert.equal(await codeOf(await anyone.json("POST", "/auth/device/token", proof)), "bad_signature");
    const device = new TestClient(server.url, token, client.device);
    const path = `/device/${client.deviceId}/status`;
    const read = (): Promise<Response> => device.json("GET", path, undefined, signed(device, "GET", path, Buffer.of()));
    assert.equal((await read()).status, 200);
    // The token reaches no other device of the same principal.
    const sibling = await server.client("keys", "bea");
    await sibling.json("POST", "/device/register", { deviceId: sibling.deviceId });
    assert.equal((await device.json("GET", `/device/${sibling.deviceId}/status`)).status, 404);
    server.clock.now = expiresAt + 1;
    assert.equal(await codeOf(await read()), "token_expired");
    assert.equal((await client.json("DELETE", `/device/${client.deviceId}`)).status, 204);
    const revoked = await client.json("GET", path, undefined, signed(device, "GET", path, Buffer.of()));
    assert.ok(revoked.status === 401 || revoked.status === 403);
  });

  test("work made before sign-in becomes the subject's, signed by its device, ids unchanged", async () => {
    const anonymous = await server.client("keys", "anonymous-1");
    await anonymous.json("POST", "/device/register", { deviceId: anonymous.deviceId, publicKey: spki });
    const frame = anonymous.frame({ items: [segment(1n, 2, START, [{ json: '{"cart":1}' }])] });
    await anonymous.post("/sync/push", frame, signed(anonymous, "POST", "/sync/push", frame));
    const cleo = await server.client("keys", "cleo");
    const at = server.clock.now;
    const forged = {
      deviceId: anonymous.deviceId,
      at,
      signature: signature(privateKey, adoptText(anonymous.deviceId, "mallory", at)),
    };
    assert.equal((await cleo.json("POST", "/device/adopt", forged)).status, 401);
    const proof = { ...forged, signature: signature(privateKey, adoptText(anonymous.deviceId, "cleo", at)) };
    assert.equal((await cleo.json("POST", "/device/adopt", proof)).status, 200);
    const mine = new TestClient(server.url, cleo.key, anonymous.device);
    const path = `/events/${anonymous.deviceId}/history`;
    const history = await mine.json("GET", path, undefined, signed(mine, "GET", path, Buffer.of()));
    assert.equal(((await history.json()) as { items: unknown[] }).items.length, 1);
    const before_ = await anonymous.json("GET", path, undefined, signed(anonymous, "GET", path, Buffer.of()));
    assert.equal(before_.status, 404);
  });

  test("an issuer's token is a subject; an old one is told so", async () => {
    const token = await mint({ tenant: "keys", sub: "dora" });
    const dora = new TestClient(server.url, token, new Uint8Array(16).fill(7));
    assert.equal((await dora.json("POST", "/device/register", { deviceId: dora.deviceId })).status, 200);
    assert.equal((await dora.json("GET", "/auth/keys")).status, 403);
    const admin = new TestClient(
      server.url,
      await mint({ tenant: "keys", sub: "dora", scope: "offline-ai:admin x" }),
      dora.device,
    );
    assert.equal((await admin.json("GET", "/auth/keys")).status, 200);
    const nobody = new TestClient(server.url, await mint({ sub: "dora" }), dora.device);
    assert.equal((await nobody.json("GET", "/device")).status, 401);
    server.clock.now += 700_000;
    assert.equal(await codeOf(await dora.json("GET", "/device")), "token_expired");
  });

  test("keys are made with scopes and revoked over HTTP", async () => {
    const admin = await server.client("keys", "root", ["admin"]);
    const made = await admin.json("POST", "/auth/keys", { principal: "probe", scopes: ["metrics"] });
    const { key, prefix } = (await made.json()) as { key: string; prefix: string };
    const probe = new TestClient(server.url, key, new Uint8Array(16));
    assert.equal((await probe.json("GET", "/device")).status, 403);
    assert.equal((await admin.json("DELETE", `/auth/keys/${prefix}`)).status, 204);
    assert.equal((await probe.json("GET", "/device")).status, 401);
    assert.equal((await admin.json("DELETE", `/auth/keys/${prefix}`)).status, 404);
  });

  test("a push counts as many events as it brings, and the next one waits", async () => {
    const client = await server.client("keys", "eve");
    const many = segment(
      1n,
      2,
      START,
      Array.from({ length: 600 }, () => ({})),
    );
    assert.equal((await client.sync({ items: [many] })).streams[0]?.mark.seq, 600);
    const next = await client.post("/sync/push", client.frame({ items: [segment(2n, 2, START, [{}])] }));
    assert.equal(next.status, 429);
    assert.ok(Number(next.headers.get("retry-after")) >= 1);
    assert.equal(await codeOf(next), "rate_limited");
    const other = await server.client("keys", "fay");
    assert.equal((await other.json("GET", "/device")).status, 200);
  });

  test("under load less urgent lanes are turned away first, and told when to come back", async () => {
    const client = await server.client("load", "ann");
    const push = async (lane: number): Promise<Response> =>
      client.post(
        "/sync/push",
        client.frame({ items: [segment(BigInt(10 + lane + 100 * server.sync.load.level), lane, START, [{}])] }),
      );
    for (const [level, served] of [
      [0, [0, 1, 2, 3]],
      [1, [0, 1, 2]],
      [2, [0, 1]],
      [3, [0]],
    ] as const) {
      server.sync.load.set(level);
      for (const lane of [0, 1, 2, 3]) {
        const response = await push(lane);
        assert.equal(
          response.status,
          (served as readonly number[]).includes(lane) ? 200 : 503,
          `level ${level}, lane ${lane}`,
        );
        if (response.status !== 503) continue;
        assert.ok(Number(response.headers.get("retry-after")) >= 1);
        assert.equal(await codeOf(response), "overloaded");
      }
    }
    server.sync.load.set(0);
  });

  test("the level moves one step at a time and rests between its thresholds", () => {
    const calm = { loopDelayMs: 10, poolWaiting: 0, poolMax: 10, inFlight: 1 };
    assert.equal(nextLevel(0, calm), 0);
    assert.equal(nextLevel(0, { ...calm, loopDelayMs: 5_000 }), 1);
    assert.equal(nextLevel(1, { ...calm, loopDelayMs: 90 }), 1);
    assert.equal(nextLevel(1, calm), 0);
    assert.equal(nextLevel(4, { ...calm, poolWaiting: 1e6 }), 4);
  });
});

test("settings are refused by name, and printed without passwords", () => {
  assert.throws(() => readSettings({ OFFLINE_AI_SYNC_INTERVALL: "1" }), /unknown setting/);
  assert.throws(() => readSettings({ OFFLINE_AI_SYNC_INTERVAL: "soon" }), /OFFLINE_AI_SYNC_INTERVAL/);
  assert.throws(() => readSettings({ OFFLINE_AI_JWKS_URL: "https://x.example/keys" }), /OFFLINE_AI_JWT_ISSUER/);
  const settings = readSettings({ DATABASE_URL: "postgres://app:hush@db/x", OFFLINE_AI_MAX_CACHE_SIZE_MB: "7" });
  assert.equal(settings.OFFLINE_AI_MAX_CACHE_SIZE_MB, 7);
  assert.equal(settings.OFFLINE_AI_SYNC_INTERVAL, 30_000);
  assert.ok(!JSON.stringify(redacted(settings)).includes("hush"));
});
