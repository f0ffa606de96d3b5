/**
 * Everything about one subject: read it page by page, delete it, and know afterwards that it was deleted without knowing whose
 * it was.
 */

import { createHmac } from "node:crypto";
import type { PersonalTable } from "./catalog.ts";
import type { Connection, Row, SqlValue } from "./database.ts";
import { text } from "./rows.ts";

/** Rows of one transaction. */
export const ERASE_ROWS = 2_000;

export interface SubjectRows {
  readonly tenant: string;
  readonly principal: string;
  readonly devices: readonly Uint8Array[];
}

const placeholders = (count: number, from: number): string =>
  Array.from({ length: count }, (_, i) => `$${from + i}`).join(", ");

/** The condition that a row is the subject's, with `$1` = tenant. Undefined when there can be none. */
function ownership(table: PersonalTable, { tenant, principal, devices }: SubjectRows) {
  if (table.by === "principal") return { where: "tenant_id = $1 AND principal_id = $2", params: [tenant, principal] };
  if (devices.length === 0) return undefined;
  const where = `tenant_id = $1 AND device_id IN (${placeholders(devices.length, 2)})`;
  return { where, params: [tenant, ...devices] as SqlValue[] };
}

/** At most `limit` rows of the subject's behind `after`, in order of the table's key. */
export async function subjectPage(
  connection: Connection,
  table: PersonalTable,
  subject: SubjectRows,
  after: Row | undefined,
  limit: number,
): Promise<readonly Row[]> {
  const own = ownership(table, subject);
  if (!own) return [];
  const params: SqlValue[] = [...own.params];
  let behind = "";
  if (after) {
    behind = ` AND (${table.key.join(", ")}) > (${placeholders(table.key.length, params.length + 1)})`;
    params.push(...table.key.map((column) => after[column] ?? null));
  }
  params.push(limit);
  return connection.query(
    `SELECT * FROM ${table.name} WHERE ${own.where}${behind} ORDER BY ${table.key.join(", ")} LIMIT $${params.length}`,
    params,
  );
}

/** Deletes at most `ERASE_ROWS` rows of the subject's; returns how many. */
export async function eraseRows(connection: Connection, table: PersonalTable, subject: SubjectRows): Promise<number> {
  const own = ownership(table, subject);
  if (!own) return 0;
  const key = table.key.join(", ");
  return connection.run(
    `DELETE FROM ${table.name} WHERE (${key}) IN (SELECT ${key} FROM ${table.name} WHERE ${own.where} LIMIT ${ERASE_ROWS})`,
    own.params,
  );
}

const digestOf = (installId: string, kind: string, tenant: string, id: string | Uint8Array): Uint8Array =>
  createHmac("sha256", installId).update(`${kind}\0${tenant}\0`).update(id).digest();

async function installId(connection: Connection): Promise<string> {
  const [row] = await connection.query("SELECT install_id FROM install WHERE id = 1");
  return row ? text(row, "install_id") : "";
}

export async function buryPrincipal(
  connection: Connection,
  { tenant, principal, devices }: SubjectRows,
  now: number,
): Promise<void> {
  const install = await installId(connection);
  const digests = [
    digestOf(install, "principal", tenant, principal),
    ...devices.map((device) => digestOf(install, "device", tenant, device)),
  ];
  for (const digest of digests)
    await connection.run(
      "INSERT INTO erased_subject (tenant_id, digest, erased_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
      [tenant, digest, now],
    );
}

/** True when this principal or this device was erased here. */
export async function isBuried(
  connection: Connection,
  tenant: string,
  principal: string,
  device: Uint8Array,
): Promise<boolean> {
  const install = await installId(connection);
  const rows = await connection.query(
    "SELECT 1 AS one FROM erased_subject WHERE tenant_id = $1 AND digest IN ($2, $3)",
    [tenant, digestOf(install, "principal", tenant, principal), digestOf(install, "device", tenant, device)],
  );
  return rows.length > 0;
}
