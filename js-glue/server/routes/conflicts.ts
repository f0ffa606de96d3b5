/** Conflicts of documents: see them, settle them. Settling is an edit like any other, made by the server. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import { ownDevice, type Server } from "../context.ts";
import { type ConflictPlace, conflictPage, findConflict, type StoredConflict } from "../documents/conflict-rows.ts";
import { nameOfKey, shownSpace, spaceName } from "../documents/names.ts";
import { seenSpace } from "../documents/reads.ts";
import { memberText } from "../http/raw-json.ts";
import { JSON_HEADERS, json, type Route, route } from "../http/route.ts";

const conflictId = z.string().regex(/^[0-9a-f]{32}$/, "is no conflict");
const START: ConflictPlace = [-1, "", "", ""];

function showText({ spaceId, id, key, class: kind, json: record, ...rest }: StoredConflict): string {
  const { collection, id: documentId } = nameOfKey(key);
  const head = { conflictId: id, space: shownSpace(spaceId), collection, id: documentId, class: kind, ...rest };
  return `${JSON.stringify(head).slice(0, -1)},"record":${record}}`;
}

const writePlace = ({ createdAt, spaceId, id, key }: StoredConflict): string =>
  Buffer.from(JSON.stringify([createdAt, spaceId, id, key])).toString("base64url");

const place = z.tuple([z.number().int(), z.string(), z.string(), z.string()]);

/** Throws `invalid_argument` for what no answer of ours held. */
function readPlace(cursor: string | undefined): ConflictPlace {
  if (cursor === undefined) return START;
  try {
    return place.parse(JSON.parse(Buffer.from(cursor, "base64url").toString().replaceAll("\\u0000", "")));
  } catch (error) {
    throw failure("invalid_argument", "the cursor is none of ours", { cause: error, path: "cursor" });
  }
}

const conflictAnswer = z
  .object({ conflictId: z.string(), space: z.string(), collection: z.string(), id: z.string(), record: z.unknown() })
  .loose();

export const conflictRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/conflicts/:deviceId",
    {
      scope: "sync",
      params: z.object({ deviceId: z.string().max(64) }),
      query: z.object({
        all: z.enum(["0", "1"]).default("0"),
        cursor: z.string().max(1_000).optional(),
        limit: z.coerce.number().int().min(1).max(500).default(100),
      }),
      doc: {
        summary:
          "Open conflicts in the spaces of the device's principal, oldest first; `all=1` shows settled ones, too",
        answer: z.object({ items: z.array(conflictAnswer), nextCursor: z.string().nullable() }),
      },
    },
    ({ identity, params, query }) =>
      server.store.read(async (reads) => {
        const { principal } = await ownDevice(reads, identity, params.deviceId);
        const from = readPlace(query.cursor);
        const { tenant } = identity;
        const found = await conflictPage(reads.connection, tenant, principal, query.all === "1", from, query.limit);
        const last = found.at(-1);
        const next = last && found.length === query.limit ? writePlace(last) : null;
        const body = `{"items":[${found.map(showText).join(",")}],"nextCursor":${JSON.stringify(next)}}`;
        return { status: 200, headers: JSON_HEADERS, body: Buffer.from(body) };
      }),
  ),

  route(
    "GET",
    "/conflicts/item/:conflictId",
    {
      scope: "sync",
      params: z.object({ conflictId }),
      query: z.object({ space: spaceName }),
      doc: { summary: "One conflict with what led to it", answer: conflictAnswer },
    },
    ({ identity, params, query }) =>
      server.store.read(async ({ connection }) => {
        const space = await seenSpace(connection, identity.tenant, identity.principal, query.space);
        const found = await findConflict(connection, space, params.conflictId);
        if (!found) throw failure("not_found", "there is no such conflict");
        return { status: 200, headers: JSON_HEADERS, body: Buffer.from(showText(found)) };
      }),
  ),

  route(
    "POST",
    "/conflicts/resolve",
    {
      scope: "sync",
      json: z
        .object({
          space: spaceName,
          conflictId,
          choice: z.enum(["server", "local", "merge", "value"]),
          value: z.unknown().optional(),
        })
        .refine(({ choice, value }) => (choice === "value") === (value !== undefined), {
          message: "value stands with the choice value, and only there",
        }),
      doc: {
        summary: "Settles a conflict by an ordinary change; 409 `storage_conflict` when it is settled already",
        answer: z.object({ change: z.number() }),
      },
    },
    async ({ identity, body, bytes }) => {
      // The caller's own digits: parsed and written again, an integer above 2^53 would be another one.
      const value = bytes ? memberText(Buffer.from(bytes).toString(), "value") : JSON.stringify(body.value);
      const { spaceId, change } = await server.store.write(({ connection }) =>
        server.documents.resolve(connection, identity, { ...body, value }),
      );
      server.documents.poke(identity.tenant, spaceId);
      return json(200, { change });
    },
  ),
];
