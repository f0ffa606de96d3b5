/** What an application may ask of the engine beside queueing: drain, pending events and dead letters. */

import { fromHex, toHex } from "../core/bytes.ts";
import type { Call } from "../core/calls.ts";
import { type ErrorCode, failure, type OfflineSyncError } from "../core/errors.ts";
import type { Position } from "../core/events.ts";
import { Op } from "../core/io.ts";
import type { EngineLoop } from "../core/loop.ts";
import {
  type DeadLetter,
  drainArgs,
  type ListedEvent,
  letterArgs,
  type Page,
  pageArgs,
  readDrained,
  readPage,
} from "../core/pages.ts";
import { toJson } from "../core/validate.ts";
import { parseEventId } from "../core/verdicts.ts";

/** What a drain came to. */
export interface Drained {
  /** Nothing is left to send. */
  readonly drained: boolean;
  /** Why something is. */
  readonly reason?: ErrorCode | undefined;
}

export async function drain(loop: EngineLoop, budgetMs: number): Promise<Drained> {
  return readDrained(await loop.command(Op.drain, drainArgs(budgetMs)));
}

/** Which page of a list. */
export interface ListOptions {
  /** `next` of the page before. */
  readonly after?: string | undefined;
  /** Records of storage, 1 to 100; one record of pending events holds many. */
  readonly limit?: number | undefined;
}

const LIMIT = 100;

async function list(
  loop: EngineLoop,
  op: typeof Op.pending | typeof Op.deadLetters,
  { after = "", limit = LIMIT }: ListOptions,
): Promise<Page<DeadLetter>> {
  const key = fromHex(after);
  if (!key || !Number.isInteger(limit) || limit < 1 || limit > LIMIT) {
    throw failure("invalid_argument", `after is \`next\` of a page, limit a whole number from 1 to ${LIMIT}`);
  }
  const { items, last, records } = readPage(await loop.command(op, pageArgs(key, limit)));
  return records < limit || !last ? { items } : { items, next: toHex(last) };
}

export async function listPending(loop: EngineLoop, options: ListOptions = {}): Promise<Page<ListedEvent>> {
  const { items, ...rest } = await list(loop, Op.pending, options);
  return { ...rest, items: items.map(({ code: _, ...event }) => event) };
}

export const listDeadLetters = (loop: EngineLoop, options: ListOptions = {}): Promise<Page<DeadLetter>> =>
  list(loop, Op.deadLetters, options);

function positionOf(id: string): Position {
  const position = parseEventId(id);
  if (!position) throw failure("not_found", "this is no event id");
  return position;
}

export async function getDeadLetter(loop: EngineLoop, id: string): Promise<DeadLetter | undefined> {
  const { epoch, lane, seq } = positionOf(id);
  // The key just before this letter's: 'x' epoch lane seq, big-endian.
  const before = new Uint8Array(18);
  const view = new DataView(before.buffer);
  before[0] = 0x78;
  view.setBigUint64(1, epoch);
  view.setUint8(9, lane);
  view.setBigUint64(10, BigInt(seq - 1));
  const { items } = readPage(await loop.command(Op.deadLetters, pageArgs(before, 1)));
  return items.find((item) => item.id === id.toLowerCase());
}

/** Re-issues a dead letter, as it was or with other data, under a new id that names the old one. */
export function retryDeadLetter(
  loop: EngineLoop,
  id: string,
  edit?: { readonly eventData: unknown },
): Promise<Position> {
  const old = positionOf(id);
  const json = edit ? toJson(edit.eventData) : "";
  return new Promise<Position>((resolve, reject: (error: OfflineSyncError) => void) => {
    const call: Call = { text: "", lane: old.lane, stored: resolve, failed: reject };
    loop.commandCall(Op.deadLetterRetry, letterArgs(old, json), call);
  });
}

/** For good, and only here: the server keeps its record of the refusal. */
export async function dropDeadLetter(loop: EngineLoop, id: string): Promise<void> {
  await loop.command(Op.deadLetterDrop, letterArgs(positionOf(id)));
}

/** All of them, as JSON-ready objects. */
export async function exportDeadLetters(loop: EngineLoop): Promise<readonly DeadLetter[]> {
  const all: DeadLetter[] = [];
  let after: string | undefined = "";
  while (after !== undefined) {
    const page: Page<DeadLetter> = await list(loop, Op.deadLetters, { after });
    all.push(...page.items);
    after = page.next;
  }
  return all;
}
