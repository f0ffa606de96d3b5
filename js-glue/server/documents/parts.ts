/**
 * Edits larger than one event. Their pieces are kept as they come, each in its event's transaction; the last one makes the
 * edit whole. Pieces stay until the edit is taken, so a refused edit that is tried again still has them.
 */

import { Reject } from "../handlers.ts";
import type { Tx } from "../store/database.ts";
import { bytes, int } from "../store/rows.ts";
import type { PartOfEdit } from "./names.ts";

/** Pieces of one device that wait; more are refused until maintenance has removed the oldest. */
const WAITING_MAX = 1_000;

/** Where the pieces of one edit lie: tenant, device, space, document, edit. */
export type PartsAt = readonly [tenant: string, device: Uint8Array, space: string, key: string, edit: string];

const OF_EDIT = "tenant_id = $1 AND device_id = $2 AND space_id = $3 AND doc_key = $4 AND edit = $5";

/** Throws `Reject` when too much of this device waits already. */
export async function keepPart(
  tx: Tx,
  at: PartsAt,
  part: PartOfEdit,
  piece: { readonly principal: string; readonly body: Uint8Array; readonly receivedAt: number },
): Promise<void> {
  const [row] = await tx.query("SELECT count(*) AS n FROM edit_part WHERE tenant_id = $1 AND device_id = $2", [
    at[0],
    at[1],
  ]);
  if (row && int(row, "n") >= WAITING_MAX)
    throw new Reject("limit_exceeded", `at most ${WAITING_MAX} parts of edits wait for the rest`);
  await tx.run(
    `INSERT INTO edit_part (tenant_id, device_id, space_id, doc_key, edit, part, principal_id, body, received_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (tenant_id, device_id, space_id, doc_key, edit, part) DO UPDATE SET body = excluded.body`,
    [...at, part.k, piece.principal, piece.body, piece.receivedAt],
  );
}

/** The whole edit, when its last piece is `last`. Throws `Reject` when another one is not here. */
export async function joinParts(tx: Tx, at: PartsAt, { of }: PartOfEdit, last: Uint8Array): Promise<Uint8Array> {
  const rows = await tx.query(`SELECT body FROM edit_part WHERE ${OF_EDIT} AND part < $6 ORDER BY part`, [...at, of]);
  if (rows.length !== of - 1)
    throw new Reject("malformed", `${of - 1 - rows.length} of ${of} parts of the edit are not here`);
  return Buffer.concat([...rows.map((row) => bytes(row, "body")), last]);
}

/** The edit is taken. */
export async function forgetParts(tx: Tx, at: PartsAt): Promise<void> {
  await tx.run(`DELETE FROM edit_part WHERE ${OF_EDIT}`, at);
}
