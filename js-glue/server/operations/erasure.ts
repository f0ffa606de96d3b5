/**
 * Erasing a subject: a job that survives crashes and may run twice.
 *
 *   1  one transaction: tombstones for the principal and its devices, so that nothing new comes in; its credentials end
 *   2  table by table, in small transactions, its rows
 *   3  one transaction: its key, which is all that gave the remaining references a name; the job forgets whose it was
 */

import { randomUUID } from "node:crypto";
import { fromHex, toHex } from "../../core/bytes.ts";
import type { Subject } from "../handlers.ts";
import { type PersonalTable, personalTables } from "../store/catalog.ts";
import { entry } from "../store/credentials.ts";
import type { Connection } from "../store/database.ts";
import { buryPrincipal, ERASE_ROWS, eraseRows, type SubjectRows } from "../store/privacy.ts";
import { bytes, int, optionalInt, optionalText, text } from "../store/rows.ts";
import type { Store } from "../store/store.ts";
import { subjectKey } from "../store/subject-key.ts";

const JOBS_MAX = 10;
const DEVICES_MAX = 10_000;

export interface EraseJob {
  readonly id: string;
  readonly state: "running" | "done";
  readonly createdAt: number;
  readonly finishedAt: number | null;
  /** Rows deleted, by table. */
  readonly deleted: Readonly<Record<string, number>>;
}

interface Progress {
  /** In hexadecimal; empty once the job is done. */
  devices: string[];
  deleted: Record<string, number>;
}

/** Begins an erasure and returns the job's id; from then on nothing of the subject's is taken. */
export async function beginErasure(store: Store, subject: Subject, actor: string, now: number): Promise<string> {
  const id = randomUUID();
  await store.write(async (tx) => {
    const { connection } = tx;
    const { tenant, principal } = subject;
    const rows = await connection.query(
      `SELECT device_id FROM device_sync_state WHERE tenant_id = $1 AND principal_id = $2 LIMIT ${DEVICES_MAX}`,
      [tenant, principal],
    );
    const devices = rows.map((row) => Uint8Array.from(bytes(row, "device_id")));
    const key = await subjectKey(connection, tenant, principal, now);
    await buryPrincipal(connection, { tenant, principal, devices }, now);
    await tx.audit(tenant, [entry(now, actor, "privacy.erase", id)]);
    for (const table of ["device_token", "device_sync_state"])
      for (const device of devices)
        await connection.run(`DELETE FROM ${table} WHERE tenant_id = $1 AND device_id = $2`, [tenant, device]);
    await connection.run("DELETE FROM api_key WHERE tenant_id = $1 AND principal_id = $2", [tenant, principal]);
    const progress: Progress = { devices: devices.map(toHex), deleted: { device_sync_state: devices.length } };
    await connection.run(
      `INSERT INTO privacy_job (tenant_id, job_id, kind, subject_ref, principal_id, state, counts, created_at)
       VALUES ($1, $2, 'erase', $3, $4, 'running', $5, $6)`,
      [tenant, id, key.ref, principal, JSON.stringify(progress), now],
    );
  });
  return id;
}

/** Carries on with what was begun, here or elsewhere. Rejects as the database does; the next call goes on. */
export async function runErasures(store: Store, now: () => number): Promise<void> {
  const jobs = await store.read(({ connection }) =>
    connection.query(
      `SELECT tenant_id, job_id FROM privacy_job WHERE state <> 'done' AND kind = 'erase' LIMIT ${JOBS_MAX}`,
    ),
  );
  for (const job of jobs) await runErasure(store, text(job, "tenant_id"), text(job, "job_id"), now);
}

export async function runErasure(store: Store, tenant: string, id: string, now: () => number): Promise<void> {
  const tables = await store.read(({ connection }) => personalTables(connection));
  for (const table of tables) {
    if (table.name === "subject_key") continue; // the last to go
    while ((await store.write(({ connection }) => eraseSome(connection, table, tenant, id))) >= ERASE_ROWS);
  }
  await store.write(({ connection }) => finish(connection, tenant, id, now()));
}

async function jobOf(connection: Connection, tenant: string, id: string) {
  const [row] = await connection.query("SELECT * FROM privacy_job WHERE tenant_id = $1 AND job_id = $2", [tenant, id]);
  return row && { row, progress: JSON.parse(text(row, "counts")) as Progress };
}

async function eraseSome(connection: Connection, table: PersonalTable, tenant: string, id: string): Promise<number> {
  const job = await jobOf(connection, tenant, id);
  const principal = job && optionalText(job.row, "principal_id");
  if (!job || principal === null || principal === undefined) return 0;
  const subject: SubjectRows = { tenant, principal, devices: job.progress.devices.map((hex) => fromHex(hex)!) };
  const count = await eraseRows(connection, table, subject);
  if (count > 0) {
    job.progress.deleted[table.name] = (job.progress.deleted[table.name] ?? 0) + count;
    await saveProgress(connection, tenant, id, job.progress);
  }
  return count;
}

const saveProgress = (connection: Connection, tenant: string, id: string, progress: Progress): Promise<number> =>
  connection.run("UPDATE privacy_job SET counts = $3 WHERE tenant_id = $1 AND job_id = $2", [
    tenant,
    id,
    JSON.stringify(progress),
  ]);

async function finish(connection: Connection, tenant: string, id: string, now: number): Promise<void> {
  const job = await jobOf(connection, tenant, id);
  const principal = job && optionalText(job.row, "principal_id");
  if (!job || principal === null || principal === undefined) return;
  await connection.run("UPDATE conflict_resolution_log SET resolver = NULL WHERE tenant_id = $1 AND resolver = $2", [
    tenant,
    principal,
  ]);
  // Its changes in shared spaces stay, as everybody has them; nothing says any more which device made them.
  for (const hex of job.progress.devices)
    await connection.run("UPDATE change SET device_id = NULL WHERE tenant_id = $1 AND device_id = $2", [
      tenant,
      fromHex(hex)!,
    ]);
  await connection.run("DELETE FROM subject_key WHERE tenant_id = $1 AND principal_id = $2", [tenant, principal]);
  const progress: Progress = { devices: [], deleted: { ...job.progress.deleted, subject_key: 1 } };
  await saveProgress(connection, tenant, id, progress);
  await connection.run(
    "UPDATE privacy_job SET state = 'done', principal_id = NULL, finished_at = $3 WHERE tenant_id = $1 AND job_id = $2",
    [tenant, id, now],
  );
}

export async function eraseJob(connection: Connection, tenant: string, id: string): Promise<EraseJob | undefined> {
  const job = await jobOf(connection, tenant, id);
  return (
    job && {
      id,
      state: text(job.row, "state") === "done" ? "done" : "running",
      createdAt: int(job.row, "created_at"),
      finishedAt: optionalInt(job.row, "finished_at"),
      deleted: job.progress.deleted,
    }
  );
}
