/** What is kept of an engine while the tools are there, beside its timeline: a chunk of its own, loaded behind the first look. */

import type { OfflineSync } from "../browser/client.ts";
import type { Timeline } from "./timeline.ts";
import { Recorder } from "./trace.ts";

export class Records {
  readonly recorder: Recorder;
  readonly #leave = (): void => this.recorder.leave();

  /** `openedAt` is of `performance.now()`. */
  constructor(engine: OfflineSync, timeline: Timeline, openedAt: number) {
    this.recorder = new Recorder(timeline, engine.inspect().database, openedAt);
  }

  start(): void {
    this.stop();
    addEventListener("pagehide", this.#leave);
  }

  stop(): void {
    removeEventListener("pagehide", this.#leave);
  }
}
