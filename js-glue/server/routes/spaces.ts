/** Spaces and who belongs to them. Owners decide; everybody may leave. */

import { z } from "zod";
import { failure } from "../../core/errors.ts";
import type { Identity } from "../auth.ts";
import type { Server } from "../context.ts";
import { sharedSpaceName, shownSpace, spaceName } from "../documents/names.ts";
import { findSpace, makeSpace, putMember, type Space } from "../documents/rows.ts";
import { json, type Route, route } from "../http/route.ts";
import { entry } from "../store/credentials.ts";
import type { Tx } from "../store/database.ts";
import { int, optionalText, text } from "../store/rows.ts";
import { shortText } from "./device.ts";

const SPACES_MAX = 1_000;
const MEMBERS_MAX = 1_000;
const memberParams = z.object({ spaceId: spaceName, principal: shortText(256).min(1) });

/** Throws `not_a_member` for foreign and unknown spaces, and for the own one, which has no other members. */
async function sharedSpace(tx: Tx, { tenant, principal }: Identity, id: string): Promise<Space> {
  const space = await findSpace(tx, tenant, id, principal, true);
  if (!space || space.owner !== null) throw failure("not_a_member", "there is no such space");
  return space;
}

async function count(tx: Tx, sql: string, params: readonly string[]): Promise<number> {
  const [row] = await tx.query(sql, params);
  return row ? int(row, "n") : 0;
}

const owners = (tx: Tx, { tenant, id }: Space, except: string): Promise<number> =>
  count(
    tx,
    "SELECT count(*) AS n FROM space_member WHERE tenant_id = $1 AND space_id = $2 AND role = 'owner' AND principal_id <> $3",
    [tenant, id, except],
  );

export const spaceRoutes = (server: Server): readonly Route[] => [
  route(
    "GET",
    "/spaces",
    {
      scope: "sync",
      doc: {
        summary: "The spaces of the principal; `~` is its own",
        answer: z.object({
          items: z.array(
            z.object({ spaceId: z.string(), name: z.string().nullable(), role: z.string(), head: z.number() }),
          ),
        }),
      },
    },
    ({ identity }) =>
      server.store.read(async ({ connection }) => {
        const rows = await connection.query(
          `SELECT s.space_id, s.name, s.head, m.role FROM space_member m
             JOIN space s ON s.tenant_id = m.tenant_id AND s.space_id = m.space_id
            WHERE m.tenant_id = $1 AND m.principal_id = $2 ORDER BY s.space_id LIMIT ${SPACES_MAX + 1}`,
          [identity.tenant, identity.principal],
        );
        const items = rows.map((row) => ({
          spaceId: shownSpace(text(row, "space_id")),
          name: optionalText(row, "name"),
          role: text(row, "role"),
          head: int(row, "head"),
        }));
        return json(200, { items });
      }),
  ),

  route(
    "POST",
    "/spaces",
    {
      scope: "sync",
      json: z.object({ spaceId: sharedSpaceName, name: shortText(200).optional() }),
      doc: {
        summary: "Makes a space that the caller owns; 409 `already_exists` when the id is taken",
        answer: z.object({ spaceId: z.string(), role: z.string() }),
        status: 201,
      },
    },
    ({ identity, body }) =>
      server.store.write(async (tx) => {
        const { tenant, principal } = identity;
        const mine = "SELECT count(*) AS n FROM space_member WHERE tenant_id = $1 AND principal_id = $2";
        if ((await count(tx.connection, mine, [tenant, principal])) >= SPACES_MAX)
          throw failure("limit_exceeded", `a principal is in at most ${SPACES_MAX} spaces`, { detail: SPACES_MAX });
        const now = server.now();
        const made = await makeSpace(tx.connection, tenant, body.spaceId, principal, {
          own: false,
          name: body.name ?? null,
          now,
        });
        if (!made) throw failure("already_exists", "this id is taken");
        await tx.audit(tenant, [entry(now, principal, "space.create", body.spaceId)]);
        return json(201, { spaceId: body.spaceId, role: "owner" });
      }),
  ),

  route(
    "PUT",
    "/spaces/:spaceId/members/:principal",
    {
      scope: "sync",
      params: memberParams,
      json: z.object({ role: z.enum(["reader", "writer", "owner"]) }),
      doc: {
        summary: "Takes somebody in, or changes what a member may do",
        answer: z.object({ principal: z.string(), role: z.string() }),
      },
    },
    async ({ identity, params, body }) => {
      const { tenant } = identity;
      await server.store.write(async (tx) => {
        const space = await sharedSpace(tx.connection, identity, params.spaceId);
        if (space.role !== "owner") throw failure("read_only", "only owners change who belongs to a space");
        if (body.role !== "owner" && (await owners(tx.connection, space, params.principal)) === 0)
          throw failure("read_only", "a space keeps one owner");
        const all = "SELECT count(*) AS n FROM space_member WHERE tenant_id = $1 AND space_id = $2";
        if ((await count(tx.connection, all, [tenant, space.id])) >= MEMBERS_MAX)
          throw failure("limit_exceeded", `a space has at most ${MEMBERS_MAX} members`, { detail: MEMBERS_MAX });
        const now = server.now();
        await putMember(tx.connection, tenant, space.id, params.principal, body.role, now);
        await tx.audit(tenant, [entry(now, identity.principal, `space.member.${body.role}`, space.id)]);
      });
      server.streams.notify(tenant, params.principal);
      return json(200, { principal: params.principal, role: body.role });
    },
  ),

  route(
    "DELETE",
    "/spaces/:spaceId/members/:principal",
    {
      scope: "sync",
      params: memberParams,
      doc: { summary: "Ends a membership; also fine when there is none", status: 204 },
    },
    async ({ identity, params }) => {
      const { tenant, principal } = identity;
      await server.store.write(async (tx) => {
        const space = await sharedSpace(tx.connection, identity, params.spaceId);
        if (space.role !== "owner" && params.principal !== principal)
          throw failure("read_only", "only owners change who belongs to a space");
        if ((await owners(tx.connection, space, params.principal)) === 0)
          throw failure("read_only", "a space keeps one owner");
        const at = [tenant, space.id, params.principal];
        await tx.connection.run(
          "DELETE FROM space_member WHERE tenant_id = $1 AND space_id = $2 AND principal_id = $3",
          at,
        );
        // Its replicas hold nothing back any more.
        await tx.connection.run(
          `DELETE FROM space_cursor WHERE tenant_id = $1 AND space_id = $2 AND device_id IN
             (SELECT device_id FROM device_sync_state WHERE tenant_id = $1 AND principal_id = $3)`,
          at,
        );
        await tx.audit(tenant, [entry(server.now(), principal, "space.member.remove", space.id)]);
      });
      server.streams.notify(tenant, params.principal);
      return { status: 204 };
    },
  ),
];
