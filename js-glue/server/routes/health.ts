/** Probes: is the process alive, may it get requests, and how is it? */

import { z } from "zod";
import type { Server } from "../context.ts";
import { PROTOCOL_NEWEST, PROTOCOL_OLDEST, problem } from "../http/problem.ts";
import { json, type Result, type Route, route } from "../http/route.ts";
import { MIGRATION_LEVEL, migrationLevel } from "../store/migrations.ts";

declare const __OAS_VERSION__: string;

const PING_CACHE_MS = 500;

interface Ready {
  readonly ok: boolean;
  readonly why: string;
}

/** A database ping at most twice a second, however often anyone asks. */
function readiness(server: Server): () => Promise<Ready> {
  let last: { readonly at: number; readonly answer: Promise<Ready> } | undefined;
  const ping = async (): Promise<Ready> => {
    try {
      await server.store.read((reads) => migrationLevel(reads.connection));
      // One migration behind is enough to sync; what needs the last one says so itself.
      return { ok: true, why: (await server.store.hasSchema(MIGRATION_LEVEL)) ? "ready" : "the schema is behind" };
    } catch {
      return { ok: false, why: "the database cannot be reached" }; // the pool logs why
    }
  };
  return () => {
    if (server.draining()) return Promise.resolve({ ok: false, why: "shutting down" });
    const now = performance.now();
    if (!last || now - last.at > PING_CACHE_MS) last = { at: now, answer: ping() };
    return last.answer;
  };
}

const statusAnswer = z.object({ status: z.string() }).loose();

export function healthRoutes(server: Server): readonly Route[] {
  const ready = readiness(server);
  const answer = async (): Promise<Result> => {
    const { ok, why } = await ready();
    return ok ? json(200, { status: "ok" }) : problem(503, "server_busy", why, "", { retryAfterMs: 1_000 });
  };
  return [
    route("GET", "/health/live", { doc: { summary: "The process answers", answer: statusAnswer } }, () =>
      json(200, { status: "ok" }),
    ),
    route(
      "GET",
      "/health/ready",
      {
        doc: {
          summary: "Send it requests: the database answers, the schema fits, it is not draining",
          answer: statusAnswer,
        },
      },
      answer,
    ),
    route(
      "GET",
      "/health",
      { doc: { summary: "Status for anyone; details with the scope admin", answer: statusAnswer } },
      async ({ identity }) => {
        const { ok, why } = await ready();
        const { incarnation, migrationLevel: level } = server.store;
        const details = identity.scopes.includes("admin")
          ? {
              database: why,
              migrationLevel: level,
              version: __OAS_VERSION__,
              protocol: { oldest: PROTOCOL_OLDEST, newest: PROTOCOL_NEWEST },
              incarnation: `${incarnation.mintedAt}.${incarnation.random.toString(16)}`,
              uptimeSeconds: Math.round(process.uptime()),
            }
          : {};
        return json(ok ? 200 : 503, { status: ok ? "ok" : "unavailable", ...details });
      },
    ),
  ];
}
