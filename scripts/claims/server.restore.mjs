import { runProgram } from "../lib/program.mjs";

export const claim = {
  name: "server.restore",
  title: "After the database was put back, devices send again what it lost, and nothing happens twice",
  bar: "declared by the operator or found by the server: 0 acknowledged events missing, 0 effects twice, 0 undelivered",
  needs: ["build"],
  async run({ log }) {
    const results = await runProgram(
      "tests/server/restore.main.ts",
      [{ args: ["declared", 6] }, { args: ["unnoticed", 6] }],
      { more: ["tests/server/storm-server.main.ts"] },
    );
    for (const result of results) log(JSON.stringify(result));
    return {
      ok: results.every(
        ({ lost, twice, undelivered, ackedAtLoss, ackedAtBackup }) =>
          lost === 0 && twice === 0 && undelivered === 0 && ackedAtLoss > ackedAtBackup,
      ),
      scope:
        "SQLite, six devices with the real client core; the file is replaced by an earlier copy while the devices keep what they were acknowledged",
      figures: results,
    };
  },
};
