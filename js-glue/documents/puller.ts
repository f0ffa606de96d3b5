/**
 * Brings the server's changes: pages of each space's change order from the stored cursor on, a snapshot where the cursor is
 * no longer known. Pokes say when to look, or bring the page that begins where this device stands.
 *
 * A page is applied in memory, then states, settled edits and cursor are stored in one transaction that expects the cursor
 * it began from; when another context was first, everything is read anew. So it does not matter who pulls, or how many do.
 */

import type { FetchTransport } from "../browser/transport.ts";
import { asFailure, failure } from "../core/errors.ts";
import { incarnationOf } from "../core/server-record.ts";
import { answerOf, foreign, jsonOf, refusalOf, TIMEOUT_MS } from "./asking.ts";
import type { DocumentChannel } from "./contexts.ts";
import type { Leftovers } from "./leftovers.ts";
import { bytesOf, type ChangesPage, type News, newsOf, numberOf, pageOf } from "./pages.ts";
import { followPokes } from "./poke-stream.ts";
import type { Snapshot } from "./repair.ts";
import type { Replicas } from "./replicas.ts";
import type { Shelf } from "./shelf.ts";

const PAGE_MAX = 500;
/** After news that came with a poke the server is told by a pull that they are stored: later, so that one tells it of many. */
const TOLD_AFTER_MS = 1_000;
const CONFLICTS_MAX = 20;
/** Read in a row, because a restored server took back what the one before lacked; mostly two. */
const SNAPSHOTS_MAX = 5;
/** Of one space, on one device; all of them are stored in one transaction. */
const SNAPSHOT_DOCUMENTS_MAX = 100_000;

export interface PullerOptions {
  readonly transport: FetchTransport;
  readonly shelf: Shelf;
  readonly replicas: Replicas;
  readonly channel: DocumentChannel;
  readonly device: string;
  readonly failed: (error: Error) => void;
  readonly leftovers: Pick<Leftovers, "judged" | "leave">;
  /** Of what a restored server has lost, before its snapshot is stored here; whether something was taken. */
  readonly repair: (snapshot: Snapshot) => Promise<boolean>;
}

export class Puller {
  readonly #options: PullerOptions;
  readonly #stop = new AbortController();
  readonly #spaces = new Set<string>();
  readonly #running = new Map<string, { again: boolean; done: Promise<void> }>();
  #leads = false;
  readonly #untold = new Set<string>();

  constructor(options: PullerOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get spaces(): ReadonlySet<string> {
    return this.#spaces;
  }

  /** From now on this space is followed. */
  follow(space: string): void {
    if (this.#spaces.has(space)) return;
    this.#spaces.add(space);
    if (this.#leads) this.#fetch(space);
    else this.#options.channel.post({ say: "pull", space });
  }

  /** This context pulls from now on, for all contexts of the device. */
  async lead(): Promise<void> {
    if (this.signal.aborted || this.#leads) return;
    this.#leads = true;
    for (const space of (await this.#options.shelf.cursors()).keys()) this.#spaces.add(space);
    globalThis.addEventListener?.("online", () => this.#look(), { signal: this.signal });
    await followPokes({
      transport: this.#options.transport,
      signal: this.signal,
      look: () => this.#look(),
      poked: (data) => this.#poked(data),
    });
  }

  #look(): void {
    for (const space of this.#spaces) this.#fetch(space);
  }

  /** A pull nobody waits for: what goes wrong is told to the application. */
  #fetch(space: string): void {
    this.#unawaited(space, this.pull(space));
  }

  #unawaited(space: string, work: Promise<void>): void {
    work.catch((error: unknown) => {
      const known = asFailure(error, "internal");
      // No member any more, or never: asking again at every poke would only repeat the answer.
      if (known.code === "not_found") this.#spaces.delete(space);
      this.#options.failed(known);
    });
  }

  #poked(data: string): void {
    const news = newsOf(data);
    if (!news) this.#look();
    else if (this.#spaces.has(news.space))
      this.#unawaited(
        news.space,
        this.#inTurn(news.space, () => this.#bring(news)),
      );
  }

  /** What came with a poke, where this device stands at its beginning; else whatever is behind that. */
  async #bring({ space, after, page }: News): Promise<void> {
    if (this.#options.replicas.cursor(space) !== after) return this.#pullAll(space);
    try {
      if (await this.#take(space, after, page)) return this.#pullAll(space);
    } catch (error) {
      if (asFailure(error, "internal").code !== "storage_conflict") throw error;
      return this.#pullAll(space); // another context was first
    }
    if (this.#untold.has(space)) return;
    this.#untold.add(space);
    const tell = (): void => {
      this.#untold.delete(space);
      if (!this.signal.aborted) this.#fetch(space);
    };
    setTimeout(tell, TOLD_AFTER_MS);
  }

  /** Somebody else of this device wants news of the space. */
  wanted(space: string): void {
    if (!this.#leads) return;
    this.#spaces.add(space);
    this.#fetch(space);
  }

  /** Resolves when everything the server had at the time of the call is stored here. Rejects with `offline` and the like. */
  pull(space: string): Promise<void> {
    if (this.signal.aborted) return Promise.reject(failure("closed", "the documents are closed"));
    return this.#inTurn(space, () => this.#pullAll(space));
  }

  /** `work` if nothing of the space is running; else a pull once that has ended. */
  #inTurn(space: string, work: () => Promise<void>): Promise<void> {
    const running = this.#running.get(space);
    if (running) {
      running.again = true;
      return running.done;
    }
    const turn = { again: false, done: Promise.resolve() };
    const all = async (): Promise<void> => {
      try {
        await work();
        while (turn.again && !this.signal.aborted) {
          turn.again = false;
          await this.#pullAll(space);
        }
      } finally {
        this.#running.delete(space);
      }
    };
    this.#running.set(space, turn);
    turn.done = all();
    return turn.done;
  }

  async #pullAll(space: string): Promise<void> {
    const { leftovers } = this.#options;
    await this.#pullOnce(space);
    const judged = await leftovers.judged(space);
    if (judged.length === 0) return;
    // Once more: what was judged before a pull begins is in what it brings, in whatever form, or never will be.
    await this.#pullOnce(space);
    await leftovers.leave(judged);
  }

  async #pullOnce(space: string): Promise<void> {
    let conflicts = 0;
    let snapshots = 0;
    for (let more = true; more; ) {
      if (this.signal.aborted) throw failure("closed", "the documents are closed");
      const before = await this.#options.shelf.cursor(space);
      const page = before === undefined ? undefined : await this.#changes(space, before);
      try {
        more = page
          ? await this.#take(space, before, page)
          : await this.#snapshot(space, before, ++snapshots < SNAPSHOTS_MAX);
      } catch (error) {
        // Another context was first: its states are the ones to go on from.
        if (asFailure(error, "internal").code !== "storage_conflict" || ++conflicts > CONFLICTS_MAX) throw error;
      }
    }
  }

  #take(space: string, before: string | undefined, page: ChangesPage): Promise<boolean> {
    const { shelf, replicas, channel } = this.#options;
    return replicas.exclusive(space, async () => {
      if (page.changes.length === 0 && page.cursor === before) {
        await replicas.catchUp(space, before);
        return false;
      }
      try {
        const accepted = await replicas.accept(space, before, page.changes);
        await shelf.pulled(space, before, page.cursor, accepted);
      } catch (error) {
        await replicas.refresh(space); // memory is ahead of what is stored
        throw error;
      }
      replicas.standsAt(space, page.cursor);
      if (page.changes.length > 0) {
        channel.post({ say: "changes", space, from: before, to: page.cursor, changes: page.changes });
        replicas.announce(space, page.changes);
      }
      return page.more;
    });
  }

  /** Undefined when the server does not know the cursor any more. */
  async #changes(space: string, cursor: string): Promise<ChangesPage | undefined> {
    const query = new URLSearchParams({ space, cursor, limit: String(PAGE_MAX) });
    // The name acknowledges the cursor, and what all have acknowledged may be folded. An edit made before may not have seen
    // it, so a device with such edits keeps what it has said before. A restored server is sent edits again that wait no longer.
    const { shelf, device } = this.#options;
    if (!(await shelf.hasPending(space)) && (await shelf.hasResent(cursor))) query.set("device", device);
    const body = await this.#ask(`/sync/changes?${query}`);
    if (body === undefined) return undefined;
    return pageOf(body);
  }

  /** All documents of the space as they are; true = changes may have come since. `repairs`: read again what was repaired. */
  async #snapshot(space: string, before: string | undefined, repairs: boolean): Promise<boolean> {
    const { shelf, replicas, channel } = this.#options;
    const states: { name: { space: string; key: string }; state: Uint8Array }[] = [];
    let cursor: string | undefined;
    let shared = 0;
    for (let after: string | undefined = ""; after !== undefined; ) {
      const query = new URLSearchParams({ space, limit: String(PAGE_MAX) });
      if (after !== "") query.set("after", after);
      else if (before !== undefined) query.set("before", before);
      const body = await this.#ask(`/sync/snapshot?${query}`);
      const page = (body ?? {}) as Record<string, unknown>;
      const next: unknown = page["next"];
      if (typeof page["cursor"] !== "string" || !Array.isArray(page["documents"])) throw foreign();
      cursor ??= page["cursor"];
      if (incarnationOf(page["cursor"]) !== incarnationOf(cursor)) return true; // restored in between: pages of two histories
      if (after === "") shared = numberOf(page["shared"]);
      for (const document of page["documents"] as unknown[]) {
        const { key, state } = (document ?? {}) as Record<string, unknown>;
        if (typeof key !== "string") throw foreign();
        if (states.length >= SNAPSHOT_DOCUMENTS_MAX)
          throw failure("limit_exceeded", "the space holds too many documents", { detail: SNAPSHOT_DOCUMENTS_MAX });
        states.push({ name: { space, key }, state: bytesOf(state) });
      }
      after = typeof next === "string" ? next : undefined;
    }
    if (cursor === undefined) throw foreign();
    const at = cursor;
    const snapshot = before === undefined ? undefined : { space, before, cursor: at, shared, states };
    // What was taken is in the next snapshot. Were this one stored, and the server restored once more, nobody would have it.
    if (snapshot && (await this.#options.repair(snapshot)) && repairs) return true;
    if (this.signal.aborted) throw failure("closed", "the documents are closed");
    await replicas.exclusive(space, async () => {
      const stood = await shelf.standing(space);
      await shelf.pulled(space, before, at, { states, settled: [], stood, isWhole: true });
      await replicas.refresh(space);
    });
    replicas.announce(
      space,
      states.map(({ name }) => name),
    );
    channel.post({ say: "reload", space });
    return true;
  }

  /** JSON of a 200; undefined for 410. */
  async #ask(path: string): Promise<unknown> {
    const { transport } = this.#options;
    const response = await answerOf(transport, () => transport.get(path, "application/json", TIMEOUT_MS, this.signal));
    if (response.status === 410) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) throw await refusalOf(path, response);
    return jsonOf(response);
  }

  close(): void {
    this.#stop.abort();
  }
}
