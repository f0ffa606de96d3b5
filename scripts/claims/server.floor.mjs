import { runProgram } from "../lib/program.mjs";

const p99_ms_max = 100;

export const claim = {
  name: "server.floor",
  title: "10,000 connected devices and 1,000 events a second on one process",
  bar: `10,000 event streams open, 1,000 events/s for 60 s: every event applied once, push to acknowledgement p99 < ${p99_ms_max} ms; share of CPU and memory printed`,
  needs: ["build"],
  async run({ quick }) {
    const args = quick ? ["floor", 2_000, 1_000, 15] : ["floor", 10_000, 1_000, 60];
    const [figures] = await runProgram("tests/server/floor.main.ts", [{ args }]);
    const { acked, applied, once, pushP99Ms, devices } = figures;
    return {
      ok: acked === applied && applied === once && pushP99Ms < p99_ms_max && devices === args[1],
      scope:
        "the packaged server with SQLite (synchronous=FULL); streams, pushes of ten events and the server on the same machine; the load generator is not counted",
      figures,
    };
  },
};
