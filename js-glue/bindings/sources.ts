/** What can be followed of an engine and its parts; the bindings of all frameworks are these, in the framework's own form. */

import type { OfflineSync } from "../browser/client.ts";
import type { ListOptions } from "../browser/commands.ts";
import { FIRST_STATUS, type SyncStatus } from "../browser/status.ts";
import type { ContentCache, ReadOptions } from "../cache/content-cache.ts";
import type { Fallback } from "../cache/value.ts";
import type { DeadLetter, ListedEvent, Page } from "../core/pages.ts";
import type { Subscribable } from "../core/subscribable.ts";
import type { Collection, Conflict } from "../documents/collection.ts";
import type { Models, SingleAnswer } from "../models/client.ts";
import { FIRST, type Live, live } from "./live.ts";

/** Undefined = there is none here, as in a render at a server; everything then stays as it is at the start. */
export type Maybe<T> = T | undefined;
export type WithStatus = Pick<OfflineSync, "status">;
export type WithQueue = Pick<OfflineSync, "status" | "pending">;
export type WithDeadLetters = Pick<OfflineSync, "status" | "deadLetters">;
export type WithModels = Pick<Models, "predict">;
export type Predict = Models["predict"];
export type Entry<T> = { readonly id: string; readonly value: T };
/** `openCache` gives a promise; it may be handed over as it is. */
export type MaybeCache = Maybe<ContentCache | Promise<ContentCache>>;
export interface CachedOptions extends ReadOptions {
  /** Gives the content when the cache has none. */
  readonly fallback?: Fallback | undefined;
}

const still = <T>(value: T): Subscribable<T> => ({ get: () => value, subscribe: () => () => undefined });
const NOTHING: Subscribable<Live<never>> = /* @__PURE__ */ still(FIRST);
const NO_STATUS: Subscribable<SyncStatus> = /* @__PURE__ */ still(FIRST_STATUS);

export const statusOf = (engine: Maybe<WithStatus>): Subscribable<SyncStatus> => engine?.status ?? NO_STATUS;

export const queueOf = (engine: Maybe<WithQueue>, options?: ListOptions): Subscribable<Live<Page<ListedEvent>>> =>
  engine ? live(() => engine.pending.list(options), engine.status.subscribe) : NOTHING;

export const deadLettersOf = (
  engine: Maybe<WithDeadLetters>,
  options?: ListOptions,
): Subscribable<Live<Page<DeadLetter>>> =>
  engine ? live(() => engine.deadLetters.list(options), engine.status.subscribe) : NOTHING;

/** `value.value` is undefined when there is no such document. */
export const documentOf = <T>(collection: Maybe<Collection<T>>, id: string): Subscribable<Live<T>> =>
  collection
    ? live(
        // What is shown is what the next `put` is compared with, so this is `get`.
        () => collection.get(id) as Promise<T>,
        (changed) => collection.subscribe((change) => change.id === id && changed()),
      )
    : NOTHING;

export const collectionOf = <T>(collection: Maybe<Collection<T>>): Subscribable<Live<readonly Entry<T>[]>> =>
  collection ? live(() => collection.list(), collection.subscribe.bind(collection)) : NOTHING;

export const conflictsOf = (
  collection: Maybe<Collection<never>>,
  id?: string,
): Subscribable<Live<readonly Conflict[]>> =>
  collection ? live(() => collection.conflicts.list(id), collection.subscribe.bind(collection)) : NOTHING;

export const cachedOf = (
  cache: MaybeCache,
  contentType: string,
  contentId: string,
  options: CachedOptions = {},
): Subscribable<Live<unknown>> =>
  cache ? live(async () => (await cache).cachedContent(contentType, contentId, options.fallback, options)) : NOTHING;

export const predictionOf = (
  models: Maybe<WithModels>,
  ...[model, input, options]: Parameters<Predict>
): Subscribable<Live<SingleAnswer>> => (models ? live(() => models.predict(model, input, options)) : NOTHING);
