/**
 * Ten thousand connected devices and a steady load on one process. Arguments: floor|herd, devices, events a second, seconds.
 *
 *   floor: every device holds an event stream; pushes of ten events each arrive at the given rate from devices in turn
 *   herd:  the server is killed and started again; every stream comes back as its `retry` says, and pushes what it has
 *
 * Prints one JSON line.
 */

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cpuOf, percentile, rssOf } from "./cost.ts";
import { type Mark, readReply, request, START, segment } from "./frames.ts";
import { post, type Served, serve } from "./served.ts";
import { StreamClient } from "./stream-client.ts";

const [mode = "floor", deviceCount = "10000", rate = "1000", secondsText = "60"] = process.argv.slice(2);
const devices = Number(deviceCount);
const perSecond = Number(rate);
const seconds = Number(secondsText);
const EVENTS = 10;
const BATCH = "application/vnd.oas.batch";
const folder = mkdtempSync(join(tmpdir(), "oas-floor-"));
const args = ["--db", `sqlite:${join(folder, "data.sqlite")}`, "--log", "error"];
const start = (port: string): Promise<Served> => serve([...args, "--port", port]);
let server = await start("0");
const { key } = server;
const { hostname, port } = new URL(server.url);
const say = (text: string): boolean => process.stderr.write(`${text}\n`);

class Device {
  readonly id = new Uint8Array(randomBytes(16));
  readonly key: string;
  mark: Mark = START;
  acked = 0;
  readonly stream: StreamClient;
  constructor(deviceKey: string) {
    this.key = deviceKey;
    this.stream = new StreamClient(server.url, deviceKey);
  }
  /** Pushes the next events until they are acknowledged; gives up after a while. */
  async push(): Promise<number> {
    const events = Array.from({ length: EVENTS }, (_, i) => ({
      type: "quiz.answer",
      module: "quiz",
      json: `{"n":${this.mark.seq + i + 1},"text":"${"x".repeat(180)}"}`,
    }));
    const one = segment(1n, 2, this.mark, events);
    const frame = request({ device: this.id, items: [one], stored: [{ epoch: 1n, lane: 2, ...this.mark }] });
    const begun = performance.now();
    for (let tries = 0; tries < 60; tries++) {
      try {
        const answer = await post(`http://${hostname}:${port}`, this.key, "/sync/push", frame, BATCH);
        if (answer.status === 200 && readReply(answer.body).streams[0]?.mark.seq === one.after.seq) {
          this.mark = one.after;
          this.acked += EVENTS;
          return performance.now() - begun;
        }
        refused++;
        await sleep(answer.retryAfterMs || 1_000);
      } catch {
        await sleep(500 + Math.random() * 500);
      }
    }
    throw new Error("a push was never acknowledged");
  }
}

let refused = 0;

// Every two hundred devices are one principal's (at most fifty streams each would be a person's); keys come from the API.
async function keys(count: number): Promise<readonly string[]> {
  const made: string[] = [];
  for (let n = 0; n < count; n++) {
    const body = Buffer.from(JSON.stringify({ principal: `person-${n}`, scopes: ["sync"] }));
    const answer = await post(server.url, key, "/auth/keys", body, "application/json");
    made.push((JSON.parse(answer.body.toString()) as { key: string }).key);
  }
  return made;
}
const DEVICES_PER_PERSON = 40;
const people = await keys(Math.ceil(devices / DEVICES_PER_PERSON));
const all = Array.from({ length: devices }, (_, n) => new Device(people[Math.floor(n / DEVICES_PER_PERSON)]!));

/** All streams open, a few hundred at a time. */
async function connectAll(): Promise<void> {
  for (let at = 0; at < all.length; at += 250)
    await Promise.all(
      all.slice(at, at + 250).map(async (device) => {
        const lost = (): void => onLost(device);
        while (!(await device.stream.connect({ lost }))) await sleep(device.stream.retryAfterMs || 200);
      }),
    );
}
let onLost = (_: Device): void => undefined;

const idle = rssOf(server.pid);
await connectAll();
const connected = all.filter(({ stream }) => stream.connected).length;
const rssConnected = rssOf(server.pid);
say(`${connected} devices are connected`);

async function floor(): Promise<object> {
  const latencies: number[] = [];
  const pushes = Math.floor((perSecond * seconds) / EVENTS);
  const everyMs = (1_000 * EVENTS) / perSecond;
  const open = new Set<Promise<void>>();
  const cpu = cpuOf(server.pid);
  const begun = performance.now();
  let peak = 0;
  for (let n = 0; n < pushes; n++) {
    const wait = begun + n * everyMs - performance.now();
    if (wait > 1) await sleep(wait);
    const one = all[(n * 7) % all.length]!;
    const sent: Promise<void> = one.push().then((ms) => {
      latencies.push(ms);
      open.delete(sent);
    });
    open.add(sent);
    if (n % 500 === 0) peak = Math.max(peak, rssOf(server.pid));
  }
  await Promise.all(open);
  const took = (performance.now() - begun) / 1_000;
  return {
    eventsPerSecond: Math.round((pushes * EVENTS) / took),
    pushP50Ms: Math.round(percentile(latencies, 0.5) * 10) / 10,
    pushP99Ms: Math.round(percentile(latencies, 0.99) * 10) / 10,
    shareOfOneCore: Math.round(((cpuOf(server.pid) - cpu) / 1e6 / took) * 1_000) / 1_000,
    rssPeakMB: Math.round(Math.max(peak, rssOf(server.pid)) / 1e6),
    kBPerDevice: Math.round(((rssConnected - idle) / connected / 1_024) * 10) / 10,
    pokes: all.reduce((sum, { stream }) => sum + stream.pokes, 0),
  };
}

/** Each stream that was lost waits as it was told, connects again, and pushes once. */
async function herd(): Promise<object> {
  const perSecondSeen = Array.from({ length: seconds + 120 }, () => 0);
  const back = new Set<Device>();
  const pending: Promise<void>[] = [];
  let killedAt = 0;
  onLost = (device) => {
    pending.push(
      (async () => {
        const { stream } = device;
        let wait = stream.retryMs;
        // As a client does: full jitter above the time that the server asks for.
        for (let tries = 0; ; tries++) {
          await sleep(wait);
          const second = Math.floor((performance.now() - killedAt) / 1_000);
          perSecondSeen[second]! += 1;
          if (await stream.connect({})) break;
          wait = stream.retryAfterMs + Math.random() * Math.min(30_000, 4_000 * 2 ** tries);
        }
        await device.push();
        back.add(device);
      })(),
    );
  };
  await Promise.all(all.slice(0, 200).map((device) => device.push()));
  // The server tells each stream with its heartbeat when to come back; the last ones to connect were told at once.
  await sleep(25_000);
  killedAt = performance.now();
  await server.stop("SIGKILL");
  await sleep(2_000);
  server = await start(port);
  const deadline = performance.now() + seconds * 1_000;
  while (back.size < all.length && performance.now() < deadline) await sleep(200);
  const took = (performance.now() - killedAt) / 1_000;
  const attempts = perSecondSeen.reduce((sum, n) => sum + n, 0);
  const peak = Math.max(...perSecondSeen);
  return {
    back: back.size,
    secondsToAllBack: Math.round(took * 10) / 10,
    attempts,
    peakPerSecond: peak,
    peakToMeanOver60s: Math.round((peak / (attempts / 60)) * 100) / 100,
    rssPeakMB: Math.round(rssOf(server.pid) / 1e6),
  };
}

const figures = mode === "floor" ? await floor() : await herd();
const acked = all.reduce((sum, device) => sum + device.acked, 0);
onLost = () => undefined;
for (const { stream } of all) stream.close();
await server.stop();
const { openStore } = await import("../../js-glue/server/store/sql-store.ts");
const store = await openStore(`sqlite:${join(folder, "data.sqlite")}`, { now: Date.now, onIdleError: () => undefined });
const [row] = await store.read((reads) =>
  reads.connection.query(
    "SELECT count(*) AS n, count(DISTINCT hex(device_id) || '/' || client_seq) AS once FROM offline_sync_queue WHERE status = 0",
  ),
);
await store.close();
rmSync(folder, { recursive: true, force: true });
process.stdout.write(
  `${JSON.stringify({ mode, devices: connected, ...figures, acked, applied: Number(row?.["n"]), once: Number(row?.["once"]), askedToWait: refused })}\n`,
);
process.exit(0);
