/**
 * The part of the client a page loads behind its first event: the engine's loop with all its ports, the triggers, the
 * registration and the worker.
 */

import { failure } from "../core/errors.ts";
import { coreFactory, type WasmOptions } from "../core/load.ts";
import { EngineLoop, type LoopListener } from "../core/loop.ts";
import type { Core, CreateCore, Store } from "../core/ports.ts";
import { ReadAhead } from "../core/read-ahead.ts";
import { Settlements } from "../core/settlements.ts";
import {
  drain,
  dropDeadLetter,
  exportDeadLetters,
  getDeadLetter,
  listDeadLetters,
  listPending,
  retryDeadLetter,
} from "./commands.ts";
import { broadcastChannel, canonicalUrl, type SettledNotice, shareSettled, systemCrypto } from "./contexts.ts";
import { databaseName } from "./database.ts";
import { keepDictionary } from "./dictionary.ts";
import { withEngine } from "./engine-status.ts";
import { INSTALL_ID_BYTES } from "./genesis.ts";
import { deviceIdOf, type OutsideCopy, settleInstallation } from "./install.ts";
import type { Journal } from "./journal.ts";
import { outsideCopy } from "./outside-copy.ts";
import { systemClock, systemRandom } from "./platform.ts";
import { lockPresence } from "./presence.ts";
import { WORKER_TOKEN_KEY, writeNote } from "./records.ts";
import { type Device, registerDevice } from "./registration.ts";
import { FetchTransport, type TokenSource } from "./transport.ts";
import { Triggers } from "./triggers.ts";

export { scan } from "./indexeddb-read.ts";

/** What a page does on the side comes this much later: asking for WebGL, for one, would hold up what is being sent. */
const ASIDE_AFTER_MS = 1_000;

export interface HostOptions extends WasmOptions {
  readonly name: string;
  readonly url: string;
  readonly subject: string;
  readonly auth: "cookie" | TokenSource | undefined;
  readonly drains: boolean;
  readonly context: "page" | "worker";
  /** The worker is given each token the page obtains. */
  readonly shareToken: boolean;
}

/** What the client calls here; named, so that its own chunk need not know the modules. */
const tools = {
  drain,
  listPending,
  listDeadLetters,
  getDeadLetter,
  retryDeadLetter,
  dropDeadLetter,
  exportDeadLetters,
  registerWorker,
  withEngine,
  Triggers,
};

export interface Host extends Readonly<typeof tools> {
  readonly loop: EngineLoop;
  readonly store: Store;
  readonly transport: FetchTransport;
  readonly settlements: Settlements;
  readonly device: Uint8Array;
  /** The database had been emptied since the last visit. */
  readonly lost: boolean;
  register(force: boolean): Promise<Device>;
  close(): Promise<void>;
}

/** The first instance is made before anything depends on it; later ones replace an instance that trapped. */
async function firstOf(create: CreateCore): Promise<CreateCore> {
  let first: Core | undefined = await create();
  first.input(0);
  first.step(0, 0); // of nothing: the browser compiles what every step goes through, while the database still opens
  return () => {
    const core = first;
    first = undefined;
    return core ? Promise.resolve(core) : create();
  };
}

interface SettledDevice {
  readonly installId: Uint8Array;
  readonly device: Uint8Array;
  readonly lost: boolean;
}

async function settleDevice(store: Store, outside: OutsideCopy, { url, subject }: HostOptions): Promise<SettledDevice> {
  const fresh = () => ({ installId: systemRandom.bytes(INSTALL_ID_BYTES), wall: Date.now() });
  const { installId, lost } = await settleInstallation(store, outside, fresh);
  return { installId, lost, device: await deviceIdOf(systemCrypto, installId, canonicalUrl(url), subject) };
}

/**
 * Loads the core while the database opens, then takes over from the journal in one go: `running` is called when calls belong
 * to the loop. Rejects when there can be no core; the journal then keeps its calls. Rejects with `closed` when they were
 * handed to somebody else.
 */
export async function startHost(
  opening: Promise<Store>,
  journal: Journal,
  options: HostOptions,
  listener: Omit<LoopListener, "settled">,
  running: (host: Host) => void,
): Promise<void> {
  const database = databaseName(options.name, options.subject);
  // While the database opens, all that needs nothing of it is made.
  const outside = outsideCopy(database);
  const channel = broadcastChannel(database);
  const presence = lockPresence(database);
  const settlements = new Settlements();
  const shared = shareSettled(database, (notice) => settlements.settled(notice));
  const transport = new FetchTransport({
    url: options.url,
    auth: options.auth,
    context: options.context,
    obtained: options.shareToken
      ? (token) => {
          // The worker asks for one itself when it finds none.
          opening.then((store) => writeNote(store, WORKER_TOKEN_KEY, { token })).catch(() => undefined);
        }
      : undefined,
  });
  const [create, [store, ahead, { installId, lost, device }]] = await Promise.all([
    firstOf(coreFactory(options)),
    opening.then(async (store) => {
      const ahead = new ReadAhead(store, channel);
      return [store, ahead, await settleDevice(ahead, outside, options)] as const;
    }),
  ]).catch((error: unknown) => {
    for (const open of [channel, presence, shared]) open?.close(); // the next attempt has its own
    throw error;
  });
  const loop = new EngineLoop(
    { create, store: ahead, transport, clock: systemClock, random: systemRandom, channel: ahead.channel, presence },
    { device, drains: options.drains },
    // Not a copy: a trace may be asked for later.
    Object.assign(listener, {
      settled: (notice: SettledNotice) => {
        settlements.settled(notice);
        shared.post(notice);
      },
    }),
  );
  tested()?.(loop);
  let over = false; // then nothing of it happens any more
  const aside = (): Promise<void> =>
    new Promise((resolve) => {
      systemClock.alarm(systemClock.mono() + ASIDE_AFTER_MS, () => {
        if (!over) resolve();
      });
    });
  const tell = (force: boolean): Promise<Device> => registerDevice(store, transport, device, Date.now(), force);
  let quiet: Promise<Device> | undefined;
  const register = (force: boolean): Promise<Device> => {
    if (force) return tell(true);
    quiet ??= aside()
      .then(() => tell(false))
      .finally(() => {
        quiet = undefined;
      });
    return quiet;
  };
  const close = async (): Promise<void> => {
    over = true;
    await loop.close();
    shared.close();
    settlements.close(failure("closed", "the engine is closed"));
  };
  // Last: until here a failure leaves the calls with the journal, for the next attempt.
  const handed = await journal.handOver();
  if (!handed) {
    await close();
    throw failure("closed", "the engine was closed while it was opening");
  }
  loop.enqueue(handed.calls);
  running({ ...tools, loop, store, transport, settlements, device, lost, register, close });
  await loop.start(journal.epoch, handed.next);
  // Where somebody has cleared the place it lay in, the copy is written again.
  void aside().then(async () => {
    if (!(await outside.read()) && !over) await outside.write(installId);
  });
  if (options.drains) void aside().then(() => keepDictionary({ loop, store, transport, device }));
}

/** Tests that force traps put a function here before they open the queue; nobody else is given the loop. */
const tested = (): ((loop: EngineLoop) => void) | undefined =>
  (globalThis as { [key: symbol]: ((loop: EngineLoop) => void) | undefined })[Symbol.for("offline-ai-sync.testing")];

/** Which Service Worker to register, and how. */
export interface WorkerOptions {
  /** Where the worker's script lies; its folder bounds what it may control. */
  readonly url: string;
  readonly type?: "classic" | "module" | undefined;
  readonly scope?: string | undefined;
  /** Store each token for the worker, readable by any script of this origin. Without it the worker uses cookies. */
  readonly shareToken?: boolean | undefined;
}

/** Registers the Service Worker, with its options in the query of its address. */
export async function registerWorker(options: HostOptions, worker: WorkerOptions): Promise<void> {
  const workers: ServiceWorkerContainer | undefined = globalThis.navigator?.serviceWorker;
  if (!workers) return;
  const script = new URL(worker.url, location.href);
  script.searchParams.set("name", options.name);
  script.searchParams.set("url", options.url);
  if (options.subject !== "") script.searchParams.set("subject", options.subject);
  script.searchParams.set("auth", worker.shareToken ? "token" : "cookie");
  await workers.register(script.href, {
    type: worker.type ?? "classic",
    ...(worker.scope === undefined ? {} : { scope: worker.scope }),
  });
}
