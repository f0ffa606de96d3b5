/** For operators: metrics, overview, maintenance, and the audit log with its proof. */

import { z } from "zod";
import { fromHex, toHex } from "../../core/bytes.ts";
import type { Server } from "../context.ts";
import { json, type Route, route } from "../http/route.ts";
import { auditPage, verifyAudit } from "../store/audit.ts";
import { overviewOf } from "../store/figures.ts";

const OVERVIEW_MS = 5_000;
const TENANTS_MAX = 1_000;

/** One answer per tenant at most every five seconds, however many dashboards ask. */
function overviews(server: Server): (tenant: string) => Promise<object> {
  const last = new Map<string, { readonly at: number; readonly value: Promise<object> }>();
  return (tenant) => {
    const now = performance.now();
    let entry = last.get(tenant);
    if (!entry || now - entry.at > OVERVIEW_MS) {
      if (last.size >= TENANTS_MAX) last.clear();
      entry = { at: now, value: server.store.read(({ connection }) => overviewOf(connection, tenant, server.now())) };
      // A failure is answered to those who wait for it, and not kept.
      entry.value.catch(() => last.delete(tenant));
      last.set(tenant, entry);
    }
    return entry.value;
  };
}

export function operationRoutes(server: Server): readonly Route[] {
  const overview = overviews(server);
  return [
    route(
      "GET",
      "/metrics",
      { scope: "metrics", doc: { summary: "Prometheus metrics of this process", answer: "text/plain" } },
      async () => ({
        status: 200,
        headers: { "content-type": server.metrics.registry.contentType, "cache-control": "no-store" },
        body: Buffer.from(await server.metrics.text()),
      }),
    ),

    route(
      "GET",
      "/status/overview",
      {
        scope: "admin",
        doc: { summary: "Totals of the tenant, at most five seconds old", answer: z.object({}).loose() },
      },
      async ({ identity }) => json(200, await overview(identity.tenant)),
    ),

    route(
      "POST",
      "/maintenance/cleanup",
      {
        scope: "admin",
        json: z.object({ dryRun: z.boolean().default(false), backup: z.boolean().default(false) }),
        doc: {
          summary: "Removes what has expired, and copies an SQLite database; dryRun only counts",
          answer: z.object({
            dryRun: z.boolean(),
            removed: z.record(z.string(), z.number()),
            backup: z.string().nullable(),
          }),
        },
      },
      async ({ identity, body: { dryRun, backup } }) => {
        const removed = await server.maintenance.cleanUp(identity.tenant, dryRun);
        const file = backup && !dryRun ? await server.maintenance.backUp() : undefined;
        return json(200, { dryRun, removed, backup: file ?? null });
      },
    ),

    route(
      "GET",
      "/audit",
      {
        scope: "audit",
        query: z.object({
          cursor: z
            .string()
            .regex(/^\d{1,15}\.[\w-]{0,64}$/)
            .optional(),
          limit: z.coerce.number().int().min(1).max(500).default(100),
        }),
        doc: {
          summary: "What was done, by whom; names of erased subjects are gone",
          answer: z.object({ items: z.array(z.object({ id: z.string() }).loose()), nextCursor: z.string().nullable() }),
        },
      },
      ({ identity, query }) =>
        server.store.read(async ({ connection }) => {
          const [at = "0", id = ""] = (query.cursor ?? "0.").split(".");
          const items = await auditPage(connection, identity.tenant, { at: Number(at), id }, query.limit);
          const last = items.at(-1);
          return json(200, {
            items,
            nextCursor: last && items.length === query.limit ? `${last.at}.${last.id}` : null,
          });
        }),
    ),

    route(
      "GET",
      "/audit/verify",
      {
        scope: "audit",
        query: z.object({
          /** A head noted earlier: its number and hash. */
          no: z.coerce.number().int().min(1).optional(),
          hash: z
            .string()
            .regex(/^[0-9a-f]{64}$/)
            .optional(),
        }),
        doc: {
          summary: "Recomputes the chain of the audit log; a head noted earlier must lie on it",
          answer: z.object({ ok: z.boolean(), sealed: z.number(), open: z.number(), head: z.object({}).loose() }),
        },
      },
      async ({ identity, query }) => {
        await server.maintenance.seal(identity.tenant);
        const hash = query.hash === undefined ? undefined : fromHex(query.hash);
        const pin = hash && query.no !== undefined ? { no: query.no, hash } : undefined;
        const found = await server.store.read(({ connection }) => verifyAudit(connection, identity.tenant, pin));
        return json(200, {
          ok: found.ok,
          sealed: found.sealed,
          open: found.open,
          head: { no: found.head.no, hash: toHex(found.head.hash) },
          ...(found.broken ? { broken: found.broken } : {}),
        });
      },
    ),
  ];
}
