/**
 * Which installation this database is, and since when: the incarnation that every reply names.
 *
 * A new incarnation is minted when the database is new, when it was restored or copied as far as that shows, and when the
 * operator says so. Clients then compare what they have with what the server has. A restore that goes unnoticed here is
 * found by each client, whose watermarks are ahead.
 */

import { randomBytes } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { toHex } from "../../core/bytes.ts";
import type { Incarnation } from "../session.ts";
import type { Connection, Database } from "./database.ts";
import { int, text, toSql, word } from "./rows.ts";

/** The migration from which on it is kept where histories of spaces part. */
export const HISTORY_SCHEMA = 9;

export interface InstallOptions {
  readonly now: number;
  /** The operator knows that a backup was restored. */
  readonly restored: boolean;
  /** The database file, for the note that lies beside it. */
  readonly file: string | undefined;
  readonly hasHistory: boolean;
}

interface Beside {
  readonly installId: string;
  readonly boots: number;
}

/** Counts this start, mints an incarnation when needed, and returns the one that holds. Rejects as the database does. */
export async function startInstall(database: Database, options: InstallOptions): Promise<Incarnation> {
  const identity = await database.identity();
  const beside = options.file === undefined ? undefined : readBeside(options.file);
  const { incarnation, note } = await database.transaction((connection) =>
    boot(connection, database.dialect.forUpdate, identity, beside, options),
  );
  // Written after the commit: a crash in between leaves the file one start behind, which `boot` expects.
  if (options.file !== undefined) writeBeside(options.file, note);
  return incarnation;
}

async function boot(
  connection: Connection,
  forUpdate: string,
  identity: string,
  beside: Beside | undefined,
  { now, restored, file, hasHistory }: InstallOptions,
): Promise<{ readonly incarnation: Incarnation; readonly note: Beside }> {
  await connection.query(`SELECT id FROM schema_lock WHERE id = 1${forUpdate}`);
  const [row] = await connection.query("SELECT * FROM install WHERE id = 1");
  if (!row) {
    const note = { installId: toHex(randomBytes(16)), boots: 1 };
    const incarnation = { mintedAt: now, random: randomWord() };
    await connection.run(
      `INSERT INTO install (id, install_id, boots, incarnation_minted_at, incarnation_random, database_identity)
       VALUES (1, $1, 1, $2, $3, $4)`,
      [note.installId, incarnation.mintedAt, toSql(incarnation.random), identity],
    );
    return { incarnation, note };
  }
  const known = { installId: text(row, "install_id"), boots: int(row, "boots") };
  const old = { mintedAt: int(row, "incarnation_minted_at"), random: word(row, "incarnation_random") };
  const behind =
    beside && beside.installId === known.installId && known.boots - beside.boots <= 1 && known.boots >= beside.boots;
  const changed = restored || identity !== text(row, "database_identity") || (file !== undefined && !behind);
  // Clients accept only a greater one, whatever this machine's clock says.
  const incarnation = changed ? { mintedAt: Math.max(now, old.mintedAt + 1), random: randomWord() } : old;
  await connection.run(
    `UPDATE install SET boots = boots + 1, incarnation_minted_at = $1, incarnation_random = $2, database_identity = $3 WHERE id = 1`,
    [incarnation.mintedAt, toSql(incarnation.random), identity],
  );
  // From here on the spaces' histories are others than those that went on from the backup.
  if (changed && hasHistory)
    await connection.run(
      `INSERT INTO space_history (tenant_id, space_id, minted_at, head, principal_id)
       SELECT tenant_id, space_id, $1, head, principal_id FROM space`,
      [incarnation.mintedAt],
    );
  return { incarnation, note: { ...known, boots: known.boots + 1 } };
}

const randomWord = (): bigint => randomBytes(8).readBigUInt64LE();

const besideName = (file: string): string => `${file}.install`;

function readBeside(file: string): Beside | undefined {
  let content: string;
  try {
    content = readFileSync(besideName(file), "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
  const match = /^([0-9a-f]{32}) (\d+)\n$/.exec(content);
  return match ? { installId: match[1] ?? "", boots: Number(match[2]) } : undefined;
}

function writeBeside(file: string, { installId, boots }: Beside): void {
  writeFileSync(`${besideName(file)}.new`, `${installId} ${boots}\n`);
  renameSync(`${besideName(file)}.new`, besideName(file));
}
