/** Shared by the glue tests: the real core in Node, stores that fail on purpose, and calls whose fate one can read. */

import { readFileSync } from "node:fs";
import { type Call, encodeEvent, type QueuedEvent } from "../../js-glue/core/calls.ts";
import type { OfflineSyncError } from "../../js-glue/core/errors.ts";
import type { Position } from "../../js-glue/core/events.ts";
import type { EngineStatus, LogOutput } from "../../js-glue/core/io.ts";
import { coreFactory } from "../../js-glue/core/load.ts";
import type { LoopListener } from "../../js-glue/core/loop.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import type {
  CreateCore,
  KeyRange,
  Random,
  Store,
  StoredRecord,
  Transport,
  WriteBatch,
} from "../../js-glue/core/ports.ts";

/** The shipped module, compiled once. */
export const realCore = (): CreateCore => coreFactory({ wasmBinary: new Uint8Array(readFileSync("dist/core.wasm")) });

/** The same bytes in every run. */
export class CountingRandom implements Random {
  #state: number;
  constructor(seed = 1) {
    this.#state = seed;
  }
  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => {
      this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) >>> 0;
      return this.#state >>> 24;
    });
  }
}

/** A network that is not there. */
export const noNetwork: Transport = {
  send: () => Promise.reject(new TypeError("no network")),
  renew: () => Promise.resolve(false),
};

/** A store that can be held, failed and looked into. */
export class TestStore implements Store {
  readonly inner = new MemoryStore();
  readonly commits: WriteBatch[] = [];
  /** Asked before each commit; what it throws, the commit rejects with. */
  before: (batch: WriteBatch, index: number) => void | Promise<void> = () => undefined;
  /** Asked after each commit was carried out: a rejection here is a lost answer. */
  behind: (batch: WriteBatch, index: number) => void | Promise<void> = () => undefined;

  async commit(batch: WriteBatch): Promise<void> {
    const index = this.commits.push(batch) - 1;
    await this.before(batch, index);
    await this.inner.commit(batch);
    await this.behind(batch, index);
  }
  scan(range: KeyRange, limit: number): Promise<readonly StoredRecord[]> {
    return this.inner.scan(range, limit);
  }
  close(): void {
    this.inner.close();
  }
}

export interface Fate {
  readonly call: Call;
  position: Position | undefined;
  error: OfflineSyncError | undefined;
  /** How often it was answered; must be once. */
  answers: number;
  readonly done: Promise<void>;
}

export function callOf(event: Partial<QueuedEvent> & Pick<QueuedEvent, "eventData">): Fate {
  let finish = (): void => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const encoded = encodeEvent({ eventType: "test", moduleId: "glue", ...event }, event.durability ?? "strict");
  const fate: Fate = {
    call: {
      ...encoded,
      stored: (position) => {
        fate.position = position;
        fate.answers++;
        finish();
      },
      failed: (error) => {
        fate.error = error;
        fate.answers++;
        finish();
      },
    },
    position: undefined,
    error: undefined,
    answers: 0,
    done,
  };
  return fate;
}

export class Listener implements LoopListener {
  readonly logs: LogOutput[] = [];
  last: EngineStatus | undefined;
  status(status: EngineStatus): void {
    this.last = status;
  }
  settled(): void {
    // Nothing is ever settled without a server.
  }
  log(entry: LogOutput): void {
    this.logs.push(entry);
  }
}

export const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));
