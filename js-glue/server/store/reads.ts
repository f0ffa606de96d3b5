/** The reading half of the store, in SQL that both databases take. */

import type { Position } from "../../core/events.ts";
import type { DeferredRow, LateVerdict, Mark, StreamNeed, StreamRef, StreamRow, Verdict, VoidRow } from "../session.ts";
import { DEFERRED_PER_DEVICE_MAX, VERDICTS_MAX } from "../session.ts";
import { BLOCK_LANE, blockMarks } from "./blocks.ts";
import type { Connection, Dialect, Row, SqlValue } from "./database.ts";
import {
  Batch,
  bytes,
  deadLetterOf,
  deviceOf,
  inboxOf,
  int,
  keyOf,
  optionalInt,
  optionalText,
  positionOf,
  readIds,
  text,
  toSql,
  word,
} from "./rows.ts";
import type {
  ApiKey,
  DeadLetter,
  DeferredEvent,
  DeviceRecord,
  EventCounts,
  HistoryFilter,
  InboxEvent,
  Reads,
} from "./store.ts";

const STREAM = "tenant_id = $1 AND device_id = $2 AND epoch = $3 AND lane = $4";
// Equality, said so that only the primary key fits it: on a young table PostgreSQL takes both indexes for equally good, keeps
// that plan, and later reads all events of the device through the wrong one.
const exactly = (column: string, value: string): string =>
  `${column} >= ${value} AND ${column} <= ${value} ORDER BY ${column} LIMIT 1`;
const SEGMENT_EVENTS_MAX = 1_000;
const VOID_ROWS_MAX = 2_000;

// Rows of four kinds in one round trip, told apart by `tag`.
const Tag = { mark: 0, hash: 1, verdict: 2, void: 3, device: 4 } as const;

/** What of a device a push needs. */
export type DeviceHead = Pick<
  DeviceRecord,
  "device" | "principal" | "publicKey" | "arrivalHead" | "lateHead" | "deferredCount" | "revokedAt"
>;

export interface PushRows {
  readonly head: DeviceHead | undefined;
  readonly streams: StreamRow[];
}

const headOf = (device: Uint8Array, row: Row): DeviceHead => ({
  device,
  principal: text(row, "principal"),
  publicKey: optionalText(row, "public_key"),
  arrivalHead: int(row, "epoch"),
  lateHead: int(row, "a"),
  deferredCount: int(row, "b"),
  revokedAt: int(row, "c") || null,
});

export class SqlReads implements Reads {
  readonly connection: Connection;
  readonly dialect: Dialect;
  readonly hasBlocks: boolean;
  readonly #streams: Batch;
  readonly #positions: Batch;

  constructor(connection: Connection, dialect: Dialect, hasBlocks: boolean) {
    this.connection = connection;
    this.dialect = dialect;
    this.hasBlocks = hasBlocks;
    this.#streams = new Batch(dialect, [
      ["epoch", "int"],
      ["lane", "int"],
      ["stored", "int"],
      ["low", "int"],
    ]);
    this.#positions = new Batch(dialect, [
      ["epoch", "int"],
      ["lane", "int"],
      ["seq", "int"],
    ]);
  }

  async device(tenant: string, device: Uint8Array, lock = false): Promise<DeviceRecord | undefined> {
    const rows = await this.connection.query(
      `SELECT * FROM device_sync_state WHERE tenant_id = $1 AND device_id = $2${lock ? this.dialect.forUpdate : ""}`,
      [tenant, device],
    );
    return rows[0] && deviceOf(rows[0]);
  }

  async devices(
    tenant: string,
    principal: string | undefined,
    limit: number,
    after: Uint8Array = new Uint8Array(),
  ): Promise<readonly DeviceRecord[]> {
    const rows = await this.connection.query(
      `SELECT * FROM device_sync_state WHERE tenant_id = $1 AND device_id > $3${principal === undefined ? "" : " AND principal_id = $4"}
       ORDER BY device_id LIMIT $2`,
      principal === undefined ? [tenant, limit, after] : [tenant, limit, after, principal],
    );
    return rows.map(deviceOf);
  }

  async streamRows(tenant: string, device: Uint8Array, needs: readonly StreamNeed[]): Promise<StreamRow[]> {
    return needs.length === 0 ? [] : (await this.#streamParts(tenant, device, needs, false)).streams;
  }

  /** The device's heads and its streams in one round trip; undefined heads = there is no such device. */
  async pushRows(tenant: string, device: Uint8Array, needs: readonly StreamNeed[]): Promise<PushRows> {
    return this.#streamParts(tenant, device, needs, true);
  }

  async #streamParts(
    tenant: string,
    device: Uint8Array,
    needs: readonly StreamNeed[],
    withDevice: boolean,
  ): Promise<PushRows> {
    let head: DeviceHead | undefined;
    const found = new Map(needs.map((need) => [keyOf(need.stream), new StreamParts(need)]));
    const streams: SqlValue[][] = [];
    const positions: SqlValue[][] = [];
    for (const { stream, stored, hashesAt, markOnly } of needs) {
      const epoch = toSql(stream.epoch);
      // What a push of already known numbers may touch: a segment that ends at the lowest position asked for.
      const low = Math.min(stored, ...hashesAt.map((seq) => seq - SEGMENT_EVENTS_MAX));
      streams.push([
        epoch,
        stream.lane,
        markOnly ? Number.MAX_SAFE_INTEGER : stored,
        markOnly ? Number.MAX_SAFE_INTEGER : low,
      ]);
      for (const seq of hashesAt) positions.push([epoch, stream.lane, seq]);
    }
    const rows = await this.connection.query(this.#streamSql(withDevice), [
      tenant,
      device,
      ...this.#streams.params(streams),
      ...this.#positions.params(positions),
    ]);
    for (const row of rows) {
      if (int(row, "tag") === Tag.device) {
        head = headOf(device, row);
        continue;
      }
      const parts = found.get(keyOf({ epoch: word(row, "epoch"), lane: int(row, "lane") }));
      if (!parts) continue;
      const seq = int(row, "a");
      const tag = int(row, "tag");
      if (tag === Tag.mark) parts.mark = { seq, hash: word(row, "b") };
      else if (tag === Tag.hash) {
        // One look-up by key for each position; a join may scan all events of the device instead.
        if (row["b"] !== null) parts.hashes.push({ seq, hash: word(row, "b") });
      } else if (tag === Tag.verdict) parts.verdicts.push({ seq, kind: int(row, "b"), code: int(row, "c") });
      else
        parts.voids.push({
          from: seq,
          to: int(row, "b"),
          reason: int(row, "c") >> 1,
          recovered: int(row, "c") % 2 === 1,
        });
    }
    const result: StreamRow[] = [];
    for (const parts of found.values()) {
      await this.#addLastHash(tenant, device, parts);
      await this.#addBlockHashes(tenant, device, parts);
      result.push(parts.row());
    }
    return { head, streams: result };
  }

  // An answer that cannot list all verdicts names the last one's position, so it needs the hash there.
  async #addLastHash(tenant: string, device: Uint8Array, parts: StreamParts): Promise<void> {
    if (parts.verdicts.length <= VERDICTS_MAX) return;
    parts.verdicts.sort((a, b) => a.seq - b.seq);
    const last = parts.verdicts[VERDICTS_MAX - 1]?.seq ?? 0;
    parts.hashes.push(...(await this.hashes(tenant, device, parts.need.stream, last, last)));
  }

  // Rare: a stream goes on where it stands, whose hash is its mark's.
  async #addBlockHashes(tenant: string, device: Uint8Array, { need, mark, hashes }: StreamParts): Promise<void> {
    if (!this.hasBlocks || need.stream.lane !== BLOCK_LANE) return;
    const open = need.hashesAt.filter((at) => at > 0 && at < mark.seq && !hashes.some(({ seq }) => seq === at));
    for (const at of open) hashes.push(...(await blockMarks(this.connection, tenant, device, need.stream, at, at)));
  }

  #streamSql(withDevice: boolean): string {
    const more = withDevice ? ", NULL, NULL" : "";
    const deviceRow = `SELECT ${Tag.device} AS tag, arrival_head AS epoch, 0 AS lane, late_head AS a, deferred_count AS b,
        COALESCE(revoked_at, 0) AS c, principal_id AS principal, public_key FROM device_sync_state
        WHERE tenant_id = $1 AND device_id = $2 UNION ALL`;
    const of = (alias: string): string =>
      `${alias}.tenant_id = $1 AND ${alias}.device_id = $2 AND ${alias}.epoch = r.epoch AND ${alias}.lane = r.lane`;
    const streams = this.#streams.table(3);
    return `
      ${withDevice ? deviceRow : ""} SELECT ${Tag.mark} AS tag, d.epoch, d.lane, d.last_seq AS a, d.roll_hash AS b, 0 AS c${more}
        FROM ${streams} JOIN device_stream d ON ${of("d")}
      UNION ALL SELECT ${Tag.hash}, r.epoch, r.lane, r.seq,
             COALESCE((SELECT NULLIF(e.hash_after, 0) FROM stream_void e WHERE ${of("e")} AND e.to_seq = r.seq),
               (SELECT q.roll_hash FROM offline_sync_queue q WHERE ${of("q")} AND ${exactly("q.client_seq", "r.seq")})), 0${more}
        FROM ${this.#positions.table(4)}
      UNION ALL SELECT ${Tag.verdict}, v.epoch, v.lane, v.client_seq, v.kind, v.code${more}
        FROM ${streams} JOIN event_verdict v ON ${of("v")} AND v.client_seq > r.stored AND v.kind <> 0
         AND v.client_seq <= COALESCE((SELECT w.client_seq FROM event_verdict w WHERE ${of("w")} AND w.client_seq > r.stored
                AND w.kind <> 0 ORDER BY w.client_seq LIMIT 1 OFFSET ${VERDICTS_MAX}), v.client_seq)
      UNION ALL SELECT ${Tag.void}, s.epoch, s.lane, s.from_seq, s.to_seq,
             s.reason * 2 + CASE WHEN s.recovered_at IS NULL THEN 0 ELSE 1 END${more}
        FROM ${streams} JOIN stream_void s ON ${of("s")} AND s.to_seq > r.low AND s.from_seq <= COALESCE((SELECT x.from_seq
               FROM stream_void x WHERE ${of("x")} AND x.to_seq > r.low ORDER BY x.from_seq LIMIT 1 OFFSET ${VOID_ROWS_MAX}), s.from_seq)`;
  }

  async hashes(
    tenant: string,
    device: Uint8Array,
    stream: StreamRef,
    from: number,
    to: number,
  ): Promise<readonly Mark[]> {
    const params = [tenant, device, toSql(stream.epoch), stream.lane, from, to];
    const rows = await this.connection.query(
      `SELECT client_seq, roll_hash FROM offline_sync_queue WHERE ${STREAM} AND client_seq BETWEEN $5 AND $6 ORDER BY client_seq`,
      params,
    );
    // A stream goes on behind a void with the void's hash, and clients store watermarks there.
    const ends = await this.connection.query(
      `SELECT to_seq, hash_after FROM stream_void WHERE ${STREAM} AND to_seq BETWEEN $5 AND $6 AND hash_after <> 0`,
      params,
    );
    const marks = new Map(rows.map((row) => [int(row, "client_seq"), word(row, "roll_hash")]));
    for (const row of ends) marks.set(int(row, "to_seq"), word(row, "hash_after"));
    if (this.hasBlocks)
      for (const { seq, hash } of await blockMarks(this.connection, tenant, device, stream, from, to))
        marks.set(seq, hash);
    return [...marks].map(([seq, hash]) => ({ seq, hash })).sort((a, b) => a.seq - b.seq);
  }

  async marks(tenant: string, device: Uint8Array, limit: number): Promise<readonly (StreamRef & Mark)[]> {
    const rows = await this.connection.query(
      "SELECT epoch, lane, last_seq, roll_hash FROM device_stream WHERE tenant_id = $1 AND device_id = $2 ORDER BY epoch, lane LIMIT $3",
      [tenant, device, limit],
    );
    return rows.map((row) => ({
      epoch: word(row, "epoch"),
      lane: int(row, "lane"),
      seq: int(row, "last_seq"),
      hash: word(row, "roll_hash"),
    }));
  }

  async deferredRows(tenant: string, device: Uint8Array): Promise<readonly DeferredRow[]> {
    const events = await this.deferredEvents(tenant, device);
    return events.map(({ id, entityHash, after }) => ({ event: id, entity: entityHash, after }));
  }

  async deferredEvents(tenant: string, device: Uint8Array): Promise<readonly DeferredEvent[]> {
    const rows = await this.connection.query(
      `SELECT * FROM deferred WHERE tenant_id = $1 AND device_id = $2 ORDER BY arrival LIMIT ${DEFERRED_PER_DEVICE_MAX}`,
      [tenant, device],
    );
    return rows.map((row) => ({
      id: positionOf(row),
      arrival: int(row, "arrival"),
      entityHash: int(row, "entity_hash"),
      after: readIds(text(row, "waits_for")),
      dedupeKey: text(row, "dedupe_key"),
      replaces: readIds(optionalText(row, "replaces") ?? "")[0],
      tries: int(row, "tries"),
      nextAt: int(row, "next_at"),
      reason: optionalText(row, "reason"),
    }));
  }

  async devicesDue(
    now: number,
    limit: number,
  ): Promise<readonly { readonly tenant: string; readonly device: Uint8Array }[]> {
    const rows = await this.connection.query(
      "SELECT DISTINCT tenant_id, device_id FROM deferred WHERE next_at <= $1 LIMIT $2",
      [now, limit],
    );
    return rows.map((row) => ({ tenant: text(row, "tenant_id"), device: bytes(row, "device_id") }));
  }

  async lateVerdicts(tenant: string, device: Uint8Array, after: number): Promise<readonly LateVerdict[]> {
    const rows = await this.connection.query(
      `SELECT * FROM event_verdict WHERE tenant_id = $1 AND device_id = $2 AND late_no > $3 ORDER BY late_no LIMIT ${VERDICTS_MAX}`,
      [tenant, device, after],
    );
    return rows.map((row) => ({
      number: int(row, "late_no"),
      event: positionOf(row),
      kind: int(row, "kind"),
      code: int(row, "code"),
    }));
  }

  async event(tenant: string, device: Uint8Array, id: Position): Promise<InboxEvent | undefined> {
    const rows = await this.connection.query(
      `SELECT * FROM offline_sync_queue WHERE ${STREAM} AND ${exactly("client_seq", "$5")}`,
      [tenant, device, ...idParams(id)],
    );
    return rows[0] && inboxOf(rows[0]);
  }

  async history(tenant: string, device: Uint8Array, filter: HistoryFilter): Promise<readonly InboxEvent[]> {
    const params: SqlValue[] = [tenant, device, filter.after, filter.limit];
    const where = (condition: string, value: SqlValue | undefined): string => {
      if (value === undefined) return "";
      params.push(value);
      return ` AND ${condition} $${params.length}`;
    };
    const more =
      where("lane =", filter.lane) + where("event_type =", filter.type) + where("received_at >=", filter.since);
    const rows = await this.connection.query(
      `SELECT * FROM offline_sync_queue WHERE tenant_id = $1 AND device_id = $2 AND arrival > $3${more} ORDER BY arrival LIMIT $4`,
      params,
    );
    return rows.map(inboxOf);
  }

  async counts(tenant: string, device: Uint8Array): Promise<EventCounts> {
    // Only the exceptions are counted row by row; the rest follows from the dense arrival numbers.
    const rows = await this.connection.query(
      `SELECT status, count(*) AS n FROM offline_sync_queue WHERE tenant_id = $1 AND device_id = $2 AND status <> 0 GROUP BY status`,
      [tenant, device],
    );
    const of = (status: number): number => {
      const row = rows.find((one) => int(one, "status") === status);
      return row ? int(row, "n") : 0;
    };
    const head = (await this.device(tenant, device))?.arrivalHead ?? 0;
    const [rejected, deferred, duplicate] = [of(1), of(2), of(4)];
    return { applied: head - rejected - deferred - duplicate, rejected, deferred, duplicate };
  }

  async isVoid(tenant: string, device: Uint8Array, id: Position, reason: number): Promise<boolean> {
    const rows = await this.connection.query(
      `SELECT 1 AS found FROM stream_void WHERE ${STREAM} AND from_seq <= $5 AND to_seq >= $5 AND reason = $6`,
      [tenant, device, ...idParams(id), reason],
    );
    return rows.length > 0;
  }

  async deadLetters(
    tenant: string,
    principal: string | undefined,
    after: { readonly createdAt: number; readonly offset: number },
    limit: number,
  ): Promise<readonly DeadLetter[]> {
    const params: SqlValue[] = [tenant, after.createdAt, limit, after.offset];
    if (principal !== undefined) params.push(principal);
    const rows = await this.connection.query(
      `SELECT * FROM dead_letter WHERE tenant_id = $1 AND retried_at IS NULL AND created_at >= $2
       ${principal === undefined ? "" : "AND principal_id = $5"}
       ORDER BY created_at, device_id, epoch, lane, client_seq LIMIT $3 OFFSET $4`,
      params,
    );
    return rows.map(deadLetterOf);
  }

  async deadLetter(tenant: string, device: Uint8Array, id: Position): Promise<DeadLetter | undefined> {
    const rows = await this.connection.query(
      `SELECT * FROM dead_letter WHERE ${STREAM} AND client_seq = $5 AND retried_at IS NULL`,
      [tenant, device, ...idParams(id)],
    );
    return rows[0] && deadLetterOf(rows[0]);
  }

  async hasApiKey(tenant: string): Promise<boolean> {
    const rows = await this.connection.query(
      "SELECT 1 AS found FROM api_key WHERE tenant_id = $1 AND revoked_at IS NULL LIMIT 1",
      [tenant],
    );
    return rows.length > 0;
  }

  async apiKey(prefix: string): Promise<ApiKey | undefined> {
    const rows = await this.connection.query("SELECT * FROM api_key WHERE prefix = $1", [prefix]);
    const row = rows[0];
    return (
      row && {
        tenant: text(row, "tenant_id"),
        prefix,
        principal: text(row, "principal_id"),
        name: text(row, "name"),
        sha256: bytes(row, "sha256"),
        scopes: text(row, "scopes").split(" ").filter(Boolean),
        revokedAt: optionalInt(row, "revoked_at"),
      }
    );
  }
}

export const idParams = ({ epoch, lane, seq }: Position): SqlValue[] => [toSql(epoch), lane, seq];

class StreamParts {
  mark: Mark = { seq: 0, hash: 0n };
  readonly hashes: Mark[] = [];
  readonly verdicts: Verdict[] = [];
  readonly voids: VoidRow[] = [];
  readonly need: StreamNeed;
  constructor(need: StreamNeed) {
    this.need = need;
  }
  row(): StreamRow {
    this.hashes.sort((a, b) => a.seq - b.seq);
    this.verdicts.sort((a, b) => a.seq - b.seq);
    this.voids.sort((a, b) => a.from - b.from);
    const { mark, hashes, verdicts, voids } = this;
    return { stream: this.need.stream, mark, hashes, verdicts, voids };
  }
}
