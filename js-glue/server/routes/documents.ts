/** Documents over HTTP: changes and snapshots for replicas, plain values for everybody else. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import type { Identity } from "../auth.ts";
import { ownDevice, type Server } from "../context.ts";
import { formatCursor, isOlder, parseCursor } from "../documents/cursor.ts";
import { collectionName, documentKey, nameOfKey, spaceIdOf, spaceName } from "../documents/names.ts";
import {
  type ChangesPage,
  changesAfter,
  recordPage,
  schemaOf,
  seenSpace,
  sharedWith,
  shownPage,
} from "../documents/reads.ts";
import { rulesDigest, type Space } from "../documents/rows.ts";
import { Reject } from "../handlers.ts";
import { JSON_HEADERS, json, type Route, route } from "../http/route.ts";
import type { Row, Tx } from "../store/database.ts";
import { HISTORY_SCHEMA } from "../store/install.ts";
import { bytes, int, optionalText, text, word } from "../store/rows.ts";

const WAIT_MS_MAX = 25_000;
const PAGE_MAX = 500;
const REPAIRS_MAX = 100;

const limit = z.coerce.number().int().min(1).max(PAGE_MAX).default(PAGE_MAX);
const after = z
  .string()
  .max(200)
  .regex(/^[^\0]*$/)
  .default("");
const base64 = (row: Row, name: string): string => Buffer.from(bytes(row, name)).toString("base64");
const hex64 = (value: bigint): string => value.toString(16).padStart(16, "0");

async function readChanges(
  server: Server,
  { tenant, principal }: Identity,
  query: { readonly space: string; readonly cursor?: string | undefined; readonly limit: number },
): Promise<{ readonly space: Space; readonly page: ChangesPage }> {
  return server.store.read(async ({ connection }) => {
    const space = await seenSpace(connection, tenant, principal, query.space);
    const page = await changesAfter(connection, space, server.store.incarnation, query.cursor, query.limit);
    return { space, page };
  });
}

/** As `readChanges`; when there is nothing, once more whenever the principal is poked, for `wait` milliseconds. */
async function awaitChanges(
  server: Server,
  identity: Identity,
  query: Parameters<typeof readChanges>[2] & { readonly wait: number },
): ReturnType<typeof readChanges> {
  const end = performance.now() + query.wait;
  for (;;) {
    const found = await readChanges(server, identity, query);
    const left = Math.round(end - performance.now());
    if (found.page.changes.length > 0 || left <= 0 || server.draining()) return found;
    const poked = server.streams.wait(identity.tenant, identity.principal, left);
    // What came between the reading and the waiting has poked nobody.
    poked.catch(() => undefined); // told below, unless there is an answer by then
    const again = await readChanges(server, identity, query);
    if (again.page.changes.length > 0) return again;
    await poked;
  }
}

/** What the record shows by today's schema of its collection, which may have changed after the record did. */
async function visibleNow(server: Server, tx: Tx, space: Space, row: Row, schemas: Map<string, string>) {
  const { collection } = nameOfKey(text(row, "doc_key"));
  let schema = schemas.get(collection);
  if (schema === undefined) {
    schema = await schemaOf(tx, space, collection);
    schemas.set(collection, schema);
  }
  const by = schema;
  if (word(row, "rules") === rulesDigest(by)) return optionalText(row, "visible");
  const view = await server.documents.merge.run(({ core, rules }) => core.show(bytes(row, "body"), rules(by)));
  return view.json ?? null;
}

/** The cursor for `sharedWith`; none where it is not kept yet where histories part. */
const historic = async (server: Server, cursor: string): Promise<string> =>
  (await server.store.hasSchema(HISTORY_SCHEMA)) ? cursor : "";

export const documentRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/sync/changes",
    {
      scope: "sync",
      waits: true,
      query: z.object({
        space: spaceName,
        cursor: z.string().max(100).optional(),
        limit,
        wait: z.coerce.number().int().min(0).max(WAIT_MS_MAX).default(0),
        /** The replica's: its cursor then holds back folding. */
        device: z.string().max(64).optional(),
      }),
      doc: {
        summary: "Changes of a space behind the cursor, in order; 410 `cursor_expired` = start again from a snapshot",
        answer: z.object({
          space: z.string(),
          cursor: z.string(),
          more: z.boolean(),
          changes: z.array(z.object({ n: z.number(), key: z.string(), body: z.string(), from: z.string().optional() })),
        }),
      },
    },
    async ({ identity, query }) => {
      const { space, page } = await awaitChanges(server, identity, query).catch((error: unknown) => {
        if ((error as { code?: unknown }).code === "cursor_expired") server.metrics.documentPull("expired");
        throw error;
      });
      server.metrics.documentPull(page.changes.length > 0 ? "changes" : "nothing", page.changes.length);
      if (query.device !== undefined && space.head > 0)
        await server.cursors.note({ identity, device: query.device, space, seq: page.stored });
      return json(200, shownPage(query.space, page));
    },
  ),

  route(
    "GET",
    "/sync/snapshot",
    {
      scope: "sync",
      query: z.object({ space: spaceName, after, limit, before: z.string().max(100).optional() }),
      doc: {
        summary:
          "Every document of a space as it is, page by page; go on from the first page's cursor. `before`: an older server's, to learn the last change that is `shared` with it",
        answer: z.object({
          space: z.string(),
          cursor: z.string(),
          shared: z.number().optional(),
          documents: z.array(z.object({ key: z.string(), state: z.string(), digest: z.string() })),
          next: z.string().nullable(),
        }),
      },
    },
    async ({ identity, query }) => {
      const { incarnation } = server.store;
      const before = query.before === undefined ? undefined : await historic(server, query.before);
      return server.store.read(async ({ connection }) => {
        const space = await seenSpace(connection, identity.tenant, identity.principal, query.space);
        const rows = await recordPage(connection, space, query);
        if (query.after === "") server.metrics.documentPull("snapshot");
        const last = rows.at(-1);
        const more = last && (await recordPage(connection, space, { after: text(last, "doc_key"), limit: 1 }));
        return json(200, {
          space: query.space,
          cursor: formatCursor(incarnation, { n: space.head, checksum: space.checksum }),
          ...(before === undefined ? {} : { shared: await sharedWith(connection, space, incarnation, before) }),
          documents: rows.map((row) => ({
            key: text(row, "doc_key"),
            state: base64(row, "body"),
            digest: hex64(word(row, "digest")),
          })),
          next: last && more && more.length > 0 ? text(last, "doc_key") : null,
        });
      });
    },
  ),

  route(
    "POST",
    "/sync/repair",
    {
      scope: "sync",
      json: z.object({
        space: spaceName,
        deviceId: z.string().max(64),
        cursor: z.string().max(100),
        snapshot: z.string().max(100),
        documents: z
          .array(z.object({ key: documentKey, delta: z.base64() }))
          .min(1)
          .max(REPAIRS_MAX),
      }),
      doc: {
        summary:
          "After a restore: what a replica with a cursor of before still has and the snapshot (its cursor) lacks. Each document is taken, known, or refused by itself",
        answer: z.object({
          taken: z.number(),
          refused: z.array(z.object({ key: z.string(), code: z.string() })),
        }),
      },
    },
    async ({ identity, body: { space, deviceId, cursor, snapshot, documents } }) => {
      const { incarnation } = server.store;
      const compared = parseCursor(incarnation, snapshot);
      if (!compared) throw failure("cursor_expired", "the snapshot is of another server; read it again");
      const { device } = await server.store.read((reads) => ownDevice(reads, identity, deviceId));
      const before = await historic(server, cursor);
      const refused: { key: string; code: string }[] = [];
      let taken = 0;
      const mend = async (key: string, delta: string): Promise<void> => {
        const offered = {
          space,
          device,
          key,
          delta: Buffer.from(delta, "base64"),
          cursor: before,
          comparedTo: compared.n,
        };
        if (!(await server.store.write(({ connection }) => server.documents.mend(connection, identity, offered))))
          return;
        taken += 1;
        server.metrics.documentEdit("mended");
      };
      try {
        // Of a history that goes on nothing can be lost: what is not there was taken away on purpose.
        for (const { key, delta } of isOlder(incarnation, cursor) ? documents : [])
          await mend(key, delta).catch((error: unknown) => {
            if (!(error instanceof Reject)) throw error;
            refused.push({ key, code: error.code });
          });
      } finally {
        if (taken > 0) server.documents.poke(identity.tenant, spaceIdOf(space, identity.principal));
      }
      return { ...json(200, { taken, refused }), weight: documents.length };
    },
  ),

  route(
    "GET",
    "/spaces/:spaceId/documents",
    {
      scope: "sync",
      params: z.object({ spaceId: spaceName }),
      query: z.object({ collection: collectionName.optional(), after, limit }),
      doc: {
        summary: "The documents of a space as plain JSON values; deleted ones are left out",
        answer: z.object({
          items: z.array(
            z.object({
              collection: z.string(),
              id: z.string(),
              version: z.number(),
              digest: z.string(),
              value: z.unknown(),
            }),
          ),
          next: z.string().nullable(),
        }),
      },
    },
    ({ identity, params, query }) =>
      server.store.read(async ({ connection }) => {
        const space = await seenSpace(connection, identity.tenant, identity.principal, params.spaceId);
        const rows = await recordPage(connection, space, query);
        const schemas = new Map<string, string>();
        const items: string[] = [];
        for (const row of rows) {
          const value = await visibleNow(server, connection, space, row, schemas);
          if (value === null) continue;
          const { collection, id } = nameOfKey(text(row, "doc_key"));
          const head = { collection, id, version: int(row, "version"), digest: hex64(word(row, "digest")) };
          items.push(`${JSON.stringify(head).slice(0, -1)},"value":${value}}`);
        }
        const last = rows.at(-1);
        const rest = last && { after: text(last, "doc_key"), limit: 1, collection: query.collection };
        const more = rest && (await recordPage(connection, space, rest)).length > 0;
        const next = last && more ? text(last, "doc_key") : null;
        const body = `{"items":[${items.join(",")}],"next":${JSON.stringify(next)}}`;
        return { status: 200, headers: JSON_HEADERS, body: Buffer.from(body) };
      }),
  ),
];
