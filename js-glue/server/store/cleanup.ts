/**
 * What maintenance removes, in small transactions. Never an event whose verdict is open, never a dead letter, never the last
 * event of a stream: its hash is what the next push is compared with.
 */

import { Kind } from "../session.ts";
import { BLOCK_LANE, BLOCKS_SCHEMA } from "./blocks.ts";
import type { Connection, SqlValue } from "./database.ts";
import { DICTIONARY_SCHEMA } from "./dictionaries.ts";
import { int } from "./rows.ts";
import type { Store } from "./store.ts";

/** Rows of one transaction. */
const BATCH = 5_000;
const TOMBSTONE_DAYS = 400;
/** A refused edit can be tried again for so long. */
const EDIT_PART_DAYS = 90;
/** A device that is still there sends its dictionary again. */
const DICTIONARY_DAYS = 400;
const DAY_MS = 86_400_000;

export interface CleanupOptions {
  readonly now: number;
  /** Undefined = all tenants. */
  readonly tenant?: string | undefined;
  /** Days that applied events are kept; 0 = for ever. */
  readonly retentionDays: number;
  readonly dryRun: boolean;
}

interface Rule {
  readonly table: string;
  readonly key: string;
  readonly where: string;
  readonly params: readonly SqlValue[];
  /** The migration that made the table, where a server may run without it. */
  readonly schema?: number;
}

function rules({ now, retentionDays }: CleanupOptions): readonly Rule[] {
  const old = now - retentionDays * DAY_MS;
  return [
    { table: "dedupe_key", key: "tenant_id, device_id, dedupe_key", where: "expires_at <= $1", params: [now] },
    { table: "device_token", key: "tenant_id, device_id, sha256", where: "expires_at <= $1", params: [now - DAY_MS] },
    { table: "offline_content_cache", key: "tenant_id, cache_id", where: "expires_at <= $1", params: [now - DAY_MS] },
    {
      table: "edit_part",
      key: "tenant_id, device_id, space_id, doc_key, edit, part",
      where: "received_at <= $1",
      params: [now - EDIT_PART_DAYS * DAY_MS],
      schema: 6,
    },
    {
      table: "device_dictionary",
      key: "tenant_id, device_id",
      where: "stored_at <= $1",
      params: [now - DICTIONARY_DAYS * DAY_MS],
      schema: DICTIONARY_SCHEMA,
    },
    // Longer than anybody stays offline; who comes back after that is somebody new.
    {
      table: "erased_subject",
      key: "tenant_id, digest",
      where: "erased_at <= $1",
      params: [now - TOMBSTONE_DAYS * DAY_MS],
    },
    {
      table: "privacy_job",
      key: "tenant_id, job_id",
      where: "finished_at <= $1",
      params: [now - TOMBSTONE_DAYS * DAY_MS],
    },
    {
      table: "insight",
      key: "tenant_id, day, kind, name",
      where: "day < $1",
      params: [Math.floor(now / DAY_MS) - 400],
    },
    ...(retentionDays === 0
      ? []
      : [
          {
            table: "offline_sync_queue",
            key: "tenant_id, device_id, epoch, lane, client_seq",
            where: `received_at <= $1 AND status IN (${Kind.applied}, ${Kind.duplicate}) AND NOT EXISTS (SELECT 1 FROM device_stream s
                WHERE s.tenant_id = t.tenant_id AND s.device_id = t.device_id AND s.epoch = t.epoch AND s.lane = t.lane
                  AND s.last_seq = t.client_seq)`,
            params: [old],
          },
          {
            table: "offline_analytics_buffer",
            key: "tenant_id, device_id, block_no",
            where: `received_at <= $1 AND NOT EXISTS (SELECT 1 FROM device_stream s
                WHERE s.tenant_id = t.tenant_id AND s.device_id = t.device_id AND s.epoch = t.epoch AND s.lane = ${BLOCK_LANE}
                  AND s.last_seq = t.last_seq)`,
            params: [old],
            schema: BLOCKS_SCHEMA,
          },
        ]),
  ];
}

async function once(connection: Connection, rule: Rule, { tenant, dryRun }: CleanupOptions): Promise<number> {
  const { table, key, where, params } = rule;
  const scope = tenant === undefined ? "" : ` AND t.tenant_id = $${params.length + 1}`;
  const values = tenant === undefined ? params : [...params, tenant];
  if (dryRun) {
    const [row] = await connection.query(`SELECT count(*) AS n FROM ${table} t WHERE ${where}${scope}`, values);
    return row ? int(row, "n") : 0;
  }
  return connection.run(
    `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} t WHERE ${where}${scope} LIMIT ${BATCH})`,
    values,
  );
}

/** Rows removed, or that would be, by table. Rejects as the database does; what was done by then stays done. */
export async function cleanUp(store: Store, options: CleanupOptions): Promise<Readonly<Record<string, number>>> {
  const removed: Record<string, number> = {};
  for (const rule of rules(options)) {
    if (rule.schema !== undefined && !(await store.hasSchema(rule.schema))) continue;
    let count = 0;
    for (;;) {
      const step = options.dryRun
        ? await store.read(({ connection }) => once(connection, rule, options))
        : await store.write(({ connection }) => once(connection, rule, options));
      count += step;
      if (options.dryRun || step < BATCH) break;
    }
    removed[rule.table] = count;
  }
  return removed;
}
