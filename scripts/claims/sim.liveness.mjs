import { simulate } from "../lib/simulate.mjs";

export const claim = {
  name: "sim.liveness",
  title: "After every storm everything drains, whatever stays broken for ever",
  bar: "quick 500, full 20,000 seeds: 0 stalls 200 virtual seconds after the last fault; full: each fault >= 1,000 times; >= 2,000,000 events a minute and core",
  quickSeconds: 150,
  async run({ quick, log }) {
    return simulate({ mode: "liveness", seeds: quick ? 500 : 20_000, quick, log });
  },
};
