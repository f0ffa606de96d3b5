/** Analytics as JSON and as sync frames, and what it adds up to. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import { formatEventId } from "../../core/events.ts";
import { VERDICT_KINDS } from "../../core/verdicts.ts";
import type { Server } from "../context.ts";
import { json, type Route, route } from "../http/route.ts";
import { analyticsCounts } from "../store/figures.ts";
import { queueOne } from "./events.ts";

const EVENTS_MAX = 100;
const DAYS_MAX = 366;
/** What `trackEvent` of the package puts before an event's name. */
export const ANALYTICS_PREFIX = "analytics.";

const name = z.string().min(1).max(100);
const buffered = z.object({
  deviceId: z.string().max(64),
  moduleId: z.string().max(256).optional(),
  events: z
    .array(
      z.object({
        name,
        properties: z.record(z.string(), z.unknown()).optional(),
        /** When it happened, in milliseconds since 1970. */
        time: z.number().int().min(0).optional(),
      }),
    )
    .min(1)
    .max(EVENTS_MAX),
});

export const analyticsRoutes = (server: Server): readonly Route[] => [
  route(
    "POST",
    "/analytics/buffer",
    {
      scope: "sync",
      json: buffered,
      doc: {
        summary: "Up to 100 analytics events as JSON; exactly once each with an Idempotency-Key",
        answer: z.object({
          items: z.array(z.object({ eventId: z.string(), status: z.enum(VERDICT_KINDS), repeated: z.boolean() })),
        }),
        status: 201,
      },
    },
    async ({ identity, body, headers }) => {
      const key = headers["idempotency-key"];
      if (key !== undefined && (typeof key !== "string" || key.length > 180))
        throw failure("invalid_argument", "Idempotency-Key is longer than 180 characters");
      const items = [];
      for (const [index, { name, properties = {}, time = server.now() }] of body.events.entries()) {
        const queued = await queueOne(
          server,
          identity,
          {
            deviceId: body.deviceId,
            eventType: ANALYTICS_PREFIX + name,
            moduleId: body.moduleId ?? "analytics",
            eventData: { name, properties, time },
            priority: "analytics",
          },
          key && `${key}:${index}`,
        );
        items.push({
          eventId: formatEventId(queued.id),
          status: VERDICT_KINDS[queued.kind],
          repeated: queued.repeated,
        });
      }
      return json(items.every(({ repeated }) => repeated) ? 200 : 201, { items });
    },
  ),
  route(
    "GET",
    "/analytics/summary",
    {
      scope: "admin",
      query: z.object({ days: z.coerce.number().int().min(1).max(DAYS_MAX).default(30), name: name.optional() }),
      doc: {
        summary: "How often each analytics event came, per day; counted a few times a minute",
        answer: z.object({ items: z.array(z.object({ day: z.string(), name: z.string(), count: z.number() })) }),
      },
    },
    async ({ identity, query }) => {
      const since = server.now() - query.days * 86_400_000;
      const type = query.name && ANALYTICS_PREFIX + query.name;
      const rows = await server.store.read(({ connection }) =>
        analyticsCounts(connection, identity.tenant, since, ANALYTICS_PREFIX, type),
      );
      return json(200, { items: rows });
    },
  ),
];
