/** The events of the throughput claim, what a round of them cost, and the packaged server under it. */

import { randomBytes } from "node:crypto";
import { openStore } from "../../js-glue/server/store/sql-store.ts";
import { cpuOf, percentile } from "./cost.ts";
import { type Mark, packed, readReply, request, type Segment, START, segment, type TestEvent } from "./frames.ts";
import { post, type Served, serve } from "./served.ts";

export const CONNECTIONS = 8;
export const BATCH = 100;
/** The lanes of events kept as rows, and as blocks. */
export const [ROWS, BLOCKS] = [2, 4];

/** What a round was: `databaseUs` is PostgreSQL's time, the rest that of the process in front of it. */
export interface Cost {
  readonly events: number;
  readonly nodeUs: number;
  readonly databaseUs: number;
  readonly eventsPerSecond: number;
}

export interface Contender {
  /** Everything that is measured, once more; what it writes is new each time. */
  round(): Promise<Cost>;
  /** Rejects when not everything is there that rounds have written. */
  end(): Promise<void>;
}

/** How much work there is: batches of one connection before the first round, in each round, and how many rounds. */
export interface Plan {
  readonly warmUp: number;
  readonly batches: number;
  readonly rounds: number;
}

export interface Clock {
  /** Microseconds so far of the process in front of the database. */
  node(): number;
  database(): number;
}

/** Runs `work`, which handles `events`, and says what one of them cost. */
export async function costOf(events: number, clock: Clock, work: () => Promise<unknown>): Promise<Cost> {
  const [node, database, start] = [clock.node(), clock.database(), performance.now()];
  await work();
  const seconds = (performance.now() - start) / 1_000;
  return {
    events,
    nodeUs: (clock.node() - node) / events,
    databaseUs: (clock.database() - database) / events,
    eventsPerSecond: events / seconds,
  };
}

/** 253 bytes of JSON, as an application would write it. */
export const eventOf = (n: number): TestEvent => ({
  type: "quiz.answer",
  module: "quiz",
  json: JSON.stringify({
    questionId: `q${n % 500}`,
    answer: n % 4,
    correct: n % 3 === 0,
    ms: 900 + (n % 4_000),
    session: `s-${n % 97}`,
    text: "x".repeat(142),
    n,
  }),
});

interface Frame {
  readonly bytes: Buffer;
  readonly after: Mark;
}

/** The stream that every device sends; analytics are packed as a client packs them, by the same core. */
function segmentsOf(count: number, lane: number, oas: string): readonly Segment[] {
  const segments: Segment[] = [];
  for (let n = 0; n < count; n += BATCH) {
    const events = Array.from({ length: BATCH }, (_, i) => eventOf(n + i));
    const before = segments.at(-1)?.after ?? START;
    segments.push(
      lane === BLOCKS ? packed(oas, segment(1n, lane, before, events), events) : segment(1n, lane, before, events),
    );
  }
  return segments;
}

const framesOf = (device: Uint8Array, segments: readonly Segment[]): readonly Frame[] =>
  segments.map((one) => ({
    bytes: Buffer.from(request({ device, items: [one], stored: [{ ...one.stream, ...one.before }] })),
    after: one.after,
  }));

export interface Ours extends Contender {
  readonly pushMs: { readonly p50: number; readonly p99: number };
  readonly wireBytesPerEvent: number;
}

/** The packaged server over `db`; `stop` it when nobody sends any more. */
export const startServer = (db: string): Promise<Served> => serve(["--db", db, "--port", "0", "--log", "error"]);

/** Devices of a lane, warm, that each send one batch after another to the server. */
export async function startOurs(
  server: Served,
  { db, lane, oas }: { readonly db: string; readonly lane: number; readonly oas: string },
  plan: Plan,
  database: () => number,
): Promise<Ours> {
  const segments = segmentsOf((plan.warmUp + plan.rounds * plan.batches) * BATCH, lane, oas);
  const devices = Array.from({ length: CONNECTIONS }, () => framesOf(new Uint8Array(randomBytes(16)), segments));
  const latencies: number[] = [];
  let sent = 0;
  const send = async (frames: readonly Frame[]): Promise<void> => {
    for (const { bytes, after } of frames) {
      const start = performance.now();
      const answer = await post(server.url, server.key, "/sync/push", bytes, "application/vnd.oas.batch");
      latencies.push(performance.now() - start);
      if (answer.status !== 200) throw new Error(`a push was answered ${answer.status}: ${answer.body.toString()}`);
      if (readReply(answer.body).streams[0]?.mark.seq !== after.seq) throw new Error("a push did not reach its end");
    }
  };
  const next = async (batches: number): Promise<void> => {
    await Promise.all(devices.map((frames) => send(frames.slice(sent, sent + batches))));
    sent += batches;
  };
  await next(plan.warmUp);
  latencies.length = 0;
  return {
    round: () =>
      costOf(plan.batches * BATCH * CONNECTIONS, { node: () => cpuOf(server.pid), database }, () => next(plan.batches)),
    async end() {
      const kept = await countEvents(db, lane);
      if (kept !== sent * BATCH * CONNECTIONS) throw new Error(`${kept} events are there`);
    },
    get pushMs() {
      return { p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
    },
    wireBytesPerEvent: segments.reduce((sum, { bytes }) => sum + bytes.length, 0) / (segments.length * BATCH),
  };
}

async function countEvents(db: string, lane: number): Promise<number> {
  const store = await openStore(db, { now: Date.now, onIdleError: () => undefined });
  const [row] = await store.read(({ connection }) =>
    connection.query(
      `SELECT (SELECT count(*) FROM offline_sync_queue WHERE status = 0 AND lane = ${lane})
         + CASE WHEN ${lane} = ${BLOCKS} THEN (SELECT COALESCE(sum(events), 0) FROM offline_analytics_buffer) ELSE 0 END AS n`,
    ),
  );
  await store.close();
  return Number(row?.["n"]);
}
