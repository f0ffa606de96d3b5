import { runProgram } from "../lib/program.mjs";
import { capture } from "../lib/run.mjs";

const clients = 6;

const redisEnv = () =>
  capture("redis-server", ["--version"], { check: false }).code === 0 ? { OAS_STORM_REDIS: redisAddress() } : {};

// Any free port of the loopback will do; Redis carries hints only, so even a stranger on it could do no harm.
const redisAddress = () => `redis://127.0.0.1:${20_000 + (process.pid % 10_000)}`;

export const claim = {
  name: "server.killstorm",
  title: "A server, and its database, killed again and again while devices send: nothing lost, nothing twice",
  bar: "SQLite and PostgreSQL: 0 acknowledged events lost, 0 effects twice, 0 undelivered; in full 100 SIGKILLs each of the server on either, and of PostgreSQL, with Redis killed at random beside them",
  needs: ["build", "databases"],
  test: true,
  async run({ quick, log }) {
    const kills = quick ? 6 : 100;
    const env = redisEnv();
    const runs = [
      { args: ["sqlite", kills, 0, clients], env },
      { args: ["postgres", kills, kills, clients], postgres: true, durable: true, env },
    ];
    const more = ["tests/server/storm-server.main.ts"]; // the program starts it, again and again
    const [sqlite, postgres] = await runProgram("tests/server/storm.main.ts", runs, { more });
    log(`SQLite: ${JSON.stringify(sqlite)}`);
    log(`PostgreSQL: ${JSON.stringify(postgres)}`);
    const well = ({ lost, twice, undelivered, acked, effects }) =>
      lost === 0 && twice === 0 && undelivered === 0 && acked > 0 && acked === effects;
    return {
      ok: well(sqlite) && well(postgres),
      scope: `${clients} devices with the real client core over HTTP, every lane, some events of one entity; SIGKILL of the server process and of the whole PostgreSQL tree (fsync on) at random moments; each effect is a row written by the handler`,
      figures: { sqlite, postgres },
    };
  },
};
