/** One drain: opens the queue, sends until nothing is left or the budget is spent, and lets go of everything. */

import { broadcastChannel, canonicalUrl, systemCrypto } from "../browser/contexts.ts";
import { databaseName, openDatabase } from "../browser/database.ts";
import { GENESIS_KEY, readGenesis } from "../browser/genesis.ts";
import * as reader from "../browser/indexeddb-read.ts";
import { IndexedDbStore } from "../browser/indexeddb-store.ts";
import { deviceIdOf } from "../browser/install.ts";
import { mintEpoch, systemClock, systemRandom } from "../browser/platform.ts";
import { readNote, WORKER_TOKEN_KEY } from "../browser/records.ts";
import { FetchTransport, type TokenSource } from "../browser/transport.ts";
import { after } from "../core/bytes.ts";
import { asFailure, failure } from "../core/errors.ts";
import { Op } from "../core/io.ts";
import { coreFactory } from "../core/load.ts";
import { EngineLoop, type LoopListener } from "../core/loop.ts";
import { drainArgs, readDrained } from "../core/pages.ts";

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

const silent: LoopListener = { status: () => undefined, settled: () => undefined, log: () => undefined };

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
  try {
    const [genesis] = await store.scan({ from: GENESIS_KEY, to: after(GENESIS_KEY) }, 1);
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
    const loop = new EngineLoop(
      {
        create: coreFactory({ wasmBinary: await options.core() }),
        store,
        transport,
        clock: systemClock,
        random: systemRandom,
        channel: broadcastChannel(database),
      },
      {
        device: await deviceIdOf(systemCrypto, installId, canonicalUrl(options.url), options.subject),
        drains: true,
      },
      options.trace ? { ...silent, trace: options.trace } : silent,
    );
    try {
      // Nothing is numbered here, so the epoch never reaches storage; a context must have one all the same.
      await loop.start(mintEpoch(systemRandom), [1, 1, 1, 1, 1]);
      return readDrained(await loop.command(Op.drain, drainArgs(options.budgetMs))).drained;
    } finally {
      await loop.close();
    }
  } finally {
    store.close();
  }
}
