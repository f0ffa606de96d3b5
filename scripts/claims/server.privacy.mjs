import { runProgram } from "../lib/program.mjs";

export const claim = {
  name: "server.privacy",
  title: "An erased subject is in no table, export or metric, and its offline devices are refused",
  bar: "SQLite, PostgreSQL, with and without row level security: at least one hit in every table with personal rows before the erase, 0 in any table after; late devices get `erased`; the audit chain still verifies",
  needs: ["build", "databases"],
  async run({ log }) {
    const results = await runProgram("tests/server/privacy.main.ts", [
      { args: ["sqlite", "off"] },
      { args: ["postgresql", "off"], postgres: true },
      { args: ["postgresql", "on"], postgres: true },
    ]);
    for (const result of results) log(JSON.stringify(result));
    return {
      ok: results.every(({ problems, hitsBefore, hitsAfter }) => problems === 0 && hitsBefore > 0 && hitsAfter === 0),
      scope:
        "a marked row of the subject in every table that has a principal or a device, searched as text, hex and base64",
      figures: Object.fromEntries(results.map((one) => [`${one.database}, row security ${one.rowSecurity}`, one])),
    };
  },
};
