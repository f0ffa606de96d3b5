/** Events as JSON: queue one, see what waits, see what came. */

import { z } from "zod";
import { formatDeviceId } from "../../core/device-id.ts";
import { errorInfo } from "../../core/error-codes.ts";
import { failure, failureOf } from "../../core/errors.ts";
import { formatEventId, LANES } from "../../core/events.ts";
import { VERDICT_KINDS } from "../../core/verdicts.ts";
import { historyOf } from "../analytics-blocks.ts";
import type { Identity } from "../auth.ts";
import { onBehalf, ownDevice, parseDeviceId, type Server } from "../context.ts";
import { JSON_HEADERS, json, type Result, type Route, route } from "../http/route.ts";
import { type Queued, queueEvent } from "../queue-event.ts";
import { Kind } from "../session.ts";
import type { InboxEvent } from "../store/store.ts";
import { deviceParams } from "./device.ts";

/** Lengths count bytes, as everywhere in the protocol. */
const field = z
  .string()
  .refine((value) => Buffer.byteLength(value) <= 256, "longer than 256 bytes")
  .refine((value) => !value.includes("\0") && !/\p{Surrogate}/u.test(value), "holds U+0000 or half a surrogate pair");

export const queuedEvent = z.object({
  deviceId: z.string().max(64),
  eventType: field.min(1),
  moduleId: field.optional(),
  eventData: z.unknown().refine((value) => value !== undefined, "missing"),
  priority: z.string().optional(),
  entity: field.optional(),
  dedupeKey: field.optional(),
  userId: z.string().max(256).optional(),
  epoch: z
    .string()
    .regex(/^[0-9a-f]{16}$/)
    .optional(),
  seq: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
});
export type QueuedEventBody = z.infer<typeof queuedEvent>;

/** Rejects as `queueEvent` of queue-event.ts does, and with `unknown_priority` and `forbidden`. */
export async function queueOne(
  server: Server,
  identity: Identity,
  body: QueuedEventBody,
  idempotencyKey?: string,
): Promise<Queued> {
  const lane = (LANES as readonly string[]).indexOf(body.priority ?? "normal");
  if (lane < 0) throw failure("unknown_priority", `priority is one of ${LANES.join(", ")}`, { path: "priority" });
  if (body.userId !== undefined && body.userId !== identity.principal)
    throw failure("forbidden", "userId is not the principal of the credential");
  const device = parseDeviceId(body.deviceId);
  if (!device) throw failure("unknown_device", "there is no such device");
  if ((body.epoch === undefined) !== (body.seq === undefined))
    throw failure("invalid_argument", "epoch and seq come together", { path: "seq" });
  // One event is queued on behalf of a device that exists; only sync and register make devices known.
  const owner = await server.store.read((reads) => ownDevice(reads, identity, body.deviceId));
  const subject = onBehalf(identity, owner);
  const position =
    body.epoch === undefined || body.seq === undefined
      ? undefined
      : { epoch: BigInt(`0x${body.epoch}`), lane, seq: body.seq };
  const queued = await queueEvent(server, subject, {
    device,
    lane,
    type: body.eventType,
    module: body.moduleId ?? "",
    entity: body.entity ?? "",
    json: Buffer.from(JSON.stringify(body.eventData)),
    dedupeKey: body.dedupeKey ?? "",
    idempotencyKey,
    position,
  });
  if (queued.kind === Kind.deferred) server.release(identity.tenant, device);
  server.documents.flush(identity.tenant, device);
  return queued;
}

const statusOf: Readonly<Record<number, number>> = { [Kind.applied]: 201, [Kind.deferred]: 202 };

/** An event that was refused is named so, with its code; never a plain success. */
export function queuedResult(queued: Queued): Result {
  const eventId = formatEventId(queued.id);
  if (queued.kind === Kind.rejected) {
    const { code } = failureOf(queued.code);
    throw failure(code, queued.message || "the event was refused before", { detail: queued.code });
  }
  const status = queued.repeated ? 200 : (statusOf[queued.kind] ?? 200);
  return json(status, { eventId, status: VERDICT_KINDS[queued.kind], repeated: queued.repeated });
}

const paging = {
  cursor: z
    .string()
    .regex(/^\d{1,15}$/)
    .optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
};

// The payload is the client's own JSON text and goes out as it came in.
function itemText(event: InboxEvent): string {
  const { receivedAt, code, status } = event;
  const head = JSON.stringify({
    id: formatEventId(event.id),
    lane: LANES[event.id.lane],
    seq: event.id.seq,
    eventType: event.type,
    moduleId: event.module,
    entity: event.entity || null,
    madeAt: Number(event.hlc >> 16n),
    receivedAt,
    verdict: VERDICT_KINDS[status],
    ...(code === 0 ? {} : { code: errorInfo(code)?.code ?? code }),
    ...(event.recovered ? { recovered: true } : {}),
  });
  return `${head.slice(0, -1)},${dataText(event.payload, event.status)}}`;
}

/**
 * The payload as a member of a JSON object: the client's own text. What was refused may be no JSON at all; it is shown
 * as text then.
 */
export function dataText(payload: Uint8Array, status: number): string {
  const text = Buffer.from(payload).toString();
  if (status !== Kind.rejected || isJson(text)) return `"eventData":${text}`;
  return `"eventData":null,"eventText":${JSON.stringify(text)}`;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false; // that is the answer
  }
}

function page(events: readonly InboxEvent[], limit: number): Result {
  const nextCursor = events.length < limit ? null : String(events.at(-1)?.arrival);
  const body = `{"items":[${events.map(itemText).join(",")}],"nextCursor":${JSON.stringify(nextCursor)}}`;
  return { status: 200, headers: JSON_HEADERS, body: Buffer.from(body) };
}

const pageAnswer = z.object({
  items: z.array(z.object({ id: z.string() }).loose()),
  nextCursor: z.string().nullable(),
});

const queueDoc = {
  summary: "One event as JSON; exactly once with epoch and seq, or with an Idempotency-Key",
  answer: z.object({ eventId: z.string(), status: z.enum(VERDICT_KINDS), repeated: z.boolean() }),
  status: 201,
};

export const eventRoutes = (server: Server): readonly Route[] => [
  route(
    "POST",
    "/events/queue",
    { scope: "sync", json: queuedEvent, doc: queueDoc },
    async ({ identity, body, headers }) => {
      const key = headers["idempotency-key"];
      if (key !== undefined && (typeof key !== "string" || key.length > 200))
        throw failure("invalid_argument", "Idempotency-Key is longer than 200 characters");
      return queuedResult(await queueOne(server, identity, body, key));
    },
  ),

  route(
    "GET",
    "/events/:deviceId/pending",
    {
      scope: "sync",
      params: deviceParams,
      query: z.object(paging),
      doc: { summary: "Accepted events whose verdict is open", answer: pageAnswer },
    },
    ({ identity, params, query }) =>
      server.store.read(async (reads) => {
        const device = await ownDevice(reads, identity, params.deviceId);
        const after = Number(query.cursor ?? 0);
        const waiting = (await reads.deferredEvents(identity.tenant, device.device)).filter(
          ({ arrival }) => arrival > after,
        );
        const shown = waiting.slice(0, query.limit);
        const items = shown.map((event) => ({
          id: formatEventId(event.id),
          deviceId: formatDeviceId(device.device),
          after: event.after.map(formatEventId),
          tries: event.tries,
          nextAt: event.tries > 0 ? event.nextAt : null,
          reason: event.reason,
        }));
        const nextCursor = waiting.length > shown.length ? String(shown.at(-1)?.arrival) : null;
        return json(200, { items, nextCursor });
      }),
  ),

  route(
    "GET",
    "/events/:deviceId/history",
    {
      scope: "sync",
      params: deviceParams,
      query: z.object({
        ...paging,
        lane: z.enum(LANES).optional(),
        type: z.string().max(256).optional(),
        since: z.coerce.number().int().min(0).optional(),
      }),
      doc: { summary: "Events in order of arrival, with their verdicts and the client's own JSON", answer: pageAnswer },
    },
    ({ identity, params, query }) =>
      server.store.read(async (reads) => {
        const device = await ownDevice(reads, identity, params.deviceId);
        const { limit, type, since } = query;
        const lane = query.lane && LANES.indexOf(query.lane);
        const filter = { after: Number(query.cursor ?? 0), limit, lane, type, since };
        return page(await historyOf(server.openSegment, reads, identity.tenant, device.device, filter), limit);
      }),
  ),
];
