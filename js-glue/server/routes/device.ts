/** Devices: register, look at, tell whether online. */

import { randomBytes } from "node:crypto";
import { z } from "zod";
import { failure } from "../../core/errors.ts";
import { formatEventId, LANES } from "../../core/events.ts";
import type { Identity } from "../auth.ts";
import { formatDeviceId, ownDevice, parseDeviceId, type Server } from "../context.ts";
import { LIMITS } from "../http/problem.ts";
import { json, type Route, route } from "../http/route.ts";
import { lockDevice } from "../push.ts";

const text = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\0]*$/, "must not hold U+0000");
const STREAMS_SHOWN_MAX = 1_000;

export const deviceParams = z.object({ deviceId: z.string().max(64) });

export const registration = z.object({
  deviceId: z.string().max(64).optional(),
  userId: text(256).optional(),
  deviceType: text(64).optional(),
  platform: text(64).optional(),
  userAgent: text(512).optional(),
  capabilities: z.record(z.string(), z.unknown()).optional(),
  publicKey: text(1_024).optional(),
  capsDigest: text(128).optional(),
  appVersion: text(64).optional(),
});
export type Registration = z.infer<typeof registration>;

/** Makes the device known and keeps what it says of itself. Rejects with `unknown_device`, `invalid_argument`, `forbidden`. */
export async function registerDevice(server: Server, identity: Identity, body: Registration): Promise<string> {
  if (body.userId !== undefined && body.userId !== identity.principal)
    throw failure("forbidden", "userId is not the principal of the credential");
  const device = body.deviceId === undefined ? new Uint8Array(randomBytes(16)) : parseDeviceId(body.deviceId);
  if (!device) throw failure("invalid_argument", "deviceId is not 16 bytes in hexadecimal", { path: "deviceId" });
  const capabilities = body.capabilities && JSON.stringify(body.capabilities).replaceAll("\\u0000", "");
  await server.store.write(async (tx) => {
    await lockDevice(tx, identity, device, server.now());
    await tx.describeDevice(identity.tenant, device, { ...body, capabilities });
  });
  return formatDeviceId(device);
}

export const deviceRoutes = (server: Server): readonly Route[] => [
  route("POST", "/device/register", { scope: "sync", json: registration }, async ({ identity, body }) => {
    const deviceId = await registerDevice(server, identity, body);
    return json(200, { deviceId, serverTime: server.now(), limits: LIMITS });
  }),

  route("GET", "/device/:deviceId/status", { scope: "sync", params: deviceParams }, ({ identity, params }) =>
    server.store.read(async (reads) => {
      const device = await ownDevice(reads, identity, params.deviceId);
      const marks = await reads.marks(identity.tenant, device.device, STREAMS_SHOWN_MAX);
      const counts = await reads.counts(identity.tenant, device.device);
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
      });
    }),
  ),

  route(
    "PUT",
    "/device/:deviceId/online-status",
    {
      scope: "sync",
      params: deviceParams,
      json: z.object({ online: z.boolean(), networkType: text(32).optional() }),
    },
    ({ identity, params, body }) =>
      server.store.write(async (tx) => {
        const device = await ownDevice(tx, identity, params.deviceId);
        await tx.setOnline(identity.tenant, device.device, body.online, body.networkType ?? null, server.now());
        return json(200, { deviceId: formatDeviceId(device.device), online: body.online });
      }),
  ),
];
