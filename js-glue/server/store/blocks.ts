/**
 * Blocks of analytics: the segments that one push brought of one stream, in one row and as the client made them. What is
 * asked of single events (a hash, a page of the history) is answered from what stands beside the bytes.
 */

import type { Mark, StreamRef } from "../session.ts";
import type { Columns, Connection, Dialect, Row, SqlValue } from "./database.ts";
import { Batch, bytes, int, text, toSql, word } from "./rows.ts";

/** The migration from which on there are blocks. */
export const BLOCKS_SCHEMA = 7;
/** The lane of analytics. */
export const BLOCK_LANE = 4;
const HASH_BYTES = 8;
/** Blocks looked through in one query. */
const BLOCKS_MAX = 200;
/** The only way a block is packed so far: whole segments, one after another. */
const CODEC_SEGMENTS = 1;

/** How many events of one type and module a block holds. */
export type BlockKind = readonly [type: string, module: string, count: number];

export interface AnalyticsBlock {
  readonly stream: StreamRef;
  readonly first: number;
  readonly last: number;
  /** Of the first event; the others follow one by one. */
  readonly arrival: number;
  readonly kinds: readonly BlockKind[];
  /** The rolling hash after each event, 8 bytes each, little-endian. */
  readonly hashes: Uint8Array;
  /** How long each segment is, in bytes. */
  readonly sizes: readonly number[];
  readonly body: Uint8Array;
}

export type StoredBlock = Omit<AnalyticsBlock, "hashes"> & { readonly receivedAt: number };

export const BLOCK_COLUMNS = [
  ["block_no", "int"],
  ["epoch", "int"],
  ["first_seq", "int"],
  ["last_seq", "int"],
  ["events", "int"],
  ["ranges", "text"],
  ["kinds", "text"],
  ["hashes", "bytes"],
  ["body", "bytes"],
] as const satisfies Columns;

/** The values of `BLOCK_COLUMNS`. */
export const blockValues = (block: AnalyticsBlock): readonly SqlValue[] => [
  block.arrival,
  toSql(block.stream.epoch),
  block.first,
  block.last,
  block.last - block.first + 1,
  block.sizes.join(" "),
  JSON.stringify(block.kinds),
  block.hashes,
  block.body,
];

export async function insertBlocks(
  connection: Connection,
  dialect: Dialect,
  owner: { readonly tenant: string; readonly device: Uint8Array; readonly principal: string },
  blocks: readonly AnalyticsBlock[],
  now: number,
): Promise<void> {
  if (blocks.length === 0) return;
  const batch = new Batch(dialect, BLOCK_COLUMNS);
  await connection.run(
    `INSERT INTO offline_analytics_buffer (tenant_id, device_id, principal_id, codec, received_at, ${batch.names})
     SELECT $1, $2, $3, ${CODEC_SEGMENTS}, $4, ${batch.names} FROM ${batch.table(5)}`,
    [owner.tenant, owner.device, owner.principal, now, ...batch.params(blocks.map(blockValues))],
  );
}

/** The hashes kept in blocks at positions from `from` to `to` of a stream, ascending. */
export async function blockMarks(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  { epoch, lane }: StreamRef,
  from: number,
  to: number,
): Promise<readonly Mark[]> {
  if (lane !== BLOCK_LANE) return [];
  const rows = await connection.query(
    `SELECT first_seq, hashes FROM offline_analytics_buffer WHERE tenant_id = $1 AND device_id = $2 AND epoch = $3
       AND last_seq >= $4 AND first_seq <= $5 ORDER BY last_seq`,
    [tenant, device, toSql(epoch), from, to],
  );
  return rows.flatMap((row) => {
    const first = int(row, "first_seq");
    const hashes = bytes(row, "hashes");
    const view = new DataView(hashes.buffer, hashes.byteOffset, hashes.byteLength);
    const marks: Mark[] = [];
    const last = Math.min(to, first + hashes.length / HASH_BYTES - 1);
    for (let seq = Math.max(from, first); seq <= last; seq++)
      marks.push({ seq, hash: view.getBigUint64((seq - first) * HASH_BYTES, true) });
    return marks;
  });
}

export interface BlockFilter {
  /** Only blocks with an event that arrived later. */
  readonly after: number;
  readonly type?: string | undefined;
  readonly since?: number | undefined;
}

const wanted = ({ type }: BlockFilter, row: Row): boolean =>
  type === undefined || (JSON.parse(text(row, "kinds")) as BlockKind[]).some(([name]) => name === type);

// How the kinds of a block with this type look, so that the database passes over the others.
const likeness = (type: string | undefined): string =>
  type === undefined ? "%" : `%[${JSON.stringify(type).replaceAll(/[\\%_]/g, "\\$&")},%`;

/** In order of arrival, one after another as they are asked for. */
export async function* blocksAfter(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  filter: BlockFilter,
): AsyncGenerator<StoredBlock> {
  let after = filter.after;
  for (;;) {
    // Without the bytes first: most blocks may hold nothing that is asked for.
    const rows = await connection.query(
      `SELECT block_no, events, kinds FROM offline_analytics_buffer WHERE tenant_id = $1 AND device_id = $2
         AND block_no + events - 1 > $3 AND received_at >= $4 AND kinds LIKE $5 ESCAPE '\\' ORDER BY block_no LIMIT ${BLOCKS_MAX}`,
      [tenant, device, after, filter.since ?? 0, likeness(filter.type)],
    );
    for (const row of rows) {
      after = int(row, "block_no") + int(row, "events") - 1;
      if (!wanted(filter, row)) continue;
      const block = await blockAt(connection, tenant, device, int(row, "block_no"));
      if (block) yield block;
    }
    if (rows.length < BLOCKS_MAX) return;
  }
}

async function blockAt(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  arrival: number,
): Promise<StoredBlock | undefined> {
  const [row] = await connection.query(
    "SELECT * FROM offline_analytics_buffer WHERE tenant_id = $1 AND device_id = $2 AND block_no = $3",
    [tenant, device, arrival],
  );
  return row && blockOf(row);
}

export const blockOf = (row: Row): StoredBlock => ({
  stream: { epoch: word(row, "epoch"), lane: BLOCK_LANE },
  first: int(row, "first_seq"),
  last: int(row, "last_seq"),
  arrival: int(row, "block_no"),
  kinds: JSON.parse(text(row, "kinds")) as BlockKind[],
  sizes: text(row, "ranges").split(" ").map(Number),
  body: bytes(row, "body"),
  receivedAt: int(row, "received_at"),
});
