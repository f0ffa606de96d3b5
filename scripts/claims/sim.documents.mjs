import { simulate } from "../lib/simulate.mjs";

export const claim = {
  name: "sim.documents",
  title:
    "Documents edited on simulated devices and tabs under every fault: equal bytes everywhere, no edit lost or shown in vain",
  bar: "quick 400, full 2,000 seeds of >= 500 events on average: 0 violations, equal digests; full: each fault >= 100 times. Left out: profiles gone back to an older state and restored servers in the half of the worlds that folds; copies of running machines",
  quickSeconds: 60,
  test: true,
  async run({ quick, log }) {
    return simulate({
      mode: "safety",
      seeds: quick ? 400 : 2_000,
      quick,
      log,
      options: ["--documents"],
      bar: { events_per_minute_min: 0, fault_count_min: 100 },
    });
  },
};
