/**
 * Recommendations for items nobody has visited: by their titles, with the kernels' own featuriser.
 *
 * Likeness of two titles is the cosine of their n-gram sets, |A and B| / sqrt(|A| |B|). It places an item below everything
 * that was visited together with the history, and above mere popularity. Diversity is maximal marginal relevance
 * (Carbonell and Goldstein, SIGIR 1998) over the same likeness.
 */

import type { CoreKernels } from "../runtimes/core-kernels.ts";

/** Titles by item. */
export type Titles = ReadonlyMap<string, string> | Readonly<Record<string, string>>;

export interface ColdStartInput {
  /** Scored from visits, best first. */
  readonly known: readonly { readonly item: string; readonly score: number }[];
  readonly titles: Titles;
  /** Oldest first. */
  readonly history: readonly string[];
  readonly exclude: readonly string[];
  readonly top: number;
  readonly decay: number;
  readonly diversity: number;
}

const TITLES_MAX = 4_096;
const BUCKETS_LOG2 = 16;
/** What a title is worth beside one shared visit; popularity is below 1e-6 (src/infer/recommend.cc). */
const TITLE_WEIGHT = 1e-2;
/** Newest visits whose titles are compared. */
const HISTORY_TITLES_MAX = 50;

const isMap = (titles: Titles): titles is ReadonlyMap<string, string> => titles instanceof Map;
const entriesOf = (titles: Titles): [string, string][] =>
  (isMap(titles) ? [...titles] : Object.entries(titles)).slice(0, TITLES_MAX);

function likeness(a: ReadonlySet<number>, b: ReadonlySet<number>): number {
  if (a.size === 0 || b.size === 0) return 0;
  let shared = 0;
  for (const bucket of a) if (b.has(bucket)) shared++;
  return shared / Math.sqrt(a.size * b.size);
}

interface Scored {
  readonly item: string;
  readonly score: number;
  readonly title: ReadonlySet<number>;
}

/** Best first; O(top * titles) likenesses with diversity. Items of the history and of `exclude` never appear. */
export function coldStart(
  kernels: CoreKernels,
  { known, titles, history, exclude, top, decay, diversity }: ColdStartInput,
): { readonly item: string; readonly score: number }[] {
  const sets = new Map(
    entriesOf(titles).map(([item, title]) => [item, new Set(kernels.features(title, BUCKETS_LOG2))] as const),
  );
  const none: ReadonlySet<number> = new Set();
  const barred = new Set([...history, ...exclude]);
  const scores = new Map(known.map(({ item, score }) => [item, score]));
  const newest = history.slice(-HISTORY_TITLES_MAX).reverse();
  const scored: Scored[] = [...new Set([...scores.keys(), ...sets.keys()])]
    .filter((item) => !barred.has(item))
    .map((item) => {
      const title = sets.get(item) ?? none;
      let like = 0;
      newest.forEach((visited, age) => {
        like += decay ** age * likeness(title, sets.get(visited) ?? none);
      });
      const share = newest.length > 0 ? like / newest.length : 0;
      return { item, title, score: (scores.get(item) ?? 0) + TITLE_WEIGHT * share };
    })
    // Equal scores keep the order of names, so the same state gives the same list.
    .sort((a, b) => b.score - a.score || (a.item < b.item ? -1 : 1));
  return diverse(scored, top, diversity);
}

function diverse(scored: readonly Scored[], top: number, diversity: number): { item: string; score: number }[] {
  const left = [...scored];
  const chosen: Scored[] = [];
  const closest = new Map<string, number>();
  // Likeness is 0 to 1, so scores are brought to the same range before the two are weighed.
  const most = Math.max(...scored.map(({ score }) => score), Number.MIN_VALUE);
  while (chosen.length < top && left.length > 0) {
    let [best, value] = [0, Number.NEGATIVE_INFINITY];
    left.forEach((one, i) => {
      const worth = (1 - diversity) * (one.score / most) - diversity * (closest.get(one.item) ?? 0);
      if (worth > value) [best, value] = [i, worth];
    });
    const [taken] = left.splice(best, 1);
    if (!taken) break;
    chosen.push(taken);
    if (diversity === 0) continue;
    for (const one of left) {
      closest.set(one.item, Math.max(closest.get(one.item) ?? 0, likeness(one.title, taken.title)));
    }
  }
  return chosen.map(({ item, score }) => ({ item, score }));
}
