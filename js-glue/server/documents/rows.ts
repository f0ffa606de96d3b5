/**
 * Rows of spaces, records and changes. The space's row is the lock: whoever holds it gives out its next numbers, so a reader
 * never sees a later change before an earlier one.
 */

import { createHash } from "node:crypto";
import type { View } from "../../core/documents-core.ts";
import type { Row, SqlValue, Tx } from "../store/database.ts";
import { bytes, int, optionalText, text, toSql, word } from "../store/rows.ts";

export type Role = "reader" | "writer" | "owner";

export interface Space {
  readonly tenant: string;
  readonly id: string;
  /** Whose own space it is; null = shared. */
  readonly owner: string | null;
  readonly role: Role;
  /** The number of the last change, and the sum over all of them. */
  head: number;
  checksum: bigint;
}

/** The space as this principal may see it; undefined alike for unknown ones and those of others. `lock` = nobody else writes it. */
export async function findSpace(
  tx: Tx,
  tenant: string,
  id: string,
  principal: string,
  lock: boolean,
): Promise<Space | undefined> {
  const forUpdate = lock && tx.dialect === "postgres" ? " FOR UPDATE OF s" : "";
  const [row] = await tx.query(
    `SELECT s.head, s.checksum, s.principal_id, m.role FROM space s
       JOIN space_member m ON m.tenant_id = s.tenant_id AND m.space_id = s.space_id
      WHERE s.tenant_id = $1 AND s.space_id = $2 AND m.principal_id = $3${forUpdate}`,
    [tenant, id, principal],
  );
  return row && spaceOf(tenant, id, row);
}

/** For the server's own work, which is nobody's. `lock` as above. */
export async function anySpace(tx: Tx, tenant: string, id: string, lock: boolean): Promise<Space | undefined> {
  const forUpdate = lock && tx.dialect === "postgres" ? " FOR UPDATE" : "";
  const [row] = await tx.query(
    `SELECT head, checksum, principal_id, 'owner' AS role FROM space WHERE tenant_id = $1 AND space_id = $2${forUpdate}`,
    [tenant, id],
  );
  return row && spaceOf(tenant, id, row);
}

const spaceOf = (tenant: string, id: string, row: Row): Space => ({
  tenant,
  id,
  owner: optionalText(row, "principal_id"),
  role: text(row, "role") as Role,
  head: int(row, "head"),
  checksum: word(row, "checksum"),
});

/** False when there is a space of this id, whoever's. */
export async function makeSpace(
  tx: Tx,
  tenant: string,
  id: string,
  principal: string,
  { own, name, now }: { readonly own: boolean; readonly name: string | null; readonly now: number },
): Promise<boolean> {
  const made = await tx.run(
    `INSERT INTO space (tenant_id, space_id, created_at, name, principal_id) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
    [tenant, id, now, name, own ? principal : null],
  );
  if (made > 0) await putMember(tx, tenant, id, principal, "owner", now);
  return made > 0;
}

export const putMember = (tx: Tx, tenant: string, id: string, principal: string, role: Role, now: number) =>
  tx.run(
    `INSERT INTO space_member (tenant_id, space_id, principal_id, role, added_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (tenant_id, space_id, principal_id) DO UPDATE SET role = excluded.role`,
    [tenant, id, principal, role, now],
  );

export interface Record {
  readonly body: Uint8Array;
  readonly visible: string | null;
  readonly edits: number;
  readonly conflicts: number;
  readonly serverN: number;
}

export const NO_RECORD: Record = { body: new Uint8Array(0), visible: null, edits: 0, conflicts: 0, serverN: 0 };

/** The record and the schema of its collection, as JSON text. */
export async function readRecord(
  tx: Tx,
  { tenant, id }: Space,
  key: string,
  schema: string,
): Promise<{ readonly record: Record; readonly schema: string }> {
  const rows = await tx.query(
    `SELECT doc_key, body, visible, edits, conflicts, server_n FROM record
      WHERE tenant_id = $1 AND space_id = $2 AND doc_key IN ($3, $4)`,
    [tenant, id, key, schema],
  );
  const own = rows.find((row) => row["doc_key"] === key);
  const rules = rows.find((row) => row["doc_key"] === schema);
  return {
    record: own
      ? {
          body: bytes(own, "body"),
          visible: optionalText(own, "visible"),
          edits: int(own, "edits"),
          conflicts: int(own, "conflicts"),
          serverN: int(own, "server_n"),
        }
      : NO_RECORD,
    schema: (rules && optionalText(rules, "visible")) ?? "",
  };
}

const hash64 = (...parts: readonly (string | Uint8Array)[]): bigint => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest().readBigUInt64LE();
};

/** Says under which schema a record's visible value was made. */
export const rulesDigest = (schema: string): bigint => (schema === "" ? 0n : hash64(schema));

export async function writeRecord(
  tx: Tx,
  space: Space,
  key: string,
  record: Omit<Record, "visible"> & { readonly view: View; readonly schema: string },
  now: number,
): Promise<void> {
  const { view } = record;
  await tx.run(
    `INSERT INTO record (tenant_id, space_id, doc_key, principal_id, version, digest, body, visible, rules, edits, conflicts,
       server_n, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
     ON CONFLICT (tenant_id, space_id, doc_key) DO UPDATE SET version = excluded.version, digest = excluded.digest,
       body = excluded.body, visible = excluded.visible, rules = excluded.rules, edits = excluded.edits,
       conflicts = excluded.conflicts, server_n = excluded.server_n, updated_at = excluded.updated_at`,
    [
      ...[space.tenant, space.id, key, space.owner, space.head, toSql(view.digest), record.body, view.json ?? null],
      ...[toSql(rulesDigest(record.schema)), record.edits, record.conflicts, record.serverN, now],
    ],
  );
}

/** The sum over a change and all before it. */
export const changeSum = (before: bigint, seq: number, key: string, body: Uint8Array): bigint =>
  BigInt.asUintN(64, before + hash64(`${seq}/${key}\0`, body));

/** The next number of the locked space goes to this change. */
export async function appendChange(
  tx: Tx,
  space: Space,
  key: string,
  body: Uint8Array,
  device: Uint8Array | null,
  now: number,
): Promise<void> {
  const seq = space.head + 1;
  const checksum = changeSum(space.checksum, seq, key, body);
  await tx.run(
    `INSERT INTO change (tenant_id, space_id, seq, principal_id, doc_key, body, checksum, device_id, received_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [space.tenant, space.id, seq, space.owner, key, body, toSql(checksum), device, now],
  );
  await tx.run("UPDATE space SET head = $3, checksum = $4 WHERE tenant_id = $1 AND space_id = $2", [
    space.tenant,
    space.id,
    seq,
    toSql(checksum),
  ]);
  space.head = seq;
  space.checksum = checksum;
}

const KEY_CHARS_MAX = 200;

/** A JSON pointer and what it leads to; what is not there, or is no plain value, collides with nothing. */
export type UniqueValue = readonly [pointer: string, value: unknown];

/** As rows hold them. */
function* plainValues(values: readonly UniqueValue[]): Generator<readonly [pointer: string, shown: string]> {
  for (const [pointer, value] of values) {
    if (value === undefined || value === null || typeof value === "object") continue;
    const json = JSON.stringify(value);
    const shown = json.length > KEY_CHARS_MAX ? createHash("sha256").update(json).digest("hex") : json;
    yield [pointer, shown.replaceAll("\0", "")];
  }
}

interface UniqueDocument {
  readonly collection: string;
  readonly key: string;
}

/** The first pointer whose value another document of the collection holds. */
export async function takenValues(
  tx: Tx,
  space: Space,
  { collection, key }: UniqueDocument,
  values: readonly UniqueValue[],
): Promise<string | undefined> {
  for (const [pointer, shown] of plainValues(values)) {
    const rows = await tx.query(
      `SELECT 1 AS n FROM record_key WHERE tenant_id = $1 AND space_id = $2 AND collection = $3 AND pointer = $4
         AND value = $5 AND doc_key <> $6`,
      [space.tenant, space.id, collection, pointer, shown, key],
    );
    if (rows.length > 0) return pointer;
  }
  return undefined;
}

/** The document holds these values and no others; one that another document holds stays with that. */
export async function claimValues(
  tx: Tx,
  space: Space,
  { collection, key }: UniqueDocument,
  values: readonly UniqueValue[],
): Promise<void> {
  const at: readonly SqlValue[] = [space.tenant, space.id];
  await tx.run("DELETE FROM record_key WHERE tenant_id = $1 AND space_id = $2 AND doc_key = $3", [...at, key]);
  for (const [pointer, shown] of plainValues(values))
    await tx.run(
      `INSERT INTO record_key (tenant_id, space_id, collection, pointer, value, doc_key, principal_id)
       VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
      [...at, collection, pointer, shown, key, space.owner],
    );
}
