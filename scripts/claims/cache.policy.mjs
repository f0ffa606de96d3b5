import { boundOf } from "../lib/cache-bound.mjs";
import { cacheTraces } from "../lib/cache-traces.mjs";
import { dataFolder, skippedWithoutData } from "../lib/data.mjs";
import { oasTool } from "../lib/oas-tool.mjs";

const budgets = [0.02, 0.05, 0.1];
const above_lru = 3;
const other_seeds = [21, 22];

const rates = ({ requests, bytes }) => `${requests.toFixed(1)}/${bytes.toFixed(1)}`;

/** Where one row of figures misses the bar; `limit` is what a clairvoyant cache cannot exceed. */
function missesOf(key, what, result, limit) {
  const of = (policy) => result[policy][what];
  const above = (policy) => (of("value") - of(policy)).toFixed(2);
  const misses = [];
  if (of("value") < of("lru") + above_lru)
    misses.push(`${key}: ${above("lru")} above LRU, clairvoyance at most ${(limit - of("lru")).toFixed(2)}`);
  if (of("value") < of("lfu")) misses.push(`${key}: ${above("lfu")} against LFU`);
  return misses;
}

export const claim = {
  name: "cache.policy",
  title: "What the content cache keeps, against the usual policies",
  bar: "hit rate by requests and by bytes >= 3 points above LRU and not below LFU, on the web log and two generated traces, at three budgets",
  quickSeconds: 60,
  needs: ["native"],
  async run({ quick, log }) {
    if (!dataFolder("weblog")) return skippedWithoutData("weblog", log);
    const tool = await oasTool();
    const count = quick ? 40_000 : 120_000;
    const figures = {};
    const missed = [];
    for (const { name, requests, lines, distinctBytes } of cacheTraces(count)) {
      for (const share of budgets) {
        const budget = Math.round(distinctBytes * share);
        const result = tool(["cache", budget], lines);
        const passes = requests.length > 10_000 ? 40 : 600;
        const limit = {
          requests: boundOf(requests, budget, { byBytes: false, passes }),
          bytes: boundOf(requests, budget, { byBytes: true, passes }),
        };
        for (const what of ["requests", "bytes"]) {
          const key = `${name}_${share * 100}_${what}`;
          figures[key] = +result.value[what].toFixed(2);
          figures[`${key}_above_lru`] = +(result.value[what] - result.lru[what]).toFixed(2);
          figures[`${key}_limit`] = +limit[what].toFixed(2);
          missed.push(...missesOf(key, what, result, limit[what]));
        }
        const cells = Object.entries({ ...result, limit }).map(([policy, rate]) => `${policy} ${rates(rate)}`);
        log(`${name.padEnd(9)} budget ${String(share * 100).padStart(2)} %: ${cells.join("  ")}  (requests/bytes, %)`);
      }
    }
    // The constants of the policy were chosen on the traces above; these it has not seen.
    for (const { name, lines, distinctBytes } of cacheTraces(count, other_seeds).filter(
      ({ name }) => name !== "weblog",
    )) {
      for (const share of budgets) {
        const { value, lru, lfu } = tool(["cache", Math.round(distinctBytes * share)], lines);
        log(`${name.padEnd(9)} unseen, ${share * 100} %: value ${rates(value)}  lru ${rates(lru)}  lfu ${rates(lfu)}`);
        figures[`${name}_unseen_${share * 100}_requests`] = +value.requests.toFixed(2);
        figures[`${name}_unseen_${share * 100}_bytes`] = +value.bytes.toFixed(2);
      }
    }
    for (const miss of missed) log(`missed: ${miss}`);
    return {
      ok: missed.length === 0,
      scope:
        "replay from an empty cache, misses are put; equal priorities, nothing pinned; budget as a share of all different items' bytes; limit = an upper bound for any cache, offline ones included",
      figures,
    };
  },
};
