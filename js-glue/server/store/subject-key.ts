/**
 * The key of one subject (tenant and principal): what its data is sealed under, and what it is called where rows outlive it.
 * Erasing a subject deletes its key; rows that name it by `ref` then name nobody, and sealed bytes in backups stay sealed.
 */

import { createHmac, randomBytes, randomUUID } from "node:crypto";
import type { Connection } from "./database.ts";
import { bytes, text } from "./rows.ts";

export interface SubjectKey {
  /** The subject's name in rows that outlive it. */
  readonly ref: string;
  /** 32 random bytes. */
  readonly key: Uint8Array;
}

const FIND = "SELECT subject_ref, key FROM subject_key WHERE tenant_id = $1 AND principal_id = $2";

export async function findSubjectKey(
  connection: Connection,
  tenant: string,
  principal: string,
): Promise<SubjectKey | undefined> {
  const [row] = await connection.query(FIND, [tenant, principal]);
  return row && { ref: text(row, "subject_ref"), key: bytes(row, "key") };
}

/** The subject's key, made at first use. `connection` is a writing transaction's. */
export async function subjectKey(
  connection: Connection,
  tenant: string,
  principal: string,
  now: number,
): Promise<SubjectKey> {
  const found = await findSubjectKey(connection, tenant, principal);
  if (found) return found;
  const made = { ref: randomUUID(), key: new Uint8Array(randomBytes(32)) };
  await connection.run(
    `INSERT INTO subject_key (tenant_id, principal_id, subject_ref, key, created_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (tenant_id, principal_id) DO NOTHING`,
    [tenant, principal, made.ref, made.key, now],
  );
  // Somebody else may have been first.
  return (await findSubjectKey(connection, tenant, principal)) ?? made;
}

/** What an id of the subject's (a device, a key's prefix) is called where rows outlive it. */
export const referenceOf = ({ key }: SubjectKey, id: string): string =>
  createHmac("sha256", key).update(id).digest("hex").slice(0, 32);
