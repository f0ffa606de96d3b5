/**
 * Takes calls while the core is not there yet, and numbers and stores them itself: the first event is as durable as any.
 *
 * At most one transaction is in flight; what arrives meanwhile rides in the next. Numbers are given when the transaction
 * is formed and return to use only when it was certainly not written. The engine converts the records at its start.
 */

import { type Call, encodeTexts } from "../core/calls.ts";
import { asFailure, failure } from "../core/errors.ts";
import { WAITING_BYTES_MAX, WAITING_EVENTS_MAX } from "../core/events.ts";
import { JOURNAL_TEXT_BYTES_MAX, journalKey, writeJournalRecord } from "../core/journal-record.ts";
import type { Store, StoredRecord } from "../core/ports.ts";

const RECORDS_MAX = 64; // of one transaction

interface Formed {
  readonly puts: readonly StoredRecord[];
  /** How many of the puts are the journal's own. */
  readonly records: number;
  readonly calls: readonly { readonly call: Call; readonly seq: number }[];
  readonly next: readonly number[];
}

export class Journal {
  readonly epoch: bigint;
  readonly #wall: () => number;
  #store: Store | undefined;
  #waiting: Call[] = [];
  #chars = 0;
  #next: readonly number[] = [1, 1, 1, 1, 1];
  #records = 0;
  #inFlight: Promise<void> | undefined;
  #handedOver = false;
  /** Events written here, for a status before there is an engine. */
  written = 0;

  constructor(epoch: bigint, wall: () => number) {
    this.epoch = epoch;
    this.#wall = wall;
  }

  /** Storage is there: what has been waiting for it is written. */
  attach(store: Store): void {
    this.#store = store;
    this.#pump();
  }

  enqueue(calls: readonly Call[]): void {
    for (const call of calls) {
      if (this.#waiting.length >= WAITING_EVENTS_MAX || this.#chars > WAITING_BYTES_MAX) {
        call.failed(failure("queue_full", "too many calls wait for storage"));
        continue;
      }
      this.#waiting.push(call);
      this.#chars += call.text.length;
    }
    this.#pump();
  }

  /**
   * Stops after the transaction in flight. Resolves with the numbers not given out and the calls not written; both are the
   * caller's from now on. Undefined for whoever comes second.
   */
  async handOver(): Promise<{ readonly next: readonly number[]; readonly calls: readonly Call[] } | undefined> {
    if (this.#handedOver) return undefined;
    this.#handedOver = true;
    await this.#inFlight;
    const calls = this.#waiting;
    this.#waiting = [];
    return { next: this.#next, calls };
  }

  #pump(): void {
    const store = this.#store;
    if (!store || this.#inFlight || this.#handedOver || this.#waiting.length === 0) return;
    const formed = this.#form();
    this.#inFlight = this.#write(store, formed).finally(() => {
      this.#inFlight = undefined;
      this.#pump();
    });
  }

  #form(): Formed {
    const next = [...this.#next];
    const puts: StoredRecord[] = [];
    const riders: StoredRecord[] = [];
    const calls: Formed["calls"][number][] = [];
    let used = 0;
    while (used < this.#waiting.length && puts.length < RECORDS_MAX) {
      const group: Call[] = [];
      const first = [...next];
      // Three bytes a character at most, so the record's size needs no counting; a single call always fits.
      for (let chars = 0; used < this.#waiting.length; used++) {
        const call = this.#waiting[used] as Call;
        chars += call.text.length;
        if (group.length > 0 && chars * 3 > JOURNAL_TEXT_BYTES_MAX) break;
        const seq = next[call.lane] ?? 1;
        next[call.lane] = seq + 1;
        calls.push({ call, seq });
        if (call.riders) riders.push(...call.riders);
        this.#chars -= call.text.length;
        group.push(call);
      }
      const value = writeJournalRecord({
        wall: this.#wall(),
        epoch: this.epoch,
        next: first,
        text: encodeTexts(group),
      });
      puts.push({ key: journalKey(this.epoch, this.#records++), value });
    }
    this.#waiting.splice(0, used);
    return { puts: [...puts, ...riders], records: puts.length, calls, next };
  }

  async #write(store: Store, { puts, records, calls, next }: Formed): Promise<void> {
    for (;;) {
      try {
        await store.commit({ level: "strict", expects: [], deletes: [], puts });
        break;
      } catch (error) {
        const cause = asFailure(error, "storage_failed");
        if (cause.code === "storage_unknown") continue; // same bytes under the same keys, until it is known
        this.#records -= records;
        for (const { call } of calls) call.failed(cause);
        return;
      }
    }
    this.#next = next;
    this.written += calls.length;
    for (const { call, seq } of calls) call.stored({ epoch: this.epoch, lane: call.lane, seq });
  }
}
