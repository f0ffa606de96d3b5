/**
 * Pushes whose events all simply apply, in two statements and no transaction block: one reads, one compares and writes.
 *
 * The writing statement is atomic by itself. It moves the heads of its devices and all their streams only from where the plans
 * saw them, and ends in an error, undoing everything, unless all of them moved. So a plan may as well be made from what the
 * last push left behind (recent-devices.ts): nobody has to read it again, and whoever is wrong or too late loses that race.
 *
 * What one statement costs by itself (messages, a commit, a flush of the disk) is shared by the pushes that come while another
 * is under way (group-commit.ts).
 */

import type { EventColumns, StreamNeed, StreamWrite } from "../session.ts";
import { type Element, encodeArray, joinElements } from "./binary-array.ts";
import { type AnalyticsBlock, BLOCK_COLUMNS, blockValues } from "./blocks.ts";
import type { WireType } from "./copy-in.ts";
import type { Connection, Dialect, SqlValue } from "./database.ts";
import { GroupCommit } from "./group-commit.ts";
import { type DeviceHead, type PushRows, SqlReads } from "./reads.ts";
import { toSql } from "./rows.ts";

/** One device's push: where its plan saw the heads, and what it adds to them. */
export interface PlainPush {
  readonly tenant: string;
  readonly before: DeviceHead;
  readonly moves: readonly StreamWrite[];
  readonly events: EventColumns;
  readonly blocks: readonly AnalyticsBlock[];
  readonly now: number;
}

export interface FastLane {
  read(tenant: string, device: Uint8Array, needs: readonly StreamNeed[]): Promise<PushRows>;
  /** Durable when it resolves with true; false = somebody was faster and nothing happened. */
  apply(push: PlainPush): Promise<boolean>;
  /** Pushes that are in no statement yet. */
  readonly waiting: number;
}

/** Names the columns of `rows` in SQL, from the next free argument on. */
function table(name: string, types: string, names: string, first: number): string {
  const arrays = types.split(" ").map((type, i) => `$${first + i}::${type}[]`);
  return `${name} AS (SELECT * FROM unnest(${arrays.join(", ")}) WITH ORDINALITY AS t(${names}, place))`;
}

// $1 is the time. A push is named by its place among the heads.
const HEADS = table(
  "heads",
  "text bytea int8 int8 text int8 text",
  "tenant, device, arrival, more, principal, late, key",
  2,
);
const MOVES = table(
  "moves",
  "int4 int8 int2 int8 int8 int8 int8",
  "push, epoch, lane, seq, hash, seq_after, hash_after",
  9,
);
const EVENTS = table(
  "events",
  "int4 int8 int8 int2 int8 int8 text text text int8 bytea",
  "push, arrival, epoch, lane, seq, hash, type, module, entity, hlc, payload",
  16,
);
const BLOCK_NAMES = BLOCK_COLUMNS.map(([name]) => name).join(", ");
const BLOCK_TYPES = { int: "int8", text: "text", bytes: "bytea" } as const;
const BLOCKS = table(
  "parts",
  `int4 ${BLOCK_COLUMNS.map(([, type]) => BLOCK_TYPES[type]).join(" ")}`,
  `push, ${BLOCK_NAMES}`,
  27,
);

const INSERT_BLOCKS = `,
  block AS (INSERT INTO offline_analytics_buffer (tenant_id, device_id, principal_id, codec, received_at, ${BLOCK_NAMES})
      SELECT h.tenant, h.device, h.principal, 1, $1, ${BLOCK_COLUMNS.map(([name]) => `b.${name}`).join(", ")}
        FROM parts b JOIN head h ON h.place = b.push RETURNING 1)`;

const apply = (
  withBlocks: boolean,
): string => `WITH ${[HEADS, MOVES, EVENTS, ...(withBlocks ? [BLOCKS] : [])].join(",\n  ")},
  head AS (UPDATE device_sync_state d SET arrival_head = h.arrival + h.more, seen_at = $1 FROM heads h
      WHERE d.tenant_id = h.tenant AND d.device_id = h.device AND d.arrival_head = h.arrival AND d.deferred_count = 0
        AND d.revoked_at IS NULL AND d.principal_id = h.principal AND d.late_head = h.late
        AND d.public_key IS NOT DISTINCT FROM NULLIF(h.key, '') RETURNING h.place, h.tenant, h.device, h.principal),
  known AS (UPDATE device_stream d SET last_seq = m.seq_after, roll_hash = m.hash_after, seen_at = $1
      FROM moves m JOIN head h ON h.place = m.push
      WHERE d.tenant_id = h.tenant AND d.device_id = h.device AND d.epoch = m.epoch AND d.lane = m.lane AND m.seq > 0
        AND d.last_seq = m.seq AND d.roll_hash = m.hash RETURNING 1),
  fresh AS (INSERT INTO device_stream (tenant_id, device_id, epoch, lane, last_seq, roll_hash, seen_at)
      SELECT h.tenant, h.device, m.epoch, m.lane, m.seq_after, m.hash_after, $1
        FROM moves m JOIN head h ON h.place = m.push WHERE m.seq = 0
      ON CONFLICT (tenant_id, device_id, epoch, lane) DO NOTHING RETURNING 1),
  inbox AS (INSERT INTO offline_sync_queue (tenant_id, device_id, epoch, lane, client_seq, arrival, roll_hash, status, code,
        event_type, module_id, entity, hlc, recovered, received_at, payload)
      SELECT h.tenant, h.device, e.epoch, e.lane, e.seq, e.arrival, e.hash, 0, 0, e.type, e.module, e.entity, e.hlc, 0, $1,
        e.payload FROM events e JOIN head h ON h.place = e.push RETURNING 1)${withBlocks ? INSERT_BLOCKS : ""}
  SELECT 1 / (CASE WHEN (SELECT count(*) FROM head) = cardinality($3)
      AND (SELECT count(*) FROM known) + (SELECT count(*) FROM fresh) = cardinality($9)
      AND (SELECT count(*) FROM inbox) = cardinality($16)
      ${withBlocks ? "AND (SELECT count(*) FROM block) = cardinality($27)" : ""} THEN 1 ELSE 0 END) AS done`;

const APPLY_EVENTS = apply(false);
const APPLY_BLOCKS = apply(true);

const DIVISION_BY_ZERO = "22012";
const UNIQUE_VIOLATION = "23505";

/** `[push, item]` of all of them, in order. */
const all = <T>(
  pushes: readonly PlainPush[],
  of: (push: PlainPush) => readonly T[],
): readonly (readonly [number, T])[] =>
  pushes.flatMap((push, i) => of(push).map((item): readonly [number, T] => [i + 1, item]));

const arriving = ({ events, blocks }: PlainPush): number =>
  blocks.reduce((sum, { first, last }) => sum + last - first + 1, events.count);

/** One argument of the statement: an array of what `value` says of each item. */
const column = <T>(type: WireType, items: readonly T[], value: (item: T) => Element): Buffer =>
  encodeArray(type, items.map(value));

const headColumns = (pushes: readonly PlainPush[]): readonly Buffer[] => [
  column("text", pushes, ({ tenant }) => tenant),
  column("bytea", pushes, ({ before }) => before.device),
  column("int8", pushes, ({ before }) => before.arrivalHead),
  column("int8", pushes, arriving),
  column("text", pushes, ({ before }) => before.principal),
  column("int8", pushes, ({ before }) => before.lateHead),
  column("text", pushes, ({ before }) => before.publicKey ?? ""),
];

function moveColumns(pushes: readonly PlainPush[]): readonly Buffer[] {
  const moves = all(pushes, (push) => push.moves);
  return [
    column("int4", moves, ([push]) => push),
    column("int8", moves, ([, { stream }]) => toSql(stream.epoch)),
    column("int2", moves, ([, { stream }]) => stream.lane),
    column("int8", moves, ([, { before }]) => before.seq),
    column("int8", moves, ([, { before }]) => toSql(before.hash)),
    column("int8", moves, ([, { after }]) => after.seq),
    column("int8", moves, ([, { after }]) => toSql(after.hash)),
  ];
}

// What the core wrote goes on as it is; only the push and the arrival are not the core's to know.
function eventColumns(pushes: readonly PlainPush[]): readonly Buffer[] {
  const count = pushes.reduce((sum, { events }) => sum + events.count, 0);
  const places: number[] = [];
  const arrivals: number[] = [];
  pushes.forEach(({ before, events }, i) => {
    for (let n = 1; n <= events.count; n++) {
      places.push(i + 1);
      arrivals.push(before.arrivalHead + n);
    }
  });
  const joined = (type: WireType, of: (events: EventColumns) => Uint8Array): Buffer =>
    joinElements(
      type,
      count,
      pushes.map(({ events }) => of(events)),
    );
  return [
    encodeArray("int4", places),
    encodeArray("int8", arrivals),
    joined("int8", ({ epoch }) => epoch),
    joined("int2", ({ lane }) => lane),
    joined("int8", ({ seq }) => seq),
    joined("int8", ({ hash }) => hash),
    joined("text", ({ type }) => type),
    joined("text", ({ module }) => module),
    joined("text", ({ entity }) => entity),
    joined("int8", ({ hlc }) => hlc),
    joined("bytea", ({ json }) => json),
  ];
}

function blockColumns(pushes: readonly PlainPush[]): readonly Buffer[] {
  const blocks = all(pushes, (push) => push.blocks);
  if (blocks.length === 0) return [];
  const rows = blocks.map(([push, block]) => ({ push, values: blockValues(block) }));
  return [
    column("int4", rows, ({ push }) => push),
    ...BLOCK_COLUMNS.map(([, type], i) => column(BLOCK_TYPES[type], rows, ({ values }) => values[i] as Element)),
  ];
}

async function applyAll(connection: Connection, pushes: readonly PlainPush[]): Promise<boolean> {
  const blocks = blockColumns(pushes);
  const columns = [...headColumns(pushes), ...moveColumns(pushes), ...eventColumns(pushes), ...blocks];
  const params: SqlValue[] = [Math.max(...pushes.map(({ now }) => now)), ...columns];
  try {
    await connection.query(blocks.length > 0 ? APPLY_BLOCKS : APPLY_EVENTS, params);
    return true;
  } catch (error) {
    const code = (error as { code?: unknown } | null)?.code;
    if (code === DIVISION_BY_ZERO || code === UNIQUE_VIOLATION) return false;
    throw error;
  }
}

/** `connection` runs each statement in a transaction of its own. */
export function fastLane(connection: Connection, dialect: Dialect, hasBlocks: () => boolean): FastLane {
  const group = new GroupCommit<PlainPush>((pushes) => applyAll(connection, pushes), {
    key: ({ tenant, before }) => `${Buffer.from(before.device).toString("latin1")}${tenant}`,
    weight: (push) => arriving(push),
  });
  return {
    read: (tenant, device, needs) => new SqlReads(connection, dialect, hasBlocks()).pushRows(tenant, device, needs),
    apply: (push) => group.commit(push),
    get waiting() {
      return group.waiting;
    },
  };
}
