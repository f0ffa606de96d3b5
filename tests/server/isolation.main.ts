/**
 * Every route of the table against every way to be somebody one is not: no byte of the victim's in an answer, no row of the
 * victim's changed. Arguments: sqlite|postgresql, on|off (row security). Prints one JSON line.
 */

import { createHash, generateKeyPairSync } from "node:crypto";
import { generateKeyPair } from "jose";
import { schemaOf } from "../../js-glue/server/http/openapi.ts";
import type { Route } from "../../js-glue/server/http/route.ts";
import { inTenant } from "../../js-glue/server/store/tenant.ts";
import { dictionaryOf, segmentWith } from "./dictionary-frames.ts";
import { exampleOf, type Schema } from "./example.ts";
import { type Mark, segment } from "./frames.ts";
import { BATCH, type TestClient } from "./harness.ts";
import { expectStatus, markOf, OTHER, VICTIM, World } from "./isolation-world.ts";

const [kind = "sqlite", fence = "off"] = process.argv.slice(2);
const world = await World.start(kind, fence === "on");
const { vera, keyed } = world;
const victims = dictionaryOf(markOf("device_dictionary"));

interface Call {
  readonly route: Route;
  readonly path: string;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Who calls, and what may come of it: `refused` = 401 or 403; `own` = anything, as long as it shows and changes nothing. */
interface Attack {
  readonly name: string;
  readonly expect: "refused" | "own" | "own in the same tenant";
  /** The credential itself is good: a body that does not fit may be refused for that first. */
  readonly goodCredential?: boolean;
  /** Calls this attack does not apply to. */
  readonly skip?: (call: Call) => boolean;
  headers(call: Call): Record<string, string> | Promise<Record<string, string>>;
}

const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });
const head: Mark = { seq: 2, hash: 0n };
const forged = [{ json: '{"forged":true}' }];

function callsOf(route: Route, device: TestClient): readonly Call[] {
  const names = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? "");
  const choices = names.map((name) => (name === "deviceId" ? [device.deviceId] : world.ids));
  const paths: string[] = [];
  const rounds = Math.min(40, Math.max(1, ...choices.map(({ length }) => length)));
  for (let i = 0; i < rounds; i++) {
    let n = 0;
    const path = route.path.replace(/:(\w+)/g, () => {
      const options = choices[n++] ?? [];
      return encodeURIComponent(options[i % options.length] ?? "x");
    });
    // What waits for something to happen need not wait long here.
    paths.push(route.waits ? `${path}?wait=1` : path);
  }
  const known = { deviceId: device.deviceId, tenant: VICTIM, userId: "vera", principal: "vera", at: world.clock.now };
  const bodies: readonly (readonly [Uint8Array, string])[] =
    route.body === "bytes"
      ? [
          [device.frame({ items: [segment(1n, 2, head, forged)] }), BATCH],
          [device.frame({ items: [segmentWith(victims, { epoch: 1n, lane: 2 }, head, forged)] }), BATCH],
        ]
      : route.body === "file"
        ? [
            [Buffer.from("a forged file"), "application/octet-stream"],
            [dictionaryOf("a forged dictionary").packed, "application/octet-stream"],
          ]
        : route.body === "json"
          ? [
              [
                Buffer.from(JSON.stringify(exampleOf(schemaOf(route.json, "input") as Schema, known))),
                "application/json",
              ],
            ]
          : [[new Uint8Array(), ""]];
  return [...new Set(paths)].flatMap((path) =>
    bodies.map(([body, type]) => ({ route, path, body, headers: type ? { "content-type": type } : {} })),
  );
}

const attackers = {
  key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey,
  jwt: (await generateKeyPair("ES256")).privateKey,
  other: await world.client(OTHER, "vera"),
  otherAdmin: await world.client(`${OTHER}-2`, "root", ["admin"]),
  naming: await world.client(`${OTHER}-3`, "vera"),
  mallory: await world.client(VICTIM, "mallory"),
};
const unsigned = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
const nowS = Math.floor(world.clock.now / 1_000);
const claims = { iss: "https://issuer.example", aud: "sync", sub: "vera", tenant: VICTIM, iat: nowS, exp: nowS + 600 };
const algNone = `${unsigned({ alg: "none" })}.${unsigned(claims)}.x`;
const hmacBody = `${unsigned({ alg: "HS256", kid: "k1" })}.${unsigned(claims)}`;
const hmacKey = JSON.stringify(world.issuerKey);
const hs256 = `${hmacBody}.${createHash("sha256")
  .update(hmacKey + hmacBody)
  .digest("base64url")}`;
const expired = await world.token({}, { age: 4_000 });
const tooOld = await world.token({}, { age: 1_200, life: 100_000 });
const forgedJwt = await world.token({ scope: "offline-ai:admin" }, { key: attackers.jwt });
const pointing = await world.token({}, { key: attackers.jwt, header: { jku: `${world.url}/openapi.json` } });
const otherAudience = await world.token({}, { audience: "another-app" });
const captured = world.signature(keyed, world.keyedKey, "GET", `/device/${keyed.deviceId}/status`, new Uint8Array());
const oldSignature = world.clock.now - 301_000;

const touchesKeyed = ({ path, body, route }: Call): boolean =>
  ((path.includes(keyed.deviceId) && route.path.includes(":deviceId")) ||
    route.body === "bytes" ||
    Buffer.from(body).includes(keyed.deviceId)) &&
  // The owner of a lost device must be able to revoke it without it.
  !(route.method === "DELETE" && route.path === "/device/:deviceId");
const open = ({ route }: Call): boolean => route.scope === undefined;

const attacks: readonly Attack[] = [
  { name: "no credential", expect: "refused", headers: () => ({}) },
  { name: "nonsense", expect: "refused", headers: () => bearer("oas_nonsense") },
  {
    name: "another secret behind a known prefix",
    expect: "refused",
    headers: () => bearer(vera.key.replace(/.{6}$/, "AAAAAA")),
  },
  { name: "revoked API key", expect: "refused", headers: () => bearer(world.revokedKey) },
  { name: "token of a revoked device", expect: "refused", headers: () => bearer(world.revokedDeviceToken) },
  { name: "expired device token", expect: "refused", headers: () => bearer(world.expiredToken) },
  { name: "expired JWT", expect: "refused", headers: () => bearer(expired) },
  { name: "JWT older than fifteen minutes", expect: "refused", headers: () => bearer(tooOld) },
  { name: "JWT signed by another key", expect: "refused", headers: () => bearer(forgedJwt) },
  { name: "JWT naming its own keys", expect: "refused", headers: () => bearer(pointing) },
  { name: "JWT without a signature", expect: "refused", headers: () => bearer(algNone) },
  { name: "JWT with the public key as a secret", expect: "refused", headers: () => bearer(hs256) },
  { name: "JWT for another audience", expect: "refused", headers: () => bearer(otherAudience) },
  {
    name: "cookie from another site",
    expect: "refused",
    headers: () => ({ cookie: `oas_key=${vera.key}`, origin: "https://evil.example", "sec-fetch-site": "cross-site" }),
  },
  {
    name: "stolen key without the device's signature",
    expect: "refused",
    goodCredential: true,
    skip: (call) => !touchesKeyed(call),
    headers: () => bearer(vera.key),
  },
  {
    name: "forged signature",
    expect: "refused",
    headers: ({ route, path, body }) => ({
      ...bearer(vera.key),
      "oas-signature": world.signature(keyed, attackers.key, route.method, path, body),
    }),
  },
  {
    name: "captured signature on another request",
    expect: "refused",
    skip: ({ route }) => route.method === "GET" && route.path === "/device/:deviceId/status",
    headers: () => ({ ...bearer(vera.key), "oas-signature": captured }),
  },
  {
    name: "old signature replayed",
    expect: "refused",
    headers: ({ route, path, body }) => ({
      ...bearer(vera.key),
      "oas-signature": world.signature(keyed, world.keyedKey, route.method, path, body, oldSignature),
    }),
  },
  { name: "another tenant, same principal's name", expect: "own", headers: () => bearer(attackers.other.key) },
  { name: "another tenant's administrator", expect: "own", headers: () => bearer(attackers.otherAdmin.key) },
  {
    name: "another tenant, naming the victim in headers",
    expect: "own",
    headers: () => ({ ...bearer(attackers.naming.key), "x-tenant": VICTIM, "x-tenant-id": VICTIM, tenant: VICTIM }),
  },
  {
    name: "another principal of the tenant",
    expect: "own in the same tenant",
    headers: () => bearer(attackers.mallory.key),
  },
];

const problems: string[] = [];
const statuses: Record<string, number> = {};
let requests = 0;
const personal = world.tables.filter((table) => table.personal).map(({ name }) => markOf(name));
const all = world.tables.map(({ name }) => markOf(name));
const hidden = world.hidden.deviceId;

async function attempt(attack: Attack, call: Call): Promise<void> {
  const headers = { ...call.headers, ...(await attack.headers(call)) };
  const response = await fetch(world.url + call.path, {
    method: call.route.method,
    headers,
    redirect: "manual",
    ...(call.route.body === "none" ? {} : { body: Buffer.from(call.body) }),
  });
  const reader = response.body?.getReader();
  let text = "";
  // An event stream has no end; its first bytes are enough.
  const timer = setTimeout(() => void reader?.cancel(), 200);
  for (; reader && text.length < 1_000_000; ) {
    const { done, value } = await reader.read();
    if (done) break;
    text += Buffer.from(value).toString("latin1");
  }
  clearTimeout(timer);
  await reader?.cancel();
  requests++;
  statuses[String(response.status)] = (statuses[String(response.status)] ?? 0) + 1;
  const where = `${attack.name}: ${call.route.method} ${call.path} -> ${response.status}`;
  if (
    attack.expect === "refused" &&
    !open(call) &&
    response.status !== 401 &&
    response.status !== 403 &&
    !(attack.goodCredential && response.status === 400)
  )
    problems.push(`${where}, not refused: ${text.slice(0, 200)}`);
  if (response.status >= 500) problems.push(`${where}, ours: ${text.slice(0, 200)}`);
  const marks = attack.expect === "own in the same tenant" ? personal : all;
  const shown = marks.find((mark) => text.includes(mark));
  if (shown) problems.push(`${where} shows ${shown}`);
  if (text.includes(hidden) || text.includes(hidden.replaceAll("-", "")))
    problems.push(`${where} shows a device that nobody named`);
}

// An attacker who erases itself can try nothing more.
const last = ({ path }: Route): number => (path === "/privacy/erase" ? 1 : 0);
const routes = [...world.sync.routes].sort((a, b) => last(a) - last(b));
for (const attack of attacks) {
  const before = await world.dump(VICTIM);
  for (const route of routes)
    for (const device of [vera, keyed])
      for (const call of callsOf(route, device)) {
        if (attack.skip?.(call)) continue;
        // Only the keyed device's calls need its signature.
        if (attack.name.includes("signature") && attack.name !== "JWT without a signature" && device === vera) continue;
        await attempt(attack, call);
      }
  const after = new Set(await world.dump(VICTIM));
  const changed = before.filter((row) => !after.has(row));
  for (const row of changed) problems.push(`${attack.name} changed or deleted ${row.slice(0, 200)}`);
  // Within the tenant, others may add rows of their own; from outside, nothing may be added either.
  if (attack.expect !== "own in the same tenant" && after.size !== before.length)
    problems.push(`${attack.name} added ${after.size - before.length} rows`);
}

// The controls: the owner does see it all, signed where the device signs; and a query that forgot its tenant meets the fence.
await expectStatus(await vera.json("GET", `/events/${vera.deviceId}/history`), 200);
const path = `/device/${keyed.deviceId}/status`;
const signature = world.signature(keyed, world.keyedKey, "GET", path, new Uint8Array());
await expectStatus(await keyed.json("GET", path, undefined, { "oas-signature": signature }), 200);
let forgotten = 0;
for (const { name } of world.tables) {
  const rows = await inTenant(OTHER, () => world.query(`SELECT tenant_id FROM ${name}`));
  forgotten += rows.filter((row) => row["tenant_id"] === VICTIM).length;
}
if (fence === "on" && forgotten > 0) problems.push(`the fence let ${forgotten} rows through`);
if (fence === "off" && forgotten === 0) problems.push("the control saw nothing: the victim has no rows");

await world.drop();
for (const problem of problems.slice(0, 20)) process.stderr.write(`${problem}\n`);
process.stdout.write(
  `${JSON.stringify({
    database: kind,
    rowSecurity: fence,
    routes: routes.length,
    attacks: attacks.length,
    requests,
    tables: world.tables.length,
    leaksOrChanges: problems.length,
    rowsSeenByAQueryWithoutTenant: forgotten,
    statuses,
  })}\n`,
);
process.exit(0);
