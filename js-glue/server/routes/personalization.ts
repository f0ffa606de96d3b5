/** What personalization on devices earned, and what other policies would have. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import type { Server } from "../context.ts";
import { json, type Route, route } from "../http/route.ts";
import { ACTIONS_MAX, readDecisions } from "../models/decision-log.ts";
import { OffPolicy } from "../models/off-policy.ts";

const DAY_MS = 86_400_000;
const WINDOW_DAYS_MAX = 366;

const time = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional();
const estimate = z.object({ value: z.number(), low: z.number(), high: z.number() }).nullable();

const reportShape = z.object({
  from: z.number(),
  to: z.number(),
  /** False: a limit ended the reading, and a random share of the devices was read. */
  complete: z.boolean(),
  devices: z.number(),
  decisions: z.number(),
  matched: z.number(),
  leftOut: z.object({
    malformed: z.number(),
    propensity: z.number(),
    noFeedback: z.number(),
    repeated: z.number(),
    aboveLimits: z.number(),
  }),
  badFeedback: z.number(),
  clip: z.number(),
  logging: estimate,
  policies: z.array(
    z.object({
      policy: z.enum(["uniform", "always", "most-rewarded"]),
      actions: z.array(z.string()),
      n: z.number(),
      effectiveN: z.number(),
      meanWeight: z.number(),
      ips: estimate,
      clipped: estimate,
      selfNormalised: estimate,
    }),
  ),
});

export const personalizationRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/models/personalize/report",
    {
      scope: "admin",
      query: z.object({
        from: time.describe("milliseconds since 1970; default: 30 days before `to`"),
        to: time.describe("milliseconds since 1970; default: now"),
        clip: z.coerce.number().min(1).max(1_000).default(10).describe("weights above it are cut, where it says so"),
        actions: z
          .string()
          .max(10_000)
          .optional()
          .describe(`JSON list of at most ${ACTIONS_MAX} actions: decisions with others are left out`),
      }),
      doc: {
        summary: "Mean reward of logged personal decisions, and estimates for other policies with 95 % intervals",
        answer: reportShape,
      },
    },
    async ({ identity, query }) => {
      const { clip } = query;
      const to = query.to ?? server.now() + 1; // what arrived in this very millisecond counts
      const from = query.from ?? Math.max(0, to - 30 * DAY_MS);
      if (from >= to || to - from > WINDOW_DAYS_MAX * DAY_MS)
        throw failure("invalid_argument", `the window is empty or longer than ${WINDOW_DAYS_MAX} days`, {
          path: "from",
        });
      const actions = query.actions === undefined ? undefined : actionsIn(query.actions);
      const policy = new OffPolicy({ clip, actionsMax: ACTIONS_MAX, actions });
      const counts = await readDecisions(server.store, identity.tenant, { from, to }, policy);
      return json(200, {
        ...{ from, to, ...counts, matched: policy.matched, clip },
        ...{ logging: policy.logging(), policies: policy.policies() },
      });
    },
  ),
];

const actionList = z.array(z.string().max(256)).min(1).max(ACTIONS_MAX);

function actionsIn(text: string): readonly string[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw failure("invalid_argument", "actions is no JSON", { path: "actions", cause: error });
  }
  const { data } = actionList.safeParse(value);
  if (!data) throw failure("invalid_argument", "actions is no list of names", { path: "actions" });
  return [...new Set(data)];
}
