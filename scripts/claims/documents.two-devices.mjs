import { runProgram } from "../lib/program.mjs";

const p50_ms_max = 50;

export const claim = {
  name: "documents.two-devices",
  title:
    "Two devices edit one document offline and meet in one document; a third joins late; live changes follow at once",
  bar: `two real Chromium profiles, SQLite and PostgreSQL, reconnecting in either order, a third device late: equal documents, digests and conflict records in every round; a change is visible on the other device p50 <= ${p50_ms_max} ms on loopback`,
  needs: ["build", "browser", "databases"],
  test: true,
  async run({ quick, log }) {
    const rounds = quick ? 2 : 10;
    const changes = quick ? 20 : 200;
    const [sqlite, postgres] = await runProgram("tests/browser/two-devices.main.ts", [
      { args: ["sqlite", rounds, changes] },
      { args: ["postgres", rounds, changes], postgres: true },
    ]);
    log(`SQLite: ${JSON.stringify(sqlite)}`);
    log(`PostgreSQL: ${JSON.stringify(postgres)}`);
    const equal = (figures) => figures.equal === rounds;
    // Times are the machine's; in the quick run they are printed, not judged.
    const swift = (figures) => quick || figures.p50Ms <= p50_ms_max;
    return {
      ok: [sqlite, postgres].every((figures) => equal(figures) && swift(figures)),
      scope: `${rounds} rounds a database: fields, a counter, a keyed list and a field with policy manual; latency from the call on one device to the subscriber on the other, ${changes} changes one after another`,
      figures: { sqlite, postgres },
    };
  },
};
