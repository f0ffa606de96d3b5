/** Credentials and revocation: API keys, and the end of a device. */

import type { Connection } from "./database.ts";
import { int, optionalInt, text } from "./rows.ts";
import type { AuditEntry } from "./store.ts";

export interface KeyRow {
  readonly prefix: string;
  readonly principal: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdAt: number;
  readonly revokedAt: number | null;
}

/** Keys of the tenant in order of their prefix; secrets are not kept, so none is shown. */
export async function apiKeyPage(
  connection: Connection,
  tenant: string,
  after: string,
  limit: number,
): Promise<readonly KeyRow[]> {
  const rows = await connection.query(
    "SELECT * FROM api_key WHERE tenant_id = $1 AND prefix > $2 ORDER BY prefix LIMIT $3",
    [tenant, after, limit],
  );
  return rows.map((row) => ({
    prefix: text(row, "prefix"),
    principal: text(row, "principal_id"),
    name: text(row, "name"),
    scopes: text(row, "scopes").split(" ").filter(Boolean),
    createdAt: int(row, "created_at"),
    revokedAt: optionalInt(row, "revoked_at"),
  }));
}

/** True when it was good until now. */
export async function revokeApiKey(
  connection: Connection,
  tenant: string,
  prefix: string,
  now: number,
): Promise<boolean> {
  const revoked = await connection.run(
    "UPDATE api_key SET revoked_at = $3 WHERE tenant_id = $1 AND prefix = $2 AND revoked_at IS NULL",
    [tenant, prefix, now],
  );
  return revoked === 1;
}

export async function revokeDevice(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  now: number,
): Promise<boolean> {
  const revoked = await connection.run(
    "UPDATE device_sync_state SET revoked_at = $3 WHERE tenant_id = $1 AND device_id = $2 AND revoked_at IS NULL",
    [tenant, device, now],
  );
  return revoked === 1;
}

/** Gives the device a new owner, the key it signs with staying its own. */
export async function moveDevice(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  from: string,
  to: string,
): Promise<boolean> {
  const moved = await connection.run(
    "UPDATE device_sync_state SET principal_id = $4 WHERE tenant_id = $1 AND device_id = $2 AND principal_id = $3",
    [tenant, device, from, to],
  );
  await connection.run(
    "UPDATE dead_letter SET principal_id = $4 WHERE tenant_id = $1 AND device_id = $2 AND principal_id = $3",
    [tenant, device, from, to],
  );
  return moved === 1;
}

export async function setPublicKey(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  publicKey: string,
): Promise<void> {
  await connection.run("UPDATE device_sync_state SET public_key = $3 WHERE tenant_id = $1 AND device_id = $2", [
    tenant,
    device,
    publicKey,
  ]);
}

export const entry = (at: number, actor: string, action: string, subject: string, detail?: string): AuditEntry => ({
  at,
  actor,
  action,
  subject,
  ...(detail === undefined ? {} : { detail }),
});
