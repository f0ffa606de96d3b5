/** The sync protocol over HTTP: one binary frame in, one out. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import type { Identity } from "../auth.ts";
import { formatDeviceId, parseDeviceId, type Server } from "../context.ts";
import { BATCH_TYPE } from "../http/respond.ts";
import { type Context, type Result, type Route, route } from "../http/route.ts";
import { exchange } from "../push.ts";

const frame = z.custom<Uint8Array>();

async function sync(
  server: Server,
  identity: Identity,
  body: Uint8Array,
  from: string,
  device?: Uint8Array,
): Promise<Result> {
  const done = await exchange(server, identity, body, device);
  if (done.release) server.release(identity.tenant, done.device);
  const { applied, rejected, deferred, duplicate } = done;
  if (applied + rejected + deferred + duplicate > 0)
    server.log.info({ device: formatDeviceId(done.device), from, applied, rejected, deferred, duplicate }, "push");
  const headers = { "content-type": BATCH_TYPE, "cache-control": "no-store" };
  return { status: 200, headers, body: done.reply, weight: applied + rejected + deferred + duplicate };
}

const fromOf = ({ headers }: Context<unknown, unknown, Uint8Array>): string => {
  const from = headers["oas-context"];
  return from === "page" || from === "worker" || from === "node" ? from : "unknown";
};

export const syncRoutes = (server: Server): readonly Route[] => [
  route("POST", "/sync/push", { scope: "sync", body: "bytes", json: frame }, (context) =>
    sync(server, context.identity, context.body, fromOf(context)),
  ),
  route("POST", "/sync/pull", { scope: "sync", body: "bytes", json: frame }, (context) =>
    sync(server, context.identity, context.body, fromOf(context)),
  ),
  route(
    "POST",
    "/events/sync/:deviceId",
    { scope: "sync", body: "bytes", json: frame, params: z.object({ deviceId: z.string().max(64) }) },
    (context) => {
      const device = parseDeviceId(context.params.deviceId);
      if (!device) throw failure("unknown_device", "there is no such device");
      return sync(server, context.identity, context.body, fromOf(context), device);
    },
  ),
];
