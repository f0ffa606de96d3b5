/**
 * `offline-ai-sync/react`: hooks for React 18 and 19. They follow while the component is mounted; in a render at a server they
 * give what is known before anything has loaded, and so does the first render of a hydrated page.
 */

import { useMemo, useSyncExternalStore } from "react";
import type { ListOptions } from "../browser/commands.ts";
import { FIRST_STATUS, type SyncStatus } from "../browser/status.ts";
import type { DeadLetter, ListedEvent, Page } from "../core/pages.ts";
import type { Subscribable } from "../core/subscribable.ts";
import type { Collection, Conflict } from "../documents/collection.ts";
import type { SingleAnswer } from "../models/client.ts";
import { FIRST, type Live } from "./live.ts";
import * as sources from "./sources.ts";

export type { Live } from "./live.ts";

function useLive<T>(make: () => Subscribable<Live<T>>, ...keys: readonly unknown[]): Live<T> {
  // biome-ignore lint/correctness/useExhaustiveDependencies: the keys are what `make` depends on
  const { subscribe, get } = useMemo(make, keys);
  return useSyncExternalStore(subscribe, get, () => FIRST);
}

/** `engine.status`, followed. */
export function useSyncStatus(engine: sources.Maybe<sources.WithStatus>): SyncStatus {
  const { subscribe, get } = sources.statusOf(engine);
  return useSyncExternalStore(subscribe, get, () => FIRST_STATUS);
}

/** Events that wait to be sent, in the order they will be: the first page of them. */
export const useQueue = (
  engine: sources.Maybe<sources.WithQueue>,
  options: ListOptions = {},
): Live<Page<ListedEvent>> => useLive(() => sources.queueOf(engine, options), engine, options.after, options.limit);

/** Events the server has refused; `engine.deadLetters` retries, edits and drops them. */
export const useDeadLetters = (
  engine: sources.Maybe<sources.WithDeadLetters>,
  options: ListOptions = {},
): Live<Page<DeadLetter>> =>
  useLive(() => sources.deadLettersOf(engine, options), engine, options.after, options.limit);

/** One document; `value` is undefined when there is none. */
export const useDocument = <T>(collection: sources.Maybe<Collection<T>>, id: string): Live<T> =>
  useLive(() => sources.documentOf(collection, id), collection, id);

/** All documents of a collection. */
export const useCollection = <T>(collection: sources.Maybe<Collection<T>>): Live<readonly sources.Entry<T>[]> =>
  useLive(() => sources.collectionOf(collection), collection);

/** Conflicts of one document, or of all of the collection; `collection.conflicts` settles them. */
export const useConflicts = <T>(collection: sources.Maybe<Collection<T>>, id?: string): Live<readonly Conflict[]> =>
  useLive(() => sources.conflictsOf(collection as never, id), collection, id);

/** Content from the cache, or from the fallback, which is then cached. */
export const useCached = (
  cache: sources.MaybeCache,
  contentType: string,
  contentId: string,
  options?: sources.CachedOptions,
): Live<unknown> =>
  useLive(() => sources.cachedOf(cache, contentType, contentId, options), cache, contentType, contentId);

/** What a model says of the input. */
export const useModel = (
  models: sources.Maybe<sources.WithModels>,
  ...[model, input, options]: Parameters<sources.Predict>
): Live<SingleAnswer> =>
  useLive(() => sources.predictionOf(models, model, input, options), models, model, JSON.stringify([input, options]));
