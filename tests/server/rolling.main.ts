/**
 * Two server processes on one PostgreSQL behind nginx, restarted one after the other under load, again and again. Arguments:
 * rounds, clients. Prints one JSON line.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { percentile } from "./cost.ts";
import { type Mark, readReply, request, START, segment } from "./frames.ts";
import { post, type Served, serve } from "./served.ts";

const [rounds = "4", clients = "8"] = process.argv.slice(2);
const db = process.env["OAS_TEST_POSTGRES"] ?? "";
const TRIES_MAX = 10;

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const { port } = probe.address() as { port: number };
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

const ports = [await freePort(), await freePort()];
const front = await freePort();
const start = (n: number): Promise<Served> => serve(["--db", db, "--port", String(ports[n]), "--log", "error"]);
const servers = [await start(0), await start(1)];
const { key } = servers[0]!;

const folder = mkdtempSync(join(tmpdir(), "oas-nginx-"));
chmodSync(folder, 0o755);
writeFileSync(
  join(folder, "nginx.conf"),
  `daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/f;
  uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  upstream sync {
    ${ports.map((port) => `server 127.0.0.1:${port} max_fails=1 fail_timeout=1s;`).join(" ")}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${front};
    client_max_body_size 2m;
    location /api/offline-ai/ {
      proxy_pass http://sync; proxy_http_version 1.1; proxy_set_header Connection "";
      # A push may be sent again: the server applies it once.
      proxy_next_upstream error timeout http_502 http_503 non_idempotent; proxy_next_upstream_tries 2;
      proxy_connect_timeout 2s; proxy_buffering off;
    }
  }
}
`,
);
const nginx: ChildProcess = spawn("nginx", ["-p", folder, "-c", join(folder, "nginx.conf")], { stdio: "inherit" });
await sleep(500);
const url = `http://127.0.0.1:${front}`;

let loading = true;
let failed = 0;
let retries = 0;
let acked = 0;
const calm: number[] = [];
const rolling: number[] = [];
let inRoll = false;

async function device(): Promise<void> {
  const id = new Uint8Array(randomBytes(16));
  let mark: Mark = START;
  while (loading) {
    const one = segment(
      1n,
      2,
      mark,
      Array.from({ length: 10 }, (_, i) => ({ json: `{"n":${mark.seq + i}}` })),
    );
    const frame = request({ device: id, items: [one], stored: [{ epoch: 1n, lane: 2, ...mark }] });
    const begun = performance.now();
    let done = false;
    for (let tries = 0; tries < TRIES_MAX && !done; tries++) {
      if (tries > 0) {
        retries++;
        await sleep(100 + Math.random() * 200 * 2 ** tries);
      }
      const answer = await post(url, key, "/sync/push", frame, "application/vnd.oas.batch").catch(() => undefined);
      done = answer?.status === 200 && readReply(answer.body).streams[0]?.mark.seq === one.after.seq;
    }
    if (!done) {
      failed++;
      return;
    }
    (inRoll ? rolling : calm).push(performance.now() - begun);
    mark = one.after;
    acked += 10;
    await sleep(10);
  }
}

const devices = Promise.all(Array.from({ length: Number(clients) }, device));
await sleep(3_000);
for (let round = 0; round < Number(rounds); round++)
  for (const n of [0, 1]) {
    inRoll = true;
    await servers[n]!.stop("SIGTERM");
    servers[n] = await start(n);
    await sleep(500);
    inRoll = false;
    await sleep(500);
  }
loading = false;
await devices;
for (const server of servers) await server.stop();
const gone = new Promise((resolve) => nginx.once("exit", resolve));
nginx.kill("SIGQUIT");
await gone;
const client = new pg.Client({ connectionString: db });
await client.connect();
const { rows } = await client.query<{ n: string }>("SELECT count(*) AS n FROM offline_sync_queue WHERE status = 0");
await client.end();
rmSync(folder, { recursive: true, force: true });
const round = (ms: number): number => Math.round(ms * 10) / 10;
process.stdout.write(
  `${JSON.stringify({
    restarts: Number(rounds) * 2,
    failed,
    retries,
    acked,
    applied: Number(rows[0]?.n),
    calmP99Ms: round(percentile(calm, 0.99)),
    rollingP99Ms: round(percentile(rolling, 0.99)),
  })}\n`,
);
process.exit(0);
