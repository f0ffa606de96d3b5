/**
 * One subject erased from a tenant with a row in every table: something of it in each table before, nothing after, in rows,
 * export, metrics and documents; devices that come late are refused. Arguments: sqlite|postgresql, on|off (row security).
 */

import { randomBytes } from "node:crypto";
import { personalTables } from "../../js-glue/server/store/catalog.ts";
import type { Row, SqlValue } from "../../js-glue/server/store/database.ts";
import { START, segment } from "./frames.ts";
import { TestClient } from "./harness.ts";
import { expectStatus, markOf, VICTIM, World } from "./isolation-world.ts";

const [kind = "sqlite", fence = "off"] = process.argv.slice(2);
const world = await World.start(kind, fence === "on");
const { vera, keyed, hidden } = world;
const problems: string[] = [];

const [{ subject_ref: ref } = {}] = await world.query(
  "SELECT subject_ref FROM subject_key WHERE tenant_id = $1 AND principal_id = 'vera'",
  [VICTIM],
);
// "vera" alone might be part of another word; in rows it stands as a value of its own.
const needles = [vera, keyed, hidden].flatMap(({ deviceId, device }) => [
  deviceId,
  Buffer.from(device).toString("hex"),
  Buffer.from(device).toString("base64"),
  Buffer.from(device).toString("latin1"),
]);

/** A value in every form somebody might look for it. */
function forms(value: SqlValue): string {
  if (!(value instanceof Uint8Array)) return String(value);
  const bytes = Buffer.from(value);
  return [bytes.toString("utf8"), bytes.toString("latin1"), bytes.toString("hex"), bytes.toString("base64")].join("\n");
}

function hitsIn(rows: readonly Row[], marks: readonly string[]): number {
  return rows.filter((row) => {
    const values = Object.values(row);
    const all = values.map(forms).join("\n");
    return values.includes("vera") || [...needles, ...marks].some((needle) => all.includes(needle));
  }).length;
}

async function hits(): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { name } of world.tables) {
    const rows = await world.query(`SELECT * FROM ${name} WHERE tenant_id = $1`, [VICTIM]);
    found[name] = hitsIn(rows, personal.has(name) ? [markOf(name)] : []);
  }
  return found;
}

const personal = new Set(
  (await world.sync.store.read(({ connection }) => personalTables(connection))).map(({ name }) => name),
);
const before = await hits();
for (const name of personal)
  if (before[name] === 0) problems.push(`the search finds nothing in ${name} before the erase`);
const audited = await world.query("SELECT count(*) AS n FROM audit_log WHERE tenant_id = $1 AND actor = $2", [
  VICTIM,
  String(ref),
]);
if (Number(audited[0]?.["n"]) === 0) problems.push("the audit log does not know the subject before the erase");

const exported = await (await vera.json("GET", "/privacy/export")).text();
for (const name of personal) {
  if (name === "subject_key" || name === "api_key" || name === "device_token") continue;
  if (!exported.includes(`{"table":"${name}"`)) problems.push(`the export leaves ${name} out`);
}
if (!exported.trimEnd().endsWith("}") || !exported.includes('"complete":true'))
  problems.push("the export does not end");
const othersBefore = (await world.dump("bystander")).length;

const erase = await vera.json("POST", "/privacy/erase", { confirm: "erase" });
const { jobId } = (await erase.json()) as { jobId: string };
await world.sync.maintenance.tick();
const receipt = (await (await fetch(`${world.url}/privacy/erase/${jobId}?tenant=${VICTIM}`)).json()) as {
  state: string;
  deleted: Record<string, number>;
};
if (receipt.state !== "done") problems.push("the job is not done");

const after = await hits();
for (const [name, count] of Object.entries(after))
  if (count > 0) problems.push(`${name} still has ${count} rows of the subject`);
const keys = await world.query("SELECT count(*) AS n FROM subject_key WHERE tenant_id = $1 AND subject_ref = $2", [
  VICTIM,
  String(ref),
]);
if (Number(keys[0]?.["n"]) > 0) problems.push("the subject's key is still there: its references have a name");
const metrics = await (await world.root.json("GET", "/metrics")).text();
if (["vera", ...needles.slice(0, 2)].some((needle) => metrics.includes(needle)))
  problems.push("metrics name the subject");
const audit = await (await world.root.json("GET", "/audit?limit=500")).text();
if (audit.includes('"vera"')) problems.push("the audit page names the subject");
const verified = (await (await world.root.json("GET", "/audit/verify")).json()) as { ok: boolean };
if (!verified.ok) problems.push("the audit chain does not verify after the erase");
if ((await world.dump("bystander")).length !== othersBefore) problems.push("somebody else's rows are gone");

// A device that was offline, a new one of the same person, and each with a credential that is still good.
const key = await world.sync.createApiKey({ tenant: VICTIM, principal: "vera" });
for (const device of [vera.device, new Uint8Array(randomBytes(16))]) {
  const late = new TestClient(world.url, key, device);
  const push = await late.post("/sync/push", late.frame({ items: [segment(9n, 2, START, [{}])] }));
  if (push.status !== 410 || ((await push.json()) as { code: string }).code !== "erased")
    problems.push(`a late push was answered ${push.status}`);
  const register = await late.json("POST", "/device/register", { deviceId: late.deviceId });
  if (register.status !== 410) problems.push(`a late registration was answered ${register.status}`);
}
await expectStatus(await fetch(`${world.url}/health`), 200);
await world.drop();
for (const problem of problems) process.stderr.write(`${problem}\n`);
const total = (of: Record<string, number>): number => Object.values(of).reduce((sum, n) => sum + n, 0);
process.stdout.write(
  `${JSON.stringify({ database: kind, rowSecurity: fence, personalTables: personal.size, hitsBefore: total(before), hitsAfter: total(after), deleted: receipt.deleted, problems: problems.length })}\n`,
);
process.exit(0);
