/**
 * Models that learn on the device: recommendations from visits, and actions from feedback.
 *
 * Their state belongs to one user and stays here unless the app moves it; `save()` is what the app stores.
 */

import type { CoreKernels } from "./core-kernels.ts";

const command = {
  unload: 2,
  recommenderOpen: 10,
  recommenderLearn: 11,
  recommenderVisit: 12,
  recommend: 13,
  recommenderSave: 14,
  learnerOpen: 20,
  learnerDecide: 21,
  learnerFeedback: 22,
  learnerSave: 23,
  learnerJoin: 24,
  learnerErase: 25,
} as const;

/** What may be recommended. */
export interface RecommendOptions {
  readonly top?: number;
  readonly exclude?: readonly number[];
  /** Weight of each older visit relative to the one after it; 1 forgets nothing. */
  readonly decay?: number;
  /** 0 to 1: how much an item loses for being like one already chosen. */
  readonly diversity?: number;
}

/** An item by its number, and its score. */
export interface Recommendation {
  readonly item: number;
  readonly score: number;
}

/** Counts shared visits and recommends from them; learns from every visit at once. */
export class Recommender {
  readonly #kernels: CoreKernels;
  readonly #handle: number;

  /** `from`: the number of items, or what `save()` gave. */
  constructor(kernels: CoreKernels, from: number | Uint8Array) {
    this.#kernels = kernels;
    this.#handle = kernels
      .request(command.recommenderOpen, (out) =>
        typeof from === "number" ? out.varint(from) : out.varint(0).raw(from),
      )
      .varint();
  }

  /** Somebody's finished history; `erase` takes the same history out again. */
  learn(visited: readonly number[], { erase = false } = {}): void {
    this.#kernels.request(command.recommenderLearn, (out) =>
      out
        .varint(this.#handle)
        .u8(erase ? 1 : 0)
        .ids(visited),
    );
  }

  /** This user's next visit. */
  visit(before: readonly number[], item: number): void {
    this.#kernels.request(command.recommenderVisit, (out) => out.varint(this.#handle).ids(before).varint(item));
  }

  /** Best first, from the visits of one history. */
  recommend(history: readonly number[], options: RecommendOptions = {}): Recommendation[] {
    const answer = this.#kernels.request(command.recommend, (out) => {
      out
        .varint(this.#handle)
        .ids(history)
        .ids(options.exclude ?? []);
      out
        .varint(options.top ?? 10)
        .f32(options.decay ?? 1)
        .f32(options.diversity ?? 0);
    });
    return Array.from({ length: answer.varint() }, () => ({ item: answer.varint(), score: answer.f32() }));
  }

  /** Its state, for the constructor. */
  save(): Uint8Array {
    return this.#kernels.request(command.recommenderSave, (out) => out.varint(this.#handle)).rest();
  }

  close(): void {
    this.#kernels.request(command.unload, (out) => out.varint(this.#handle));
  }
}

/** Who learns, and how eagerly. */
export interface LearnerOptions {
  /** This context's epoch: its contribution to a shared state. */
  readonly epoch: bigint;
  /** Entropy for exploration. */
  readonly seed: bigint;
  readonly rate?: number;
  /** Share of decisions drawn evenly among the actions. */
  readonly explore?: number;
}

/** The action that was chosen. */
export interface Decision {
  readonly action: string;
  /** The probability with which it was chosen: log it with the decision, and give it back with the feedback. */
  readonly propensity: number;
  readonly expected: readonly number[];
}

/** Learns which action fits which context. Joining the states of several devices twice changes nothing. */
export class ActionLearner {
  readonly #kernels: CoreKernels;
  readonly #handle: number;

  constructor(kernels: CoreKernels, { epoch, seed, rate = 0.15, explore = 0.05 }: LearnerOptions) {
    this.#kernels = kernels;
    this.#handle = kernels
      .request(command.learnerOpen, (out) => out.u64(epoch).f32(rate).f32(explore).u64(seed))
      .varint();
  }

  /** Chooses one of the actions for this context. */
  decide(context: readonly string[], actions: readonly string[]): Decision {
    const answer = this.#kernels.request(command.learnerDecide, (out) =>
      out.varint(this.#handle).texts(context).texts(actions),
    );
    const action = actions[answer.varint()] ?? "";
    const propensity = answer.f32();
    return { action, propensity, expected: Array.from({ length: answer.varint() }, () => answer.f32()) };
  }

  /** `reward` is 0 to 1. */
  feedback(context: readonly string[], action: string, reward: number, propensity = 1): void {
    this.#kernels.request(command.learnerFeedback, (out) =>
      out.varint(this.#handle).texts(context).text(action).f32(reward).f32(propensity),
    );
  }

  /** Its state, for `join`. */
  save(): Uint8Array {
    return this.#kernels.request(command.learnerSave, (out) => out.varint(this.#handle)).rest();
  }

  /** Takes in what another context has saved; the same state twice changes nothing. */
  join(state: Uint8Array): void {
    this.#kernels.request(command.learnerJoin, (out) => out.varint(this.#handle).raw(state));
  }

  /** Forgets everything it has learned. */
  erase(): void {
    this.#kernels.request(command.learnerErase, (out) => out.varint(this.#handle));
  }

  close(): void {
    this.#kernels.request(command.unload, (out) => out.varint(this.#handle));
  }
}
