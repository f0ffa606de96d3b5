/**
 * PostgreSQL's row level security as a second fence: even a query that forgot its tenant sees one tenant's rows.
 *
 * Every transaction sets `oas.tenant`: the tenant of the request, or `*` for work of the server itself. Without the setting no
 * row is visible. The policies cover every table that has a `tenant_id`, so a table made by a later migration or by the
 * application is covered from the next start on.
 */

import { failure } from "../../core/errors.ts";
import type { Connection, Database } from "./database.ts";
import { text } from "./rows.ts";

const POLICY = "oas_tenant";
/** No tenant has this name: names from credentials are not empty and this one is refused as a tenant. */
export const SERVER_ITSELF = "*";

/**
 * Puts the fence up (`wanted` = true), takes it down (false), or leaves it as it is (undefined); true when it stands. Rejects
 * with `invalid_argument` when this role would walk around it: superusers and roles with BYPASSRLS do.
 */
export async function fenceTenants(database: Database, wanted: boolean | undefined): Promise<boolean> {
  const standing = await database.snapshot(isStanding);
  if (wanted === undefined && !standing) return false;
  if (wanted === false) {
    if (standing) await database.transaction(takeDown);
    return false;
  }
  const [role] = await database.snapshot((connection) =>
    connection.query("SELECT rolsuper OR rolbypassrls AS bypasses FROM pg_roles WHERE rolname = current_user"),
  );
  if (role?.["bypasses"] === true)
    throw failure("invalid_argument", "row security does not hold for a superuser: connect as a plain role");
  await database.transaction(putUp);
  return true;
}

async function tables(connection: Connection): Promise<readonly string[]> {
  const rows = await connection.query(
    `SELECT c.relname::text AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
      WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace
        AND pg_get_userbyid(c.relowner) = current_user ORDER BY 1`,
  );
  return rows.map((row) => text(row, "name"));
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

async function isStanding(connection: Connection): Promise<boolean> {
  const rows = await connection.query("SELECT 1 AS one FROM pg_policies WHERE policyname = $1 LIMIT 1", [POLICY]);
  return rows.length > 0;
}

async function putUp(connection: Connection): Promise<void> {
  await connection.query("SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE");
  const done = await connection.query("SELECT tablename::text AS name FROM pg_policies WHERE policyname = $1", [
    POLICY,
  ]);
  const fenced = new Set(done.map((row) => text(row, "name")));
  for (const name of await tables(connection)) {
    if (fenced.has(name)) continue;
    await connection.run(`ALTER TABLE ${quoted(name)} ENABLE ROW LEVEL SECURITY`);
    // Owners are exempt unless told otherwise, and this server owns its tables.
    await connection.run(`ALTER TABLE ${quoted(name)} FORCE ROW LEVEL SECURITY`);
    await connection.run(
      `CREATE POLICY ${POLICY} ON ${quoted(name)} USING (tenant_id = current_setting('oas.tenant', true)
         OR current_setting('oas.tenant', true) = '${SERVER_ITSELF}')`,
    );
  }
}

async function takeDown(connection: Connection): Promise<void> {
  await connection.query("SELECT id FROM schema_lock WHERE id = 1 FOR UPDATE");
  const rows = await connection.query("SELECT tablename::text AS name FROM pg_policies WHERE policyname = $1", [
    POLICY,
  ]);
  for (const row of rows) {
    const name = quoted(text(row, "name"));
    await connection.run(`DROP POLICY ${POLICY} ON ${name}`);
    await connection.run(`ALTER TABLE ${name} NO FORCE ROW LEVEL SECURITY`);
    await connection.run(`ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY`);
  }
}
