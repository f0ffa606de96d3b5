/** Where concurrent edits differ: a row for each record that was ever shown, open as long as it is. */

import type { ConflictRecord } from "../../core/documents-core.ts";
import type { Tx } from "../store/database.ts";
import { int, optionalText, text } from "../store/rows.ts";
import type { Space } from "./rows.ts";

/** Brings the rows of one document up to what it shows now; returns the classes of those that were not open before. */
export async function keepConflicts(
  tx: Tx,
  space: Space,
  key: string,
  /** Open ones so far. */
  before: number,
  records: readonly ConflictRecord[],
  now: number,
): Promise<readonly string[]> {
  if (before === 0 && records.length === 0) return [];
  const rows = await tx.query(
    `SELECT conflict_id, record FROM conflict_resolution_log
      WHERE tenant_id = $1 AND space_id = $2 AND doc_key = $3 AND resolved_at IS NULL`,
    [space.tenant, space.id, key],
  );
  const open = new Map(rows.map((row) => [text(row, "conflict_id"), text(row, "record")]));
  const opened = records.filter(({ id }) => !open.has(id)).map((record) => record.class);
  for (const record of records) {
    if (open.get(record.id) !== record.json) await show(tx, space, key, record, now);
    open.delete(record.id);
  }
  for (const id of open.keys())
    await tx.run(
      `UPDATE conflict_resolution_log SET resolved_at = $5
        WHERE tenant_id = $1 AND space_id = $2 AND conflict_id = $3 AND doc_key = $4`,
      [space.tenant, space.id, id, key, now],
    );
  return opened;
}

function show(tx: Tx, space: Space, key: string, record: ConflictRecord, now: number): Promise<number> {
  const { policySource } = JSON.parse(record.json) as { readonly policySource?: string };
  const automatic = record.class === "lossless" || record.class === "lossy" ? 1 : 0;
  // JSON escapes U+0000 in text, which PostgreSQL's text cannot hold; a pattern may hold it bare.
  const policy = (policySource ?? "").replaceAll("\0", "");
  return tx.run(
    `INSERT INTO conflict_resolution_log (tenant_id, space_id, conflict_id, doc_key, principal_id, class, policy, automatic,
       record, created_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (tenant_id, space_id, conflict_id, doc_key) DO UPDATE SET class = excluded.class, policy = excluded.policy,
       automatic = excluded.automatic, record = excluded.record, resolved_at = NULL, resolver = NULL`,
    [...[space.tenant, space.id, record.id, key, space.owner, record.class, policy, automatic, record.json, now]],
  );
}

export interface StoredConflict {
  readonly spaceId: string;
  readonly id: string;
  readonly key: string;
  readonly class: string;
  readonly json: string;
  readonly resolver: string | null;
  readonly createdAt: number;
  readonly resolvedAt: number | null;
}

const COLUMNS = "c.space_id, c.conflict_id, c.doc_key, c.class, c.record, c.resolver, c.created_at, c.resolved_at";

export type ConflictPlace = readonly [createdAt: number, spaceId: string, id: string, key: string];

/** Oldest first, of all spaces this principal is a member of. */
export async function conflictPage(
  tx: Tx,
  tenant: string,
  principal: string,
  all: boolean,
  after: ConflictPlace,
  limit: number,
): Promise<readonly StoredConflict[]> {
  const rows = await tx.query(
    `SELECT ${COLUMNS} FROM conflict_resolution_log c
       JOIN space_member m ON m.tenant_id = c.tenant_id AND m.space_id = c.space_id AND m.principal_id = $2
      WHERE c.tenant_id = $1${all ? "" : " AND c.resolved_at IS NULL"}
        AND (c.created_at, c.space_id, c.conflict_id, c.doc_key) > ($3, $4, $5, $6)
      ORDER BY c.created_at, c.space_id, c.conflict_id, c.doc_key LIMIT $7`,
    [tenant, principal, ...after, limit],
  );
  return rows.map(conflictOf);
}

export async function findConflict(tx: Tx, space: Space, id: string): Promise<StoredConflict | undefined> {
  const [row] = await tx.query(
    `SELECT ${COLUMNS} FROM conflict_resolution_log c WHERE c.tenant_id = $1 AND c.space_id = $2 AND c.conflict_id = $3
      ORDER BY c.doc_key LIMIT 1`,
    [space.tenant, space.id, id],
  );
  return row && conflictOf(row);
}

/** Who settled it: a principal, or `fn:` and the name of a merge function. */
export const namedResolver = (
  tx: Tx,
  space: Space,
  { id, key }: Pick<StoredConflict, "id" | "key">,
  resolver: string,
): Promise<number> =>
  tx.run(
    `UPDATE conflict_resolution_log SET resolver = $5
      WHERE tenant_id = $1 AND space_id = $2 AND conflict_id = $3 AND doc_key = $4`,
    [space.tenant, space.id, id, key, resolver],
  );

const conflictOf = (row: Parameters<typeof text>[0]): StoredConflict => ({
  spaceId: text(row, "space_id"),
  id: text(row, "conflict_id"),
  key: text(row, "doc_key"),
  class: text(row, "class"),
  json: text(row, "record"),
  resolver: optionalText(row, "resolver"),
  createdAt: int(row, "created_at"),
  resolvedAt: row["resolved_at"] === null ? null : int(row, "resolved_at"),
});
