/** Events that were refused for good: look at them, change them, try them again. */

import { z } from "zod";
import { formatDeviceId } from "../../core/device-id.ts";
import { errorInfo } from "../../core/error-codes.ts";
import { failure } from "../../core/errors.ts";
import { formatEventId, LANES } from "../../core/events.ts";
import { parseEventId } from "../../core/verdicts.ts";
import { onBehalf, ownDevice, parseDeviceId, type Server } from "../context.ts";
import { JSON_HEADERS, type Route, route } from "../http/route.ts";
import { queueEvent } from "../queue-event.ts";
import { Kind } from "../session.ts";
import type { DeadLetter } from "../store/store.ts";
import { dataText, queuedResult } from "./events.ts";

// Event ids are a device's own, so a letter is named by both.
const letterId = ({ device, id }: DeadLetter): string => `${formatDeviceId(device)}.${formatEventId(id)}`;

function showText(letter: DeadLetter): string {
  const head = JSON.stringify({
    id: letterId(letter),
    eventId: formatEventId(letter.id),
    deviceId: formatDeviceId(letter.device),
    lane: LANES[letter.id.lane],
    eventType: letter.type,
    moduleId: letter.module,
    entity: letter.entity || null,
    code: errorInfo(letter.code)?.code ?? letter.code,
    message: letter.message,
    createdAt: letter.createdAt,
  });
  return `${head.slice(0, -1)},${dataText(letter.payload, Kind.rejected)}}`;
}

export const deadLetterRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/dead-letter",
    {
      scope: "sync",
      query: z.object({
        cursor: z
          .string()
          .regex(/^\d{1,15}\.\d{1,9}$/)
          .optional(),
        limit: z.coerce.number().int().min(1).max(500).default(100),
      }),
      doc: {
        summary: "Refused events nobody has decided about",
        answer: z.object({
          items: z.array(z.object({ id: z.string(), eventId: z.string(), code: z.unknown() }).loose()),
          nextCursor: z.string().nullable(),
        }),
      },
    },
    ({ identity, query }) =>
      server.store.read(async (reads) => {
        const [createdAt = 0, offset = 0] = (query.cursor ?? "0.0").split(".").map(Number);
        const principal = identity.scopes.includes("admin") ? undefined : identity.principal;
        const letters = await reads.deadLetters(identity.tenant, principal, { createdAt, offset }, query.limit);
        const last = letters.at(-1);
        // Several letters share a millisecond; the cursor counts how many of the last one's have been shown.
        const same = letters.filter((letter) => letter.createdAt === last?.createdAt).length;
        const before = last?.createdAt === createdAt ? offset : 0;
        const nextCursor = last && letters.length === query.limit ? `${last.createdAt}.${before + same}` : null;
        const body = `{"items":[${letters.map(showText).join(",")}],"nextCursor":${JSON.stringify(nextCursor)}}`;
        return { status: 200, headers: JSON_HEADERS, body: Buffer.from(body) };
      }),
  ),

  route(
    "POST",
    "/dead-letter/:id/retry",
    {
      scope: "sync",
      params: z.object({ id: z.string().max(128) }),
      json: z.object({ eventData: z.unknown().optional() }),
      doc: {
        summary: "Tries the event again, as it was or mended; the letter is closed when it is applied",
        answer: z.object({ eventId: z.string(), status: z.string(), repeated: z.boolean() }),
        status: 201,
      },
    },
    async ({ identity, params, body }) => {
      const [deviceText = "", eventText = ""] = params.id.split(".");
      const device = parseDeviceId(deviceText);
      const id = parseEventId(eventText);
      const missing = failure("not_found", "there is no such dead letter");
      if (!device || !id) throw missing;
      const { owner, letter } = await server.store.read(async (reads) => ({
        owner: await ownDevice(reads, identity, deviceText),
        letter: await reads.deadLetter(identity.tenant, device, id),
      }));
      if (!letter) throw missing;
      const bytes = body.eventData === undefined ? letter.payload : Buffer.from(JSON.stringify(body.eventData));
      const queued = await queueEvent(server, onBehalf(identity, owner), {
        device,
        lane: id.lane,
        type: letter.type,
        module: letter.module,
        entity: letter.entity,
        json: bytes,
        dedupeKey: "",
        replaces: id,
      });
      server.documents.flush(identity.tenant, device);
      return queuedResult(queued);
    },
  ),
];
