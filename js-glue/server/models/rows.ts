/** Rows of the registry. The tenant's row in `edge_ai_registry` is the lock: changes of one tenant's models come one after another. */

import { createHash } from "node:crypto";
import type { Rollout } from "../../core/model-statement.ts";
import type { Row, Tx } from "../store/database.ts";
import { bytes, int, text } from "../store/rows.ts";

export const STATES = ["draft", "canary", "active", "retired"] as const;
export type ModelState = (typeof STATES)[number];

export interface ModelRow {
  readonly id: string;
  readonly state: ModelState;
  /** As it was signed. */
  readonly statement: string;
  readonly signature: Uint8Array;
  readonly hasFile: boolean;
  readonly rollout: Rollout;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface ModelFilter {
  readonly states: readonly ModelState[];
  readonly slug?: string | undefined;
  readonly runtime?: string | undefined;
  /** In order of ids, behind this one. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Of the stored parts of a file. */
export const PART_BYTES = 65_536;

// Block hashes are read only when they are asked for.
const COLUMNS = `model_id, state, statement, signature, rollout_percent, rollout_salt, revision, created_at, updated_at,
  CASE WHEN blocks IS NULL THEN 0 ELSE 1 END AS has_file`;

const modelOf = (row: Row): ModelRow => ({
  id: text(row, "model_id"),
  state: text(row, "state") as ModelState,
  statement: text(row, "statement"),
  signature: bytes(row, "signature"),
  hasFile: int(row, "has_file") === 1,
  rollout: { percent: int(row, "rollout_percent"), salt: text(row, "rollout_salt") },
  revision: int(row, "revision"),
  createdAt: int(row, "created_at"),
  updatedAt: int(row, "updated_at"),
});

export async function findModel(tx: Tx, tenant: string, id: string): Promise<ModelRow | undefined> {
  const [row] = await tx.query(`SELECT ${COLUMNS} FROM edge_ai_models WHERE tenant_id = $1 AND model_id = $2`, [
    ...[tenant, id],
  ]);
  return row && modelOf(row);
}

/** The hashes of the blocks of a file that is here. */
export async function readBlocks(tx: Tx, tenant: string, id: string): Promise<Uint8Array> {
  const [row] = await tx.query("SELECT blocks FROM edge_ai_models WHERE tenant_id = $1 AND model_id = $2", [
    ...[tenant, id],
  ]);
  return row ? bytes(row, "blocks") : new Uint8Array();
}

export async function listModels(tx: Tx, tenant: string, filter: ModelFilter): Promise<readonly ModelRow[]> {
  const { states, slug = null, runtime = null, after = "", limit } = filter;
  const rows = await tx.query(
    `SELECT ${COLUMNS} FROM edge_ai_models WHERE tenant_id = $1 AND model_id > $2 AND state IN ($3, $4, $5, $6)
        AND (CAST($7 AS text) IS NULL OR slug = $7) AND (CAST($8 AS text) IS NULL OR runtime = $8)
      ORDER BY model_id LIMIT $9`,
    // States that are not asked for are places without a name.
    [tenant, after, ...STATES.map((state) => (states.includes(state) ? state : "")), slug, runtime, limit],
  );
  return rows.map(modelOf);
}

/** When the tenant's models last changed; 0 = never. */
export async function issuedAt(tx: Tx, tenant: string): Promise<number> {
  const [row] = await tx.query("SELECT issued_at FROM edge_ai_registry WHERE tenant_id = $1", [tenant]);
  return row ? int(row, "issued_at") : 0;
}

/** Takes the lock and notes the change: later than the last one, whatever the clock says. */
export const touchRegistry = (tx: Tx, tenant: string, now: number): Promise<number> =>
  tx.run(
    `INSERT INTO edge_ai_registry (tenant_id, issued_at) VALUES ($1, $2) ON CONFLICT (tenant_id) DO UPDATE SET issued_at =
       CASE WHEN edge_ai_registry.issued_at < excluded.issued_at THEN excluded.issued_at ELSE edge_ai_registry.issued_at + 1 END`,
    [tenant, now],
  );

export async function insertModel(
  tx: Tx,
  tenant: string,
  model: Pick<ModelRow, "id" | "statement" | "signature" | "rollout">,
  about: { readonly slug: string; readonly version: string; readonly runtime: string; readonly quant: string },
  now: number,
): Promise<void> {
  await tx.run(
    `INSERT INTO edge_ai_models (tenant_id, model_id, slug, version, runtime, quant, state, statement, signature,
       rollout_percent, rollout_salt, revision, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, 'draft', $7, $8, $9, $10, 1, $11, $11)`,
    [
      ...[tenant, model.id, about.slug, about.version, about.runtime, about.quant],
      ...[model.statement, model.signature, model.rollout.percent, model.rollout.salt, now],
    ],
  );
}

/** Of a locked registry. */
export async function changeModel(
  tx: Tx,
  tenant: string,
  id: string,
  to: { readonly state: ModelState; readonly rollout: Rollout },
  now: number,
): Promise<void> {
  await tx.run(
    `UPDATE edge_ai_models SET state = $3, rollout_percent = $4, rollout_salt = $5, revision = revision + 1, updated_at = $6
      WHERE tenant_id = $1 AND model_id = $2`,
    [tenant, id, to.state, to.rollout.percent, to.rollout.salt, now],
  );
}

/** Another statement of the same file, of a locked registry. */
export const renewModel = async (
  tx: Tx,
  tenant: string,
  id: string,
  { statement, signature }: Pick<ModelRow, "statement" | "signature">,
  now: number,
): Promise<void> => {
  await tx.run(
    `UPDATE edge_ai_models SET statement = $3, signature = $4, revision = revision + 1, updated_at = $5
      WHERE tenant_id = $1 AND model_id = $2`,
    [tenant, id, statement, signature, now],
  );
};

/** The file of a locked registry's row that has none yet. */
export async function insertFile(
  tx: Tx,
  tenant: string,
  id: string,
  file: Uint8Array,
  blocks: Uint8Array,
  now: number,
): Promise<void> {
  for (let part = 0; part * PART_BYTES < file.length; part++) {
    const body = file.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
    await tx.run("INSERT INTO edge_ai_model_part (tenant_id, model_id, part, body) VALUES ($1, $2, $3, $4)", [
      ...[tenant, id, part, body],
    ]);
  }
  await tx.run(
    "UPDATE edge_ai_models SET blocks = $3, revision = revision + 1, updated_at = $4 WHERE tenant_id = $1 AND model_id = $2",
    [tenant, id, blocks, now],
  );
}

/** Bytes `from` up to, not including, `to`. */
export async function readFilePart(tx: Tx, tenant: string, id: string, from: number, to: number): Promise<Uint8Array> {
  const first = Math.floor(from / PART_BYTES);
  const rows = await tx.query(
    "SELECT body FROM edge_ai_model_part WHERE tenant_id = $1 AND model_id = $2 AND part >= $3 AND part <= $4 ORDER BY part",
    [tenant, id, first, Math.floor(Math.max(from, to - 1) / PART_BYTES)],
  );
  const whole = Buffer.concat(rows.map((row) => bytes(row, "body")));
  return whole.subarray(from - first * PART_BYTES, to - first * PART_BYTES);
}

export const sha256 = (data: Uint8Array): Uint8Array => createHash("sha256").update(data).digest();
