/**
 * One event inside its transaction: is it a repetition, and what does the application say?
 *
 *   replaces --taken before--> duplicate
 *   dedupe key --owned by another--> duplicate
 *   handler --returns--> applied   --throws Reject--> rejected   --throws anything else--> deferred
 *
 * Types of the server's own also hear of every refusal (`Handlers.refused`), once what the handler wrote is undone.
 */

import { formatEventId, type Position } from "../core/events.ts";
import type { Handlers, RunnableEvent, Subject } from "./handlers.ts";
import { Reject, SyncEvent } from "./handlers.ts";
import { Kind, VoidReason } from "./session.ts";
import type { Writes } from "./store/store.ts";

export interface Verdict {
  readonly kind: number;
  readonly code: number;
  /** Why, for dead letters and the log; never sent to devices. */
  readonly message: string;
}

export interface Runnable extends RunnableEvent {
  readonly dedupeKey: string;
  readonly replaces: Position | undefined;
}

/** A handler failed while no savepoint could undo it alone: the transaction must begin again, with savepoints. */
export class NeedsCare extends Error {
  override readonly name = "NeedsCare";
}

const APPLIED: Verdict = { kind: Kind.applied, code: 0, message: "" };
const DUPLICATE: Verdict = { kind: Kind.duplicate, code: 0, message: "" };

export interface RunOptions {
  readonly handlers: Handlers;
  /** A savepoint around each handler. */
  readonly careful: boolean;
  readonly now: number;
  /** True for numbers this very push passes as replaced. */
  readonly replacedHere: (id: Position) => boolean;
}

/** Rejects with `NeedsCare`, or as the database does when it is in trouble. */
export async function runEvent(
  tx: Writes,
  subject: Subject,
  device: Uint8Array,
  event: Runnable,
  options: RunOptions,
): Promise<Verdict> {
  const { handlers, careful, now } = options;
  if (event.replaces && !(await takePlace(tx, subject, device, event.replaces, event.id, options))) return DUPLICATE;
  const handler = handlers.of(event.type);
  if (!handler && event.dedupeKey === "") return APPLIED;

  const attempt = async (): Promise<Verdict> => {
    if (
      event.dedupeKey !== "" &&
      !(await tx.claimKey(subject.tenant, device, `key:${event.dedupeKey}`, event.id, now, null))
    )
      return DUPLICATE;
    await handler?.(new SyncEvent(subject, device, event), tx.connection);
    return APPLIED;
  };
  try {
    return careful ? await tx.connection.savepoint(attempt) : await attempt();
  } catch (error) {
    // What it is called says nothing: a handler may fail at another service, in any words. Where the database itself is in
    // trouble, what follows is refused, too, by the driver.
    if (!careful) throw new NeedsCare();
    const verdict = verdictOf(error);
    if (verdict.kind === Kind.rejected) await afterRefusal(tx, subject, device, event, handlers);
    return verdict;
  }
}

/** What follows from the refusal of an event, in the same transaction. Rejects as the database does. */
export async function afterRefusal(
  tx: Writes,
  subject: Subject,
  device: Uint8Array,
  event: RunnableEvent,
  handlers: Handlers,
): Promise<void> {
  await handlers.refused(event.type)?.(new SyncEvent(subject, device, event), tx.connection);
}

// An event that stands in for another is applied only where the other can never be: its number is passed as replaced, or
// its dead letter is open and closed now.
async function takePlace(
  tx: Writes,
  { tenant }: Subject,
  device: Uint8Array,
  replaced: Position,
  by: Position,
  { now, replacedHere }: RunOptions,
): Promise<boolean> {
  if (await tx.closeDeadLetter(tenant, device, replaced, formatEventId(by), now)) return true;
  const passed = replacedHere(replaced) || (await tx.isVoid(tenant, device, replaced, VoidReason.replaced));
  return passed && (await tx.claimKey(tenant, device, `replaces:${formatEventId(replaced)}`, by, now, null));
}

function verdictOf(error: unknown): Verdict {
  if (error instanceof Reject) return { kind: Kind.rejected, code: error.number, message: clean(error.message) };
  return { kind: Kind.deferred, code: 0, message: clean(error instanceof Error ? error.message : String(error)) };
}

// PostgreSQL takes neither U+0000 nor half a surrogate pair in text; through bytes and back the latter is replaced.
const clean = (text: string): string => Buffer.from(text.replaceAll("\0", "").slice(0, 500)).toString();
