/**
 * Figures for people and dashboards, from rows that are few: devices, streams and exceptions. The inbox itself is never
 * counted; its totals follow from the dense numbers of devices and streams.
 */

import { LANES } from "../../core/events.ts";
import { VERDICT_KINDS } from "../../core/verdicts.ts";
import type { StoredFigures } from "../operations/metrics.ts";
import type { Connection, Row, SqlValue } from "./database.ts";
import { int, optionalText, text } from "./rows.ts";

const DAY_MS = 86_400_000;
const CAPABILITY_DEVICES_MAX = 5_000;
const NAMES_MAX = 50;

/** Of all tenants, for the metrics of one process. */
export async function storedFigures(connection: Connection, now: number): Promise<StoredFigures> {
  const count = async (sql: string): Promise<number> => {
    const [row] = await connection.query(sql);
    return row ? int(row, "n") : 0;
  };
  const lanes = await connection.query("SELECT lane, count(*) AS n FROM deferred GROUP BY lane");
  const pendingByLane = Object.fromEntries(
    LANES.map((name, lane) => [name, int(lanes.find((row) => int(row, "lane") === lane) ?? { n: 0 }, "n")]),
  );
  const [oldest] = await connection.query(
    `SELECT min(q.received_at) AS at FROM deferred d JOIN offline_sync_queue q ON q.tenant_id = d.tenant_id
       AND q.device_id = d.device_id AND q.epoch = d.epoch AND q.lane = d.lane AND q.client_seq = d.client_seq`,
  );
  return {
    devices: await count("SELECT count(*) AS n FROM device_sync_state"),
    pendingByLane,
    oldestPendingSeconds: oldest?.["at"] == null ? 0 : Math.max(0, (now - int(oldest, "at")) / 1_000),
    deadLetters: await count("SELECT count(*) AS n FROM dead_letter WHERE retried_at IS NULL"),
  };
}

const named = (rows: readonly Row[]): Record<string, number> =>
  Object.fromEntries(rows.map((row) => [optionalText(row, "name") ?? "unknown", int(row, "n")]));

/** What `status/overview` shows of one tenant. */
export async function overviewOf(connection: Connection, tenant: string, now: number): Promise<object> {
  const query = (sql: string, more: readonly SqlValue[] = []): Promise<readonly Row[]> =>
    connection.query(sql, [tenant, ...more]);
  const one = async (sql: string, more: readonly SqlValue[] = []): Promise<Row> => (await query(sql, more))[0] ?? {};
  const seen = await one(
    `SELECT count(*) AS n, COALESCE(sum(online), 0) AS online, COALESCE(sum(arrival_head), 0) AS events,
       COALESCE(sum(deferred_count), 0) AS deferred, COALESCE(sum(CASE WHEN revoked_at IS NULL THEN 0 ELSE 1 END), 0) AS revoked,
       COALESCE(sum(CASE WHEN seen_at >= $2 THEN 1 ELSE 0 END), 0) AS day,
       COALESCE(sum(CASE WHEN seen_at >= $3 THEN 1 ELSE 0 END), 0) AS week,
       COALESCE(sum(CASE WHEN seen_at >= $4 THEN 1 ELSE 0 END), 0) AS month
       FROM device_sync_state WHERE tenant_id = $1`,
    [now - DAY_MS, now - 7 * DAY_MS, now - 30 * DAY_MS],
  );
  const by = (column: string): Promise<readonly Row[]> =>
    query(
      `SELECT ${column} AS name, count(*) AS n FROM device_sync_state WHERE tenant_id = $1 GROUP BY ${column} ORDER BY n DESC LIMIT ${NAMES_MAX}`,
    );
  const lanes = await query(
    "SELECT lane, sum(last_seq) AS n, count(*) AS streams FROM device_stream WHERE tenant_id = $1 GROUP BY lane ORDER BY lane",
  );
  const verdicts = await query("SELECT kind, count(*) AS n FROM event_verdict WHERE tenant_id = $1 GROUP BY kind");
  const letters = await one("SELECT count(*) AS n FROM dead_letter WHERE tenant_id = $1 AND retried_at IS NULL");
  const exceptions = Object.fromEntries(
    verdicts.map((row) => [VERDICT_KINDS[int(row, "kind")] ?? String(int(row, "kind")), int(row, "n")]),
  );
  const events = int(seen, "events");
  const notApplied = ["rejected", "deferred", "duplicate"].reduce((sum, kind) => sum + (exceptions[kind] ?? 0), 0);
  return {
    devices: {
      total: int(seen, "n"),
      online: int(seen, "online"),
      revoked: int(seen, "revoked"),
      activeWithin: { day: int(seen, "day"), week: int(seen, "week"), month: int(seen, "month") },
      byType: named(await by("device_type")),
      byPlatform: named(await by("platform")),
      byAppVersion: named(await by("app_version")),
      registeredPerDay: await registeredPerDay(connection, tenant, now),
      capabilities: await capabilities(connection, tenant),
    },
    events: {
      total: events,
      applied: events - notApplied,
      ...exceptions,
      pending: int(seen, "deferred"),
      deadLettersOpen: int(letters, "n"),
      successRatio: events === 0 ? null : (events - notApplied) / events,
      byLane: Object.fromEntries(lanes.map((row) => [LANES[int(row, "lane")] ?? "", int(row, "n")])),
      streams: lanes.reduce((sum, row) => sum + int(row, "streams"), 0),
    },
    conflicts: await conflicts(connection, tenant),
    cache: await cache(connection, tenant),
    models: named(
      await query("SELECT state AS name, count(*) AS n FROM edge_ai_models WHERE tenant_id = $1 GROUP BY state"),
    ),
    insight: await insight(connection, tenant, now),
  };
}

async function registeredPerDay(connection: Connection, tenant: string, now: number): Promise<object> {
  const rows = await connection.query(
    `SELECT registered_at / ${DAY_MS} AS day, count(*) AS n FROM device_sync_state WHERE tenant_id = $1 AND registered_at >= $2
      GROUP BY registered_at / ${DAY_MS} ORDER BY 1`,
    [tenant, now - 30 * DAY_MS],
  );
  return Object.fromEntries(rows.map((row) => [dayName(int(row, "day")), int(row, "n")]));
}

const dayName = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** How many devices declare each capability, among the latest ones. */
async function capabilities(connection: Connection, tenant: string): Promise<object> {
  const rows = await connection.query(
    `SELECT capabilities FROM device_sync_state WHERE tenant_id = $1 AND capabilities IS NOT NULL
      ORDER BY seen_at DESC LIMIT ${CAPABILITY_DEVICES_MAX}`,
    [tenant],
  );
  const counts = new Map<string, number>();
  for (const row of rows)
    for (const [name, value] of Object.entries(JSON.parse(text(row, "capabilities")) as object)) {
      if (value === false || value === null) continue;
      const key = typeof value === "string" && value.length <= 32 ? `${name}=${value}` : name;
      if (counts.size < 500 || counts.has(key)) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  const top = [...counts].sort((a, b) => b[1] - a[1]).slice(0, NAMES_MAX);
  return { devices: rows.length, declared: Object.fromEntries(top) };
}

async function conflicts(connection: Connection, tenant: string): Promise<object> {
  const rows = await connection.query(
    `SELECT class, policy, automatic, count(*) AS n, sum(CASE WHEN resolved_at IS NULL THEN 1 ELSE 0 END) AS open
       FROM conflict_resolution_log WHERE tenant_id = $1 GROUP BY class, policy, automatic ORDER BY class, policy`,
    [tenant],
  );
  const total = rows.reduce((sum, row) => sum + int(row, "n"), 0);
  const automatic = rows.filter((row) => int(row, "automatic") === 1).reduce((sum, row) => sum + int(row, "n"), 0);
  return {
    total,
    automaticRatio: total === 0 ? null : automatic / total,
    open: rows.reduce((sum, row) => sum + int(row, "open"), 0),
    byClass: sums(rows, "class"),
    byPolicy: sums(rows, "policy"),
  };
}

function sums(rows: readonly Row[], column: string): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(text(row, column), (counts.get(text(row, column)) ?? 0) + int(row, "n"));
  return Object.fromEntries([...counts].slice(0, NAMES_MAX));
}

async function cache(connection: Connection, tenant: string): Promise<object> {
  const [sums] = await connection.query(
    "SELECT count(*) AS n, COALESCE(sum(size_bytes), 0) AS size, COALESCE(sum(hits), 0) AS hits FROM offline_content_cache WHERE tenant_id = $1",
    [tenant],
  );
  const popular = await connection.query(
    `SELECT content_type, content_id, sum(hits) AS n, count(*) AS devices FROM offline_content_cache WHERE tenant_id = $1
      GROUP BY content_type, content_id ORDER BY n DESC, content_type, content_id LIMIT 20`,
    [tenant],
  );
  return {
    entries: sums ? int(sums, "n") : 0,
    bytes: sums ? int(sums, "size") : 0,
    hits: sums ? int(sums, "hits") : 0,
    popular: popular.map((row) => ({
      contentType: text(row, "content_type"),
      contentId: text(row, "content_id"),
      hits: int(row, "n"),
      devices: int(row, "devices"),
    })),
  };
}

/** Counts of the last seven days: what was done, and how long it waited offline. */
async function insight(connection: Connection, tenant: string, now: number): Promise<object> {
  const rows = await connection.query(
    `SELECT kind, name, sum(count) AS n FROM insight WHERE tenant_id = $1 AND day >= $2 GROUP BY kind, name
      ORDER BY kind, n DESC, name LIMIT 1000`,
    [tenant, Math.floor(now / DAY_MS) - 6],
  );
  const result: Record<string, Record<string, number>> = {};
  for (const row of rows) {
    const kind = text(row, "kind");
    const names = result[kind] ?? {};
    result[kind] = names;
    if (Object.keys(names).length < NAMES_MAX) names[text(row, "name")] = int(row, "n");
  }
  return result;
}

/** Events whose type begins with `prefix`, per day since `since`; of one type, or of all when undefined. */
export async function analyticsCounts(
  connection: Connection,
  tenant: string,
  since: number,
  prefix: string,
  type: string | undefined,
): Promise<readonly { readonly day: string; readonly name: string; readonly count: number }[]> {
  const rows = await connection.query(
    `SELECT day, name, count FROM insight
      WHERE tenant_id = $1 AND kind = 'event_type' AND day >= $2 AND name LIKE $3
        AND ($4 = '' OR name = $4) ORDER BY day, name`,
    [tenant, Math.floor(since / DAY_MS), `${prefix}%`, type ?? ""],
  );
  return rows.map((row) => ({
    day: new Date(int(row, "day") * DAY_MS).toISOString().slice(0, 10),
    name: text(row, "name").slice(prefix.length),
    count: int(row, "count"),
  }));
}
