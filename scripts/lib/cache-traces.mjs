// Requests for cached content: the real web log, and two generated traces that are hard on one policy each.

import { weblogEvents } from "./weblog.mjs";

function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const size = (next) => Math.round(800 * Math.exp(next() * 4.2));

/** An index by a power law: 0 is asked for most. */
const skewed = (next, count) => Math.min(count - 1, Math.floor(count ** next() - 1));

/** Popular items, and every now and then somebody reads everything from one end to the other. */
function scan(count, seed) {
  const next = random(seed);
  const sizes = Array.from({ length: 6_000 }, () => size(next));
  const requests = [];
  for (let at = 0; requests.length < count; ) {
    for (let i = 0; i < 4_000 && requests.length < count; i++) {
      const id = skewed(next, 2_000);
      requests.push([`item/${id}`, sizes[id]]);
    }
    for (let i = 0; i < 1_500 && requests.length < count; i++, at++) {
      const id = 2_000 + (at % 4_000);
      requests.push([`item/${id}`, sizes[id]]);
    }
  }
  return requests;
}

/** How `shifting` is made: the items, the ranks that are asked for and how likely, and how many swaps after how many requests. */
export const shiftingFacts = {
  items: 8_000,
  popular: 4_000,
  chance: (rank) => Math.log((rank + 2) / (rank + 1)) / Math.log(4_000), // what `skewed` comes to
  epoch: 1_000,
  swaps: 200,
};

/** What is popular changes: every thousand requests a twentieth of the ranks goes to other items. */
function shifting(count, seed) {
  const { items, popular, epoch, swaps } = shiftingFacts;
  const next = random(seed);
  const sizes = Array.from({ length: items }, () => size(next));
  const ranks = sizes.map((_, id) => id);
  return Array.from({ length: count }, (_, i) => {
    for (let left = i % epoch === 0 ? swaps : 0; left > 0; left--) {
      const [a, b] = [Math.floor(next() * popular), Math.floor(next() * items)];
      [ranks[a], ranks[b]] = [ranks[b], ranks[a]];
    }
    const id = ranks[skewed(next, popular)];
    return [`item/${id}`, sizes[id]];
  });
}

/** The log's answers with content; an item's size is that of its last answer. */
function weblog() {
  const { real, events } = weblogEvents(9_999);
  if (!real) return undefined;
  const sizes = new Map(events.map(({ path, bytes }) => [path, bytes]));
  return events
    .filter(({ status, bytes }) => status === 200 && bytes > 0)
    .map(({ path }) => [path, sizes.get(path) || 1]);
}

/** Name, requests, lines for `oas cache`, and the bytes of all different items together. Other seeds: nothing was tuned on them. */
export function cacheTraces(count, [scanSeed, shiftingSeed] = [11, 12]) {
  const traces = [
    ["weblog", weblog()],
    ["scan", scan(count, scanSeed)],
    ["shifting", shifting(count, shiftingSeed)],
  ];
  return traces
    .filter(([, requests]) => requests)
    .map(([name, requests]) => ({
      name,
      requests,
      distinctBytes: [...new Map(requests).values()].reduce((sum, bytes) => sum + bytes, 0),
      lines: requests.map(([key, bytes]) => `${key}\t${bytes}`).join("\n"),
    }));
}
