import { nativeProgram } from "../lib/native.mjs";
import { pouchPackages } from "../lib/pouch.mjs";
import { runProgram } from "../lib/program.mjs";

const cpu_ratio_max = 2.0;
const block_ratio_max = 0.5;
const rate_ratio_min = 8;
/** Of the rate of a plain server, where no server of rows gets as far as `rate_ratio_min`. */
const share_of_plain_min = 0.7;
const pouch_ratio_min = 2.5;

export const claim = {
  name: "server.throughput",
  title: "A validated, ordered, durable event through HTTP costs little more than a plain COPY of its row",
  bar: `CPU (server and PostgreSQL) per event, batches of 100, <= ${cpu_ratio_max} x COPY of the same rows (client and PostgreSQL, 100 rows a statement, 8 connections), analytics in blocks <= ${block_ratio_max} x; events/s >= ${rate_ratio_min} x pgbench's single-row inserts in blocks, and as rows, too, or >= ${share_of_plain_min} x a server that parses the same events and copies them, and does nothing else, where that one does not come to so much (medians of rounds that take turns); on SQLite >= ${pouch_ratio_min} x less CPU than PouchDB's server on LevelDB for the same events by _bulk_docs`,
  needs: ["build", "native", "databases"],
  async run({ quick }) {
    const [figures] = await runProgram("tests/server/throughput.main.ts", [
      {
        args: [
          ...(quick ? [40_000, 2, 2_000] : [100_000, 5, 6_000]),
          await nativeProgram("oas"),
          await pouchPackages(),
        ],
        postgres: true,
        durable: true,
      },
    ]);
    const { cpuRatioToCopy, cpuRatioOfBlocksToCopy, cpuRatioOfPouchToSqlite: pouchRatio } = figures;
    const asFastAsRowsCanBe =
      figures.plainRateRatioToPgbench < rate_ratio_min && figures.rateRatioToPlain >= share_of_plain_min;
    return {
      ok:
        cpuRatioToCopy <= cpu_ratio_max &&
        cpuRatioOfBlocksToCopy <= block_ratio_max &&
        figures.rateRatioOfBlocksToPgbench >= rate_ratio_min &&
        (figures.rateRatioToPgbench >= rate_ratio_min || asFastAsRowsCanBe) &&
        pouchRatio >= pouch_ratio_min,
      scope:
        "one PostgreSQL with fsync on, SQLite with synchronous=FULL, PouchDB over LevelDB, which flushes nothing before it answers; the packaged server as a process of its own, 8 devices; CPU from /proc; the load generator is not counted; the same table and indexes on both sides, and neither is vacuumed meanwhile",
      figures,
    };
  },
};
