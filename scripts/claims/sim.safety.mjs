import { simulate } from "../lib/simulate.mjs";

export const claim = {
  name: "sim.safety",
  title: "Simulated devices, tabs and a server under every fault: nothing lost, nothing doubled, nothing out of order",
  bar: "quick 500, full 20,000 seeds of >= 500 events on average: 0 violations, equal digests; full: each fault >= 1,000 times; >= 2,000,000 events a minute and core",
  quickSeconds: 150,
  async run({ quick, log }) {
    return simulate({ mode: "safety", seeds: quick ? 500 : 20_000, quick, log });
  },
};
