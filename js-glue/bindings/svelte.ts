/** `offline-ai-sync/svelte`: Svelte stores, for Svelte 4 and 5. They follow while somebody is subscribed. */

import { type Readable, readable } from "svelte/store";
import type { ListOptions } from "../browser/commands.ts";
import type { SyncStatus } from "../browser/status.ts";
import type { DeadLetter, ListedEvent, Page } from "../core/pages.ts";
import type { Subscribable } from "../core/subscribable.ts";
import type { Collection, Conflict } from "../documents/collection.ts";
import type { SingleAnswer } from "../models/client.ts";
import type { Live } from "./live.ts";
import * as sources from "./sources.ts";

export type { Live } from "./live.ts";

const store = <T>(source: Subscribable<T>): Readable<T> =>
  readable(source.get(), (set) => {
    set(source.get());
    return source.subscribe(set);
  });

/** `engine.status` as a store. */
export const syncStatusStore = (engine: sources.Maybe<sources.WithStatus>): Readable<SyncStatus> =>
  store(sources.statusOf(engine));

/** Events that wait to be sent, in the order they will be: the first page of them. */
export const queueStore = (
  engine: sources.Maybe<sources.WithQueue>,
  options?: ListOptions,
): Readable<Live<Page<ListedEvent>>> => store(sources.queueOf(engine, options));

/** Events the server has refused; `engine.deadLetters` retries, edits and drops them. */
export const deadLettersStore = (
  engine: sources.Maybe<sources.WithDeadLetters>,
  options?: ListOptions,
): Readable<Live<Page<DeadLetter>>> => store(sources.deadLettersOf(engine, options));

/** One document; `value` is undefined when there is none. */
export const documentStore = <T>(collection: sources.Maybe<Collection<T>>, id: string): Readable<Live<T>> =>
  store(sources.documentOf(collection, id));

/** All documents of a collection. */
export const collectionStore = <T>(
  collection: sources.Maybe<Collection<T>>,
): Readable<Live<readonly sources.Entry<T>[]>> => store(sources.collectionOf(collection));

/** Conflicts of one document, or of all of the collection; `collection.conflicts` settles them. */
export const conflictsStore = <T>(
  collection: sources.Maybe<Collection<T>>,
  id?: string,
): Readable<Live<readonly Conflict[]>> => store(sources.conflictsOf(collection as never, id));

/** Content from the cache, or from the fallback, which is then cached. */
export const cachedStore = (
  cache: sources.MaybeCache,
  contentType: string,
  contentId: string,
  options?: sources.CachedOptions,
): Readable<Live<unknown>> => store(sources.cachedOf(cache, contentType, contentId, options));

/** What a model says of the input. */
export const predictionStore = (
  models: sources.Maybe<sources.WithModels>,
  ...input: Parameters<sources.Predict>
): Readable<Live<SingleAnswer>> => store(sources.predictionOf(models, ...input));
