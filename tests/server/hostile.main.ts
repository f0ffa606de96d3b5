/**
 * Strangers against a server process of its own: every request is refused by name, a well-behaved client is served meanwhile,
 * and memory stays bounded. Arguments: address, key, process id, full|quick. Prints one JSON line.
 */

import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { dictionaryOf, packedDictionary } from "./dictionary-frames.ts";
import { exampleOf, placesOf, type Schema, withValue } from "./example.ts";
import { Bytes, hash64, readReply, START, segment } from "./frames.ts";
import { BATCH, TestClient } from "./harness.ts";

const [origin = "", key = "", pid = "", size = "quick"] = process.argv.slice(2);
const url = `${origin}/api/offline-ai`;
const full = size === "full";
const MB = 1e6;

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
}

const device = new TestClient(url, key, crypto.getRandomValues(new Uint8Array(16)));
const good = new TestClient(url, key, crypto.getRandomValues(new Uint8Array(16)));
const statuses: Record<string, number> = {};
const codes: Record<string, number> = {};
const problems: string[] = [];
let probes = 0;

const memory = (): number => {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1] ?? 0) * 1_000;
};
let peak = memory();
const watch = setInterval(() => {
  peak = Math.max(peak, memory());
}, 20);

// --- A client that behaves, all the while -----------------------------------------------------------------------------

let mark = START;
let pushes = 0;
let waited = 0;
const latencies: number[] = [];
let serving = true;
const served = (async () => {
  while (serving) {
    const start = performance.now();
    const one = segment(1n, 2, mark, [{ json: `{"n":${pushes}}` }]);
    const frame = good.frame({ items: [one], stored: [{ epoch: 1n, lane: 2, ...mark }] });
    const response = await good.post("/sync/push", frame);
    const bytes = new Uint8Array(await response.arrayBuffer());
    // Asked to wait under load, it waits, as every client does.
    if (response.status === 503) {
      waited++;
      await sleep(Number(response.headers.get("retry-after")) * 1_000);
      continue;
    }
    if (response.status !== 200) throw new Error(`the well-behaved client was answered ${response.status}`);
    const reply = readReply(bytes);
    if (reply.streams[0]?.mark.seq !== one.after.seq) problems.push("the well-behaved client was not acknowledged");
    mark = one.after;
    pushes++;
    latencies.push(performance.now() - start);
    await sleep(20);
  }
})();

// --- One probe: refused by name ----------------------------------------------------------------------------------------

type Send = RequestInit & { readonly method: string };

async function probe(what: string, path: string, send: Send, mayPass = false): Promise<void> {
  probes++;
  let response: Response;
  try {
    response = await fetch(url + path, {
      ...send,
      headers: { authorization: `Bearer ${key}`, ...(send.headers as Record<string, string>) },
    });
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause?.code ?? String(error);
    // A server that refuses a body early closes the connection while it is still being sent.
    codes[cause] = (codes[cause] ?? 0) + 1;
    if (cause !== "EPIPE" && cause !== "ECONNRESET" && cause !== "UND_ERR_SOCKET") problems.push(`${what}: ${cause}`);
    return;
  }
  const text = path === "/sync/stream" ? "" : await response.text();
  await response.body?.cancel().catch(() => undefined);
  statuses[response.status] = (statuses[response.status] ?? 0) + 1;
  const shed = response.status === 503 && text.includes('"code":"overloaded"');
  if (response.status >= 500 && !shed) problems.push(`${what}: ${response.status} ${text.slice(0, 200)}`);
  if (response.status < 400) {
    if (!mayPass) problems.push(`${what}: passed with ${response.status}`);
    return;
  }
  const code = (JSON.parse(text) as { code?: string }).code;
  if (!code) problems.push(`${what}: ${response.status} without a code`);
  else codes[code] = (codes[code] ?? 0) + 1;
}

const INJECTIONS = [
  "'; DROP TABLE device_sync_state; --",
  "' OR '1'='1",
  '" OR ""="',
  "1; SELECT pg_sleep(10)--",
  "$1",
  "%' UNION SELECT * FROM api_key --",
  "../../../../etc/passwd",
  "..%2f..%2fetc%2fpasswd",
  "$\u007bjndi:ldap://x}",
  "{{7*7}}",
  "<script>alert(1)</script>",
  "__proto__",
  "\u202e\ufeff",
  "x".repeat(100_000),
];
const UNTYPED: readonly unknown[] = [
  null,
  true,
  -1,
  1e308,
  1.5,
  Number.MAX_SAFE_INTEGER,
  "",
  [],
  {},
  [[]],
  { toString: "x" },
  "\0",
  "a\0b",
];

const json = (body: string): Send => ({ method: "POST", body, headers: { "content-type": "application/json" } });

async function everyRoute(): Promise<void> {
  const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
    paths: Record<string, Record<string, Operation>>;
  };
  for (const [path, methods] of Object.entries(document.paths))
    for (const [method, operation] of Object.entries(methods)) {
      // Ending this subject's own rights is not an attack.
      if (path.startsWith("/privacy/erase") || (path.startsWith("/auth/keys") && method === "delete")) continue;
      const { requestBody, parameters } = operation;
      const schema = requestBody?.content["application/json"]?.schema;
      const body = schema && exampleOf(schema, { deviceId: device.deviceId });
      const send = (value: unknown): Send => ({
        method: method.toUpperCase(),
        ...(schema ? { body: JSON.stringify(value), headers: { "content-type": "application/json" } } : {}),
      });
      const inPath = (text: string): string => path.replace(/\{\w+\}/g, () => encodeURIComponent(text).slice(0, 8_000));
      for (const text of INJECTIONS) {
        if (path.includes("{"))
          await probe(`${method} ${path} with ${text.slice(0, 20)}`, inPath(text), send(body), true);
        for (const { name, in: place } of parameters)
          if (place === "query")
            await probe(
              `${method} ${path}?${name}`,
              `${inPath(device.deviceId)}?${name}=${encodeURIComponent(text).slice(0, 8_000)}`,
              send(body),
              true,
            );
        for (const place of schema ? placesOf(body) : [])
          await probe(
            `${method} ${path} ${place.join(".")}`,
            inPath(device.deviceId),
            send(withValue(body, place, text)),
            true,
          );
      }
      for (const value of schema ? UNTYPED : [])
        for (const place of placesOf(body))
          await probe(
            `${method} ${path} ${place.join(".")}`,
            inPath(device.deviceId),
            send(withValue(body, place, value)),
            true,
          );
    }
}

async function envelopes(): Promise<void> {
  const event = { deviceId: device.deviceId, eventType: "t", eventData: 1 };
  await device.json("POST", "/device/register", { deviceId: device.deviceId });
  for (const field of ["eventType", "moduleId", "entity", "dedupeKey"])
    for (const bad of ["a\0b", "\ud800", "x".repeat(257)])
      await probe(`queue ${field}`, "/events/queue", json(JSON.stringify({ ...event, [field]: bad })));
  // In the binary protocol the event alone is refused, with a verdict of its own.
  const bad = [
    { type: "a\0b" },
    { module: "a\0b" },
    { entity: "a\0b" },
    { json: "[".repeat(65) + "]".repeat(65) },
    { json: "{" },
  ];
  const reply = await device.sync({ items: [segment(2n, 2, START, bad)] }).catch((error: unknown) => String(error));
  if (typeof reply === "string") {
    if (!/^4\d\d /.test(reply)) problems.push(`a segment with bad envelopes: ${reply.slice(0, 100)}`);
  } else if (reply.streams[0]?.verdicts.length !== bad.length) problems.push("a bad envelope was applied");
}

async function bombs(): Promise<void> {
  const zeros = new Uint8Array(full ? 1_000 * MB : 200 * MB);
  const push = (body: Uint8Array, encoding: string): Send => ({
    method: "POST",
    body: Buffer.from(body),
    headers: { "content-type": BATCH, "content-encoding": encoding },
  });
  const gzip = gzipSync(zeros);
  for (let i = 0; i < 10; i++) await probe("gzip bomb", "/sync/push", push(gzip, "gzip"));
  await Promise.all(Array.from({ length: 20 }, () => probe("gzip bombs at once", "/sync/push", push(gzip, "gzip"))));
  await probe("gzip of gzip", "/sync/push", push(gzipSync(gzip), "gzip, gzip"));
  await probe("brotli bomb", "/sync/push", push(brotliCompressSync(zeros.subarray(0, 100 * MB)), "br"));
  await probe("deflate bomb", "/sync/push", push(deflateSync(zeros.subarray(0, 100 * MB)), "deflate"));
  await probe("cut gzip", "/sync/push", push(gzip.subarray(0, 1_000), "gzip"));
  for (const deep of ["[".repeat(900_000), '{"a":'.repeat(180_000), "[{".repeat(400_000)])
    await probe(
      "nesting",
      "/events/queue",
      json(`{"deviceId":"${device.deviceId}","eventType":"t","eventData":${deep}`),
    );
  const keys = Array.from({ length: 60_000 }, (_, i) => `"k${i}":1`).join(",");
  await probe("many keys", "/device/register", json(`{"capabilities":{${keys}}}`));
  await probe(
    "many keys in an event",
    "/events/queue",
    json(`{"deviceId":"${device.deviceId}","eventType":"t","eventData":{${keys}}}`),
  );
  await probe("prototype", "/events/queue", json('{"__proto__":{"deviceId":"x"},"eventType":"t","eventData":1}'));
  await probe("not UTF-8", "/events/queue", {
    method: "POST",
    body: Uint8Array.from([123, 34, 0xff, 34, 125]),
    headers: { "content-type": "application/json" },
  });
  await frames(push);
}

async function frames(push: (body: Uint8Array, encoding: string) => Send): Promise<void> {
  // 100,000 events in one segment, and heads that claim numbers the bytes do not have.
  const many = segment(
    3n,
    2,
    START,
    Array.from({ length: full ? 100_000 : 20_000 }, () => ({ json: "1" })),
  );
  await probe("100,000 events", "/sync/push", push(device.frame({ items: [many] }), "identity"));
  const sealed = (head: Bytes): Uint8Array => {
    const bytes = head.take();
    return new Bytes().raw(bytes).u64(hash64(bytes)).take();
  };
  const start = (): Bytes =>
    new Bytes()
      .raw(new TextEncoder().encode("OAS"))
      .u8(1)
      .le(1, 2)
      .u64(1n)
      .raw(device.device)
      .u64(0)
      .u64(0)
      .varint(0)
      .u64(0);
  for (const count of [257n, 100_000n, 2n ** 32n, 2n ** 63n]) {
    await probe(`${count} streams`, "/sync/push", push(sealed(start().varint(count)), "identity"));
    await probe(`${count} items`, "/sync/push", push(sealed(start().varint(0).varint(count)), "identity"));
    await probe(`${count} deps`, "/sync/push", push(sealed(start().varint(0).varint(0).varint(count)), "identity"));
    const claims = new Bytes().u8(0x53).u8(1).u8(0).u8(2).u64(4n).varint(1).varint(count);
    const item = start()
      .varint(1)
      .u64(4n)
      .u8(2)
      .varint(0)
      .u64(0)
      .varint(1)
      .u64(1)
      .varint(1)
      .u8(0)
      .bytes(sealed(claims));
    await probe(`segment of ${count} events`, "/sync/push", push(sealed(item.varint(0)), "identity"));
  }
  const frame = device.frame({ items: [segment(5n, 2, START, [{ json: "1" }])] });
  for (let i = 0; i < (full ? 2_000 : 200); i++) {
    const damaged = frame.slice();
    damaged[i % frame.length]! ^= 1 << (i % 8);
    await probe("a flipped bit", "/sync/push", push(damaged, "identity"));
  }
  for (const length of [0, 1, 5, 13, 14, 30, 60])
    await probe("a cut frame", "/sync/push", push(frame.subarray(0, length), "identity"));
}

/** Claims that the bytes do not hold, whatever a size, a count or a compressed body says. */
async function dictionaries(): Promise<void> {
  const path = `/sync/dictionary/${device.deviceId}`;
  const put = (body: Uint8Array, headers: Record<string, string> = {}): Send => ({
    method: "PUT",
    body: Buffer.from(body),
    headers: { "content-type": "application/octet-stream", ...headers },
  });
  const { packed } = dictionaryOf("a text that events repeat");
  await probe("a good dictionary", path, put(packed), true);
  for (const claimed of [0n, 48_001n, 2n ** 32n, 2n ** 63n]) {
    const sized = new Bytes().varint(claimed).raw(packed.subarray(1)).take();
    await probe(`a dictionary of ${claimed} bytes`, path, put(sized));
    const columns = new Bytes().u8(0x44).u8(1).varint(claimed).le(0, 4).varint(claimed).take();
    if (claimed > 0n) await probe(`a dictionary of ${claimed} columns`, path, put(packedDictionary(columns)));
  }
  await probe("a large dictionary", path, put(new Uint8Array(MB)));
  await probe(
    "a gzip bomb of a dictionary",
    path,
    put(gzipSync(new Uint8Array(100 * MB)), { "content-encoding": "gzip" }),
  );
  for (let i = 0; i < packed.length * 8; i++) {
    const damaged = packed.slice();
    damaged[i >> 3]! ^= 1 << (i & 7);
    await probe("a flipped bit of a dictionary", path, put(damaged), true);
  }
}

// --- Below HTTP --------------------------------------------------------------------------------------------------------

const { hostname, port } = new URL(origin);

/** Sends bytes as they are and resolves with what came back when the connection ends. */
function raw(bytes: string | Buffer, trickle?: { readonly text: string; readonly everyMs: number }): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const timer = trickle && setInterval(() => socket.writable && socket.write(trickle.text), trickle.everyMs);
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    socket.on("error", () => undefined); // a closed door is an answer, too
    socket.on("close", () => {
      clearInterval(timer);
      resolve(answer);
    });
  });
}

function named(what: string, answer: string): void {
  probes++;
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
  const code = /"code":"(\w+)"/.exec(answer)?.[1];
  statuses[status] = (statuses[status] ?? 0) + 1;
  if (!(status >= 400 && status < 500) || !code) problems.push(`${what}: ${answer.slice(0, 120) || "no answer"}`);
  else codes[code] = (codes[code] ?? 0) + 1;
}

async function belowHttp(): Promise<void> {
  const host = "Host: x\r\n";
  named("no HTTP", await raw("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"));
  named("huge header", await raw(`GET / HTTP/1.1\r\n${host}X: ${"x".repeat(100_000)}\r\n\r\n`));
  named("many headers", await raw(`GET / HTTP/1.1\r\n${host}${"A: b\r\n".repeat(20_000)}\r\n`));
  const both = "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n";
  named(
    "two lengths",
    await raw(`POST /api/offline-ai/sync/push HTTP/1.1\r\n${host}${both}\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`),
  );
  named(
    "bad chunk",
    await raw(
      `POST /api/offline-ai/sync/push HTTP/1.1\r\n${host}Authorization: Bearer ${key}\r\nContent-Type: ${BATCH}\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n`,
    ),
  );
}

/** Senders of a byte now and then: they are let go, with a name, and take nobody's place. */
async function slow(): Promise<void> {
  const count = full ? 1_000 : 200;
  const head = `POST /api/offline-ai/sync/push HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: ${BATCH}\r\n`;
  const bodies = Array.from({ length: count }, () =>
    raw(`${head}Content-Length: 900000\r\n\r\n${"x".repeat(1_000)}`, { text: "x", everyMs: 500 }),
  );
  const heads = Array.from({ length: count }, () =>
    raw("GET /api/offline-ai/health HTTP/1.1\r\n", { text: "X-a: b\r\n", everyMs: 500 }),
  );
  const silent = Array.from({ length: count }, () => raw(`${head}Content-Length: 1000000\r\n\r\n`));
  const begun = performance.now();
  for (const answer of await Promise.all([...bodies, ...heads, ...silent])) named("a slow sender", answer);
  slowSeconds = (performance.now() - begun) / 1_000;
}
let slowSeconds = 0;

const before = memory();
await envelopes();
await everyRoute();
await bombs();
await dictionaries();
await belowHttp();
await slow();
serving = false;
await served;
clearInterval(watch);
await sleep(1_000);
const health = await fetch(`${url}/health`);
if (health.status !== 200) problems.push(`health answered ${health.status}`);
if ((await good.history()).length !== pushes) problems.push("the well-behaved client's events are not all there");

latencies.sort((a, b) => a - b);
for (const problem of problems.slice(0, 30)) process.stderr.write(`${problem}\n`);
process.stdout.write(
  `${JSON.stringify({
    probes,
    problems: problems.length,
    statuses,
    codes,
    goodPushes: pushes,
    goodAskedToWait: waited,
    goodP99Ms: Math.round(latencies[Math.floor(latencies.length * 0.99)] ?? 0),
    slowSendersLetGoSeconds: Math.round(slowSeconds * 10) / 10,
    rssBeforeMB: Math.round(before / MB),
    rssPeakMB: Math.round(peak / MB),
  })}\n`,
);
process.exit(0);
