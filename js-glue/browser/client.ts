/** The engine as an application sees it: usable the moment `open` returns, whatever is still on its way. */

import { type Call, encodeEvent, type QueuedEvent } from "../core/calls.ts";
import { asFailure, type ErrorCode, failure, failureOf, type OfflineSyncError } from "../core/errors.ts";
import { DURABILITIES, type Durability, formatEventId, type Position } from "../core/events.ts";
import { type LogOutput, SEVERITIES } from "../core/io.ts";
import type { WasmOptions } from "../core/load.ts";
import type { LoopListener } from "../core/loop.ts";
import type { DeadLetter, ListedEvent, Page } from "../core/pages.ts";
import type { Store, StoredRecord } from "../core/ports.ts";
import type { Verdict } from "../core/settlements.ts";
import { Subject, type Subscribable } from "../core/subscribable.ts";
import type { Drained, ListOptions } from "./commands.ts";
import { databaseName, openDatabase } from "./database.ts";
import { GENESIS_KEY, INSTALL_ID_BYTES, writeGenesis } from "./genesis.ts";
import type { Host, HostOptions, WorkerOptions } from "./host.ts";
import { IndexedDbStore } from "./indexeddb-store.ts";
import { Journal } from "./journal.ts";
import { mintEpoch, systemRandom } from "./platform.ts";
import type { Device } from "./registration.ts";
import { FIRST_STATUS, type SyncStatus } from "./status.ts";
import type { TokenSource } from "./transport.ts";
import type { Triggers } from "./triggers.ts";

/** What `open` wants to know; `name` and `url` are enough. */
export interface OpenOptions extends WasmOptions {
  /** Names the database: one queue per name and subject, shared by all tabs and the worker. */
  readonly name: string;
  /** Where the API lives, such as `/api/offline-ai`. */
  readonly url: string;
  /** A function that gives a bearer token, or `cookie` (default) when the browser's own credentials do. */
  readonly auth?: "cookie" | TokenSource | undefined;
  /** Whose work this is. Each subject has a queue of its own, which no other subject's session ever sends. */
  readonly subject?: string | undefined;
  /** What a resolved promise means unless an event says otherwise. Default: `strict`. */
  readonly durability?: Durability | undefined;
  /** The Service Worker to register: the address of sw.classic.js, or more about it. */
  readonly worker?: string | WorkerOptions | undefined;
  /** False = queue only; another tab or the worker sends. */
  readonly drains?: boolean | undefined;
  /** False = `registerDevice` is called by the application alone. Otherwise it is called a second after there is an engine, or a network. */
  readonly register?: boolean | undefined;
}

/** Of an event that is stored. */
export interface Receipt {
  /** Unique for ever, the same on device and server. */
  readonly id: string;
  /** The level reached. */
  readonly durability: Durability;
  /** The server's final verdict, however long that takes. */
  readonly synced: Promise<Verdict>;
}

/** One thing the engine had to say; `detail` means what the code's sentence says (docs/errors.md). */
export interface LogEntry {
  readonly severity: (typeof SEVERITIES)[number];
  readonly code: ErrorCode;
  readonly detail: number;
}

/** One input or output of the core, or a trap; times are of `performance.now()`. */
export interface TraceEntry {
  readonly at: number;
  readonly direction: "in" | "out" | "trap";
  readonly entry: unknown;
}

/** The engine's state, for tools and bug reports. */
export interface Inspection {
  readonly database: string;
  readonly epoch: string;
  readonly status: SyncStatus;
  readonly traps: number;
  readonly rebuiltMs: number;
}

interface Events {
  readonly log: LogEntry;
  readonly trace: TraceEntry;
}

const WASM_RETRY_MS = [1_000, 5_000, 30_000] as const;

/** The client's engine: queues events, sends them, tells what became of them. Made by `open`. */
export class OfflineSync {
  readonly #options: HostOptions & { readonly worker: WorkerOptions | undefined; readonly register: boolean };
  readonly #durability: Durability;
  readonly #status = new Subject<SyncStatus>(FIRST_STATUS);
  readonly #listeners = { log: new Set<(entry: LogEntry) => void>(), trace: new Set<(entry: TraceEntry) => void>() };
  readonly #hooks: Omit<LoopListener, "settled">;
  readonly #journal: Journal;
  readonly #running: Promise<Host>;
  #batch: Call[] = [];
  #sink: { enqueue(calls: readonly Call[]): void };
  #store: Store | undefined;
  #host: Host | undefined;
  #triggers: Triggers | undefined;
  #registered = false;
  #closing: Promise<void> | undefined;

  constructor(options: OpenOptions) {
    const { name, url, auth, subject = "", durability = "strict", worker, drains = true, register = true } = options;
    if (typeof name !== "string" || name === "" || name.includes(":")) {
      throw failure("invalid_argument", "name is text without a colon", { path: "name" });
    }
    if (typeof url !== "string") throw failure("invalid_argument", "url is text", { path: "url" });
    if (!DURABILITIES.includes(durability)) {
      throw failure("invalid_argument", `durability is one of ${DURABILITIES.join(", ")}`, { path: "durability" });
    }
    const workerOptions = typeof worker === "string" ? { url: worker } : worker;
    this.#durability = durability;
    this.#options = {
      ...options,
      url: url.replace(/\/+$/, ""),
      auth,
      subject,
      drains,
      register,
      worker: workerOptions,
      shareToken: workerOptions?.shareToken ?? false,
      context: "page",
    };
    this.#hooks = {
      status: (status) => {
        if (this.#host) this.#status.set(this.#host.withEngine(this.#status.get(), status));
        this.#triggers?.changed();
      },
      log: (entry) => this.#log(entry),
    };
    this.#journal = new Journal(mintEpoch(systemRandom), Date.now);
    this.#sink = this.#journal;
    this.#running = this.#start();
    this.#running.catch((error: unknown) => {
      const { code } = asFailure(error, "internal");
      if (this.#closing === undefined) this.#merge({ phase: "stopped", reason: code });
    });
  }

  get status(): Subscribable<SyncStatus> {
    return this.#status;
  }

  /**
   * Queues one event. Resolves with the level of durability reached, never before; rejects with an OfflineSyncError
   * when the event was not taken, and then nothing of it is stored.
   */
  queueEvent(event: QueuedEvent): Promise<Receipt> {
    return this.#queue(event);
  }

  /**
   * For this package's other parts: the running host, and events that are stored together with records of the caller's own,
   * all or nothing.
   */
  readonly parts = {
    host: (): Promise<Host> => this.#running,
    queue: (event: QueuedEvent, riders: readonly StoredRecord[]): Promise<Receipt> => this.#queue(event, riders),
  };

  #queue(event: QueuedEvent, riders?: readonly StoredRecord[]): Promise<Receipt> {
    const level = event?.durability ?? this.#durability;
    let encoded: ReturnType<typeof encodeEvent>;
    try {
      if (this.#closing) throw failure("closed", "the engine is closed");
      encoded = encodeEvent(event, level);
    } catch (error) {
      return Promise.reject(error);
    }
    const stored = new Promise<Receipt>((resolve, reject: (error: OfflineSyncError) => void) => {
      const call = { ...encoded, riders, stored: (at: Position) => resolve(this.#receipt(at, level)), failed: reject };
      // All calls of one microtask travel together: one run of text, one step, one transaction.
      if (this.#batch.push(call) === 1) queueMicrotask(() => this.#flush());
    });
    return level === "replicated" ? stored.then((receipt) => receipt.synced.then(() => receipt)) : stored;
  }

  #flush(): void {
    const calls = this.#batch;
    this.#batch = [];
    this.#sink.enqueue(calls);
  }

  #receipt(position: Position, level: Durability): Receipt {
    const synced = (): Promise<Verdict> => this.#lazy((host) => host.settlements.synced(position));
    return {
      durability: this.#status.get().storage === "memory" && level !== "replicated" ? "memory" : level,
      get id() {
        return formatEventId(position);
      },
      get synced() {
        return synced();
      },
    };
  }

  /** Events that are stored here and not yet acknowledged, in the order they will be sent. */
  readonly pending = {
    list: (options?: ListOptions): Promise<Page<ListedEvent>> =>
      this.#lazy((host) => host.listPending(host.loop, options)),
  };

  /** Events the server has refused. They stay until somebody decides. */
  readonly deadLetters = {
    list: (options?: ListOptions): Promise<Page<DeadLetter>> =>
      this.#lazy((host) => host.listDeadLetters(host.loop, options)),
    get: (id: string): Promise<DeadLetter | undefined> => this.#lazy((host) => host.getDeadLetter(host.loop, id)),
    /** Sends it again as it was, under a new id. */
    retry: (id: string): Promise<Receipt> => this.#retry(id),
    /** Sends it again with other data, under a new id. */
    edit: (id: string, eventData: unknown): Promise<Receipt> => this.#retry(id, { eventData }),
    drop: (id: string): Promise<void> => this.#lazy((host) => host.dropDeadLetter(host.loop, id)),
    export: (): Promise<readonly DeadLetter[]> => this.#lazy((host) => host.exportDeadLetters(host.loop)),
  };

  async #retry(id: string, edit?: { readonly eventData: unknown }): Promise<Receipt> {
    const position = await this.#lazy((host) => host.retryDeadLetter(host.loop, id, edit));
    return this.#receipt(position, this.#durability);
  }

  async #lazy<T>(work: (host: Host) => Promise<T>): Promise<T> {
    return work(await this.#running);
  }

  /** Tells the server what this device can do. `open` has done so already; call it again when that has changed. */
  async registerDevice(): Promise<Device> {
    const device = await (await this.#running).register(true);
    this.#registered = device.registered;
    return device;
  }

  /** Tries to send now, whatever the backoff says. Resolves when all is sent, or nothing more can be done now. */
  async drain(budgetMs = 0): Promise<Drained> {
    const host = await this.#running;
    if (this.#status.get().parked) host.loop.renewToken();
    return host.drain(host.loop, budgetMs);
  }

  /** The state at this moment, for tools and bug reports. */
  inspect(): Inspection {
    return {
      database: databaseName(this.#options.name, this.#options.subject),
      epoch: this.#journal.epoch.toString(16).padStart(16, "0"),
      status: this.#status.get(),
      traps: this.#host?.loop.health.traps ?? 0,
      rebuiltMs: this.#host?.loop.health.rebuiltMs ?? 0,
    };
  }

  /** `log`: what the engine has to say. `trace`: every input and output, for tools. The result ends it. */
  on<K extends keyof Events>(type: K, listener: (entry: Events[K]) => void): () => void {
    const listeners = this.#listeners[type] as Set<(entry: Events[K]) => void> | undefined;
    if (!listeners) throw failure("invalid_argument", `no event ${String(type)}`);
    listeners.add(listener);
    if (type === "trace") {
      this.#hooks.trace ??= (direction, entry) => {
        const at = performance.now();
        for (const heard of this.#listeners.trace) heard({ at, direction, entry });
      };
    }
    return () => {
      listeners.delete(listener);
      if (this.#listeners.trace.size === 0) delete this.#hooks.trace;
    };
  }

  /** Lets go of everything; what is stored is sent by the next page or by the worker. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.dispose](): void {
    void this.close();
  }

  async #close(): Promise<void> {
    this.#triggers?.close();
    const closed = failure("closed", "the engine is closed");
    if (this.#batch.length > 0) this.#flush();
    const left = await this.#journal.handOver();
    if (left) for (const call of left.calls) call.failed(closed);
    else await (await this.#running).close();
    this.#store?.close();
    this.#merge({ phase: "stopped", reason: "closed" });
  }

  #merge(change: Partial<SyncStatus>): void {
    this.#status.set({ ...this.#status.get(), ...change });
  }

  #log({ severity, code, detail }: LogOutput): void {
    const entry = { severity: SEVERITIES[severity] ?? "error", code: failureOf(code).code, detail };
    for (const heard of this.#listeners.log) heard(entry);
  }

  #say(severity: LogEntry["severity"], code: ErrorCode, detail = 0): void {
    for (const heard of this.#listeners.log) heard({ severity, code, detail });
  }

  async #start(): Promise<Host> {
    let opening: Promise<Store> | undefined;
    for (let attempt = 0; ; attempt++) {
      try {
        // The database opens while the code for everything else is on its way.
        opening ??= this.#openStore();
        const store = opening;
        store.catch(() => {
          opening = undefined; // the next attempt opens it anew
        });
        const { startHost } = await import("./host.ts");
        return await new Promise<Host>((resolve, reject) => {
          const running = (host: Host): void => {
            this.#host = host;
            this.#sink = host.loop;
            resolve(host);
          };
          startHost(store, this.#journal, this.#options, this.#hooks, running).then(
            // A task later: the engine's answers from storage, and what it sends, go before all that is around it.
            () => setTimeout(() => this.#started()),
            reject,
          );
        });
      } catch (error) {
        const { code } = asFailure(error, "internal");
        if (!this.#closing) this.#say("error", code);
        if (this.#closing || code === "wasm_blocked") throw error;
        // Offline without a cached core: events are journalled all the same, and sent by whoever comes first.
        this.#merge({ reason: code });
        const wait = WASM_RETRY_MS[Math.min(attempt, WASM_RETRY_MS.length - 1)] ?? 0;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  /** Opens the database, or memory in its place; what waits in the journal is written at once. */
  async #openStore(): Promise<Store> {
    const store = await this.#openDatabase();
    this.#store = store;
    if (this.#closing) store.close();
    this.#journal.attach(store);
    return store;
  }

  async #openDatabase(): Promise<Store> {
    const database = databaseName(this.#options.name, this.#options.subject);
    const create = (meta: IDBObjectStore): void => {
      meta.put(writeGenesis(systemRandom.bytes(INSTALL_ID_BYTES), Date.now()), GENESIS_KEY);
    };
    try {
      const opened = await openDatabase(database, { create });
      const store = new IndexedDbStore(opened, {
        reopen: () => openDatabase(database, { create }),
        reader: () => import("./host.ts"),
        emptied: () => this.#lost(),
        unreadable: () => this.#say("error", "storage_failed"),
      });
      this.#merge({ storage: "ok" });
      return store;
    } catch (error) {
      const { code } = asFailure(error, "storage_failed");
      this.#say("error", code);
      this.#merge({ storage: "memory", storageReason: code, durability: "memory" });
      return new (await import("../core/memory-store.ts")).MemoryStore();
    }
  }

  #lost(): void {
    this.#say("error", "storage_lost");
    this.#merge({ storage: "lost", storageReason: "storage_lost" });
  }

  /** The engine runs: everything around it may start. */
  #started(): void {
    const host = this.#host;
    if (!host || this.#closing) return;
    // Memory never had anything to lose.
    if (host.lost && this.#status.get().storage !== "memory") this.#lost();
    this.#triggers = new host.Triggers(this.#options.name, {
      connectivity: (online, eager) => {
        if (eager && this.#status.get().parked) host.loop.renewToken();
        host.loop.connectivity(online);
        if (online) this.#registerQuietly(host);
      },
      pending: () => this.#status.get().pending,
      waiting: () => !["sending", "idle"].includes(this.#status.get().phase) || globalThis.navigator?.onLine === false,
    });
    this.#triggers.changed();
    this.#registerQuietly(host);
    if (!this.#options.worker) return;
    host.registerWorker(this.#options, this.#options.worker).then(
      () => this.#triggers?.changed(),
      () => this.#say("warning", "invalid_argument"),
    );
  }

  #registerQuietly(host: Host): void {
    if (this.#registered || !this.#options.register) return;
    host.register(false).then(
      ({ registered }) => {
        this.#registered = registered;
      },
      () => this.#say("warning", "offline"),
    );
  }
}

/** Opens the queue. Returns at once; events may be queued before anything has loaded. */
export function open(options: OpenOptions): OfflineSync {
  return new OfflineSync(options);
}
