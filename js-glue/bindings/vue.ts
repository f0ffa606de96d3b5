/**
 * `offline-ai-sync/vue`: composables for Vue 3, as shallow refs. They follow from mounting on, so a render at a server loads
 * nothing and agrees with the first one of the page. Arguments may be refs or getters.
 */

import {
  computed,
  getCurrentInstance,
  type MaybeRefOrGetter,
  onMounted,
  type ShallowRef,
  shallowRef,
  toValue,
  watch,
} from "vue";
import type { ListOptions } from "../browser/commands.ts";
import { FIRST_STATUS, type SyncStatus } from "../browser/status.ts";
import type { DeadLetter, ListedEvent, Page } from "../core/pages.ts";
import type { Subscribable } from "../core/subscribable.ts";
import type { Collection, Conflict } from "../documents/collection.ts";
import type { SingleAnswer } from "../models/client.ts";
import { FIRST, type Live } from "./live.ts";
import * as sources from "./sources.ts";

export type { Live } from "./live.ts";

type Given<T> = MaybeRefOrGetter<T>;
type Shown<T> = Readonly<ShallowRef<T>>;

function follow<T>(make: () => Subscribable<T>, first: T): Shown<T> {
  const shown = shallowRef(first);
  const begin = (): void => {
    watch(
      computed(make),
      (source, _, ended) => {
        shown.value = source.get();
        ended(
          source.subscribe((value) => {
            shown.value = value;
          }),
        );
      },
      { immediate: true },
    );
  };
  // Outside of a component, as in a store, there is nothing to wait for.
  if (getCurrentInstance()) onMounted(begin);
  else begin();
  return shown;
}

const live = <T>(make: () => Subscribable<Live<T>>): Shown<Live<T>> => follow<Live<T>>(make, FIRST);

/** `engine.status`, followed while the scope lives. */
export const useSyncStatus = (engine: Given<sources.Maybe<sources.WithStatus>>): Shown<SyncStatus> =>
  follow(() => sources.statusOf(toValue(engine)), FIRST_STATUS);

/** Events that wait to be sent, in the order they will be: the first page of them. */
export const useQueue = (
  engine: Given<sources.Maybe<sources.WithQueue>>,
  options?: Given<ListOptions>,
): Shown<Live<Page<ListedEvent>>> => live(() => sources.queueOf(toValue(engine), toValue(options)));

/** Events the server has refused; `engine.deadLetters` retries, edits and drops them. */
export const useDeadLetters = (
  engine: Given<sources.Maybe<sources.WithDeadLetters>>,
  options?: Given<ListOptions>,
): Shown<Live<Page<DeadLetter>>> => live(() => sources.deadLettersOf(toValue(engine), toValue(options)));

/** One document; `value` is undefined when there is none. */
export const useDocument = <T>(collection: Given<sources.Maybe<Collection<T>>>, id: Given<string>): Shown<Live<T>> =>
  live(() => sources.documentOf(toValue(collection), toValue(id)));

/** All documents of a collection. */
export const useCollection = <T>(
  collection: Given<sources.Maybe<Collection<T>>>,
): Shown<Live<readonly sources.Entry<T>[]>> => live(() => sources.collectionOf(toValue(collection)));

/** Conflicts of one document, or of all of the collection; `collection.conflicts` settles them. */
export const useConflicts = <T>(
  collection: Given<sources.Maybe<Collection<T>>>,
  id?: Given<string | undefined>,
): Shown<Live<readonly Conflict[]>> => live(() => sources.conflictsOf(toValue(collection) as never, toValue(id)));

/** Content from the cache, or from the fallback, which is then cached. */
export const useCached = (
  cache: Given<sources.MaybeCache>,
  contentType: Given<string>,
  contentId: Given<string>,
  options?: sources.CachedOptions,
): Shown<Live<unknown>> =>
  live(() => sources.cachedOf(toValue(cache), toValue(contentType), toValue(contentId), options));

/** What a model says of the input. */
export const useModel = (
  models: Given<sources.Maybe<sources.WithModels>>,
  model: Given<string>,
  input: Given<Parameters<sources.Predict>[1]>,
  options?: Parameters<sources.Predict>[2],
): Shown<Live<SingleAnswer>> =>
  live(() => sources.predictionOf(toValue(models), toValue(model), toValue(input), options));
