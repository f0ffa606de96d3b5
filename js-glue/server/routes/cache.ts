/**
 * Content kept for a device at the server. What comes in plain is sealed under the subject's key before it is stored, so
 * erasing the subject shreds it; ciphertext of the client's own passes through as it is, with the name of its key.
 */

import { createCipheriv, createDecipheriv, createHash, randomBytes, randomUUID } from "node:crypto";
import { z } from "zod";
import { formatDeviceId } from "../../core/device-id.ts";
import { failure } from "../../core/errors.ts";
import { ownDevice, type Server } from "../context.ts";
import { JSON_HEADERS, json, type Route, route } from "../http/route.ts";
import type { Row } from "../store/database.ts";
import { bytes, int, text } from "../store/rows.ts";
import { findSubjectKey, subjectKey } from "../store/subject-key.ts";

const CONTENT_BYTES_MAX = 750_000;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const name = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\0]*$/);
const itemParams = z.object({ deviceId: z.string().max(64), contentType: name, contentId: name });

/** Content in a place: bound to both, so that no row can stand in for another. */
function sealContent(key: Uint8Array, place: string, plain: Uint8Array): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(place));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([nonce, cipher.getAuthTag(), body]);
}

function openContent(key: Uint8Array, place: string, sealed: Uint8Array): Uint8Array {
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES));
  decipher.setAAD(Buffer.from(place));
  decipher.setAuthTag(sealed.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch (error) {
    throw failure("seal_broken", "the cached row was changed or moved", { cause: error });
  }
}

const placeOf = (tenant: string, device: string, type: string, id: string): string =>
  JSON.stringify(["oas-cache-1", tenant, device, type, id]);

const meta = (row: Row) => ({
  cacheId: text(row, "cache_id"),
  contentType: text(row, "content_type"),
  contentId: text(row, "content_id"),
  etag: text(row, "etag"),
  priority: int(row, "priority"),
  hits: int(row, "hits"),
  size: int(row, "size_bytes"),
  expiresAt: row["expires_at"] === null ? null : int(row, "expires_at"),
});

const META = "cache_id, content_type, content_id, etag, priority, hits, size_bytes, expires_at";
const ORDERS = { priority: "priority DESC", hits: "hits DESC", expiry: "expires_at" } as const;

export const cacheRoutes = (server: Server): readonly Route[] => [
  route(
    "POST",
    "/cache/content",
    {
      scope: "sync",
      json: z
        .object({
          deviceId: z.string().max(64),
          contentType: name,
          contentId: name,
          contentData: z.unknown().optional(),
          ciphertext: z.base64().optional(),
          keyId: z.string().max(64).optional(),
          priority: z.number().int().min(0).max(10).default(5),
          /** Seconds. */
          ttl: z.number().int().positive().max(3_153_600_000).optional(),
        })
        .refine(
          ({ contentData, ciphertext, keyId }) =>
            (contentData === undefined) === (ciphertext !== undefined && keyId !== undefined),
          {
            message: "give contentData, or ciphertext with keyId",
          },
        ),
      doc: {
        summary: "Keeps content for a device; plain content is sealed under the subject's key",
        answer: z.object({ cacheId: z.string(), etag: z.string(), expiresAt: z.number().nullable() }),
        status: 201,
      },
    },
    ({ identity, body }) =>
      server.store.write(async (writes) => {
        const owner = await ownDevice(writes, identity, body.deviceId);
        const device = formatDeviceId(owner.device);
        const plain = body.ciphertext
          ? Buffer.from(body.ciphertext, "base64")
          : Buffer.from(JSON.stringify(body.contentData));
        if (plain.length > CONTENT_BYTES_MAX)
          throw failure("limit_exceeded", "content is at most 750 kB", { detail: CONTENT_BYTES_MAX });
        const now = server.now();
        const place = placeOf(identity.tenant, device, body.contentType, body.contentId);
        const stored = body.ciphertext
          ? plain
          : sealContent((await subjectKey(writes.connection, identity.tenant, owner.principal, now)).key, place, plain);
        const etag = `"${createHash("sha256").update(plain).digest("hex").slice(0, 32)}"`;
        const expiresAt = body.ttl === undefined ? null : now + body.ttl * 1_000;
        await writes.connection.run(
          "DELETE FROM offline_content_cache WHERE tenant_id = $1 AND device_id = $2 AND content_type = $3 AND content_id = $4",
          [identity.tenant, owner.device, body.contentType, body.contentId],
        );
        const cacheId = randomUUID();
        await writes.connection.run(
          `INSERT INTO offline_content_cache (tenant_id, cache_id, device_id, content_type, content_id, key_id, etag, priority,
             hits, size_bytes, created_at, used_at, expires_at, ciphertext)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $10, $11, $12)`,
          [
            ...[
              identity.tenant,
              cacheId,
              owner.device,
              body.contentType,
              body.contentId,
              body.ciphertext ? (body.keyId ?? null) : null,
            ],
            ...[etag, body.priority, plain.length, now, expiresAt, stored],
          ],
        );
        server.metrics.cache("stored");
        return json(201, { cacheId, etag, expiresAt });
      }),
  ),

  route(
    "GET",
    "/cache/:deviceId/:contentType/:contentId",
    {
      scope: "sync",
      params: itemParams,
      query: z.object({ stale: z.enum(["0", "1"]).default("0") }),
      doc: { summary: "The content, with its ETag; ciphertext comes back as bytes with `oas-key-id`" },
    },
    async ({ identity, params, query, headers }) =>
      server.store.write(async (writes) => {
        const owner = await ownDevice(writes, identity, params.deviceId);
        const [row] = await writes.connection.query(
          "SELECT * FROM offline_content_cache WHERE tenant_id = $1 AND device_id = $2 AND content_type = $3 AND content_id = $4",
          [identity.tenant, owner.device, params.contentType, params.contentId],
        );
        const expired = row && row["expires_at"] !== null && int(row, "expires_at") <= server.now();
        if (!row || (expired && query.stale !== "1")) {
          server.metrics.cache(row ? "expired" : "miss");
          throw failure("not_found", row ? "the content has expired" : "there is no such content");
        }
        const etag = text(row, "etag");
        await writes.connection.run(
          "UPDATE offline_content_cache SET hits = hits + 1, used_at = $3 WHERE tenant_id = $1 AND cache_id = $2",
          [identity.tenant, text(row, "cache_id"), server.now()],
        );
        const shared = { etag, "cache-control": "private, no-cache" };
        if (headers["if-none-match"] === etag) {
          server.metrics.cache("not_modified");
          return { status: 304, headers: shared };
        }
        server.metrics.cache("hit");
        if (row["key_id"] !== null) {
          const own = { "content-type": "application/octet-stream", "oas-key-id": text(row, "key_id") };
          return { status: 200, headers: { ...shared, ...own }, body: bytes(row, "ciphertext") };
        }
        const key = await findSubjectKey(writes.connection, identity.tenant, owner.principal);
        if (!key) throw failure("not_found", "there is no such content");
        const place = placeOf(identity.tenant, formatDeviceId(owner.device), params.contentType, params.contentId);
        return {
          status: 200,
          headers: { ...JSON_HEADERS, ...shared },
          body: openContent(key.key, place, bytes(row, "ciphertext")),
        };
      }),
  ),

  route(
    "GET",
    "/cache/:deviceId",
    {
      scope: "sync",
      params: z.object({ deviceId: z.string().max(64) }),
      query: z.object({
        sort: z.enum(["priority", "hits", "expiry"]).default("priority"),
        offset: z.coerce.number().int().min(0).max(1_000_000).default(0),
        limit: z.coerce.number().int().min(1).max(500).default(100),
      }),
      doc: {
        summary: "What is kept for the device, without the content",
        answer: z.object({
          items: z.array(z.object({ cacheId: z.string() }).loose()),
          nextOffset: z.number().nullable(),
        }),
      },
    },
    ({ identity, params, query }) =>
      server.store.read(async (reads) => {
        const owner = await ownDevice(reads, identity, params.deviceId);
        const rows = await reads.connection.query(
          `SELECT ${META} FROM offline_content_cache WHERE tenant_id = $1 AND device_id = $2
           ORDER BY ${ORDERS[query.sort]}, cache_id LIMIT $3 OFFSET $4`,
          [identity.tenant, owner.device, query.limit, query.offset],
        );
        const nextOffset = rows.length === query.limit ? query.offset + rows.length : null;
        return json(200, { items: rows.map(meta), nextOffset });
      }),
  ),

  route(
    "DELETE",
    "/cache/:cacheId",
    {
      scope: "sync",
      params: z.object({ cacheId: z.string().max(64) }),
      doc: { summary: "Deletes one item; also fine when it is gone already", status: 204 },
    },
    ({ identity, params }) =>
      server.store.write(async (writes) => {
        const [row] = await writes.connection.query(
          "SELECT device_id FROM offline_content_cache WHERE tenant_id = $1 AND cache_id = $2",
          [identity.tenant, params.cacheId],
        );
        if (row) {
          // Another subject's item is as good as gone: the answer must not tell that it is there.
          const owner = await ownDevice(writes, identity, formatDeviceId(bytes(row, "device_id"))).catch(
            () => undefined,
          );
          if (owner)
            await writes.connection.run("DELETE FROM offline_content_cache WHERE tenant_id = $1 AND cache_id = $2", [
              identity.tenant,
              params.cacheId,
            ]);
        }
        return { status: 204 };
      }),
  ),
];
