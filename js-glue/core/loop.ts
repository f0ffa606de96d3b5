/**
 * Turns the engine: inputs in, outputs out, and every port's failure back in as an input.
 *
 *   ports --inputs--> step --outputs--> ports
 *                      `--throws--> the instance is dropped; its transaction in hand ends first, the calls it covers are
 *                                   answered; a new instance starts from storage under a new epoch and gets the rest
 *
 * A turn is synchronous, so turns cannot interleave. Nothing above this class ever sees a rejection of a port.
 */

import { fnv1a32 } from "./bytes.ts";
import { type Call, encodeTexts } from "./calls.ts";
import { assertNever, readOutputs, writeInputs } from "./codec.ts";
import { asFailure, failure, numberOf } from "./errors.ts";
import type { EngineStatus, Input, LogOutput, Notice, Op, Output, PersistOutput, SendOutput } from "./io.ts";
import { Op as Ops } from "./io.ts";
import { Outstanding, type Run } from "./outstanding.ts";
import type { Channel, Clock, Core, CreateCore, Presence, Random, Store, Transport } from "./ports.ts";

export interface LoopPorts {
  readonly create: CreateCore;
  readonly store: Store;
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly channel?: Channel | undefined;
  readonly presence?: Presence | undefined;
}

export interface LoopOptions {
  readonly device: Uint8Array;
  /** May take the lease and send. */
  readonly drains: boolean;
}

export interface LoopListener {
  status(status: EngineStatus): void;
  settled(notice: Extract<Notice, { readonly notice: "settled" }>): void;
  log(entry: LogOutput): void;
  trace?(direction: "in" | "out" | "trap", entry: unknown): void;
}

interface InHand {
  readonly persist: PersistOutput;
  /** Resolves with what the engine is told; never rejects. */
  readonly outcome: Promise<Outcome>;
  /** An attempt at this transaction ended without an answer: one that is rolled back later says nothing of that one. */
  doubtful: boolean;
}
type Outcome = Extract<Input, { readonly kind: "persisted" | "persistFailed" }>;

/** Nobody knows afterwards whether it was written; notes the doubt. A conflict settles it: the own guard would have been met. */
function leavesOpen(hand: InHand, ended: Outcome): boolean {
  if (ended.kind === "persisted" || ended.failure === FAILED_CONFLICT) return false;
  hand.doubtful ||= ended.failure === FAILED_UNKNOWN;
  return hand.doubtful;
}

const STRICT = 2;
const FAILED_CONFLICT = 1;
const FAILED_UNKNOWN = 2;
const CLOSE_MS_MAX = 2_000;

export class EngineLoop {
  readonly #ports: LoopPorts;
  readonly #options: LoopOptions;
  readonly #listener: LoopListener;
  readonly #outstanding = new Outstanding();
  readonly #sends = new Map<number, AbortController>();
  /** Inputs by fingerprint that were in a block that trapped. */
  readonly #suspects = new Map<number, number>();
  #core: Core | undefined;
  /** Answers meant for an instance that is gone are told by their older number. */
  #generation = 0;
  #inHand: InHand | undefined;
  #cancelAlarm: (() => void) | undefined;
  #traps = 0;
  #trapsInRow = 0;
  #rebuiltMs = 0;
  #closed = false;

  constructor(ports: LoopPorts, options: LoopOptions, listener: LoopListener) {
    this.#ports = ports;
    this.#options = options;
    this.#listener = listener;
    ports.channel?.listen((bytes) => this.#turn([{ kind: "peer", bytes }]));
  }

  /** Traps so far, how long the last rebuild took, and whether there is an instance now. */
  get health(): { readonly traps: number; readonly rebuiltMs: number; readonly running: boolean } {
    return { traps: this.#traps, rebuiltMs: this.#rebuiltMs, running: this.#core !== undefined };
  }

  /** Numbers go on from `next`, what a journal has not given out yet. Calls may come before; they wait. */
  async start(epoch: bigint, next: readonly number[]): Promise<void> {
    const core = await this.#ports.create();
    if (this.#closed) {
      core.delete();
      return;
    }
    this.#core = core;
    this.#ports.presence?.here(epoch);
    this.#turn([
      {
        kind: "start",
        device: this.#options.device,
        epoch,
        next,
        seed: this.#ports.random.bytes(32),
        durability: STRICT,
        drains: this.#options.drains,
      },
    ]);
    for (const run of this.#outstanding.replay()) this.#give(run);
    if (!this.#core) return; // it trapped; its rebuild goes on
    for (const { command, op, args } of this.#outstanding.replayCommands()) {
      this.#turn([{ kind: "command", command, op, args }]);
    }
  }

  /** Stores the calls; each is answered by its own `stored` or `failed`. */
  enqueue(calls: readonly Call[]): void {
    if (this.#closed) {
      for (const call of calls) call.failed(failure("closed", "the engine is closed"));
      return;
    }
    const run = this.#outstanding.add(calls);
    if (run.calls.length > 0) this.#give(run);
  }

  #give({ first, calls }: Run): void {
    if (this.#core) this.#turn([{ kind: "enqueue", first, count: calls.length, text: encodeTexts(calls) }]);
  }

  command(op: Op, args: Uint8Array = new Uint8Array(0)): Promise<Uint8Array> {
    if (this.#closed) return Promise.reject(failure("closed", "the engine is closed"));
    const { command, answer } = this.#outstanding.command(op, args);
    this.#turn([{ kind: "command", command, op, args }]);
    return answer;
  }

  /** A command that stores an event; the call has no text of its own and is answered when the event is stored. */
  commandCall(op: Op, args: Uint8Array, call: Call): void {
    if (this.#closed) call.failed(failure("closed", "the engine is closed"));
    else this.#turn([{ kind: "command", command: this.#outstanding.addCommandCall(call), op, args }]);
  }

  /** A hint, never believed: only an answer of our server proves a connection. */
  connectivity(online: boolean, tokenFresh = false): void {
    this.#turn([{ kind: "connectivity", online, tokenFresh }]);
  }

  /** Gives the lease back and lets go of everything. Work that is stored stays stored. */
  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.#core) {
      const stop = new Promise<void>((resolve) => {
        this.#ports.clock.alarm(this.#ports.clock.mono() + CLOSE_MS_MAX, resolve);
      });
      // Whatever goes wrong while closing, a stale lease is taken over by others.
      const closed = this.command(Ops.close).then(
        () => undefined,
        () => undefined,
      );
      await Promise.race([closed, stop]);
    }
    this.#closed = true;
    this.#generation++;
    this.#release();
    this.#core?.delete();
    this.#core = undefined;
    this.#ports.channel?.close();
    this.#ports.presence?.close();
    await this.#inHand?.outcome;
    this.#outstanding.close(failure("closed", "the engine is closed"));
  }

  #release(): void {
    this.#cancelAlarm?.();
    for (const controller of this.#sends.values()) controller.abort();
    this.#sends.clear();
  }

  #turn(given: readonly Input[]): void {
    const core = this.#core;
    if (!core) return; // being rebuilt: calls and commands are replayed, everything else starts over anyway
    const inputs = this.#suspects.size === 0 ? given : given.flatMap((input) => this.#defuse(input));
    if (inputs.length === 0) return;
    let outputs: readonly Output[];
    try {
      writeInputs(core, inputs);
      outputs = readOutputs(core.step(this.#ports.clock.mono(), this.#ports.clock.wall()));
    } catch (error) {
      this.#trapped(inputs, error);
      return;
    }
    this.#cancelAlarm?.();
    this.#cancelAlarm = undefined;
    const trace = this.#listener.trace;
    if (trace) for (const input of inputs) trace("in", input);
    for (const output of outputs) {
      trace?.("out", output);
      this.#perform(output);
    }
  }

  #perform(output: Output): void {
    switch (output.kind) {
      case "persist":
        this.#persist(output);
        break;
      case "load": {
        const { load, from, to, recordsMax } = output;
        this.#later(this.#ports.store.scan({ from, to }, recordsMax), {
          done: (records) => ({ kind: "loaded", load, records }),
          failed: () => ({ kind: "loadFailed", load }),
        });
        break;
      }
      case "send":
        this.#send(output);
        break;
      case "abort":
        this.#sends.get(output.request)?.abort();
        break;
      case "tell":
        this.#ports.channel?.post(output.bytes);
        break;
      case "deliver":
        this.#deliver(output.notice);
        break;
      case "log":
        this.#listener.log(output);
        break;
      case "wake":
        this.#cancelAlarm = this.#ports.clock.alarm(output.at, () => this.#turn([{ kind: "woke" }]));
        break;
      case "follow":
        this.#follow(output.owner);
        break;
      default:
        assertNever(output); // a new kind fails to compile here
    }
  }

  /** The one place where a port's promise becomes an input, unless its instance is gone by then. */
  #later<T>(work: Promise<T>, input: { done(value: T): Input; failed(error: unknown): Input }): void {
    const generation = this.#generation;
    const answer = (made: Input): void => {
      if (generation === this.#generation) this.#turn([made]);
    };
    work.then(
      (value) => answer(input.done(value)),
      (error: unknown) => answer(input.failed(error)),
    );
  }

  #persist(given: PersistOutput): void {
    const riders = this.#outstanding.riders(given.covers);
    const batch = riders.length === 0 ? given.batch : { ...given.batch, puts: [...given.batch.puts, ...riders] };
    const persist = { ...given, batch };
    const { tx } = persist;
    const outcome = this.#commit(persist);
    const doubtful = this.#inHand?.persist.tx === tx && this.#inHand.doubtful;
    const inHand: InHand = { persist, outcome, doubtful };
    this.#inHand = inHand;
    const generation = this.#generation;
    void outcome.then((input) => {
      // An unknown outcome stays in hand: after a trap it must be found out before anything is replayed.
      const open = leavesOpen(inHand, input);
      if (this.#inHand === inHand && !open) this.#inHand = undefined;
      if (generation !== this.#generation) return;
      this.#turn([input]);
      if (input.kind === "persisted" && this.#core) this.#trapsInRow = 0;
    });
  }

  /** Never rejects. */
  #commit({ tx, batch }: PersistOutput): Promise<Outcome> {
    return this.#ports.store.commit(batch).then(
      () => ({ kind: "persisted", tx }),
      (error: unknown) => {
        const { code } = asFailure(error, "storage_failed");
        const failure = code === "storage_conflict" ? FAILED_CONFLICT : code === "storage_unknown" ? FAILED_UNKNOWN : 0;
        return { kind: "persistFailed", tx, failure, code: numberOf(code) };
      },
    );
  }

  #send({ request, pull, body, timeoutMs }: SendOutput): void {
    const controller = new AbortController();
    this.#sends.set(request, controller);
    const sent = this.#ports.transport.send({ pull, body, timeoutMs, signal: controller.signal });
    const forget = (): void => {
      if (this.#sends.get(request) === controller) this.#sends.delete(request);
    };
    this.#later(sent, {
      done: (reply) => {
        forget();
        return { kind: "response", request, ...reply };
      },
      failed: () => {
        forget();
        return { kind: "sendFailed", request };
      },
    });
  }

  #follow(owner: bigint): void {
    const generation = this.#generation;
    this.#ports.presence?.follow(owner, () => {
      if (generation === this.#generation) this.#turn([{ kind: "gone", owner }]);
    });
  }

  #deliver(notice: Notice): void {
    switch (notice.notice) {
      case "accepted":
        this.#outstanding.accepted(notice);
        break;
      case "failed":
        this.#outstanding.failed(notice);
        break;
      case "result":
        this.#outstanding.result(notice);
        break;
      case "settled":
        this.#listener.settled(notice);
        break;
      case "status":
        this.#listener.status(notice.status);
        break;
      case "needToken":
        this.renewToken();
        break;
      default:
        assertNever(notice);
    }
  }

  /** Asks for another credential and, with one at hand, tries parked work again. */
  renewToken(): void {
    const generation = this.#generation;
    this.#ports.transport.renew().then(
      (renewed) => {
        if (renewed && generation === this.#generation) this.connectivity(true, true);
      },
      () => this.#report("unauthorized", 0),
    );
  }

  #report(code: "internal" | "poison" | "unauthorized" | "wasm_blocked", detail: number): void {
    this.#listener.log({ kind: "log", severity: code === "unauthorized" ? 2 : 3, code: numberOf(code), detail });
  }

  // --- a trap is fatal to the instance, never to data -------------------------------------------------------------

  #trapped(inputs: readonly Input[], error: unknown): void {
    const since = this.#ports.clock.mono();
    this.#core = undefined; // nothing of it may be called again, not even its destructor
    this.#generation++;
    this.#traps++;
    this.#trapsInRow++;
    this.#release();
    this.#listener.trace?.("trap", error);
    this.#report("internal", this.#traps);
    let quarantined = 0;
    for (const input of inputs) {
      if (input.kind === "enqueue") {
        quarantined += this.#outstanding.blame(Array.from({ length: input.count }, (_, i) => input.first + i));
      } else if (input.kind === "command") {
        quarantined += this.#outstanding.blame([input.command]);
      }
      const print = fingerprint(input);
      if (print === undefined) continue;
      if (this.#suspects.size > 64) this.#suspects.clear();
      this.#suspects.set(print, (this.#suspects.get(print) ?? 0) + 1);
    }
    if (quarantined > 0) this.#report("poison", quarantined);
    this.#outstanding.dropCommands();
    void this.#rebuild(since);
  }

  /** An input that has killed two instances is replaced by the failure it would otherwise be taken for. */
  #defuse(input: Input): readonly Input[] {
    const print = fingerprint(input);
    if (print === undefined || (this.#suspects.get(print) ?? 0) < 2) return [input];
    this.#report("poison", 1);
    if (input.kind === "loaded") return [{ kind: "loadFailed", load: input.load }];
    if (input.kind === "response") return [{ kind: "sendFailed", request: input.request }];
    return [];
  }

  async #rebuild(since: number): Promise<void> {
    const generation = this.#generation;
    await this.#endTransaction();
    const held = this.#ports.clock.mono();
    if (this.#trapsInRow > 3) await this.#sleep(Math.min(60_000, 100 * 2 ** (this.#trapsInRow - 3)));
    if (this.#closed || generation !== this.#generation) return;
    const made = this.#ports.clock.mono();
    try {
      // Numbers of the dead instance may be in flight: they stay with its epoch, what is replayed gets a new one.
      await this.start(new DataView(this.#ports.random.bytes(8).slice().buffer).getBigUint64(0), [1, 1, 1, 1, 1]);
    } catch (error) {
      this.#listener.trace?.("trap", error);
      this.#report("wasm_blocked", this.#traps);
      this.#trapsInRow++;
      await this.#sleep(1_000);
      if (generation === this.#generation) void this.#rebuild(since);
      return;
    }
    if (!this.#core) return; // it trapped again; the next rebuild goes on
    // The wait for the disk and a deliberate pause are not the rebuild's.
    this.#rebuiltMs = this.#ports.clock.mono() - made;
    this.#listener.trace?.("trap", { rebuiltMs: this.#rebuiltMs, waitedMs: held - since });
  }

  /** What the dead instance had in hand is written or not, but never unknown, before anything is replayed. */
  async #endTransaction(): Promise<void> {
    const inHand = this.#inHand;
    if (!inHand) return;
    let ended = await inHand.outcome;
    while (leavesOpen(inHand, ended) && !this.#closed) {
      await this.#sleep(1_000);
      ended = await this.#commit(inHand.persist);
    }
    if (ended.kind !== "persisted") return;
    for (const run of inHand.persist.covers) this.#outstanding.accepted(run);
    this.#trapsInRow = 0; // the dead instance got something done: no reason to wait
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.alarm(this.#ports.clock.mono() + ms, resolve);
    });
  }
}

/** Of the inputs that carry bytes from outside; the others have nothing that could be set aside. */
function fingerprint(input: Input): number | undefined {
  switch (input.kind) {
    case "loaded": {
      let print = 1;
      for (const { key, value } of input.records) print = (Math.imul(print, 31) ^ fnv1a32(key) ^ fnv1a32(value)) >>> 0;
      return print;
    }
    case "response":
      return fnv1a32(input.body);
    case "peer":
      return fnv1a32(input.bytes);
    default:
      return undefined;
  }
}
