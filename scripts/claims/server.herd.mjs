import { runProgram } from "../lib/program.mjs";

const peak_to_mean_max = 3;

export const claim = {
  name: "server.herd",
  title: "10,000 devices come back after an outage without trampling the server",
  bar: `every device is back and has pushed, 0 lost; attempts in the busiest second <= ${peak_to_mean_max} x the mean of 60 s`,
  needs: ["build"],
  async run({ quick }) {
    const args = quick ? ["herd", 1_000, 0, 60] : ["herd", 10_000, 0, 120];
    const [figures] = await runProgram("tests/server/floor.main.ts", [{ args }]);
    const { acked, applied, once, back, peakToMeanOver60s } = figures;
    return {
      ok: acked === applied && applied === once && back === args[1] && peakToMeanOver60s <= peak_to_mean_max,
      scope:
        "the packaged server with SQLite, killed with every stream open and started again two seconds later; clients keep the streams' own retry time and back off with full jitter",
      figures,
    };
  },
};
