/** The sync protocol over HTTP: one binary frame in, one out. */

import { z } from "zod";
import { formatDeviceId } from "../../core/device-id.ts";
import { failure } from "../../core/errors.ts";
import type { Identity } from "../auth.ts";
import { parseDeviceId, type Server } from "../context.ts";
import { BATCH_TYPE } from "../http/respond.ts";
import { type Context, json, type Result, type Route, route } from "../http/route.ts";
import { exchange } from "../push.ts";

const WAIT_MS_MAX = 25_000;
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
  const toldMembers = server.documents.flush(identity.tenant, done.device);
  const { applied, rejected, deferred, duplicate } = done;
  // Who wrote to a space is a member of it; a poke without the changes beside the one that brings them would only cost a pull.
  if (applied > 0 && !toldMembers) server.streams.notify(identity.tenant, identity.principal);
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
  route(
    "POST",
    "/sync/push",
    { scope: "sync", body: "bytes", json: frame, doc: { summary: "Segments in, watermarks and verdicts out" } },
    (context) => sync(server, context.identity, context.body, fromOf(context)),
  ),
  route(
    "POST",
    "/sync/pull",
    {
      scope: "sync",
      body: "bytes",
      json: frame,
      doc: { summary: "Watermarks and late verdicts of the streams asked for" },
    },
    (context) => sync(server, context.identity, context.body, fromOf(context)),
  ),
  route(
    "GET",
    "/sync/stream",
    {
      scope: "sync",
      doc: {
        summary:
          "Server-sent events: `poke` = look for news, or a page as of `/sync/changes` that follows the cursor `after`; `auth` = the credential ends soon; `bye` = come back",
        answer: "text/event-stream",
      },
    },
    ({ identity, holds }) => ({
      status: 200,
      headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
      stream: server.streams.open(identity, holds),
    }),
  ),
  route(
    "GET",
    "/sync/wait",
    {
      scope: "sync",
      waits: true,
      query: z.object({ wait: z.coerce.number().int().min(0).max(WAIT_MS_MAX).default(WAIT_MS_MAX) }),
      doc: {
        summary: "As the stream, for one poke and behind proxies that hold streams back",
        answer: z.object({ poke: z.boolean() }),
      },
    },
    async ({ identity, query }) =>
      json(200, { poke: await server.streams.wait(identity.tenant, identity.principal, query.wait) }),
  ),
  ...(["/events/sync/:deviceId", "/analytics/batch-sync/:deviceId"] as const).map((path) =>
    route(
      "POST",
      path,
      {
        scope: "sync",
        body: "bytes",
        json: frame,
        params: z.object({ deviceId: z.string().max(64) }),
        doc: { summary: "Push and pull of one device in one round trip, whatever its lanes" },
      },
      (context) => {
        const device = parseDeviceId(context.params.deviceId);
        if (!device) throw failure("unknown_device", "there is no such device");
        return sync(server, context.identity, context.body, fromOf(context), device);
      },
    ),
  ),
];
