/** What is kept of an engine while the tools are there, beside its timeline: a chunk of its own, loaded behind the first look. */

import type { OfflineSync } from "../browser/client.ts";
import { Metrics } from "./metrics.ts";
import type { Timeline } from "./timeline.ts";
import { Recorder } from "./trace.ts";

const READ_MS = 1_000;

export class Records {
  readonly recorder: Recorder;
  readonly metrics = new Metrics();
  readonly #leave = (): void => this.recorder.leave();
  readonly #read: () => void;
  #timer: ReturnType<typeof setInterval> | undefined;

  /** `openedAt` is of `performance.now()`. */
  constructor(engine: OfflineSync, timeline: Timeline, openedAt: number) {
    this.recorder = new Recorder(timeline, engine.inspect().database, openedAt);
    this.#read = () => this.metrics.read(engine.status.get(), timeline.events, performance.now(), Date.now());
  }

  start(): void {
    this.stop();
    addEventListener("pagehide", this.#leave);
    this.#timer = setInterval(this.#read, READ_MS);
  }

  stop(): void {
    removeEventListener("pagehide", this.#leave);
    clearInterval(this.#timer);
  }
}
