/** The registry of models: published by administrators, read by every device of the tenant. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import { fits, readStatement, STATEMENT_CHARS_MAX } from "../../core/model-statement.ts";
import type { Server } from "../context.ts";
import { sendRange } from "../http/range.ts";
import { JSON_HEADERS, json, type Result, type Route, route } from "../http/route.ts";
import { CAPS_PATTERN, capsOf } from "../models/caps.ts";
import { etagOf } from "../models/registry.ts";
import { listModels, type ModelRow, readBlocks, readFilePart, STATES } from "../models/rows.ts";
import { readable, withFile } from "../models/visible.ts";
import { modelDeltaRoutes } from "./model-delta.ts";

const modelParams = z.object({ modelId: z.string().min(1).max(200) });
const BASE64_64 = /^[A-Za-z0-9+/]{86}==$/;
// Files never change: who has one has it for good.
const IMMUTABLE = "private, max-age=31536000, immutable";

const capsQuery = z
  .string()
  .max(1_000)
  .regex(CAPS_PATTERN)
  .optional()
  .describe("what the device has: `simd,memoryMB=2048`");

const modelShape = z.object({
  modelId: z.string(),
  slug: z.string(),
  kind: z.enum(["text", "numeric", "history"]),
  version: z.string(),
  runtime: z.string(),
  quant: z.string(),
  format: z.string(),
  state: z.enum(STATES),
  rollout: z.object({ percent: z.number(), salt: z.string() }),
  bytes: z.number(),
  sha256: z.string(),
  hasFile: z.boolean(),
  minCaps: z.record(z.string(), z.union([z.boolean(), z.number()])),
  metrics: z.array(z.object({ dataset: z.string(), metric: z.string(), value: z.number() }).loose()),
  /** The first metric's value; `metric` says of what. */
  accuracy: z.number().nullable(),
  metric: z.string().nullable(),
  licence: z.string(),
  attribution: z.string(),
  /** From when on no device takes it any more; null = never. */
  expiresAt: z.number().nullable(),
  statement: z.string(),
  signature: z.string(),
  etag: z.string(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

function shown(row: ModelRow): z.input<typeof modelShape> {
  const about = readStatement(row.statement);
  const { slug, kind, version, runtime, quant, format, bytes, sha256, minCaps, metrics, licence, attribution } = about;
  const [first] = metrics;
  return {
    ...{ modelId: row.id, slug, kind, version, runtime, quant, format, state: row.state, rollout: row.rollout },
    ...{ bytes, sha256, hasFile: row.hasFile, minCaps, metrics: metrics.map((one) => ({ ...one })) },
    ...{ accuracy: first?.value ?? null, metric: first?.metric ?? null, licence, attribution },
    expiresAt: about.expiresAt ?? null,
    ...{ statement: row.statement, signature: Buffer.from(row.signature).toString("base64"), etag: etagOf(row) },
    ...{ createdAt: row.createdAt, updatedAt: row.updatedAt },
  };
}

const answer = (status: number, row: ModelRow): Result => {
  const { headers, ...rest } = json(status, shown(row));
  return { ...rest, headers: { ...headers, etag: etagOf(row) } };
};

const signed = ({ statement, signature }: ModelRow): Record<string, string> => ({
  "oas-model-sha256": readStatement(statement).sha256,
  "oas-model-signature": Buffer.from(signature).toString("base64"),
});

const readRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/models",
    {
      scope: "sync",
      query: z.object({
        caps: capsQuery,
        slug: z.string().max(64).optional(),
        runtime: z.string().max(32).optional(),
        state: z.enum(["live", "all"]).default("live"),
        cursor: z.string().max(200).default(""),
        limit: z.coerce.number().int().min(1).max(500).default(100),
      }),
      doc: {
        summary:
          "Published models, those that fit the device when `caps` names what it has; all of them for administrators",
        answer: z.object({ items: z.array(modelShape), nextCursor: z.string().nullable() }),
      },
    },
    ({ identity, query }) =>
      server.store.read(async ({ connection }) => {
        const isAll = query.state === "all";
        if (isAll && !identity.scopes.includes("admin")) throw failure("forbidden", "the scope admin is needed");
        const states = isAll ? STATES : (["canary", "active"] as const);
        const { slug, runtime, cursor: after, limit } = query;
        const rows = await listModels(connection, identity.tenant, { states, slug, runtime, after, limit });
        const caps = query.caps === undefined ? undefined : capsOf(query.caps);
        const items = rows.map(shown).filter(({ minCaps }) => caps === undefined || fits(minCaps, caps));
        return json(200, { items, nextCursor: rows.length === limit ? (rows.at(-1)?.id ?? null) : null });
      }),
  ),

  route(
    "GET",
    "/models/manifest",
    {
      scope: "sync",
      query: z.object({ caps: capsQuery }),
      doc: {
        summary: "Everything published, signed: a device chooses from it by itself",
        answer: z.object({ body: z.string(), signature: z.string() }),
      },
    },
    ({ identity, query, headers }) =>
      server.store.read(async (reads) => {
        const caps = query.caps === undefined ? undefined : capsOf(query.caps);
        const { text, etag } = await server.models.manifest(reads, identity.tenant, caps);
        const shared = { etag, "cache-control": "private, no-cache" };
        if (headers["if-none-match"] === etag) return { status: 304, headers: shared };
        return { status: 200, headers: { ...JSON_HEADERS, ...shared }, body: Buffer.from(text) };
      }),
  ),

  route(
    "GET",
    "/models/:modelId",
    {
      scope: "sync",
      params: modelParams,
      doc: { summary: "One file of a model: what it is, how it was measured, who signed it", answer: modelShape },
    },
    ({ identity, params }) =>
      server.store.read(async (reads) => answer(200, await readable(reads, identity, params.modelId))),
  ),

  route(
    "GET",
    "/models/:modelId/artifact",
    {
      scope: "sync",
      params: modelParams,
      doc: { summary: "The file, or a range of it", answer: "application/octet-stream" },
    },
    ({ identity, params, headers }) =>
      server.store.read(async (reads) => {
        const row = await withFile(reads, identity, params.modelId);
        const { bytes, sha256 } = readStatement(row.statement);
        const file = {
          size: bytes,
          etag: `"${sha256}"`,
          headers: { ...signed(row), "cache-control": IMMUTABLE },
        };
        return sendRange(headers, file, ({ from, to }) =>
          readFilePart(reads.connection, identity.tenant, row.id, from, to),
        );
      }),
  ),

  route(
    "GET",
    "/models/:modelId/blocks",
    {
      scope: "sync",
      params: modelParams,
      doc: {
        summary: "16 bytes of SHA-256 for every 4,096 bytes of the file: what a device compares with the file it has",
        answer: "application/octet-stream",
      },
    },
    ({ identity, params, headers }) =>
      server.store.read(async (reads) => {
        const row = await withFile(reads, identity, params.modelId);
        const blocks = await readBlocks(reads.connection, identity.tenant, row.id);
        const etag = `"${readStatement(row.statement).blocksSha256}"`;
        const file = { size: blocks.length, etag, headers: { ...signed(row), "cache-control": IMMUTABLE } };
        return sendRange(headers, file, async ({ from, to }) => blocks.subarray(from, to));
      }),
  ),
];

const writeRoutes = (server: Server): readonly Route[] => [
  route(
    "POST",
    "/models",
    {
      scope: "admin",
      json: z.object({
        /** JSON text: what is signed is never written anew. */
        statement: z.string().min(1).max(STATEMENT_CHARS_MAX),
        signature: z.string().regex(BASE64_64).optional(),
      }),
      doc: {
        summary: "A draft from a publisher's statement; without a signature this server signs it, where it may",
        answer: modelShape,
        status: 201,
      },
    },
    async ({ identity, body }) => answer(201, await server.models.create(identity, body.statement, body.signature)),
  ),

  route(
    "PUT",
    "/models/:modelId/artifact",
    {
      scope: "admin",
      params: modelParams,
      body: "file",
      doc: { summary: "The file that the statement names; no other bytes are taken", answer: modelShape },
    },
    async ({ identity, params, body }) => answer(200, await server.models.upload(identity, params.modelId, body)),
  ),

  route(
    "PUT",
    "/models/:modelId",
    {
      scope: "admin",
      params: modelParams,
      json: z.object({
        state: z.enum(["canary", "active", "retired"]).optional(),
        rollout: z
          .object({
            percent: z.number().int().min(0).max(100).optional(),
            salt: z
              .string()
              .max(200)
              .regex(/^[^\0]*$/)
              .optional(),
          })
          .optional(),
      }),
      doc: { summary: "Another state or roll-out; with If-Match only from the revision it names", answer: modelShape },
    },
    async ({ identity, params, body, headers }) => {
      const ifMatch = headers["if-match"];
      return answer(
        200,
        await server.models.change(identity, params.modelId, body, typeof ifMatch === "string" ? ifMatch : undefined),
      );
    },
  ),

  route(
    "DELETE",
    "/models/:modelId",
    {
      scope: "admin",
      params: modelParams,
      doc: { summary: "Retires it: nobody is given it any more, who has it may still read it", status: 204 },
    },
    async ({ identity, params }) => {
      await server.models.change(identity, params.modelId, { state: "retired" });
      return { status: 204 };
    },
  ),
];

/** The migration that made the registry's tables. */
const SCHEMA = 5;

export const modelRoutes = (server: Server): readonly Route[] =>
  [...readRoutes(server), ...modelDeltaRoutes(server), ...writeRoutes(server)].map((one) => ({
    ...one,
    schema: SCHEMA,
  }));
