/**
 * What became of the events this context has queued: answers `.synced`.
 *
 * Per stream the core reports how far final verdicts reach and names only those that are not plainly applied, so this
 * holds a number and a few exceptions, not one entry per event. A promise exists only where somebody asked for one.
 */

import { type ErrorCode, failureOf, type OfflineSyncError } from "./errors.ts";
import type { Position, VerdictKind } from "./events.ts";
import type { Notice } from "./io.ts";
import { VERDICT_KINDS, VOID_REASONS } from "./verdicts.ts";

/** The server's final word on one event. */
export interface Verdict {
  readonly kind: Exclude<VerdictKind, "deferred">;
  /** Why, for `rejected` and `void`. */
  readonly code?: ErrorCode | undefined;
}

interface Waiter {
  readonly resolve: (verdict: Verdict) => void;
  readonly reject: (error: OfflineSyncError) => void;
}

interface Stream {
  upto: number;
  /** Undefined = deferred: its verdict follows. */
  readonly exceptions: Map<number, Verdict | undefined>;
  readonly waiting: Map<number, Waiter[]>;
}

const APPLIED: Verdict = { kind: "applied" };
const EXCEPTIONS_MAX = 10_000;

function verdictOf(kind: number, code: number): Verdict | undefined {
  const name = VERDICT_KINDS[kind] ?? "rejected";
  if (name === "deferred") return undefined;
  if (name === "void") return { kind: "void", code: VOID_REASONS[code] ?? "lost" };
  if (name === "rejected") return { kind: "rejected", code: failureOf(code).code };
  return name === "applied" ? APPLIED : { kind: name };
}

export class Settlements {
  readonly #streams = new Map<string, Stream>();

  #stream({ epoch, lane }: { readonly epoch: bigint; readonly lane: number }): Stream {
    const key = `${epoch}/${lane}`;
    let stream = this.#streams.get(key);
    if (!stream) {
      stream = { upto: 0, exceptions: new Map(), waiting: new Map() };
      this.#streams.set(key, stream);
    }
    return stream;
  }

  settled(notice: Extract<Notice, { readonly notice: "settled" }>): void {
    const stream = this.#stream(notice);
    for (const { seq, verdict, code } of notice.exceptions) {
      if (stream.exceptions.size < EXCEPTIONS_MAX || stream.exceptions.has(seq)) {
        stream.exceptions.set(seq, verdictOf(verdict, code));
      }
    }
    if (!notice.late) stream.upto = Math.max(stream.upto, notice.upto);
    for (const [seq, waiters] of stream.waiting) {
      const verdict = this.#verdict(stream, seq);
      if (!verdict) continue;
      stream.waiting.delete(seq);
      for (const { resolve } of waiters) resolve(verdict);
    }
  }

  #verdict(stream: Stream, seq: number): Verdict | undefined {
    if (stream.exceptions.has(seq)) return stream.exceptions.get(seq);
    return seq <= stream.upto ? APPLIED : undefined;
  }

  /** Resolves on the final verdict only, however long that takes. */
  synced(position: Position): Promise<Verdict> {
    const stream = this.#stream(position);
    const verdict = this.#verdict(stream, position.seq);
    if (verdict) return Promise.resolve(verdict);
    return new Promise((resolve, reject) => {
      const waiters = stream.waiting.get(position.seq);
      if (waiters) waiters.push({ resolve, reject });
      else stream.waiting.set(position.seq, [{ resolve, reject }]);
    });
  }

  /** Nothing more will be heard here; the work itself goes on in other contexts. */
  close(error: OfflineSyncError): void {
    for (const { waiting } of this.#streams.values()) {
      for (const waiters of waiting.values()) for (const { reject } of waiters) reject(error);
      waiting.clear();
    }
  }
}
