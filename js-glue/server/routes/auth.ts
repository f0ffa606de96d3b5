/** Credentials over HTTP: tokens and keys of devices, API keys, revocation, and the way from before to after sign-in. */

import { createHash } from "node:crypto";
import { z } from "zod";
import { toHex } from "../../core/bytes.ts";
import { formatDeviceId } from "../../core/device-id.ts";
import { failure } from "../../core/errors.ts";
import { mintApiKey, SCOPES } from "../auth.ts";
import { ownDevice, parseDeviceId, type Server } from "../context.ts";
import { HttpProblem } from "../http/problem.ts";
import { json, type Route, route } from "../http/route.ts";
import { dropDeviceTokens, mintDeviceToken } from "../identity/device-token.ts";
import { readPublicKey, signedBy } from "../identity/signature.ts";
import { apiKeyPage, entry, moveDevice, revokeApiKey, revokeDevice, setPublicKey } from "../store/credentials.ts";
import { DICTIONARY_SCHEMA, dropDictionary } from "../store/dictionaries.ts";
import type { Writes } from "../store/store.ts";
import { deviceParams, shortText } from "./device.ts";

const TOKEN_LIFE_MS = 3_600_000;
const CLOCK_MS_MAX = 300_000;

const proof = z.object({
  deviceId: z.string().max(64),
  tenant: shortText(256),
  /** By the device's clock, in milliseconds since 1970. */
  at: z.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
  /** ECDSA P-256 over `oas1 token <tenant> <device id> <at>`, base64url of r || s. */
  signature: z.string().regex(/^[\w-]{86}$/),
});

const tokenAnswer = z.object({ token: z.string(), expiresAt: z.number() });

/** What a device signs to get a token. */
export const tokenText = (tenant: string, deviceId: string, at: number): string =>
  `oas1 token ${tenant} ${deviceId} ${at}`;

/** What a device made before sign-in signs to become this subject's. */
export const adoptText = (deviceId: string, principal: string, at: number): string =>
  `oas1 adopt ${deviceId} ${principal} ${at}`;

const refused = (): HttpProblem => new HttpProblem("bad_signature", "the device's key did not sign this");

// Each proof is good for one answer, so that one overheard on the way is worth nothing.
async function spend(tx: Writes, tenant: string, device: Uint8Array, signature: string, now: number): Promise<void> {
  const key = `proof:${createHash("sha256").update(signature).digest("base64url")}`;
  if (await tx.keyOwner(tenant, device, key, now)) throw refused();
  await tx.claimKey(tenant, device, key, { epoch: 0n, lane: 0, seq: 0 }, now, now + 2 * CLOCK_MS_MAX);
}

function checkProof(server: Server, publicKey: string | null, text: string, at: number, signature: string): void {
  if (publicKey === null || Math.abs(server.now() - at) > CLOCK_MS_MAX) throw refused();
  if (!signedBy(readPublicKey(publicKey), text, Buffer.from(signature, "base64url"))) throw refused();
}

const deviceAuthRoutes = (server: Server): readonly Route[] => [
  route(
    "POST",
    "/auth/device/token",
    { json: proof, doc: { summary: "A short-lived token for a device, by a proof of its key", answer: tokenAnswer } },
    ({ body }) =>
      server.store.write(async (tx) => {
        const id = parseDeviceId(body.deviceId);
        const device = id && (await tx.device(body.tenant, id, true));
        // Whether a device exists is nobody's business who cannot prove to be it.
        if (!id || !device || device.revokedAt !== null) throw refused();
        const text = tokenText(body.tenant, formatDeviceId(id), body.at);
        checkProof(server, device.publicKey, text, body.at, body.signature);
        await spend(tx, body.tenant, id, body.signature, server.now());
        const token = await mintDeviceToken(tx.connection, body.tenant, id, server.now(), TOKEN_LIFE_MS);
        return json(200, { token, expiresAt: server.now() + TOKEN_LIFE_MS });
      }),
  ),

  route(
    "POST",
    "/auth/device/rotate",
    {
      scope: "sync",
      json: z.object({ deviceId: z.string().max(64), publicKey: shortText(1_024).optional() }),
      doc: {
        summary:
          "Ends all tokens of the device; gives it a new key, or a new token. Signed by the old key where there is one",
        answer: tokenAnswer,
      },
    },
    async ({ identity, body }) => {
      if (body.publicKey !== undefined) readPublicKey(body.publicKey);
      const answer = await server.store.write(async (tx) => {
        const { device, publicKey } = await ownDevice(tx, identity, body.deviceId);
        const { tenant, principal } = identity;
        await dropDeviceTokens(tx.connection, tenant, device);
        if (body.publicKey !== undefined) await setPublicKey(tx.connection, tenant, device, body.publicKey);
        const how = body.publicKey === undefined ? "token" : publicKey === null ? "first key" : "key";
        await tx.audit(tenant, [entry(server.now(), principal, "device.rotate", toHex(device), how)]);
        const token = await mintDeviceToken(tx.connection, tenant, device, server.now(), TOKEN_LIFE_MS);
        return { token, expiresAt: server.now() + TOKEN_LIFE_MS };
      });
      server.deviceTokens.forget();
      return json(200, answer);
    },
  ),

  route(
    "POST",
    "/device/adopt",
    {
      scope: "sync",
      json: z.object({
        deviceId: z.string().max(64),
        at: proof.shape.at,
        /** Over `oas1 adopt <device id> <principal> <at>`, by the key of the device made before sign-in. */
        signature: proof.shape.signature,
      }),
      doc: {
        summary: "Binds a device that worked before sign-in, and its streams, to the signed-in subject; ids stay",
        answer: z.object({ deviceId: z.string() }),
      },
    },
    ({ identity, body }) =>
      server.store.write(async (tx) => {
        const id = parseDeviceId(body.deviceId);
        const device = id && (await tx.device(identity.tenant, id, true));
        if (!id || !device || device.revokedAt !== null) throw refused();
        const text = adoptText(formatDeviceId(id), identity.principal, body.at);
        checkProof(server, device.publicKey, text, body.at, body.signature);
        if (device.principal !== identity.principal) {
          await spend(tx, identity.tenant, id, body.signature, server.now());
          await moveDevice(tx.connection, identity.tenant, id, device.principal, identity.principal);
          await dropDeviceTokens(tx.connection, identity.tenant, id);
          await tx.audit(identity.tenant, [entry(server.now(), identity.principal, "device.adopt", toHex(id))]);
        }
        return json(200, { deviceId: formatDeviceId(id) });
      }),
  ),
];

const revocationRoutes = (server: Server): readonly Route[] => [
  route(
    "DELETE",
    "/device/:deviceId",
    { scope: "sync", params: deviceParams, doc: { summary: "Revokes a device; its work stays", status: 204 } },
    async ({ identity, params }) => {
      const hasDictionaries = await server.store.hasSchema(DICTIONARY_SCHEMA);
      await server.store.write(async (tx) => {
        const { device } = await ownDevice(tx, identity, params.deviceId, { signed: false });
        const now = server.now();
        if (await revokeDevice(tx.connection, identity.tenant, device, now))
          await tx.audit(identity.tenant, [entry(now, identity.principal, "device.revoke", toHex(device))]);
        await dropDeviceTokens(tx.connection, identity.tenant, device);
        // It pushes nothing any more; what it has pushed does not need it.
        if (hasDictionaries) await dropDictionary(tx.connection, identity.tenant, device);
      });
      server.deviceTokens.forget();
      server.dictionaries.forget();
      return { status: 204 };
    },
  ),
];

const keyView = z.object({
  prefix: z.string(),
  principal: z.string(),
  name: z.string(),
  scopes: z.array(z.string()),
  createdAt: z.number(),
  revokedAt: z.number().nullable(),
});

const apiKeyRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/auth/keys",
    {
      scope: "admin",
      query: z.object({
        cursor: z
          .string()
          .regex(/^[0-9a-f]{12}$/)
          .optional(),
        limit: z.coerce.number().int().min(1).max(500).default(100),
      }),
      doc: {
        summary: "API keys of the tenant, without their secrets",
        answer: z.object({ items: z.array(keyView), nextCursor: z.string().nullable() }),
      },
    },
    ({ identity, query }) =>
      server.store.read(async (reads) => {
        const items = await apiKeyPage(reads.connection, identity.tenant, query.cursor ?? "", query.limit);
        return json(200, { items, nextCursor: items.length < query.limit ? null : (items.at(-1)?.prefix ?? null) });
      }),
  ),

  route(
    "POST",
    "/auth/keys",
    {
      scope: "admin",
      json: z.object({
        principal: shortText(256).min(1),
        name: shortText(256).default(""),
        scopes: z.array(z.enum(SCOPES)).min(1).max(SCOPES.length).default(["sync"]),
      }),
      doc: {
        summary: "Makes an API key; the answer is the only time it is shown",
        answer: z.object({ key: z.string(), prefix: z.string() }),
        status: 201,
      },
    },
    async ({ identity, body }) => {
      const { key, record } = mintApiKey(
        { tenant: identity.tenant, principal: body.principal },
        body.scopes,
        body.name,
      );
      await server.store.write(async (tx) => {
        await tx.insertApiKey(record, server.now());
        const detail = body.scopes.join(" ");
        await tx.audit(identity.tenant, [
          entry(server.now(), identity.principal, "api_key.create", record.prefix, detail),
        ]);
      });
      return json(201, { key, prefix: record.prefix });
    },
  ),

  route(
    "DELETE",
    "/auth/keys/:prefix",
    {
      scope: "admin",
      params: z.object({ prefix: z.string().regex(/^[0-9a-f]{12}$/, "must be twelve hexadecimal digits") }),
      doc: { summary: "Revokes an API key", status: 204 },
    },
    async ({ identity, params }) => {
      const now = server.now();
      const revoked = await server.store.write(async (tx) => {
        const done = await revokeApiKey(tx.connection, identity.tenant, params.prefix, now);
        if (done) await tx.audit(identity.tenant, [entry(now, identity.principal, "api_key.revoke", params.prefix)]);
        return done;
      });
      if (!revoked) throw failure("not_found", "there is no such key");
      server.apiKeys.forget();
      return { status: 204 };
    },
  ),
];

export const authRoutes = (server: Server): readonly Route[] => [
  ...deviceAuthRoutes(server),
  ...revocationRoutes(server),
  ...apiKeyRoutes(server),
];
