/**
 * CPU per event of the whole way (HTTP, checks, order, exactly once, fsync) beside a plain COPY of the same rows, a plain server that
 * parses events and copies them, and single-row inserts by pgbench, on one PostgreSQL, and beside PouchDB's server, which takes the
 * same events as documents by `_bulk_docs` into LevelDB. What PostgreSQL serves takes turns, because a disk's flushes are not equally
 * fast all the time: a ratio is the median of those of the rounds. Both sides are warm: for some thousand requests more than half
 * of a process's CPU time is that of the compilers of its own code. Arguments: events of a round, rounds, requests before them, the
 * native tool `oas`, the folder of PouchDB's packages. Prints one JSON line.
 */

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuOfTree, percentile } from "./cost.ts";
import { BATCH, BLOCKS, CONNECTIONS, type Cost, type Plan, ROWS, startOurs, startServer } from "./throughput-load.ts";
import { pgbench, pouch, startCopy, startPlain } from "./throughput-peers.ts";

const [, , eventsText = "20000", roundsText = "2", warmUpText = "1000", oas = "build/native/bin/oas", packages] =
  process.argv;
const url = process.env["OAS_TEST_POSTGRES"] ?? "";
const postmaster = readFileSync(join(process.env["OAS_TEST_POSTGRES_DATA"] ?? "", "postmaster.pid"), "utf8").split(
  "\n",
)[0]!;
const PGBENCH_SECONDS = 4;
/** PouchDB's server takes several times as long for an event; so many say enough. */
const POUCH_EVENTS_MAX = 40_000;
const plan: Plan = {
  warmUp: Math.ceil(Number(warmUpText) / CONNECTIONS),
  batches: Math.ceil(Number(eventsText) / CONNECTIONS / BATCH),
  rounds: Number(roundsText),
};
const say = (text: string): boolean => process.stderr.write(`${text}\n`);
const database = (): number => cpuOfTree(postmaster);
const median = (values: readonly number[]): number => percentile(values, 0.5);
const rounded = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits;
const used = ({ nodeUs, databaseUs }: Cost): number => nodeUs + databaseUs;

interface Round {
  readonly ours: Cost;
  readonly blocks: Cost;
  readonly copy: Cost;
  readonly plain: Cost;
  readonly pgbenchTps: number;
  /** What the process that sends our events took for one of them; it runs on the same processors. */
  readonly senderUs: number;
}

const sender = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

const server = await startServer(url);
const rows = await startOurs(server, { db: url, lane: ROWS, oas }, plan, database);
const blocks = await startOurs(server, { db: url, lane: BLOCKS, oas }, plan, database);
const copy = await startCopy(url, plan, database);
const plain = await startPlain(url, plan, database);
const rounds: Round[] = [];
for (let i = 0; i < plan.rounds; i++) {
  const before = sender();
  const ours = await rows.round();
  const senderUs = (sender() - before) / ours.events;
  const round = {
    ours,
    senderUs,
    copy: await copy.round(),
    plain: await plain.round(),
    pgbenchTps: pgbench(url, PGBENCH_SECONDS),
    blocks: await blocks.round(),
  };
  say(JSON.stringify(round));
  rounds.push(round);
}
await server.stop();
for (const one of [rows, blocks, copy, plain]) await one.end();

const folder = mkdtempSync(join(tmpdir(), "oas-throughput-"));
const db = `sqlite:${join(folder, "data.sqlite")}`;
const small = await startServer(db);
const embedded = await startOurs(small, { db, lane: ROWS, oas }, { ...plan, rounds: 1 }, () => 0);
const sqlite = await embedded.round();
await small.stop();
await embedded.end();
rmSync(folder, { recursive: true, force: true });
say(JSON.stringify(sqlite));
const peer = packages
  ? await pouch(packages, Math.min(plan.batches, POUCH_EVENTS_MAX / CONNECTIONS / BATCH))
  : undefined;

const ratio = (of: (round: Round) => number, digits: number): number => rounded(median(rounds.map(of)), digits);
const middle = (of: (round: Round) => Cost): Record<string, number> =>
  Object.fromEntries(
    (["nodeUs", "databaseUs", "eventsPerSecond"] as const).map((name) => [
      name,
      rounded(median(rounds.map((round) => of(round)[name])), 1),
    ]),
  );
process.stdout.write(
  `${JSON.stringify({
    rounds: plan.rounds,
    eventsOfRound: plan.batches * BATCH * CONNECTIONS,
    ours: {
      ...middle(({ ours }) => ours),
      senderUs: ratio(({ senderUs }) => senderUs, 1),
      pushP50Ms: rounded(rows.pushMs.p50, 1),
      pushP99Ms: rounded(rows.pushMs.p99, 1),
      wireBytesPerEvent: rounded(rows.wireBytesPerEvent, 1),
    },
    blocks: {
      ...middle((round) => round.blocks),
      wireBytesPerEvent: rounded(blocks.wireBytesPerEvent, 1),
    },
    copy: middle((round) => round.copy),
    plain: middle((round) => round.plain),
    pgbenchSingleRowTps: ratio(({ pgbenchTps }) => pgbenchTps, 0),
    oursOnSqliteUs: rounded(sqlite.nodeUs, 1),
    cpuRatioToCopy: ratio((round) => used(round.ours) / used(round.copy), 2),
    cpuRatioOfBlocksToCopy: ratio((round) => used(round.blocks) / used(round.copy), 2),
    ...(peer
      ? { pouchUs: rounded(peer.nodeUs, 1), cpuRatioOfPouchToSqlite: rounded(peer.nodeUs / sqlite.nodeUs, 2) }
      : {}),
    copyRateRatioToPgbench: ratio((round) => round.copy.eventsPerSecond / round.pgbenchTps, 1),
    plainRateRatioToPgbench: ratio((round) => round.plain.eventsPerSecond / round.pgbenchTps, 1),
    rateRatioToPlain: ratio((round) => round.ours.eventsPerSecond / round.plain.eventsPerSecond, 2),
    rateRatioOfBlocksToPgbench: ratio((round) => round.blocks.eventsPerSecond / round.pgbenchTps, 1),
    rateRatioToPgbench: ratio((round) => round.ours.eventsPerSecond / round.pgbenchTps, 1),
    rateRatiosToPgbench: rounds.map((round) => rounded(round.ours.eventsPerSecond / round.pgbenchTps, 1)),
  })}\n`,
);
process.exit(0);
