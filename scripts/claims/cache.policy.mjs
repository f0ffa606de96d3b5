import { cacheTraces } from "../lib/cache-traces.mjs";
import { dataFolder, skippedWithoutData } from "../lib/data.mjs";
import { oasTool } from "../lib/oas-tool.mjs";

const budgets = [0.02, 0.05, 0.1];
const above_lru = 3;

export const claim = {
  name: "cache.policy",
  title: "What the content cache keeps, against the usual policies",
  bar: "hit rate by requests and by bytes >= 3 points above LRU and not below LFU, on the web log and two generated traces, at three budgets",
  quickSeconds: 30,
  needs: ["native"],
  async run({ quick, log }) {
    if (!dataFolder("weblog")) return skippedWithoutData("weblog", log);
    const tool = await oasTool();
    const figures = {};
    const missed = [];
    for (const { name, lines, distinctBytes, requests } of cacheTraces(quick ? 40_000 : 120_000)) {
      for (const share of budgets) {
        const result = tool(["cache", Math.round(distinctBytes * share)], lines);
        for (const what of ["requests", "bytes"]) {
          const of = (policy) => result[policy][what];
          const key = `${name}_${share * 100}_${what}`;
          figures[key] = +of("value").toFixed(2);
          figures[`${key}_above_lru`] = +(of("value") - of("lru")).toFixed(2);
          if (of("value") < of("lru") + above_lru)
            missed.push(`${key}: ${(of("value") - of("lru")).toFixed(2)} above LRU`);
          if (of("value") < of("lfu")) missed.push(`${key}: ${(of("value") - of("lfu")).toFixed(2)} against LFU`);
        }
        const cells = Object.entries(result).map(
          ([policy, { requests: r, bytes: b }]) => `${policy} ${r.toFixed(1)}/${b.toFixed(1)}`,
        );
        log(
          `${name.padEnd(9)} ${requests} requests, budget ${String(share * 100).padStart(2)} %: ${cells.join("  ")}  (requests/bytes, %)`,
        );
      }
    }
    for (const miss of missed) log(`missed: ${miss}`);
    return {
      ok: missed.length === 0,
      scope:
        "replay from an empty cache, misses are put; equal priorities, nothing pinned; budget as a share of all different items' bytes",
      figures,
    };
  },
};
