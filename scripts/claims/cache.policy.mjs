import { boundOf } from "../lib/cache-bound.mjs";
import { toldCounts, toldMaking } from "../lib/cache-informed.mjs";
import { cacheTraces } from "../lib/cache-traces.mjs";
import { dataFolder, skippedWithoutData } from "../lib/data.mjs";
import { oasTool } from "../lib/oas-tool.mjs";

const budgets = [0.02, 0.05, 0.1];
const above_lru = 3;
/** Of what a cache comes to that is told what none can know, where not even that one is 3 points above LRU. */
const of_informed = 0.85;
/** What it is told: of the web log how often each item will be asked for, of the generated trace how it is made. */
const informed = { weblog: toldCounts, shifting: toldMaking };
const other_seeds = [21, 22];

const rates = ({ requests, bytes }) => `${requests.toFixed(1)}/${bytes.toFixed(1)}`;

/**
 * One figure beside LRU and LFU. Where it is not far enough above LRU, an informed cache says whether any that guesses
 * popularity could be (`told`, in percent): then the bar is a share of that one.
 */
function judge({ name, requests }, key, what, result, budget, limit) {
  const of = (policy) => result[policy][what];
  const above = (policy) => +(of("value") - of(policy)).toFixed(2);
  const misses = of("value") < of("lfu") ? [`${key}: ${above("lfu")} against LFU`] : [];
  if (above("lru") >= above_lru) return { misses };
  const told = what === "bytes" ? informed[name]?.(requests, budget) : undefined;
  const reach = `${key}: ${above("lru")} above LRU, clairvoyance at most ${(limit - of("lru")).toFixed(2)}`;
  if (told === undefined || told >= of("lru") + above_lru) return { misses: [...misses, reach], told };
  const share = of("value") / told;
  const beside = `${reach}; ${informed[name].name}: ${(told - of("lru")).toFixed(2)}, ours ${share.toFixed(2)} of it`;
  return { misses: share < of_informed ? [...misses, beside] : misses, told, beside };
}

export const claim = {
  name: "cache.policy",
  title: "What the content cache keeps, against the usual policies",
  bar: `hit rate by requests and by bytes >= ${above_lru} points above LRU and not below LFU, on the web log and two generated traces, at three budgets; where a cache that is told how popular everything is comes to less, ${of_informed} of that one`,
  quickSeconds: 60,
  needs: ["native"],
  async run({ quick, log }) {
    if (!dataFolder("weblog")) return skippedWithoutData("weblog", log);
    const tool = await oasTool();
    const count = 120_000;
    const figures = {};
    const missed = [];
    for (const trace of cacheTraces(count)) {
      const { name, requests, lines, distinctBytes } = trace;
      for (const share of budgets) {
        const budget = Math.round(distinctBytes * share);
        const result = tool(["cache", budget], lines);
        const passes = requests.length > 10_000 ? (quick ? 40 : 300) : 600; // the more, the closer the limit
        const limit = {
          requests: boundOf(requests, budget, { byBytes: false, passes }),
          bytes: boundOf(requests, budget, { byBytes: true, passes }),
        };
        for (const what of ["requests", "bytes"]) {
          const key = `${name}_${share * 100}_${what}`;
          figures[key] = +result.value[what].toFixed(2);
          figures[`${key}_above_lru`] = +(result.value[what] - result.lru[what]).toFixed(2);
          figures[`${key}_limit`] = +limit[what].toFixed(2);
          const { misses, told, beside } = judge(trace, key, what, result, budget, limit[what]);
          if (told !== undefined) figures[`${key}_informed`] = +told.toFixed(2);
          if (beside) log(`beyond reach: ${beside}`);
          missed.push(...misses);
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
