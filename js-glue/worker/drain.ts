/** One drain: opens the queue, sends until nothing is left or the budget is spent, and lets go of everything. */

import { broadcastChannel, canonicalUrl, shareSettled, systemCrypto } from "../browser/contexts.ts";
import { databaseName, openDatabase } from "../browser/database.ts";
import { takeDictionary } from "../browser/dictionary.ts";
import { GENESIS_KEY, readGenesis } from "../browser/genesis.ts";
import * as reader from "../browser/indexeddb-read.ts";
import { IndexedDbStore } from "../browser/indexeddb-store.ts";
import { deviceIdOf } from "../browser/install.ts";
import { mintEpoch, systemClock, systemRandom } from "../browser/platform.ts";
import { lockPresence } from "../browser/presence.ts";
import { readNote, WORKER_TOKEN_KEY } from "../browser/records.ts";
import { FetchTransport, type TokenSource } from "../browser/transport.ts";
import { after } from "../core/bytes.ts";
import { asFailure, failure } from "../core/errors.ts";
import { Op, PHASES } from "../core/io.ts";
import { coreFactory } from "../core/load.ts";
import { EngineLoop, type LoopListener } from "../core/loop.ts";
import { drainArgs, readDrained } from "../core/pages.ts";
import { ReadAhead } from "../core/read-ahead.ts";

export interface DrainOptions {
  readonly name: string;
  readonly url: string;
  readonly subject: string;
  /** `cookie`, `token` = what the page has stored for the worker, or a function. */
  readonly auth: "cookie" | "token" | TokenSource;
  readonly budgetMs: number;
  /** The bytes of the core, without the network. */
  readonly core: () => Promise<ArrayBuffer>;
  readonly trace?: LoopListener["trace"];
}

/** True when nothing is left to send. Rejects when the queue cannot be opened. */
export async function drain(options: DrainOptions): Promise<boolean> {
  const database = databaseName(options.name, options.subject);
  const opened = await openDatabase(database, {}).catch((error: unknown) => {
    if (asFailure(error, "storage_failed").code === "not_found") return undefined; // no page has ever queued anything
    throw error;
  });
  if (!opened) return true;
  // A connection lost here is not worth waiting for: the browser repeats the event.
  const store = new IndexedDbStore(opened, {
    reopen: () => openDatabase(database, {}),
    reader: () => Promise.resolve(reader),
  });
  const ahead = new ReadAhead(store, broadcastChannel(database));
  try {
    const [genesis] = await ahead.scan({ from: GENESIS_KEY, to: after(GENESIS_KEY) }, 1);
    const installId = readGenesis(genesis?.value);
    if (!installId) throw failure("storage_lost", "the database has no genesis; a page has to look into it");
    const { auth } = options;
    const stored: TokenSource = async () => {
      const token = (await readNote(store, WORKER_TOKEN_KEY))?.token;
      return typeof token === "string" ? token : undefined;
    };
    const transport = new FetchTransport({
      url: options.url,
      auth: auth === "token" ? stored : auth,
      context: "worker",
    });
    let phase: (typeof PHASES)[number] | undefined;
    const shared = shareSettled(database, () => undefined);
    const listener: LoopListener = {
      status: (status) => {
        phase = PHASES[status.phase];
      },
      settled: (notice) => shared.post(notice),
      log: () => undefined,
      ...(options.trace ? { trace: options.trace } : {}),
    };
    const epoch = mintEpoch(systemRandom); // nothing is numbered here, so it never reaches storage
    const loop = new EngineLoop(
      {
        create: coreFactory({ wasmBinary: await options.core() }),
        store: ahead,
        transport,
        clock: systemClock,
        random: systemRandom,
        channel: ahead.channel,
        presence: lockPresence(database),
      },
      {
        device: await deviceIdOf(systemCrypto, installId, canonicalUrl(options.url), options.subject),
        drains: true,
      },
      listener,
    );
    try {
      await loop.start(epoch, [1, 1, 1, 1, 1]);
      await takeDictionary(loop, store);
      return await drainWhileFollowing(loop, options.budgetMs, () => phase);
    } finally {
      await loop.close();
      shared.close();
    }
  } finally {
    ahead.close();
  }
}

const FOLLOW_MS = 500;

/**
 * Another context may hold the lease: a page that is sending, or one that died with it or hangs. Which of these it is shows only to
 * an observer who stays.
 */
async function drainWhileFollowing(
  loop: EngineLoop,
  budgetMs: number,
  phase: () => (typeof PHASES)[number] | undefined,
): Promise<boolean> {
  const end = systemClock.mono() + budgetMs;
  for (;;) {
    const left = Math.max(1, Math.floor(end - systemClock.mono()));
    const { drained } = readDrained(await loop.command(Op.drain, drainArgs(left)));
    if (drained || phase() !== "following" || left <= FOLLOW_MS) return drained;
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
  }
}
