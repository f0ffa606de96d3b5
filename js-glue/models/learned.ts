/**
 * What this device has learned, kept under its user's own database: recommendations from visits, actions from feedback.
 *
 * Several tabs learn at once. Every change is made to the state as stored and written under the expectation that it is
 * still that; who loses reads again and repeats the change. Nothing here leaves the device by itself.
 */

import { joinBytes } from "../core/bytes.ts";
import { failure } from "../core/errors.ts";
import type { Store } from "../core/ports.ts";
import type { CoreKernels } from "../runtimes/core-kernels.ts";
import { ActionLearner, type Recommendation, Recommender } from "../runtimes/learners.ts";
import { below, blobRecords, jsonBytes, modelKey, readBlob, readJson } from "./blobs.ts";
import { coldStart, type Titles } from "./cold-start.ts";

const CHANGES_MAX = 20; // other tabs that may get in between, before we give up
const ITEMS_MAX = 4_096; // kEaseItemsMax
const HISTORY_MAX = 1_000; // kHistoryMax
const GROWTH = 64;

interface Shelf {
  readonly head: Record<string, unknown>;
  readonly blob: Uint8Array | undefined;
}

/** A small JSON head and a blob, read and written together. */
class LearnedState {
  readonly #store: Store;
  readonly #key: Uint8Array;
  readonly #prefix: Uint8Array;

  constructor(store: Store, letter: string, name: string) {
    this.#store = store;
    this.#key = modelKey(letter, name, Uint8Array.of(0));
    this.#prefix = modelKey(letter, name, Uint8Array.of(1));
  }

  async read(): Promise<Shelf & { readonly bytes: Uint8Array | undefined }> {
    const found = await readJson(this.#store, this.#key);
    const head = (found?.value ?? {}) as Record<string, unknown>;
    return { head, bytes: found?.bytes, blob: found ? await readBlob(this.#store, this.#prefix) : undefined };
  }

  /** Repeats `change` on what is stored until nobody got in between. The head carries a count, so it always differs. */
  async change<T>(change: (now: Shelf) => { readonly head: object; readonly blob: Uint8Array; result: T }): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const now = await this.read();
      const { head, blob, result } = change(now);
      const value = now.bytes ?? new Uint8Array(0);
      const expects = [{ kind: now.bytes ? ("equals" as const) : ("absent" as const), key: this.#key, value }];
      const count = Number(now.head["count"] ?? 0) + 1;
      const puts = [{ key: this.#key, value: jsonBytes({ ...head, count }) }, ...blobRecords(this.#prefix, blob)];
      try {
        await this.#store.commit({ level: "durable", expects, deletes: [below(this.#prefix)], puts });
        return result;
      } catch (error) {
        if ((error as { code?: unknown }).code !== "storage_conflict" || attempt >= CHANGES_MAX) throw error;
      }
    }
  }

  erase(): Promise<void> {
    const deletes = [below(this.#prefix), { from: this.#key, to: joinBytes(this.#key, Uint8Array.of(0)) }];
    return this.#store.commit({ level: "strict", expects: [], deletes, puts: [] });
  }
}

const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];

/** An item, and how much it is worth showing. */
export interface ItemRecommendation {
  readonly item: string;
  readonly score: number;
}

/** What may be recommended, and from which history. */
export interface RecommendQuery {
  readonly top?: number | undefined;
  readonly exclude?: readonly string[] | undefined;
  /** Weight of each older visit relative to the one after it; 1, the default, forgets nothing. */
  readonly decay?: number | undefined;
  /** 0 to 1: how much an item loses for being like one already chosen. */
  readonly diversity?: number | undefined;
  /** Titles by item: items nobody has visited yet are placed by how like they are to what was. */
  readonly titles?: Titles | undefined;
  /** Instead of what this user has visited. */
  readonly history?: readonly string[] | undefined;
}

/** Recommendations over items the app names as it likes, at most 4,096 of them. */
export class VisitModel {
  readonly #kernels: CoreKernels;
  readonly #state: LearnedState;

  constructor(kernels: CoreKernels, store: Store, name: string) {
    this.#kernels = kernels;
    this.#state = new LearnedState(store, "r", name);
  }

  /** This user's next visit. Visiting an item again moves it to the end of the history. */
  visit(item: string): Promise<void> {
    return this.#learn([item], (recommender, place, history) => {
      recommender.visit(history.map(place), place(item));
      return [...history.filter((one) => one !== item), item].slice(-HISTORY_MAX);
    });
  }

  /** Somebody's finished history, such as the server may send; `erase` takes the same history out again. */
  learn(visited: readonly string[], options: { readonly erase?: boolean } = {}): Promise<void> {
    return this.#learn(visited, (recommender, place, history) => {
      recommender.learn(visited.map(place), options);
      return history;
    });
  }

  async recommend(query: RecommendQuery = {}): Promise<readonly ItemRecommendation[]> {
    const { head, blob } = await this.#state.read();
    const items = texts(head["items"]);
    const history = query.history ?? texts(head["history"]);
    const { top = 10, exclude = [], decay = 1, diversity = 0, titles } = query;
    const numbers = (list: readonly string[]): number[] =>
      list.map((item) => items.indexOf(item)).filter((place) => place >= 0);
    const scored = this.#scored(blob, (recommender) =>
      recommender.recommend(numbers(history), {
        top: titles ? Math.max(1, items.length) : top,
        exclude: numbers(exclude),
        decay,
        diversity: titles ? 0 : diversity,
      }),
    );
    const known = scored
      .filter(({ item }) => item < items.length)
      .map(({ item, score }) => ({ item: items[item] ?? "", score }));
    if (!titles) return known;
    return coldStart(this.#kernels, { known, titles, history, exclude, top, decay, diversity });
  }

  erase(): Promise<void> {
    return this.#state.erase();
  }

  #scored(blob: Uint8Array | undefined, ask: (recommender: Recommender) => Recommendation[]): Recommendation[] {
    if (!blob) return [];
    const recommender = new Recommender(this.#kernels, blob);
    try {
      return ask(recommender);
    } finally {
      recommender.close();
    }
  }

  /** `names`: the items that `change` is about. */
  #learn(
    names: readonly string[],
    change: (
      recommender: Recommender,
      place: (item: string) => number,
      history: readonly string[],
    ) => readonly string[],
  ): Promise<void> {
    return this.#state.change(({ head, blob }) => {
      const items = [...new Set([...texts(head["items"]), ...names])];
      if (items.length > ITEMS_MAX) throw failure("limit_exceeded", "too many items", { detail: ITEMS_MAX });
      const places = new Map(items.map((item, i) => [item, i]));
      const room = Math.min(ITEMS_MAX, Math.ceil(items.length / GROWTH) * GROWTH);
      const recommender = new Recommender(this.#kernels, blob ? grown(blob, room) : room);
      try {
        const history = change(recommender, (item) => places.get(item) ?? ITEMS_MAX, texts(head["history"]));
        return { head: { items, history }, blob: recommender.save(), result: undefined };
      } finally {
        recommender.close();
      }
    });
  }
}

/** Saved counts with room for `items`: the triangle of counts ends with the rows that are new, all zero. */
function grown(blob: Uint8Array, items: number): Uint8Array {
  let [at, have, scale] = [1, 0, 1];
  for (; ; at++, scale *= 0x80) {
    const byte = blob[at] ?? 0;
    have += (byte & 0x7f) * scale;
    if (byte < 0x80) break;
  }
  if (have >= items) return blob;
  const count: number[] = [];
  let rest = items;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) count.push((rest % 0x80) | 0x80);
  count.push(rest);
  const added = (items * (items + 1)) / 2 - (have * (have + 1)) / 2;
  return joinBytes(blob.subarray(0, 1), Uint8Array.from(count), blob.subarray(at + 1), new Uint8Array(added));
}

/** A decision, with all that feedback on it will need. */
export interface PersonalDecision {
  /** Random; ties feedback to its decision where both are logged. */
  readonly id: string;
  readonly action: string;
  /** The probability with which it was chosen. */
  readonly propensity: number;
  /** The reward expected of every action, in their order. */
  readonly expected: readonly number[];
  readonly context: readonly string[];
  readonly actions: readonly string[];
}

export interface PersonalOptions {
  readonly epoch: bigint;
  readonly seed: () => bigint;
  /** Share of decisions drawn evenly among the actions: the exploration bound. Default 0.05. */
  readonly explore?: number | undefined;
}

/** Which action fits which context, learned from the app's own feedback. */
export class PersonalModel {
  readonly #kernels: CoreKernels;
  readonly #state: LearnedState;
  readonly #options: PersonalOptions;

  constructor(kernels: CoreKernels, store: Store, name: string, options: PersonalOptions) {
    this.#kernels = kernels;
    this.#state = new LearnedState(store, "p", name);
    this.#options = options;
  }

  async decide(context: readonly string[], actions: readonly string[]): Promise<PersonalDecision> {
    const { head, blob } = await this.#state.read();
    const decision = this.#with(head, blob, (learner) => learner.decide(context, actions));
    const id = this.#options.seed().toString(16).padStart(16, "0");
    return { id, ...decision, context, actions };
  }

  /** `reward` is 0 to 1. */
  feedback({ context, action, propensity }: PersonalDecision, reward: number): Promise<void> {
    return this.#state.change(({ head, blob }) => {
      const epoch = this.#epoch(head);
      const saved = this.#with(head, blob, (learner) => {
        learner.feedback(context, action, reward, propensity);
        return learner.save();
      });
      return { head: { epoch: epoch.toString() }, blob: saved, result: undefined };
    });
  }

  /** For the user's other devices, by the app's own means and with the user's consent. */
  async export(): Promise<Uint8Array | undefined> {
    return (await this.#state.read()).blob;
  }

  /** Another device's state. Joining it twice changes nothing. */
  join(state: Uint8Array): Promise<void> {
    return this.#state.change(({ head, blob }) => {
      const epoch = this.#epoch(head);
      const saved = this.#with(head, blob, (learner) => {
        learner.join(state);
        return learner.save();
      });
      return { head: { epoch: epoch.toString() }, blob: saved, result: undefined };
    });
  }

  erase(): Promise<void> {
    return this.#state.erase();
  }

  /** One contribution a device: tabs take turns on it, so it never forks. */
  #epoch(head: Record<string, unknown>): bigint {
    const { epoch } = head;
    return typeof epoch === "string" && /^\d{1,20}$/.test(epoch) ? BigInt(epoch) : this.#options.epoch;
  }

  #with<T>(head: Record<string, unknown>, blob: Uint8Array | undefined, ask: (learner: ActionLearner) => T): T {
    const { explore, seed } = this.#options;
    const learner = new ActionLearner(this.#kernels, {
      epoch: this.#epoch(head),
      seed: seed(),
      ...(explore === undefined ? {} : { explore }),
    });
    try {
      if (blob) learner.join(blob);
      return ask(learner);
    } finally {
      learner.close();
    }
  }
}
