/** A person's own data: all of it as a stream, and the end of it. */

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { z } from "zod";
import { toHex } from "../../core/bytes.ts";
import { failure } from "../../core/errors.ts";
import { eventsOf, type OpenSegment } from "../analytics-blocks.ts";
import type { Identity } from "../auth.ts";
import type { Server } from "../context.ts";
import { json, type Route, route } from "../http/route.ts";
import { errorFields } from "../log.ts";
import { beginErasure, eraseJob, runErasure } from "../operations/erasure.ts";
import { blockOf } from "../store/blocks.ts";
import { personalTables } from "../store/catalog.ts";
import type { Row, SqlValue } from "../store/database.ts";
import { subjectPage } from "../store/privacy.ts";
import { inTenant } from "../store/tenant.ts";
import { shortText } from "./device.ts";

/** Rows may hold megabytes (cached content, blocks of analytics), and a page of them is in memory at once. */
const PAGE_ROWS = 20;
const DEVICES_MAX = 10_000;
/** What proves a credential or opens a seal is no data about the person. */
const WITHHELD = new Set(["sha256", "key"]);

/** Bytes as the text they are, else in base64. */
function shown(column: string, value: SqlValue): unknown {
  if (WITHHELD.has(column)) return undefined;
  if (typeof value === "bigint") return value.toString();
  if (!(value instanceof Uint8Array)) return value;
  if (column === "device_id") return toHex(value);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(value);
  } catch {
    return { base64: Buffer.from(value).toString("base64") }; // not text: sealed or packed
  }
}

const plain = (row: Row): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [name, shown(name, value)]));

const lineOf = (open: OpenSegment, table: string, row: Row): string =>
  `${JSON.stringify({ table, row: table === "offline_analytics_buffer" ? unpacked(open, row) : plain(row) })}\n`;

// A packed block says nothing to a reader: its events take the place of its bytes, unless they are damaged.
function unpacked(open: OpenSegment, row: Row): Record<string, unknown> {
  const { body: _body, hashes: _hashes, ranges: _ranges, ...rest } = row;
  try {
    const items = eventsOf(open, blockOf(row)).map(({ type, module, entity, hlc, payload }) => ({
      type,
      module,
      entity,
      at: Number(hlc >> 16n),
      payload: new TextDecoder().decode(payload),
    }));
    return { ...plain(rest), items };
  } catch {
    return plain(row);
  }
}

async function writeExport(server: Server, identity: Identity, principal: string, out: ServerResponse): Promise<void> {
  const { store } = server;
  const { tables, devices } = await store.read(async (reads) => ({
    tables: await personalTables(reads.connection),
    devices: await reads.devices(identity.tenant, principal, DEVICES_MAX),
  }));
  const subject = { tenant: identity.tenant, principal, devices: devices.map(({ device }) => device) };
  let rows = 0;
  for (const table of tables) {
    let last: Row | undefined;
    for (;;) {
      // A page is one state of the database; a slow reader holds no transaction open.
      const page = await store.read(({ connection }) => subjectPage(connection, table, subject, last, PAGE_ROWS));
      if (page.length > 0 && !out.write(page.map((row) => lineOf(server.openSegment, table.name, row)).join("")))
        await once(out, "drain");
      if (out.destroyed) return;
      rows += page.length;
      last = page.at(-1);
      if (page.length < PAGE_ROWS) break;
    }
  }
  // A stream that was cut has no such line.
  out.end(`${JSON.stringify({ complete: true, rows, exportedAt: server.now() })}\n`);
}

const whom = z.object({ principal: shortText(256).min(1).optional() });

function principalOf(identity: Identity, asked: string | undefined): string {
  if (asked === undefined || asked === identity.principal) return identity.principal;
  if (!identity.scopes.includes("admin")) throw failure("forbidden", "another principal's data needs the scope admin");
  return asked;
}

export const privacyRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/privacy/export",
    {
      scope: "sync",
      query: whom,
      doc: {
        summary: "Every row about the subject, one JSON object a line; the last line says that it is complete",
        answer: "application/x-ndjson",
      },
    },
    ({ identity, query }) => {
      const principal = principalOf(identity, query.principal);
      return {
        status: 200,
        headers: { "content-type": "application/x-ndjson", "cache-control": "no-store" },
        stream: (response) => {
          inTenant(identity.tenant, () => writeExport(server, identity, principal, response)).catch(
            (error: unknown) => {
              server.log.warn(errorFields(error), "an export ended early");
              response.destroy();
            },
          );
        },
      };
    },
  ),

  route(
    "POST",
    "/privacy/erase",
    {
      scope: "sync",
      json: whom.extend({ confirm: z.literal("erase") }),
      doc: {
        summary: "Erases the subject; from now on nothing of it is taken. The job runs in the background",
        answer: z.object({ jobId: z.string(), state: z.string() }),
        status: 202,
      },
    },
    async ({ identity, body }) => {
      const subject = { tenant: identity.tenant, principal: principalOf(identity, body.principal) };
      const jobId = await beginErasure(server.store, subject, identity.principal, server.now());
      server.apiKeys.forget();
      server.deviceTokens.forget();
      server.dictionaries.forget();
      runErasure(server.store, identity.tenant, jobId, server.now).catch((error: unknown) =>
        server.log.warn(errorFields(error), "an erasure will be carried on by maintenance"),
      );
      return json(202, { jobId, state: "running" });
    },
  ),

  route(
    "GET",
    "/privacy/erase/:jobId",
    {
      // The subject that asked has no credential left; the job's random id is what it was given.
      params: z.object({ jobId: z.uuid() }),
      query: z.object({ tenant: shortText(256).min(1) }),
      doc: {
        summary: "How far an erasure is, and its receipt: rows deleted by table",
        answer: z.object({ id: z.string(), state: z.string(), deleted: z.record(z.string(), z.number()) }).loose(),
      },
    },
    ({ params, query }) =>
      server.store.read(async ({ connection }) => {
        const job = await eraseJob(connection, query.tenant, params.jobId);
        if (!job) throw failure("not_found", "there is no such job");
        return json(200, job);
      }),
  ),
];
