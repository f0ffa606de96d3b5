// Caches that are told what no cache of an application can know, and rank items by how popular they are, so they are made for the hit
// rate by bytes. Not a proof, as scripts/lib/cache-bound.mjs is, but a measure of what guessing popularity better could bring.

import { shiftingFacts } from "./cache-traces.mjs";

/**
 * Replays the requests from an empty cache; a missed item displaces the least popular ones if it is more popular than each of
 * them. `popularity(key, at)`: of an item, the request `at` included. Hit rate by bytes in percent.
 */
function replay(requests, budget, { popularity, asked }) {
  const kept = new Map(); // key to bytes
  let [used, hits, whole] = [0, 0, 0];
  const take = (key, bytes, at) => {
    if (bytes > budget) return;
    const own = popularity(key, at);
    const gone = [];
    let free = budget - used;
    if (free < bytes) {
      const least = [...kept.keys()].map((other) => [popularity(other, at), other]).sort(([a], [b]) => a - b);
      for (const [worth, other] of least) {
        if (free >= bytes || worth >= own) break;
        gone.push(other);
        free += kept.get(other);
      }
    }
    if (free < bytes) return;
    for (const other of gone) kept.delete(other);
    kept.set(key, bytes);
    used = budget - free + bytes;
  };
  requests.forEach(([key, bytes], at) => {
    whole += bytes;
    asked(key, at);
    if (kept.has(key)) hits += bytes;
    else take(key, bytes, at);
  });
  return (100 * hits) / whole;
}

/** It is told how often each item will still be asked for, though not when. */
export function toldCounts(requests, budget) {
  const left = new Map();
  for (const [key] of requests) left.set(key, (left.get(key) ?? 0) + 1);
  return replay(requests, budget, {
    popularity: (key) => left.get(key),
    asked: (key) => left.set(key, left.get(key) - 1),
  });
}

/** Neighbouring ranks are nearly as popular as each other: one class for ranks up to this ratio apart. */
const class_ratio = 1.25;
/** A popularity is computed anew when this many requests have gone by. */
const stale_requests = 100;

/** Ranks in classes, the last one for items nobody asks for: the share of all items, and the chance of a request for one of them. */
function classesOf({ items, popular, chance }) {
  const classes = [];
  for (let from = 0; from < popular; ) {
    const to = Math.min(popular, Math.max(from + 1, Math.floor(from * class_ratio)));
    let sum = 0;
    for (let rank = from; rank < to; rank++) sum += chance(rank);
    classes.push({ share: (to - from) / items, chance: sum / (to - from) });
    from = to;
  }
  return [...classes, { share: (items - popular) / items, chance: 0 }];
}

/**
 * It is told how the trace of shifting popularity is made: how many items there are, how popular each rank is, when and how
 * ranks change hands; not who has which. From the requests it computes by Bayes' rule, for each item by itself, how likely it
 * is to have which rank: nobody who sees only requests knows more.
 */
export function toldMaking(requests, budget) {
  const { items, popular, epoch, swaps } = shiftingFacts;
  const classes = classesOf(shiftingFacts);
  const last = classes.length - 1;
  const belief = new Map();
  const of = (key) => {
    let found = belief.get(key);
    if (!found) {
      found = { seen: 0, weights: classes.map(({ share }) => share), worth: 0, at: Number.NEGATIVE_INFINITY };
      belief.set(key, found);
    }
    return found;
  };
  const weigh = (weights, likelihood) => {
    let sum = 0;
    for (let i = 0; i <= last; i++) sum += weights[i] *= likelihood(classes[i].chance);
    for (let i = 0; i <= last; i++) weights[i] /= sum;
  };
  // A swap is one of a popular rank with any rank.
  const asPopular = 1 - (1 - 1 / popular) ** swaps;
  const asAny = 1 - (1 - 1 / items) ** swaps;
  const shift = (weights) => {
    const popularNow = 1 - weights[last];
    const toAny = popularNow * asPopular;
    const toPopular = popularNow * (1 - asPopular) * asAny + weights[last] * asAny;
    for (let i = 0; i <= last; i++) {
      weights[i] *= (1 - asAny) * (i < last ? 1 - asPopular : 1);
      weights[i] += toAny * classes[i].share + (i < last ? (toPopular * classes[i].share * items) / popular : 0);
    }
  };
  /** Requests before `at` that were for others, and the shifts between them. */
  const advance = (one, at) => {
    while (one.seen < at) {
      const end = Math.min(at, one.seen - (one.seen % epoch) + epoch);
      if (one.seen % epoch === 0) shift(one.weights);
      const quiet = end - one.seen;
      weigh(one.weights, (chance) => (1 - chance) ** quiet);
      one.seen = end;
    }
  };
  const expected = (weights) => weights.reduce((sum, weight, i) => sum + weight * classes[i].chance, 0);
  return replay(requests, budget, {
    popularity(key, at) {
      const one = of(key);
      if (at - one.at > stale_requests) {
        advance(one, at + 1);
        one.worth = expected(one.weights);
        one.at = at;
      }
      return one.worth;
    },
    asked(key, at) {
      const one = of(key);
      // It may have been brought up to date this far already; its own request is no quiet one.
      advance(one, at);
      if (at % epoch === 0 && one.seen === at) shift(one.weights);
      weigh(one.weights, (chance) => chance);
      one.seen = at + 1;
      one.worth = expected(one.weights);
      one.at = at;
    },
  });
}
