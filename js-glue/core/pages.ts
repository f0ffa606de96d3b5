/** What the commands of the engine take and answer, as bytes (src/engine/engine.cc) and as objects. */

import { joinBytes, utf8 } from "./bytes.ts";
import { readerOf } from "./codec.ts";
import { type ErrorCode, failureOf } from "./errors.ts";
import { formatEventId, LANES, type LaneName, type Position } from "./events.ts";

/** An event as lists show it. */
export interface ListedEvent {
  readonly id: string;
  readonly lane: LaneName;
  readonly eventType: string;
  readonly moduleId: string;
  readonly entity: string;
  readonly eventData: unknown;
  /** Wall clock of the device when the event was made. */
  readonly createdAt: number;
}

/** An event the server has refused, kept until somebody decides. */
export interface DeadLetter extends ListedEvent {
  /** Why the server refused it. */
  readonly code: ErrorCode;
}

/** Part of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Give it to the next call; undefined at the end. */
  readonly next?: string | undefined;
}

/** args of `drain`. */
export function drainArgs(budgetMs: number): Uint8Array {
  const args = new Uint8Array(4);
  new DataView(args.buffer).setUint32(0, budgetMs, true);
  return args;
}

/** args of `pending` and `deadLetters`. */
export function pageArgs(after: Uint8Array, limit: number): Uint8Array {
  const head = new Uint8Array(4);
  const tail = new Uint8Array(2);
  new DataView(head.buffer).setUint32(0, after.length, true);
  new DataView(tail.buffer).setUint16(0, limit, true);
  return joinBytes(head, after, tail);
}

/** args of `deadLetterRetry` and `deadLetterDrop`; without JSON the event goes out as it was. */
export function letterArgs({ epoch, lane, seq }: Position, json = ""): Uint8Array {
  const id = new Uint8Array(17);
  const view = new DataView(id.buffer);
  view.setBigUint64(0, epoch, true);
  view.setUint8(8, lane);
  view.setBigUint64(9, BigInt(seq), true);
  return joinBytes(id, utf8(json));
}

export interface PageRecords {
  /** Of the last record; where the next page starts. */
  readonly last: Uint8Array | undefined;
  readonly records: number;
  readonly items: readonly DeadLetter[];
}

/** A page of either kind; pending events carry no reason, their `code` means nothing. */
export function readPage(bytes: Uint8Array): PageRecords {
  const from = readerOf(bytes);
  const text = new TextDecoder();
  const items: DeadLetter[] = [];
  const records = from.u32();
  let last: Uint8Array | undefined;
  for (let record = 0; record < records; record++) {
    last = from.bytes();
    for (let left = from.u32(); left > 0; left--) {
      const position = { epoch: from.u64(), lane: from.u8(), seq: from.count() };
      const code = failureOf(from.u16()).code;
      const hlc = from.u64();
      const eventType = text.decode(from.bytes());
      const moduleId = text.decode(from.bytes());
      const entity = text.decode(from.bytes());
      items.push({
        id: formatEventId(position),
        lane: LANES[position.lane] ?? "normal",
        eventType,
        moduleId,
        entity,
        eventData: JSON.parse(text.decode(from.bytes())),
        createdAt: Number(hlc >> 16n),
        code,
      });
    }
  }
  return { last, records, items };
}

export function readDrained(bytes: Uint8Array): { readonly drained: boolean; readonly reason?: ErrorCode } {
  const from = readerOf(bytes);
  const drained = from.u8() !== 0;
  const reason = from.u16();
  return reason === 0 ? { drained } : { drained, reason: failureOf(reason).code };
}
