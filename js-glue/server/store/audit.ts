/**
 * The audit log as a chain: each sealed row carries the hash of the one before it, so that a row changed, removed or slipped in
 * afterwards shows.
 *
 *   hash(n) = SHA-256(hash(n - 1) || JSON of [n, tenant, id, at, actor, action, subject, detail]),  hash(0) = 32 zero bytes
 *
 * Rows are written by the transactions they tell of and sealed later, in an order of their own, by one sealer per tenant at a
 * time. Whoever controls the database could write the whole chain anew; a head noted elsewhere (`audit/verify` names it)
 * shows that, too.
 */

import { createHash } from "node:crypto";
import { sameBytes } from "../../core/bytes.ts";
import type { Connection, Dialect, Row } from "./database.ts";
import { bytes, int, optionalText, text } from "./rows.ts";

export const SEAL_ROWS_MAX = 1_000;
const START = new Uint8Array(32);

export interface Head {
  readonly no: number;
  readonly hash: Uint8Array;
}

const hashOf = (before: Uint8Array, no: number, tenant: string, row: Row): Uint8Array => {
  const fields = [
    no,
    tenant,
    text(row, "id"),
    int(row, "at"),
    text(row, "actor"),
    text(row, "action"),
    text(row, "subject_ref"),
    optionalText(row, "detail"),
  ];
  return createHash("sha256").update(before).update(JSON.stringify(fields)).digest();
};

async function headOf(connection: Connection, tenant: string, lock = ""): Promise<Head> {
  const [row] = await connection.query(`SELECT seal_no, hash FROM audit_head WHERE tenant_id = $1${lock}`, [tenant]);
  return row ? { no: int(row, "seal_no"), hash: bytes(row, "hash") } : { no: 0, hash: START };
}

/** Tenants with rows that are not sealed yet. */
export async function tenantsToSeal(connection: Connection, limit: number): Promise<readonly string[]> {
  const rows = await connection.query(
    "SELECT DISTINCT tenant_id FROM audit_log WHERE seal_no IS NULL ORDER BY tenant_id LIMIT $1",
    [limit],
  );
  return rows.map((row) => text(row, "tenant_id"));
}

/** Seals at most a thousand rows of one tenant, oldest first; returns how many. `connection` is a transaction's. */
export async function sealAudit(connection: Connection, dialect: Dialect, tenant: string): Promise<number> {
  await connection.run(
    "INSERT INTO audit_head (tenant_id, seal_no, hash) VALUES ($1, 0, $2) ON CONFLICT (tenant_id) DO NOTHING",
    [tenant, START],
  );
  // The head is the lock: two sealers never number the same rows.
  let head = await headOf(connection, tenant, dialect.forUpdate);
  const rows = await connection.query(
    `SELECT * FROM audit_log WHERE tenant_id = $1 AND seal_no IS NULL ORDER BY at, id LIMIT ${SEAL_ROWS_MAX}`,
    [tenant],
  );
  for (const row of rows) {
    const no = head.no + 1;
    const hash = hashOf(head.hash, no, tenant, row);
    await connection.run(
      "UPDATE audit_log SET seal_no = $4, prev_hash = $5, hash = $6 WHERE tenant_id = $1 AND at = $2 AND id = $3",
      [tenant, int(row, "at"), text(row, "id"), no, head.hash, hash],
    );
    head = { no, hash };
  }
  if (rows.length > 0)
    await connection.run("UPDATE audit_head SET seal_no = $2, hash = $3 WHERE tenant_id = $1", [
      tenant,
      head.no,
      head.hash,
    ]);
  return rows.length;
}

export interface Verification {
  readonly ok: boolean;
  readonly sealed: number;
  readonly open: number;
  readonly head: Head;
  /** The first number that does not fit, and why. */
  readonly broken: { readonly no: number; readonly why: string } | undefined;
}

/** Recomputes the tenant's chain; `pin` is a head noted earlier that must lie on it. Reads the log page by page. */
export async function verifyAudit(connection: Connection, tenant: string, pin?: Head): Promise<Verification> {
  const head = await headOf(connection, tenant);
  const [count] = await connection.query(
    "SELECT count(*) AS n FROM audit_log WHERE tenant_id = $1 AND seal_no IS NULL",
    [tenant],
  );
  const open = count ? int(count, "n") : 0;
  let at: Head = { no: 0, hash: START };
  const broken = (no: number, why: string): Verification => ({
    ok: false,
    sealed: at.no,
    open,
    head,
    broken: { no, why },
  });
  for (;;) {
    const rows = await connection.query(
      `SELECT * FROM audit_log WHERE tenant_id = $1 AND seal_no > $2 ORDER BY seal_no LIMIT ${SEAL_ROWS_MAX}`,
      [tenant, at.no],
    );
    for (const row of rows) {
      const no = at.no + 1;
      if (int(row, "seal_no") !== no) return broken(no, "a row is missing");
      const hash = hashOf(at.hash, no, tenant, row);
      if (!sameBytes(bytes(row, "prev_hash"), at.hash) || !sameBytes(bytes(row, "hash"), hash))
        return broken(no, "the row is not the one that was sealed");
      at = { no, hash };
      if (pin?.no === no && !sameBytes(pin.hash, hash)) return broken(no, "the noted head is not on this chain");
    }
    if (rows.length < SEAL_ROWS_MAX) break;
  }
  if (at.no !== head.no || !sameBytes(at.hash, head.hash)) return broken(at.no + 1, "the end of the chain is missing");
  if (pin && pin.no > at.no) return broken(pin.no, "the noted head is not on this chain");
  return { ok: true, sealed: at.no, open, head, broken: undefined };
}

export interface AuditRow {
  readonly id: string;
  readonly at: number;
  readonly no: number | null;
  /** The subject who acted; null once it was erased. */
  readonly actor: string | null;
  readonly actorRef: string;
  readonly action: string;
  readonly subjectRef: string;
  readonly detail: string | null;
}

/** In order of time, behind (`at`, `id`). */
export async function auditPage(
  connection: Connection,
  tenant: string,
  after: { readonly at: number; readonly id: string },
  limit: number,
): Promise<readonly AuditRow[]> {
  const rows = await connection.query(
    `SELECT a.*, k.principal_id AS principal FROM audit_log a
       LEFT JOIN subject_key k ON k.tenant_id = a.tenant_id AND k.subject_ref = a.actor
      WHERE a.tenant_id = $1 AND (a.at > $2 OR (a.at = $2 AND a.id > $3)) ORDER BY a.at, a.id LIMIT $4`,
    [tenant, after.at, after.id, limit],
  );
  return rows.map((row) => ({
    id: text(row, "id"),
    at: int(row, "at"),
    no: row["seal_no"] == null ? null : int(row, "seal_no"),
    actor: optionalText(row, "principal"),
    actorRef: text(row, "actor"),
    action: text(row, "action"),
    subjectRef: text(row, "subject_ref"),
    detail: optionalText(row, "detail"),
  }));
}
