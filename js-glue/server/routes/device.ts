/** Devices: register, look at, tell whether online. */

import { randomBytes } from "node:crypto";
import { z } from "zod";
import { fromHex, sameBytes, toHex } from "../../core/bytes.ts";
import { formatDeviceId } from "../../core/device-id.ts";
import { failure } from "../../core/errors.ts";
import { formatEventId, LANES } from "../../core/events.ts";
import type { Caller, Identity } from "../auth.ts";
import { ownDevice, parseDeviceId, type Server } from "../context.ts";
import { cursorsOf } from "../documents/reads.ts";
import { LIMITS } from "../http/problem.ts";
import { json, type Route, route } from "../http/route.ts";
import { mintDeviceToken } from "../identity/device-token.ts";
import { readPublicKey } from "../identity/signature.ts";
import { lockDevice } from "../push.ts";

export const shortText = (max: number) =>
  z
    .string()
    .max(max)
    .refine((value) => !/[\0\p{Surrogate}]/u.test(value), "holds U+0000 or half a surrogate pair");
const STREAMS_SHOWN_MAX = 1_000;
const SPACES_SHOWN_MAX = 500;
const CAPABILITIES_CHARS_MAX = 16_000;
const CREDENTIAL_LIFE_MS = 90 * 24 * 3_600_000;

export const deviceParams = z.object({ deviceId: z.string().max(64) });

export const registration = z.object({
  deviceId: z.string().max(64).optional(),
  userId: shortText(256).optional(),
  deviceType: shortText(64).optional(),
  platform: shortText(64).optional(),
  userAgent: shortText(512).optional(),
  capabilities: z.record(shortText(64), z.unknown()).optional(),
  /** SPKI of a P-256 key, base64. From then on the device signs its requests; it is changed by `auth/device/rotate` only. */
  publicKey: shortText(1_024).optional(),
  capsDigest: shortText(128).optional(),
  appVersion: shortText(64).optional(),
  /** Also answer with a token of the device's own. */
  credential: z.boolean().optional(),
});
export type Registration = z.infer<typeof registration>;

export interface Registered {
  readonly deviceId: string;
  readonly credential: string | undefined;
}

/** Makes the device known and keeps what it says of itself. Rejects with `unknown_device`, `invalid_argument`, `forbidden`. */
export async function registerDevice(server: Server, identity: Identity, body: Registration): Promise<Registered> {
  if (body.userId !== undefined && body.userId !== identity.principal)
    throw failure("forbidden", "userId is not the principal of the credential");
  const device = body.deviceId === undefined ? new Uint8Array(randomBytes(16)) : parseDeviceId(body.deviceId);
  if (!device) throw failure("invalid_argument", "deviceId is not 16 bytes in hexadecimal", { path: "deviceId" });
  if (body.publicKey !== undefined) readPublicKey(body.publicKey);
  const capabilities = capabilitiesText(body.capabilities);
  const credential = await server.store.write(async (tx) => {
    const record = await lockDevice(tx, onBehalfOf(identity, device), device, server);
    if (body.publicKey !== undefined && record.publicKey !== null && body.publicKey !== record.publicKey)
      throw failure("forbidden", "the device has a key; auth/device/rotate changes it");
    await tx.describeDevice(identity.tenant, device, { ...body, capabilities });
    if (!body.credential) return undefined;
    return mintDeviceToken(tx.connection, identity.tenant, device, server.now(), CREDENTIAL_LIFE_MS);
  });
  return { deviceId: formatDeviceId(device), credential };
}

// An administrator registers devices of its own name without their keys.
const onBehalfOf = (identity: Identity, device: Uint8Array): Caller =>
  identity.scopes.includes("admin") ? { ...identity, signedBy: device } : identity;

function capabilitiesText(capabilities: Registration["capabilities"]): string | undefined {
  if (!capabilities) return undefined;
  const text = JSON.stringify(capabilities).replaceAll("\\u0000", "");
  if (text.length > CAPABILITIES_CHARS_MAX)
    throw failure("invalid_argument", `capabilities are longer than ${CAPABILITIES_CHARS_MAX}`, {
      path: "capabilities",
    });
  return text;
}

const idAnswer = z.object({ deviceId: z.string() });

export const deviceRoutes = (server: Server): readonly Route[] => [
  route(
    "POST",
    "/device/register",
    {
      scope: "sync",
      json: registration,
      doc: {
        summary: "Makes a device known; again changes nothing but what it says of itself",
        answer: idAnswer.extend({
          serverTime: z.number(),
          syncIntervalMs: z.number(),
          credential: z.string().optional(),
          limits: z.record(z.string(), z.number()),
        }),
      },
    },
    async ({ identity, body }) => {
      const { deviceId, credential } = await registerDevice(server, identity, body);
      const { syncIntervalMs } = server;
      return json(200, { deviceId, credential, serverTime: server.now(), syncIntervalMs, limits: LIMITS });
    },
  ),

  route(
    "GET",
    "/device",
    {
      scope: "sync",
      query: z.object({
        cursor: z
          .string()
          .regex(/^[0-9a-f]{32}$/)
          .optional(),
        limit: z.coerce.number().int().min(1).max(500).default(100),
      }),
      doc: {
        summary: "Own devices; an administrator sees the tenant's",
        answer: z.object({ items: z.array(idAnswer.loose()), nextCursor: z.string().nullable() }),
      },
    },
    ({ identity, query }) =>
      server.store.read(async (reads) => {
        const principal = identity.scopes.includes("admin") ? undefined : identity.principal;
        const after = query.cursor === undefined ? undefined : (fromHex(query.cursor) ?? undefined);
        const found = await reads.devices(identity.tenant, principal, query.limit, after);
        const items = found
          .filter(({ device }) => !identity.device || sameBytes(device, identity.device))
          .map((device) => ({
            deviceId: formatDeviceId(device.device),
            deviceType: device.deviceType,
            platform: device.platform,
            online: device.online,
            registeredAt: device.registeredAt,
            lastSeenAt: device.seenAt,
            revoked: device.revokedAt !== null,
            signs: device.publicKey !== null,
          }));
        const last = found.at(-1);
        return json(200, { items, nextCursor: last && found.length === query.limit ? toHex(last.device) : null });
      }),
  ),

  route(
    "GET",
    "/device/:deviceId/status",
    {
      scope: "sync",
      params: deviceParams,
      doc: {
        summary: "Watermarks, counts, how far it has stored its spaces, and when the device was last seen",
        answer: idAnswer.loose(),
      },
    },
    async ({ identity, params }) => {
      await server.cursors.idle();
      return server.store.read(async (reads) => {
        const device = await ownDevice(reads, identity, params.deviceId);
        const marks = await reads.marks(identity.tenant, device.device, STREAMS_SHOWN_MAX);
        const counts = await reads.counts(identity.tenant, device.device);
        const spaces = await cursorsOf(reads.connection, identity.tenant, device, SPACES_SHOWN_MAX);
        return json(200, {
          deviceId: formatDeviceId(device.device),
          online: device.online,
          networkType: device.networkType,
          registeredAt: device.registeredAt,
          lastSeenAt: device.seenAt,
          revoked: device.revokedAt !== null,
          events: { ...counts, pending: counts.deferred },
          streams: marks.map((mark) => ({
            epoch: mark.epoch.toString(16).padStart(16, "0"),
            lane: LANES[mark.lane],
            lastSeq: mark.seq,
            lastEventId: formatEventId(mark),
          })),
          // `behind` changes are there that the device has not said it stored.
          spaces: spaces.map((one) => ({ ...one, behind: Math.max(0, one.head - one.stored) })),
        });
      });
    },
  ),

  route(
    "PUT",
    "/device/:deviceId/online-status",
    {
      scope: "sync",
      params: deviceParams,
      json: z.object({ online: z.boolean(), networkType: shortText(32).optional() }),
      doc: {
        summary: "A hint for dashboards; it never decides about delivery",
        answer: idAnswer.extend({ online: z.boolean() }),
      },
    },
    ({ identity, params, body }) =>
      server.store.write(async (tx) => {
        const device = await ownDevice(tx, identity, params.deviceId);
        await tx.setOnline(identity.tenant, device.device, body.online, body.networkType ?? null, server.now());
        return json(200, { deviceId: formatDeviceId(device.device), online: body.online });
      }),
  ),
];
