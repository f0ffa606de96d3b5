import { runProgram } from "../lib/program.mjs";

export const claim = {
  name: "server.isolation",
  title: "Nobody sees or changes what is another subject's: every route against every way to be somebody else",
  bar: "SQLite, PostgreSQL, and PostgreSQL with row level security: 0 answers with a byte of the victim's, 0 rows of the victim's changed, every bad credential refused; with row security a query that forgot its tenant sees 0 rows",
  needs: ["build", "databases"],
  test: true,
  async run({ quick, log }) {
    const sqlite = { args: ["sqlite", "off"] };
    const fenced = { args: ["postgresql", "on"], postgres: true };
    const plain = { args: ["postgresql", "off"], postgres: true };
    const results = await runProgram(
      "tests/server/isolation.main.ts",
      quick ? [sqlite, fenced] : [sqlite, plain, fenced],
    );
    for (const result of results) log(JSON.stringify(result));
    const held = ({ leaksOrChanges, rowSecurity, rowsSeenByAQueryWithoutTenant: seen }) =>
      leaksOrChanges === 0 && (rowSecurity === "on" ? seen === 0 : seen > 0);
    return {
      ok: results.every(held),
      scope:
        "over real HTTP; the routes are read from the route table, the tables from the database; a tenant with a marked row in every table; bodies made from each route's schema, naming the victim",
      figures: Object.fromEntries(results.map((one) => [`${one.database}, row security ${one.rowSecurity}`, one])),
    };
  },
};
