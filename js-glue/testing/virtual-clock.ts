/** Time that passes only when a test says so. */

import type { Clock } from "../core/ports.ts";

interface Alarm {
  readonly at: number;
  readonly ring: () => void;
}

/** A clock that a test moves. */
export class VirtualClock implements Clock {
  #mono = 0;
  #wall: number;
  readonly #alarms = new Set<Alarm>();

  constructor(wall = 1_700_000_000_000) {
    this.#wall = wall;
  }

  mono(): number {
    return this.#mono;
  }

  wall(): number {
    return this.#wall;
  }

  alarm(at: number, ring: () => void): () => void {
    const alarm = { at, ring };
    this.#alarms.add(alarm);
    return () => {
      this.#alarms.delete(alarm);
    };
  }

  /** The wall clock jumps; monotonic time does not notice. */
  jump(ms: number): void {
    this.#wall += ms;
  }

  /** Passes `ms`, ringing what is due in order of time, and lets promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#mono + ms;
    for (;;) {
      await settle();
      const due = [...this.#alarms].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#alarms.delete(due);
      this.#pass(Math.max(0, due.at - this.#mono));
      due.ring();
    }
    this.#pass(end - this.#mono);
    await settle();
  }

  #pass(ms: number): void {
    this.#mono += ms;
    this.#wall += ms;
  }
}

/** Longer than any chain of microtasks of ours. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
