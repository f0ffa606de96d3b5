/** What the server is measured beside: a plain COPY, single inserts by pgbench, and PouchDB's server. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { cpuOf } from "./cost.ts";
import { ask } from "./served.ts";
import { BATCH, CONNECTIONS, type Contender, type Cost, costOf, eventOf, type Plan } from "./throughput-load.ts";

const connect = async (url: string): Promise<pg.Client> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
};

/** Rejects when COPY's table does not have `perDevice` rows of every device. */
async function allCopied(client: pg.Client, devices: readonly string[], perDevice: number): Promise<void> {
  const names = devices.map((device) => `'\\x${device}'`).join(",");
  const { rows } = await client.query(`SELECT count(*) AS n FROM copied WHERE device_id IN (${names})`);
  if (Number(rows[0].n) !== perDevice * devices.length) throw new Error(`${rows[0].n} copied rows are there`);
}

/** The rows of our events by COPY, a hundred a statement, into a table with the same indexes and nothing checked. */
export async function startCopy(url: string, plan: Plan, database: () => number): Promise<Contender> {
  const setup = await connect(url);
  await setup.query("CREATE TABLE copied (LIKE offline_sync_queue INCLUDING ALL)");
  // A vacuum falls into whoever's round it is then: neither table has one, and so neither side pays for its own.
  for (const table of ["copied", "offline_sync_queue"])
    await setup.query(`ALTER TABLE ${table} SET (autovacuum_enabled = false)`);
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => connect(url)));
  const devices = clients.map(() => randomBytes(16).toString("hex"));
  const perClient = (plan.warmUp + plan.rounds * plan.batches) * BATCH;
  const payloads = Array.from({ length: perClient }, (_, n) => Buffer.from(String(eventOf(n).json)).toString("hex"));
  let sent = 0;
  const load = async (client: pg.Client, device: string, batches: number): Promise<void> => {
    for (let n = sent * BATCH; n < (sent + batches) * BATCH; n += BATCH) {
      let text = "";
      for (let i = n; i < n + BATCH; i++)
        text += `default\t\\\\x${device}\t1\t2\t${i + 1}\t${i + 1}\t${i * 7_919}\t0\t0\tquiz.answer\tquiz\t\t111411200000000000\t0\t1700000000000\t\\\\x${payloads[i]}\n`;
      await pipeline(Readable.from([Buffer.from(text)]), client.query(copyFrom("COPY copied FROM STDIN")));
    }
  };
  const next = async (batches: number): Promise<void> => {
    await Promise.all(clients.map((client, i) => load(client, devices[i]!, batches)));
    sent += batches;
  };
  await next(plan.warmUp);
  const node = (): number => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  return {
    round: () => costOf(plan.batches * BATCH * CONNECTIONS, { node, database }, () => next(plan.batches)),
    async end() {
      await allCopied(setup, devices, sent * BATCH);
      await Promise.all([setup, ...clients].map((client) => client.end()));
    },
  };
}

/** The events of a device as a client of a plain server sends them: JSON, a hundred a request. */
const bodiesOf = (device: string, from: number, batches: number): readonly Buffer[] =>
  Array.from({ length: batches }, (_, b) => {
    const first = (from + b) * BATCH;
    const events = Array.from({ length: BATCH }, (__, i) => {
      const { type, module, json } = eventOf(first + i);
      return { type, module, data: JSON.parse(String(json)) as object };
    });
    return Buffer.from(JSON.stringify({ device, first, events }));
  });

/** The same events through a server that parses them and copies them into COPY's table, and does nothing else. */
export async function startPlain(url: string, plan: Plan, database: () => number): Promise<Contender> {
  const { child, url: address } = await startPeer("scripts/lib/plain-server.mjs", [url, String(CONNECTIONS)]);
  const devices = Array.from({ length: CONNECTIONS }, () => randomBytes(16).toString("hex"));
  const json = { "content-type": "application/json" };
  let sent = 0;
  const take = (batches: number): readonly (readonly Buffer[])[] => {
    const bodies = devices.map((device) => bodiesOf(device, sent, batches));
    sent += batches;
    return bodies;
  };
  const send = async (bodies: readonly Buffer[]): Promise<void> => {
    for (const body of bodies) {
      const answer = await ask(address, "", "POST", body, json);
      if (answer.status !== 200)
        throw new Error(`the plain server answered ${answer.status}: ${answer.body.toString()}`);
    }
  };
  await Promise.all(take(plan.warmUp).map(send));
  return {
    round() {
      const bodies = take(plan.batches);
      const clock = { node: () => cpuOf(child.pid!), database };
      return costOf(plan.batches * BATCH * CONNECTIONS, clock, () => Promise.all(bodies.map(send)));
    },
    async end() {
      await killed(child);
      const client = await connect(url);
      await allCopied(client, devices, sent * BATCH);
      await client.end();
    },
  };
}

interface Peer {
  readonly child: ChildProcess;
  readonly url: string;
}

/** A peer's server as a process of its own, which prints its address. */
async function startPeer(program: string, args: readonly string[]): Promise<Peer> {
  const path = join(process.env["OAS_ROOT"] ?? process.cwd(), program);
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (chunk: Buffer) => resolve(chunk.toString()));
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code}`)));
  });
  return { child, url: (JSON.parse(line) as { url: string }).url };
}

async function killed(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}

/** One row an insert, prepared, by PostgreSQL's own client into COPY's table; inserts a second. */
export function pgbench(url: string, seconds: number): number {
  const folder = mkdtempSync(join(tmpdir(), "oas-pgbench-"));
  const payload = Buffer.from(String(eventOf(1).json)).toString("hex");
  const script = join(folder, "insert.sql");
  writeFileSync(
    script,
    `\\set n random(1, 1000000000000)\nINSERT INTO copied VALUES ('bench', decode(md5((:client_id)::text), 'hex'), 1, 2, :n, :n, 7919, 0, 0, 'quiz.answer', 'quiz', '', 1, 0, 1, '\\x${payload}') ON CONFLICT DO NOTHING;\n`,
  );
  const clients = ["-c", String(CONNECTIONS), "-j", "1", "-T", String(seconds)];
  const output = execFileSync("pgbench", ["-n", "-M", "prepared", ...clients, "-f", script, url]).toString();
  rmSync(folder, { recursive: true });
  return Number(/tps = ([\d.]+)/.exec(output)?.[1]);
}

/** The same events as new documents, a hundred a request; LevelDB flushes nothing before it answers. */
export async function pouch(packages: string, batches: number): Promise<Cost> {
  const folder = mkdtempSync(join(tmpdir(), "oas-pouch-"));
  const { child, url } = await startPeer("scripts/lib/pouch-server.mjs", [packages, folder]);
  const json = { "content-type": "application/json" };
  await ask(`${url}/events`, "", "PUT", undefined, {});
  const warmUp = Math.ceil(batches / 2);
  const document = (c: number, n: number): object => {
    const { type, module, json: data } = eventOf(n);
    return { _id: `${c}-${String(n).padStart(9, "0")}`, type, module, data: JSON.parse(String(data)) as object };
  };
  const bodies = Array.from({ length: CONNECTIONS }, (_, c) =>
    Array.from({ length: warmUp + batches }, (__, b) =>
      Buffer.from(JSON.stringify({ docs: Array.from({ length: BATCH }, (___, i) => document(c, b * BATCH + i)) })),
    ),
  );
  const send = async (some: readonly Buffer[]): Promise<void> => {
    for (const body of some) {
      const answer = await ask(`${url}/events/_bulk_docs`, "", "POST", body, json);
      const results = JSON.parse(answer.body.toString()) as { ok?: boolean }[];
      if (answer.status !== 201 || !results.every(({ ok }) => ok))
        throw new Error(`PouchDB answered ${answer.status}: ${answer.body.toString().slice(0, 200)}`);
    }
  };
  await Promise.all(bodies.map((some) => send(some.slice(0, warmUp))));
  const clock = { node: () => cpuOf(child.pid!), database: () => 0 };
  const cost = await costOf(batches * BATCH * CONNECTIONS, clock, () =>
    Promise.all(bodies.map((some) => send(some.slice(warmUp)))),
  );
  await killed(child);
  rmSync(folder, { recursive: true, force: true });
  return cost;
}
