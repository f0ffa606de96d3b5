/** Pages of a space's changes and of its records, and how far its devices are. */

import { formatDeviceId } from "../../core/device-id.ts";
import { failure } from "../../core/errors.ts";
import type { Incarnation } from "../session.ts";
import type { Row, Tx } from "../store/database.ts";
import { bytes, int, optionalText, text, word } from "../store/rows.ts";
import { type Cursor, formatCursor, mintedAtOf, parseCursor } from "./cursor.ts";
import { OWN_SPACE, schemaKey, shownSpace, spaceIdOf } from "./names.ts";
import { findSpace, type Space } from "./rows.ts";

/** Body bytes of one page; one row always fits. */
const PAGE_BYTES_MAX = 1_000_000;
/** Rows read at a time, so that a page of large ones does not read all of them. */
const READ_ROWS = 100;

/** Throws `not_a_member`. An own space that nobody has written to is empty. */
export async function seenSpace(tx: Tx, tenant: string, principal: string, asked: string): Promise<Space> {
  const id = spaceIdOf(asked, principal);
  const space = await findSpace(tx, tenant, id, principal, false);
  if (space) return space;
  if (asked === OWN_SPACE) return { tenant, id, owner: principal, role: "owner", head: 0, checksum: 0n };
  throw failure("not_a_member", "there is no such space");
}

export interface ChangesPage {
  readonly cursor: string;
  readonly more: boolean;
  readonly changes: readonly Row[];
  /** What the asking replica has stored already. */
  readonly stored: number;
}

/** Throws `cursor_expired` when the space's history does not continue what the cursor has seen. */
export async function changesAfter(
  tx: Tx,
  space: Space,
  incarnation: Incarnation,
  given: string | undefined,
  limit: number,
): Promise<ChangesPage> {
  const from = given === undefined ? { n: 0, checksum: 0n } : parseCursor(incarnation, given);
  if (!from || !(await continues(tx, space, from)))
    throw failure("cursor_expired", "this history is not here any more; start again from a snapshot");
  const changes: Row[] = [];
  let at = from;
  let size = 0;
  for (let full = false; !full && changes.length < limit; ) {
    const want = Math.min(READ_ROWS, limit - changes.length);
    const rows = await tx.query(
      `SELECT seq, doc_key, body, device_id, checksum FROM change
        WHERE tenant_id = $1 AND space_id = $2 AND seq > $3 ORDER BY seq LIMIT $4`,
      [space.tenant, space.id, at.n, want],
    );
    for (const row of rows) {
      size += bytes(row, "body").length;
      full = changes.length > 0 && size > PAGE_BYTES_MAX;
      if (full) break;
      changes.push(row);
      at = { n: int(row, "seq"), checksum: word(row, "checksum") };
    }
    full ||= rows.length < want;
  }
  return { cursor: formatCursor(incarnation, at), more: at.n < space.head, changes, stored: from.n };
}

/** A page as clients read it. */
export const shownPage = (space: string, { cursor, more, changes }: ChangesPage) => ({
  space,
  cursor,
  more,
  changes: changes.map((row) => ({
    n: int(row, "seq"),
    key: text(row, "doc_key"),
    body: Buffer.from(bytes(row, "body")).toString("base64"),
    ...(row["device_id"] === null ? {} : { from: formatDeviceId(bytes(row, "device_id")) }),
  })),
});

/**
 * The last change that the space's history and that of the cursor have in common. 0 for what is no cursor, and where that is not
 * known: a space that was made since, in both of them perhaps, or a server restored before there was a table for it.
 */
export async function sharedWith(tx: Tx, space: Space, incarnation: Incarnation, cursor: string): Promise<number> {
  const mintedAt = mintedAtOf(cursor);
  if (mintedAt === undefined) return 0;
  if (mintedAt >= incarnation.mintedAt) return space.head;
  const [row] = await tx.query(
    `SELECT min(head) AS n, max(minted_at) AS newest FROM space_history
      WHERE tenant_id = $1 AND space_id = $2 AND minted_at > $3`,
    [space.tenant, space.id, mintedAt],
  );
  const isKnown = row !== undefined && row["newest"] !== null && int(row, "newest") === incarnation.mintedAt;
  return isKnown ? int(row, "n") : 0;
}

async function continues(tx: Tx, space: Space, { n, checksum }: Cursor): Promise<boolean> {
  if (n > space.head || (n === 0 && checksum !== 0n)) return false;
  if (n === space.head) return checksum === space.checksum;
  const [row] = await tx.query(
    "SELECT checksum FROM change WHERE tenant_id = $1 AND space_id = $2 AND seq = $3",
    // The first change is there as long as none was removed.
    [space.tenant, space.id, Math.max(n, 1)],
  );
  return row !== undefined && (n === 0 || word(row, "checksum") === checksum);
}

/** Records behind `after` in order of their keys; of one collection when given. */
export async function recordPage(
  tx: Tx,
  space: Space,
  {
    after,
    limit,
    collection,
  }: { readonly after: string; readonly limit: number; readonly collection?: string | undefined },
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let size = 0;
  // "0" is the character behind "/": the keys of a collection lie between the two.
  const [low, high] = collection === undefined ? ["", null] : [`${collection}/`, `${collection}0`];
  for (let at = after < low ? low : after; rows.length < limit; ) {
    const want = Math.min(READ_ROWS, limit - rows.length);
    const more = await tx.query(
      `SELECT doc_key, version, digest, body, visible, rules FROM record
        WHERE tenant_id = $1 AND space_id = $2 AND doc_key > $3${high === null ? "" : " AND doc_key < $5"}
        ORDER BY doc_key LIMIT $4`,
      [space.tenant, space.id, at, want, ...(high === null ? [] : [high])],
    );
    for (const row of more) {
      size += bytes(row, "body").length;
      if (rows.length > 0 && size > PAGE_BYTES_MAX) return rows;
      rows.push(row);
      at = text(row, "doc_key");
    }
    if (more.length < want) break;
  }
  return rows;
}

export async function schemaOf(tx: Tx, space: Space, collection: string): Promise<string> {
  const [row] = await tx.query("SELECT visible FROM record WHERE tenant_id = $1 AND space_id = $2 AND doc_key = $3", [
    space.tenant,
    space.id,
    schemaKey(collection),
  ]);
  return (row && optionalText(row, "visible")) ?? "";
}

/** How far this device has stored the space, and when it said so; undefined = it never did. */
export async function cursorOf(
  tx: Tx,
  space: Space,
  device: Uint8Array,
): Promise<{ readonly seq: number; readonly seenAt: number } | undefined> {
  const [row] = await tx.query(
    "SELECT seq, seen_at FROM space_cursor WHERE tenant_id = $1 AND space_id = $2 AND device_id = $3",
    [space.tenant, space.id, device],
  );
  return row && { seq: int(row, "seq"), seenAt: int(row, "seen_at") };
}

/** Where the device stands in the spaces of its principal that it has ever pulled. */
export async function cursorsOf(
  tx: Tx,
  tenant: string,
  { device, principal }: { readonly device: Uint8Array; readonly principal: string },
  limit: number,
): Promise<
  readonly { readonly space: string; readonly stored: number; readonly head: number; readonly seenAt: number }[]
> {
  const rows = await tx.query(
    `SELECT s.space_id, s.head, c.seq, c.seen_at FROM space_member m
       JOIN space s ON s.tenant_id = m.tenant_id AND s.space_id = m.space_id
       JOIN space_cursor c ON c.tenant_id = m.tenant_id AND c.space_id = m.space_id AND c.device_id = $3
      WHERE m.tenant_id = $1 AND m.principal_id = $2 ORDER BY s.space_id LIMIT $4`,
    [tenant, principal, device, limit],
  );
  return rows.map((row) => ({
    space: shownSpace(text(row, "space_id")),
    stored: int(row, "seq"),
    head: int(row, "head"),
    seenAt: int(row, "seen_at"),
  }));
}

/** A replica may have been rolled back: its cursor is what it says now. */
export const putCursor = (tx: Tx, space: Space, device: Uint8Array, seq: number, now: number): Promise<number> =>
  tx.run(
    `INSERT INTO space_cursor (tenant_id, space_id, device_id, seq, seen_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (tenant_id, space_id, device_id) DO UPDATE SET seq = excluded.seq, seen_at = excluded.seen_at`,
    [space.tenant, space.id, device, seq, now],
  );
