/**
 * Calls and commands the engine has not answered yet: what must survive the death of an instance.
 *
 * A number is never given twice in one context, so an answer always finds the right call, whichever instance gives it.
 */

import type { Call } from "./calls.ts";
import { failure, failureOf, type OfflineSyncError } from "./errors.ts";
import { WAITING_BYTES_MAX, WAITING_EVENTS_MAX } from "./events.ts";
import { type Accepted, type Notice, Op } from "./io.ts";
import type { StoredRecord } from "./ports.ts";

export interface Run {
  readonly first: number;
  readonly calls: readonly Call[];
}

interface Command {
  readonly op: Op;
  readonly args: Uint8Array;
  readonly resolve: (bytes: Uint8Array) => void;
  readonly reject: (error: OfflineSyncError) => void;
}

/** A command that changed something may have done so before the instance died; only these are safe to give again. */
const REPEATABLE: ReadonlySet<Op> = new Set([
  Op.drain,
  Op.status,
  Op.pending,
  Op.deadLetters,
  Op.compact,
  Op.close,
  Op.dictionary,
]);
const OUTCOME_OPEN = "the instance was rebuilt before it answered; look what became of it before you repeat it";

const TRAPS_MAX = 2;

export class Outstanding {
  readonly #calls = new Map<number, Call>();
  readonly #commands = new Map<number, Command>();
  readonly #traps = new Map<number, number>();
  #next = 1;
  #chars = 0;

  get idle(): boolean {
    return this.#calls.size === 0 && this.#commands.size === 0;
  }

  /** The calls with their command numbers; those beyond the limits are refused at once. */
  add(calls: readonly Call[]): Run {
    const first = this.#next;
    const taken: Call[] = [];
    for (const call of calls) {
      if (this.#calls.size >= WAITING_EVENTS_MAX || this.#chars > WAITING_BYTES_MAX) {
        call.failed(failure("queue_full", "too many calls wait for storage"));
        continue;
      }
      this.#calls.set(this.#next++, call);
      this.#chars += call.text.length;
      taken.push(call);
    }
    return { first, calls: taken };
  }

  /** A command that is answered like a call: it stores one event. It is never given twice. */
  addCommandCall(call: Call): number {
    this.#calls.set(this.#next, call);
    this.#chars += call.text.length;
    return this.#next++;
  }

  command(op: Op, args: Uint8Array): { readonly command: number; readonly answer: Promise<Uint8Array> } {
    const command = this.#next++;
    const answer = new Promise<Uint8Array>((resolve, reject) => {
      this.#commands.set(command, { op, args, resolve, reject });
    });
    return { command, answer };
  }

  #take(number: number): Call | undefined {
    const call = this.#calls.get(number);
    if (!call) return undefined;
    this.#calls.delete(number);
    this.#traps.delete(number);
    this.#chars -= call.text.length;
    return call;
  }

  /** What these calls want written beside their events, in the same transaction. */
  riders(runs: readonly Accepted[]): readonly StoredRecord[] {
    const records: StoredRecord[] = [];
    for (const { first, count } of runs)
      for (let i = 0; i < count; i++) records.push(...(this.#calls.get(first + i)?.riders ?? []));
    return records;
  }

  /** These calls are stored: said by an instance, or known of the transaction that its death left behind. */
  accepted({ first, count, epoch, lane, seq }: Accepted): void {
    for (let i = 0; i < count; i++) this.#take(first + i)?.stored({ epoch, lane, seq: seq + i });
  }

  failed({ command, code, detail }: Extract<Notice, { readonly notice: "failed" }>): void {
    const error = failureOf(code, detail);
    this.#take(command)?.failed(error);
    this.#commands.get(command)?.reject(error);
    this.#commands.delete(command);
  }

  result({ command, bytes }: Extract<Notice, { readonly notice: "result" }>): void {
    this.#commands.get(command)?.resolve(bytes);
    this.#commands.delete(command);
  }

  /** These were in the block that killed an instance. Those that did so twice are refused for good. */
  blame(numbers: Iterable<number>): number {
    let quarantined = 0;
    for (const number of numbers) {
      const traps = (this.#traps.get(number) ?? 0) + 1;
      this.#traps.set(number, traps);
      if (traps < TRAPS_MAX) continue;
      quarantined++;
      const error = failure("poison", "the event trapped the core twice and was refused");
      this.#take(number)?.failed(error);
      this.#commands.get(number)?.reject(error);
      this.#commands.delete(number);
    }
    return quarantined;
  }

  /** What a new instance must be given, in order; a suspect stands alone, so that it can only harm itself. */
  *replay(): Generator<Run> {
    let run: { first: number; calls: Call[] } | undefined;
    for (const [number, call] of [...this.#calls]) {
      if (!this.#calls.has(number)) continue;
      if (call.text === "") {
        this.#take(number)?.failed(failure("internal", OUTCOME_OPEN));
        continue;
      }
      const suspect = this.#traps.has(number);
      if (run && (suspect || number !== run.first + run.calls.length)) {
        yield run;
        run = undefined;
      }
      if (suspect) yield { first: number, calls: [call] };
      else if (run) run.calls.push(call);
      else run = { first: number, calls: [call] };
    }
    if (run) yield run;
  }

  /** The instance is gone: commands that may have changed something are answered, their outcome is open. */
  dropCommands(): void {
    for (const [command, { op, reject }] of this.#commands) {
      if (REPEATABLE.has(op)) continue;
      this.#commands.delete(command);
      reject(failure("internal", OUTCOME_OPEN));
    }
  }

  /** Commands to be given again. */
  replayCommands(): { readonly command: number; readonly op: Op; readonly args: Uint8Array }[] {
    return [...this.#commands].map(([command, { op, args }]) => ({ command, op, args }));
  }

  close(error: OfflineSyncError): void {
    for (const call of this.#calls.values()) call.failed(error);
    for (const { reject } of this.#commands.values()) reject(error);
    this.#calls.clear();
    this.#commands.clear();
  }
}
