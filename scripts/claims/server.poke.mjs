import { runProgram } from "../lib/program.mjs";
import { capture } from "../lib/run.mjs";

const p50_ms_max = 15;
const p99_ms_max = 100;

export const claim = {
  name: "server.poke",
  title: "A change reaches another device at once while 10,000 are connected",
  bar: `10,000 open event streams: change pushed to change pulled and shown on another device p50 <= ${p50_ms_max} ms, p99 <= ${p99_ms_max} ms, 0 lost; SQLite, in full also PostgreSQL with two processes, by NOTIFY and by Redis`,
  needs: ["build", "databases"],
  async run({ quick, log }) {
    const sqlite = { args: ["sqlite", ...(quick ? [2_000, 200, 20] : [10_000, 1_200, 20])] };
    const postgres = { args: ["postgres", 10_000, 1_200, 20], postgres: true, durable: true };
    const hasRedis = capture("redis-server", ["--version"], { check: false }).code === 0;
    const redis = hasRedis ? [{ ...postgres, args: ["redis", 10_000, 1_200, 20] }] : [];
    const runs = quick ? [sqlite] : [sqlite, postgres, ...redis];
    const results = [];
    for (const run of runs) {
      const [result] = await runProgram("tests/server/poke.main.ts", [run]);
      log(JSON.stringify(result));
      results.push({ ...result, ok: held(result, run.args[1]) });
    }
    return {
      ok: results.every(({ ok }) => ok),
      scope: `the packaged server; two devices a person, the real merge core in both; ${quick ? "2,000 streams" : "10,000 streams"} and the load generator on the same machine; on PostgreSQL (fsync on) edits go to one process and all streams hang on another`,
      figures: Object.fromEntries(results.map((result) => [result.mode, result])),
    };
  },
};

const held = ({ connected, lost, seen, changes, pulledP50Ms, pulledP99Ms }, devices) =>
  connected === devices && lost === 0 && seen === changes && pulledP50Ms <= p50_ms_max && pulledP99Ms <= p99_ms_max;
