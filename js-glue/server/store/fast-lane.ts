/**
 * A push whose events all simply apply, in two statements and no transaction block: one reads, one compares and writes.
 *
 * The writing statement is atomic by itself. It moves the device's heads and every stream only from where the plan saw them,
 * and ends in an error, undoing everything, unless all of them moved. So the plan may as well be made from what the last push
 * left behind (recent-devices.ts): nobody has to read it again, and whoever is wrong or too late loses that race.
 */

import type { StreamNeed, StreamWrite } from "../session.ts";
import { type AnalyticsBlock, BLOCK_COLUMNS, blockValues } from "./blocks.ts";
import type { WireType } from "./copy-in.ts";
import type { Connection, Dialect } from "./database.ts";
import { type DeviceHead, type PushRows, SqlReads } from "./reads.ts";
import { toSql } from "./rows.ts";
import type { InboxEvent } from "./store.ts";

export interface FastLane {
  read(tenant: string, device: Uint8Array, needs: readonly StreamNeed[]): Promise<PushRows>;
  /** Durable when it resolves with true; false = somebody was faster and nothing happened. */
  apply(
    tenant: string,
    before: DeviceHead,
    moves: readonly StreamWrite[],
    events: readonly InboxEvent[],
    blocks: readonly AnalyticsBlock[],
    now: number,
  ): Promise<boolean>;
}

const OIDS: Readonly<Record<WireType, number>> = { int2: 21, int4: 23, int8: 20, text: 25, bytea: 17 };
const HEADER_BYTES = 20;
const WIDTH = { int2: 2, int4: 4, int8: 8 } as const;

// Two halves cost less than a bigint.
function writeInt64(out: Buffer, value: number | bigint, at: number): number {
  if (typeof value === "bigint") return out.writeBigInt64BE(value, at);
  out.writeInt32BE(Math.floor(value / 2 ** 32), at);
  return out.writeUInt32BE(value >>> 0, at + 4);
}

/** A one-dimensional array without nulls in PostgreSQL's binary form; `pg` sends buffers as they are. */
export function encodeArray(type: WireType, values: readonly (number | bigint | string | Uint8Array)[]): Buffer {
  let size = HEADER_BYTES;
  for (const value of values)
    size +=
      4 +
      (typeof value === "string"
        ? Buffer.byteLength(value)
        : typeof value === "object"
          ? value.length
          : WIDTH[type as keyof typeof WIDTH]);
  const out = Buffer.allocUnsafe(size);
  out.writeInt32BE(values.length === 0 ? 0 : 1, 0);
  out.writeInt32BE(0, 4);
  out.writeInt32BE(OIDS[type], 8);
  out.writeInt32BE(values.length, 12);
  out.writeInt32BE(1, 16);
  let at = HEADER_BYTES;
  for (const value of values) {
    if (typeof value === "string") {
      const length = out.write(value, at + 4);
      out.writeInt32BE(length, at);
      at += 4 + length;
    } else if (typeof value === "object") {
      out.writeInt32BE(value.length, at);
      out.set(value, at + 4);
      at += 4 + value.length;
    } else {
      const width = WIDTH[type as keyof typeof WIDTH];
      at = out.writeInt32BE(width, at);
      if (width === 2) at = out.writeInt16BE(Number(value), at);
      else if (width === 4) at = out.writeInt32BE(Number(value), at);
      else at = writeInt64(out, value, at);
    }
  }
  // An empty array has no dimensions.
  return values.length === 0 ? out.subarray(0, 12) : out;
}

// $1 tenant, $2 device, $3 arrival head before, $4 how many arrive, $5 now, $6-$11 streams, $12-$20 events, $21-$23 what else the plan
// was made from
const apply = (blocks: { readonly insert: string; readonly came: string }): string => `WITH
  moves AS (SELECT * FROM unnest($6::int8[], $7::int2[], $8::int8[], $9::int8[], $10::int8[], $11::int8[])
      AS m(epoch, lane, seq_before, hash_before, seq_after, hash_after)),
  head AS (UPDATE device_sync_state SET arrival_head = arrival_head + $4::int8, seen_at = $5
      WHERE tenant_id = $1 AND device_id = $2 AND arrival_head = $3 AND deferred_count = 0 AND revoked_at IS NULL
        AND principal_id = $21 AND late_head = $22 AND public_key IS NOT DISTINCT FROM $23::text RETURNING 1),
  known AS (UPDATE device_stream d SET last_seq = m.seq_after, roll_hash = m.hash_after, seen_at = $5 FROM moves m, head
      WHERE d.tenant_id = $1 AND d.device_id = $2 AND d.epoch = m.epoch AND d.lane = m.lane AND m.seq_before > 0
        AND d.last_seq = m.seq_before AND d.roll_hash = m.hash_before RETURNING 1),
  fresh AS (INSERT INTO device_stream (tenant_id, device_id, epoch, lane, last_seq, roll_hash, seen_at)
      SELECT $1, $2, m.epoch, m.lane, m.seq_after, m.hash_after, $5 FROM moves m, head WHERE m.seq_before = 0
      ON CONFLICT (tenant_id, device_id, epoch, lane) DO NOTHING RETURNING 1),
  inbox AS (INSERT INTO offline_sync_queue (tenant_id, device_id, epoch, lane, client_seq, arrival, roll_hash, status, code,
        event_type, module_id, entity, hlc, recovered, received_at, payload)
      SELECT $1, $2, e.epoch, e.lane, e.seq, $3::int8 + e.place, e.hash, 0, 0, e.type, e.module, e.entity, e.hlc, 0, $5, e.payload
        FROM unnest($12::int8[], $13::int2[], $14::int8[], $15::int8[], $16::text[], $17::text[], $18::text[], $19::int8[], $20::bytea[])
        WITH ORDINALITY AS e(epoch, lane, seq, hash, type, module, entity, hlc, payload, place), head RETURNING 1)${blocks.insert}
  SELECT 1 / (CASE WHEN (SELECT count(*) FROM known) + (SELECT count(*) FROM fresh) = (SELECT count(*) FROM moves)
      AND (SELECT count(*) FROM inbox) = cardinality($14::int8[])${blocks.came} THEN 1 ELSE 0 END) AS done`;

const APPLY_EVENTS = apply({ insert: "", came: "" });
// $24-$32 blocks
const APPLY_BLOCKS = apply({
  insert: `,
  block AS (INSERT INTO offline_analytics_buffer (tenant_id, device_id, principal_id, codec, received_at, ${BLOCK_COLUMNS.map(([name]) => name).join(", ")})
      SELECT $1, $2, $21, 1, $5, b.* FROM unnest($24::int8[], $25::int8[], $26::int8[], $27::int8[], $28::int8[], $29::text[],
        $30::text[], $31::bytea[], $32::bytea[]) AS b, head RETURNING 1)`,
  came: " AND (SELECT count(*) FROM block) = cardinality($24::int8[])",
});

const DIVISION_BY_ZERO = "22012";
const UNIQUE_VIOLATION = "23505";

function blockArrays(blocks: readonly AnalyticsBlock[]): readonly Buffer[] {
  const rows = blocks.map(blockValues);
  const types = { int: "int8", text: "text", bytes: "bytea" } as const;
  return BLOCK_COLUMNS.map(([, type], column) =>
    encodeArray(
      types[type],
      rows.map((row) => row[column] as number | bigint | string | Uint8Array),
    ),
  );
}

/** `connection` runs each statement in a transaction of its own. */
export function fastLane(connection: Connection, dialect: Dialect, hasBlocks: () => boolean): FastLane {
  return {
    read: (tenant, device, needs) => new SqlReads(connection, dialect, hasBlocks()).pushRows(tenant, device, needs),
    async apply(tenant, before, moves, events, blocks, now) {
      const params = [
        tenant,
        before.device,
        before.arrivalHead,
        blocks.reduce((sum, { first, last }) => sum + last - first + 1, events.length),
        now,
        encodeArray(
          "int8",
          moves.map(({ stream }) => toSql(stream.epoch)),
        ),
        encodeArray(
          "int2",
          moves.map(({ stream }) => stream.lane),
        ),
        encodeArray(
          "int8",
          moves.map((move) => move.before.seq),
        ),
        encodeArray(
          "int8",
          moves.map((move) => toSql(move.before.hash)),
        ),
        encodeArray(
          "int8",
          moves.map((move) => move.after.seq),
        ),
        encodeArray(
          "int8",
          moves.map((move) => toSql(move.after.hash)),
        ),
        encodeArray(
          "int8",
          events.map(({ id }) => toSql(id.epoch)),
        ),
        encodeArray(
          "int2",
          events.map(({ id }) => id.lane),
        ),
        encodeArray(
          "int8",
          events.map(({ id }) => id.seq),
        ),
        encodeArray(
          "int8",
          events.map(({ hash }) => toSql(hash)),
        ),
        encodeArray(
          "text",
          events.map(({ type }) => type),
        ),
        encodeArray(
          "text",
          events.map(({ module }) => module),
        ),
        encodeArray(
          "text",
          events.map(({ entity }) => entity),
        ),
        encodeArray(
          "int8",
          events.map(({ hlc }) => toSql(hlc)),
        ),
        encodeArray(
          "bytea",
          events.map(({ payload }) => payload),
        ),
        before.principal,
        before.lateHead,
        before.publicKey,
        ...(blocks.length > 0 ? blockArrays(blocks) : []),
      ];
      try {
        await connection.query(blocks.length > 0 ? APPLY_BLOCKS : APPLY_EVENTS, params);
        return true;
      } catch (error) {
        const code = (error as { code?: unknown } | null)?.code;
        if (code === DIVISION_BY_ZERO || code === UNIQUE_VIOLATION) return false;
        throw error;
      }
    },
  };
}
