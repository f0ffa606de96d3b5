/** One device under load: the real client core over storage in memory, and its own record of what it was promised. */

import { randomBytes } from "node:crypto";
import { encodeEvent } from "../../js-glue/core/calls.ts";
import type { Position } from "../../js-glue/core/events.ts";
import type { EngineStatus } from "../../js-glue/core/io.ts";
import { EngineLoop } from "../../js-glue/core/loop.ts";
import { MemoryStore } from "../../js-glue/core/memory-store.ts";
import type { Clock, CreateCore, Transport, TransportReply, TransportRequest } from "../../js-glue/core/ports.ts";

const clock: Clock = {
  mono: () => performance.now(),
  wall: () => Date.now(),
  alarm(at, ring) {
    const timer = setTimeout(ring, Math.max(0, Math.ceil(at - performance.now())));
    return () => clearTimeout(timer);
  },
};

class HttpTransport implements Transport {
  readonly #url: () => string;
  readonly #key: string;
  requests = 0;
  /** Answers other than 200. */
  refused = 0;
  /** Requests that were sent and got no answer: whether they took effect is what this is about. */
  interrupted = 0;
  constructor(url: () => string, key: string) {
    this.#url = url;
    this.#key = key;
  }
  async send(request: TransportRequest): Promise<TransportReply> {
    this.requests++;
    try {
      return await this.#send(request);
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      if (cause?.code !== "ECONNREFUSED") this.interrupted++;
      throw error;
    }
  }
  async #send({ pull, body, timeoutMs, signal }: TransportRequest): Promise<TransportReply> {
    const response = await fetch(`${this.#url()}/api/offline-ai/sync/${pull ? "pull" : "push"}`, {
      method: "POST",
      body: Buffer.from(body),
      headers: {
        authorization: `Bearer ${this.#key}`,
        "content-type": "application/vnd.oas.batch",
        "oas-context": "node",
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (response.status !== 200) this.refused++;
    return { status: response.status, retryAfterMs: 0, body: bytes };
  }
  renew(): Promise<boolean> {
    return Promise.resolve(false);
  }
}

export class StormClient {
  readonly device = new Uint8Array(randomBytes(16));
  readonly transport: HttpTransport;
  readonly #loop: EngineLoop;
  /** The event's own number, by its place in its stream. */
  readonly #numbers = new Map<string, number>();
  readonly #acked = new Set<number>();
  #made = 0;
  #failed = 0;
  status: EngineStatus | undefined;

  /** `url` may be a function where several servers share the work. */
  constructor(url: string | (() => string), key: string, create: CreateCore) {
    this.transport = new HttpTransport(typeof url === "string" ? () => url : url, key);
    const ports = {
      create,
      store: new MemoryStore(),
      transport: this.transport,
      clock,
      random: { bytes: (count: number) => new Uint8Array(randomBytes(count)) },
    };
    this.#loop = new EngineLoop(
      ports,
      { device: this.device, drains: true },
      {
        status: (status) => {
          this.status = status;
        },
        settled: ({ epoch, lane, from, upto, late, exceptions }) => {
          if (late || exceptions.length > 0) throw new Error("nothing here is ever refused or deferred");
          for (let seq = from; seq <= upto; seq++) {
            const n = this.#numbers.get(`${epoch}/${lane}/${seq}`);
            if (n !== undefined) this.#acked.add(n);
          }
        },
        log: () => undefined,
      },
    );
  }

  async start(): Promise<void> {
    await this.#loop.start(randomBytes(8).readBigUInt64LE(), [1, 1, 1, 1, 1]);
  }

  get deviceHex(): string {
    return Buffer.from(this.device).toString("hex");
  }
  get made(): number {
    return this.#made;
  }
  get acked(): ReadonlySet<number> {
    return this.#acked;
  }
  get failed(): number {
    return this.#failed;
  }
  get waiting(): number {
    return this.#made - this.#failed - this.#acked.size;
  }

  /** Queues events of all lanes, some of one entity. */
  add(count: number): void {
    const calls = Array.from({ length: count }, () => {
      const n = ++this.#made;
      const priority = (["critical", "high", "normal", "low"] as const)[n % 4]!;
      const entity = n % 3 === 0 ? `e/${n % 7}` : undefined;
      const event = encodeEvent(
        { eventType: "storm", eventData: { n, pad: "x".repeat(n % 200) }, priority, entity },
        "strict",
      );
      return {
        ...event,
        stored: ({ epoch, lane, seq }: Position) => {
          this.#numbers.set(`${epoch}/${lane}/${seq}`, n);
        },
        failed: () => {
          this.#failed++;
        },
      };
    });
    this.#loop.enqueue(calls);
  }

  /** As a browser's `online` event would. */
  wake(): void {
    this.#loop.connectivity(true);
  }

  close(): Promise<void> {
    return this.#loop.close();
  }
}
