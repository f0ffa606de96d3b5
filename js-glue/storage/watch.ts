/** Looks at the storage from time to time, lets go of what may go, and guards the way into the queue. */

import type { OfflineSync, Receipt } from "../browser/client.ts";
import type { QueuedEvent } from "../core/calls.ts";
import { asFailure, failure } from "../core/errors.ts";
import { Op } from "../core/io.ts";
import { createLadderCore, type LadderCore, type WasmOptions } from "../core/load.ts";
import { Subject, type Subscribable } from "../core/subscribable.ts";
import { sendDirectly } from "./direct.ts";

/** From room enough to none; what gives way at each is in src/device/ladder.h. */
export const RUNGS = ["ok", "warn", "compact", "evict", "sample", "refuse-bulk", "critical-only"] as const;
/** A rung of `RUNGS`. */
export type Rung = (typeof RUNGS)[number];

/** How full the origin is, and what has given way. */
export interface StorageStatus {
  /** Bytes in use by this origin, and offered to it, as the browser estimates them; 0 = it does not say. */
  readonly usage: number;
  readonly quota: number;
  readonly rung: Rung;
  /** The browser has promised not to clear this origin by itself; undefined = it does not say. */
  readonly persisted: boolean | undefined;
  /** Events turned away here for want of room. */
  readonly refused: number;
  /** Critical events that could not be stored and went to the server instead. */
  readonly sentDirectly: number;
}

/** What gives way beside the queue, and how often to look. */
export interface StorageOptions extends WasmOptions {
  /** Its items go first, down to so many bytes as bring the usage back to 75 % of the quota. */
  readonly cache?:
    | { shrinkTo(bytes: number): Promise<void>; readonly list: () => Promise<readonly { readonly stored: number }[]> }
    | undefined;
  /** How often to look. Default 30,000 ms; 0 = only when `look` is called. */
  readonly everyMs?: number | undefined;
  /** Default: `navigator.storage.estimate`. */
  readonly estimate?: (() => Promise<{ readonly usage?: number; readonly quota?: number }>) | undefined;
}

const EVERY_MS = 30_000;
/** Where eviction brings the usage back to. */
const EVICT_TO = 0.75;
const at = (rung: Rung): number => RUNGS.indexOf(rung);

const browserEstimate = async (): Promise<{ readonly usage?: number; readonly quota?: number }> =>
  (await navigator.storage?.estimate?.()) ?? {};

/** Looks at the storage, and stands before the queue with what it saw. Made by `watchStorage`. */
export class StorageWatch {
  readonly #engine: Pick<OfflineSync, "queueEvent" | "parts" | "status">;
  readonly #options: StorageOptions;
  readonly #ladder: LadderCore;
  readonly #status = new Subject<StorageStatus>({
    usage: 0,
    quota: 0,
    rung: "ok",
    persisted: undefined,
    refused: 0,
    sentDirectly: 0,
  });
  readonly #timer: ReturnType<typeof setInterval> | undefined;
  #looking: Promise<StorageStatus> | undefined;

  constructor(
    engine: Pick<OfflineSync, "queueEvent" | "parts" | "status">,
    options: StorageOptions,
    ladder: LadderCore,
  ) {
    this.#engine = engine;
    this.#options = options;
    this.#ladder = ladder;
    const every = options.everyMs ?? EVERY_MS;
    if (every > 0) this.#timer = setInterval(() => void this.look(), every);
  }

  get status(): Subscribable<StorageStatus> {
    return this.#status;
  }

  /** The share of the quota in use, 0 to 1; what `Analytics` takes as its `usage`. */
  readonly usage = async (): Promise<number> => {
    const { usage, quota, rung } = this.#status.get();
    // A browser that has just refused to store is full, whatever it estimates.
    if (rung === "critical-only") return 1;
    return quota > 0 ? usage / quota : 0;
  };

  /** Looks now and lets go of what may go. Never rejects: a browser that does not answer changes nothing. */
  look(): Promise<StorageStatus> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /**
   * Asks the browser not to clear this origin by itself; call it when somebody has just pressed something, because some
   * browsers ask. Resolves with what it said; false where it cannot be asked.
   */
  async persist(): Promise<boolean> {
    const persisted = (await navigator.storage?.persist?.()) ?? false;
    this.#set({ persisted });
    return persisted;
  }

  /**
   * As `engine.queueEvent`, with the ladder before it. Rejects with `storage_quota` for low priority and analytics from
   * `refuse-bulk` on, and for all but critical events from `critical-only` on. A critical event that cannot be stored goes to
   * the server at once: its receipt then says `replicated`. It rejects with `storage_quota` when there is no server either, and
   * when earlier events of its entity wait in the queue.
   */
  async queueEvent(event: QueuedEvent): Promise<Receipt> {
    const rung = at(this.#status.get().rung);
    const { priority = "normal" } = event;
    const bulk = priority === "low" || priority === "analytics";
    if ((bulk && rung >= at("refuse-bulk")) || (priority !== "critical" && rung >= at("critical-only"))) {
      this.#set({ refused: this.#status.get().refused + 1 });
      throw failure("storage_quota", "there is too little room for new work of this priority");
    }
    try {
      return await this.#engine.queueEvent(event);
    } catch (error) {
      if (asFailure(error, "internal").code !== "storage_quota") throw error;
      this.#set({ rung: RUNGS[this.#ladder.refused()] ?? "critical-only" });
      if (priority !== "critical" || (event.entity && this.#engine.status.get().pending > 0)) {
        this.#set({ refused: this.#status.get().refused + 1 });
        throw error;
      }
      const receipt = await sendDirectly(await this.#engine.parts.host(), event, error);
      this.#set({ sentDirectly: this.#status.get().sentDirectly + 1 });
      return receipt;
    }
  }

  close(): void {
    clearInterval(this.#timer);
    this.#ladder.delete();
  }

  async #look(): Promise<StorageStatus> {
    const before = this.#status.get();
    const estimate = this.#options.estimate ?? browserEstimate;
    const { usage = 0, quota = 0 } = await estimate().catch(() => ({}) as { usage?: number; quota?: number });
    const persisted = await globalThis.navigator?.storage?.persisted?.().catch(() => undefined);
    const rung = this.#ladder.look(Math.max(0, Math.floor(usage)), Math.max(0, Math.floor(quota)));
    this.#set({ usage, quota, rung: RUNGS[rung] ?? "ok", persisted });
    // Each step is an attempt: what fails now is tried at the next look.
    if (rung >= at("compact") && at(before.rung) < at("compact")) await this.#compact().catch(() => undefined);
    if (rung >= at("evict")) await this.#evict(usage - quota * EVICT_TO).catch(() => undefined);
    return this.#status.get();
  }

  async #compact(): Promise<void> {
    const { loop } = await this.#engine.parts.host();
    await loop.command(Op.compact, new Uint8Array());
  }

  async #evict(bytes: number): Promise<void> {
    const { cache } = this.#options;
    if (!cache || bytes <= 0) return;
    const held = (await cache.list()).reduce((sum, { stored }) => sum + stored, 0);
    if (held > 0) await cache.shrinkTo(Math.max(0, Math.floor(held - bytes)));
  }

  #set(change: Partial<StorageStatus>): void {
    const now = this.#status.get();
    const names = Object.keys(change) as (keyof StorageStatus)[];
    if (names.some((name) => change[name] !== now[name])) this.#status.set({ ...now, ...change });
  }
}

/** Resolves after the first look. Rejects when the core cannot be loaded. */
export async function watchStorage(
  engine: Pick<OfflineSync, "queueEvent" | "parts" | "status">,
  options: StorageOptions = {},
): Promise<StorageWatch> {
  const watch = new StorageWatch(engine, options, await createLadderCore(options));
  await watch.look();
  return watch;
}
