import { runProgram } from "../lib/program.mjs";

export const claim = {
  name: "server.migrate",
  title:
    "A release and the one before share a database under load; damage is named at the start; a restored copy adds up",
  bar: "SQLite and PostgreSQL: 0 failed syncs, 0 lost, 0 effects twice while old and new serve on the old schema and on the new one; every table, column and index that is dropped is named; audit chain and change sums hold in a copy made under load, and not once a row was changed",
  needs: ["build", "databases"],
  async run({ quick, log }) {
    const [devices, seconds] = quick ? [4, 2] : [12, 20];
    const runs = [
      { args: ["sqlite", devices, seconds] },
      { args: ["postgresql", devices, seconds], postgres: true, durable: true },
    ];
    const more = ["tests/server/storm-server.main.ts"]; // the program starts it, several times
    const results = await runProgram("tests/server/migrate.main.ts", runs, { more });
    for (const result of results) log(JSON.stringify(result));
    return {
      ok: results.every(held),
      scope:
        "the release before is this build with the newest migration unknown to it; real client cores and replicas through a balancer that sends nothing to a server that is told to stop; the copy by VACUUM INTO or pg_dump and pg_restore",
      figures: Object.fromEntries(results.map((one) => [one.database, one])),
    };
  },
};

const held = ({ acked, edits, failedSyncs, undelivered, lost, twice, tracked, damage, restore, phases }) =>
  acked > 0 &&
  edits > 0 &&
  failedSyncs + undelivered + lost + twice === 0 &&
  phases["old and new on old"].schema + 1 === phases["old and new on new"].schema &&
  tracked.onOld.inBlocks > 0 &&
  tracked.onOld.byDictionary > 0 &&
  tracked.onNew.byDictionary > 0 &&
  tracked.onNew.inRows + tracked.onNew.inBlocks === tracked.events &&
  damage.unnamed.length === 0 &&
  damage.named > 0 &&
  restore.auditHolds &&
  restore.auditRows > 0 &&
  restore.changes > 0 &&
  restore.changeProblems === 0 &&
  restore.auditTamperedFound &&
  restore.changeTamperedFound > 0 &&
  restore.spaces > 0 &&
  restore.parted === restore.spaces;
