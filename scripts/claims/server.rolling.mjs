import { runProgram } from "../lib/program.mjs";

export const claim = {
  name: "server.rolling",
  title: "Two processes behind nginx are restarted one by one under load, and no sync fails",
  bar: "0 failed syncs after client retry, every acknowledged event applied once",
  needs: ["build", "databases", "operations"],
  async run({ quick }) {
    const [figures] = await runProgram("tests/server/rolling.main.ts", [
      { args: [quick ? 3 : 20, 8], postgres: true, durable: true },
    ]);
    return {
      ok: figures.failed === 0 && figures.acked > 0 && figures.acked === figures.applied,
      scope:
        "the packaged server twice on one PostgreSQL (fsync on), SIGTERM and start again, 8 devices pushing ten events at a time through nginx",
      figures,
    };
  },
};
