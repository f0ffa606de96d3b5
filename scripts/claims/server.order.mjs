import { runProgram } from "../lib/program.mjs";

const writers = 50;

export const claim = {
  name: "server.order",
  title: "Whoever follows the change order by cursor misses nothing, however writers stall and fail",
  bar: `${writers} writers of one space with stalls and rollbacks, 100,000 changes in full: readers miss 0, none out of order; a reader of a serial in the same database misses more than 0`,
  needs: ["build", "databases"],
  async run({ quick, log }) {
    const [figures] = await runProgram("tests/server/order.main.ts", [
      { args: [quick ? 4_000 : 100_000, writers], postgres: true },
    ]);
    log(JSON.stringify(figures));
    return {
      ok: figures.missed === 0 && figures.disordered === 0 && figures.naive.missed > 0 && figures.rollbacks > 0,
      scope:
        "PostgreSQL; 20 edits a push with handlers that wait up to 10 ms before and between them, every tenth push fails once and is done again; three readers poll",
      figures,
    };
  },
};
