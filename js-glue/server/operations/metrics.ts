/**
 * What Prometheus sees. Labels come from closed sets and never from requests; names start with `oas_`.
 *
 * Counters move as things happen; figures of the database are read when somebody scrapes, at most every five seconds.
 */

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** What only the database knows. */
export interface StoredFigures {
  readonly devices: number;
  readonly pendingByLane: Readonly<Record<string, number>>;
  readonly oldestPendingSeconds: number;
  readonly deadLetters: number;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const FIGURES_MS = 5_000;

/** A push or a pull, as far as it is counted. */
export interface ExchangeFigures {
  readonly pull: boolean;
  readonly seconds: number;
  /** Events that applied and were not looked at one by one. */
  readonly applied: readonly (readonly [lane: string, count: number])[];
  /** One entry per event. */
  readonly verdicts: readonly (readonly [lane: string, verdict: string])[];
  readonly streams: readonly (readonly [status: string, count: number])[];
  readonly voids: readonly (readonly [reason: string, count: number])[];
  readonly recovered: number;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #requests: Counter;
  readonly #requestSeconds: Histogram;
  readonly #devices: Counter;
  readonly #events: Counter;
  readonly #streams: Counter;
  readonly #voids: Counter;
  readonly #recovered: Counter;
  readonly #exchangeSeconds: Histogram;
  readonly #commitSeconds: Histogram;
  readonly #shed: Counter;
  readonly #level: Gauge;
  readonly #loopDelay: Gauge;
  readonly #waiting: Gauge;
  readonly #connections: Gauge;
  readonly #pokes: Counter;
  readonly #jobs: Counter;
  readonly #cache: Counter;
  readonly #edits: Counter;
  readonly #pulls: Counter;
  readonly #changes: Counter;
  readonly #conflicts: Counter;
  readonly #inference: Histogram;
  #figures: (() => Promise<StoredFigures>) | undefined;
  #last: { readonly at: number; readonly value: Promise<StoredFigures> } | undefined;

  constructor() {
    const registers = [this.registry];
    const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
      new Counter({ name: `oas_${name}`, help, labelNames, registers });
    const gauge = (name: string, help: string, labelNames: string[] = []): Gauge =>
      new Gauge({ name: `oas_${name}`, help, labelNames, registers });
    const seconds = (name: string, help: string, labelNames: string[] = []): Histogram =>
      new Histogram({ name: `oas_${name}`, help, labelNames, registers, buckets: SECONDS });
    this.#requests = counter("http_requests_total", "Requests by route and status", ["method", "route", "status"]);
    this.#requestSeconds = seconds("http_request_seconds", "Time to answer a request", ["method", "route"]);
    this.#devices = counter("devices_registered_total", "Devices seen for the first time");
    this.#events = counter("push_events_total", "Events by verdict", ["lane", "verdict"]);
    this.#streams = counter("push_streams_total", "Streams of pushes by what they were answered", ["status"]);
    this.#voids = counter("void_numbers_total", "Numbers passed without content", ["reason"]);
    this.#recovered = counter("recovered_total", "Events that were given up as lost and came after all");
    this.#exchangeSeconds = seconds("exchange_seconds", "Time of a push or pull", ["kind"]);
    this.#commitSeconds = seconds("store_commit_seconds", "Time of a writing transaction");
    this.#shed = counter("shed_total", "Requests turned away under load", ["lane"]);
    this.#level = gauge("load_level", "0 = everybody is served, 4 = nobody");
    this.#loopDelay = gauge("event_loop_delay_seconds", "90th percentile over the last second");
    this.#waiting = gauge("pool_waiting", "Callers waiting for a database connection");
    this.#connections = gauge("stream_connections", "Open event streams");
    this.#pokes = counter("pokes_total", "Hints sent to event streams, and what they brought", ["from", "brought"]);
    this.#jobs = counter("maintenance_rows_total", "Rows removed by maintenance", ["table"]);
    this.#cache = counter("cache_requests_total", "Content cache requests", ["result"]);
    this.#edits = counter("document_edits_total", "Edits of documents by what their push was told", ["verdict"]);
    this.#pulls = counter("document_pulls_total", "Questions for changes of documents", ["result"]);
    this.#changes = counter("document_changes_sent_total", "Changes of documents in those answers");
    this.#conflicts = counter("conflicts_total", "Records of concurrent edits that were opened", ["class"]);
    this.#inference = seconds("client_inference_seconds", "Inference times as devices report them", ["model"]);
    this.#stored(registers);
    collectDefaultMetrics({ register: this.registry, prefix: "oas_" });
  }

  #stored(registers: Registry[]): void {
    const metrics = this;
    new Gauge({
      name: "oas_devices",
      help: "Devices known",
      registers,
      async collect() {
        const figures = await metrics.#read();
        if (figures) this.set(figures.devices);
      },
    });
    new Gauge({
      name: "oas_pending",
      help: "Accepted events whose verdict is open",
      labelNames: ["lane"],
      registers,
      async collect() {
        const figures = await metrics.#read();
        for (const [lane, count] of Object.entries(figures?.pendingByLane ?? {})) this.set({ lane }, count);
      },
    });
    new Gauge({
      name: "oas_oldest_pending_seconds",
      help: "Age of the oldest event whose verdict is open",
      registers,
      async collect() {
        const figures = await metrics.#read();
        if (figures) this.set(figures.oldestPendingSeconds);
      },
    });
    new Gauge({
      name: "oas_dead_letters",
      help: "Refused events nobody has decided about",
      registers,
      async collect() {
        const figures = await metrics.#read();
        if (figures) this.set(figures.deadLetters);
      },
    });
  }

  /** Where the database's figures come from. */
  readFrom(figures: () => Promise<StoredFigures>): void {
    this.#figures = figures;
  }

  // A scrape must not fail with the database: the gauges keep their last value then.
  async #read(): Promise<StoredFigures | undefined> {
    if (!this.#figures) return undefined;
    const now = performance.now();
    if (!this.#last || now - this.#last.at > FIGURES_MS) this.#last = { at: now, value: this.#figures() };
    return this.#last.value.catch(() => undefined);
  }

  request(method: string, route: string, status: number, ms: number): void {
    this.#requests.inc({ method, route, status: String(status) });
    this.#requestSeconds.observe({ method, route }, ms / 1_000);
  }
  deviceRegistered(): void {
    this.#devices.inc();
  }
  exchange({ pull, seconds, applied, verdicts, streams, voids, recovered }: ExchangeFigures): void {
    this.#exchangeSeconds.observe({ kind: pull ? "pull" : "push" }, seconds);
    // Runs of one lane and verdict are counted together: a counter costs more than a compare.
    for (let from = 0; from < verdicts.length; ) {
      const [lane, verdict] = verdicts[from]!;
      let to = from + 1;
      while (to < verdicts.length && verdicts[to]![0] === lane && verdicts[to]![1] === verdict) to++;
      this.#events.inc({ lane, verdict }, to - from);
      from = to;
    }
    for (const [lane, count] of applied) this.#events.inc({ lane, verdict: "applied" }, count);
    for (const [status, count] of streams) this.#streams.inc({ status }, count);
    for (const [reason, count] of voids) this.#voids.inc({ reason }, count);
    if (recovered > 0) this.#recovered.inc(recovered);
  }
  commit(seconds: number): void {
    this.#commitSeconds.observe(seconds);
  }
  shed(lane: string): void {
    this.#shed.inc({ lane });
  }
  load(level: number, loopDelayMs: number, waiting: number): void {
    this.#level.set(level);
    this.#loopDelay.set(loopDelayMs / 1_000);
    this.#waiting.set(waiting);
  }
  streamConnections(count: number): void {
    this.#connections.set(count);
  }
  poke(from: "local" | "bus", brought: "nothing" | "changes", count: number): void {
    this.#pokes.inc({ from, brought }, count);
  }
  maintenance(table: string, rows: number): void {
    if (rows > 0) this.#jobs.inc({ table }, rows);
  }
  cache(result: "hit" | "miss" | "expired" | "not_modified" | "stored"): void {
    this.#cache.inc({ result });
  }
  documentEdit(verdict: string): void {
    this.#edits.inc({ verdict });
  }
  documentPull(result: "changes" | "nothing" | "snapshot" | "expired", changes = 0): void {
    this.#pulls.inc({ result });
    if (changes > 0) this.#changes.inc(changes);
  }
  /** By class, see docs/merge.md. */
  conflicts(classes: readonly string[]): void {
    for (const one of classes) this.#conflicts.inc({ class: one });
  }
  inference(model: string, seconds: number): void {
    this.#inference.observe({ model }, seconds);
  }
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
