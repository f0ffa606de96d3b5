/** Between the core's words and SQL columns: unsigned 64-bit numbers are stored as signed ones. */

import { formatEventId, type Position } from "../../core/events.ts";
import { parseEventId } from "../../core/verdicts.ts";
import type { Columns, Dialect, Row, SqlValue } from "./database.ts";
import type { DeadLetter, DeviceRecord, InboxEvent } from "./store.ts";

export const toSql = (unsigned: bigint): bigint => BigInt.asIntN(64, unsigned);
/** An unsigned 64-bit number. */
export const word = (row: Row, name: string): bigint => BigInt.asUintN(64, BigInt(row[name] as number | bigint));

export const int = (row: Row, name: string): number => Number(row[name]);
export const text = (row: Row, name: string): string => String(row[name]);
export const optionalText = (row: Row, name: string): string | null => (row[name] ?? null) as string | null;
export const optionalInt = (row: Row, name: string): number | null => (row[name] == null ? null : Number(row[name]));
export const bytes = (row: Row, name: string): Uint8Array => row[name] as Uint8Array;

export const positionOf = (row: Row): Position => ({
  epoch: word(row, "epoch"),
  lane: int(row, "lane"),
  seq: int(row, "client_seq"),
});

export const keyOf = ({ epoch, lane }: { readonly epoch: bigint; readonly lane: number }): string => `${epoch}/${lane}`;

export const writeIds = (ids: readonly Position[]): string => ids.map(formatEventId).join(" ");
export const readIds = (list: string): Position[] =>
  list
    .split(" ")
    .map(parseEventId)
    .filter((id) => id !== undefined);

/** The parameters and the table expression of many rows handed over as one. */
export class Batch {
  readonly #dialect: Dialect;
  readonly #columns: Columns;
  constructor(dialect: Dialect, columns: Columns) {
    this.#dialect = dialect;
    this.#columns = columns;
  }
  table(rows: number, blob = rows + 1): string {
    return this.#dialect.rows(this.#columns, rows, blob);
  }
  /** One parameter, or two when the columns hold bytes. */
  params(rows: readonly (readonly SqlValue[])[]): readonly SqlValue[] {
    const [json, blob] = this.#dialect.packRows(this.#columns, rows);
    return this.#columns.some(([, type]) => type === "bytes") ? [json, blob] : [json];
  }
  get names(): string {
    return this.#columns.map(([name]) => name).join(", ");
  }
}

export const deviceOf = (row: Row): DeviceRecord => ({
  device: bytes(row, "device_id"),
  principal: text(row, "principal_id"),
  deviceType: optionalText(row, "device_type"),
  platform: optionalText(row, "platform"),
  online: int(row, "online") === 1,
  networkType: optionalText(row, "network_type"),
  publicKey: optionalText(row, "public_key"),
  arrivalHead: int(row, "arrival_head"),
  lateHead: int(row, "late_head"),
  deferredCount: int(row, "deferred_count"),
  registeredAt: int(row, "registered_at"),
  seenAt: int(row, "seen_at"),
  revokedAt: optionalInt(row, "revoked_at"),
});

export const inboxOf = (row: Row): InboxEvent => ({
  id: positionOf(row),
  arrival: int(row, "arrival"),
  hash: word(row, "roll_hash"),
  status: int(row, "status"),
  code: int(row, "code"),
  type: text(row, "event_type"),
  module: text(row, "module_id"),
  entity: text(row, "entity"),
  hlc: word(row, "hlc"),
  recovered: int(row, "recovered") === 1,
  receivedAt: int(row, "received_at"),
  payload: bytes(row, "payload"),
});

export const deadLetterOf = (row: Row): DeadLetter => ({
  device: bytes(row, "device_id"),
  id: positionOf(row),
  principal: text(row, "principal_id"),
  type: text(row, "event_type"),
  module: text(row, "module_id"),
  entity: text(row, "entity"),
  hlc: word(row, "hlc"),
  payload: bytes(row, "payload"),
  code: int(row, "code"),
  message: text(row, "message"),
  createdAt: int(row, "created_at"),
});
