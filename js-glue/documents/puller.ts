/**
 * Brings the server's changes: pages of each space's change order from the stored cursor on, a snapshot where the cursor is
 * no longer known, and a stream of pokes that says when to look.
 *
 * A page is applied in memory, then states, settled edits and cursor are stored in one transaction that expects the cursor
 * it began from; when another context was first, everything is read anew. So it does not matter who pulls, or how many do.
 */

import type { FetchTransport } from "../browser/transport.ts";
import { fromBase64 } from "../core/bytes.ts";
import { asFailure, failure } from "../core/errors.ts";
import { answerOf, foreign, jsonOf, refusalOf, TIMEOUT_MS } from "./asking.ts";
import type { DocumentChannel } from "./contexts.ts";
import type { Leftovers } from "./leftovers.ts";
import type { Snapshot } from "./repair.ts";
import type { Change, Replicas } from "./replicas.ts";
import { ReturnTime } from "./return-time.ts";
import type { Shelf } from "./shelf.ts";

const PAGE_MAX = 500;
/** A stream says something every 20 s; longer silence is a dead connection. */
const SILENCE_MS_MAX = 50_000;
const LINE_CHARS_MAX = 100_000;
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

interface ChangesPage {
  readonly cursor: string;
  readonly more: boolean;
  readonly changes: readonly Change[];
}

export class Puller {
  readonly #options: PullerOptions;
  readonly #stop = new AbortController();
  readonly #spaces = new Set<string>();
  readonly #running = new Map<string, { again: boolean; done: Promise<void> }>();
  #leads = false;
  readonly #returnTime = new ReturnTime();

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
    await this.#listen();
  }

  #look(): void {
    for (const space of this.#spaces) this.#fetch(space);
  }

  /** A pull nobody waits for: what goes wrong is told to the application. */
  #fetch(space: string): void {
    this.pull(space).catch((error: unknown) => {
      const known = asFailure(error, "internal");
      // No member any more, or never: asking again at every poke would only repeat the answer.
      if (known.code === "not_found") this.#spaces.delete(space);
      this.#options.failed(known);
    });
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
    const running = this.#running.get(space);
    if (running) {
      running.again = true;
      return running.done;
    }
    const turn = { again: false, done: Promise.resolve() };
    const work = async (): Promise<void> => {
      try {
        do {
          turn.again = false;
          await this.#pullAll(space);
        } while (turn.again && !this.signal.aborted);
      } finally {
        this.#running.delete(space);
      }
    };
    this.#running.set(space, turn);
    turn.done = work();
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
    const { cursor: next, more, changes } = body as Record<string, unknown>;
    if (typeof next !== "string" || typeof more !== "boolean" || !Array.isArray(changes)) throw foreign();
    return {
      cursor: next,
      more,
      changes: changes.map((change: unknown) => {
        const { key, body: bytes } = (change ?? {}) as Record<string, unknown>;
        if (typeof key !== "string") throw foreign();
        return { key, body: bytesOf(bytes) };
      }),
    };
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

  // --- pokes ------------------------------------------------------------------------------------------------------------

  async #listen(): Promise<void> {
    this.#look();
    while (!this.signal.aborted) {
      await this.#stream().catch(() => undefined); // it broke, or never began: it is tried again
      if (this.signal.aborted) return;
      await this.#pause(this.#returnTime.next(Math.random()));
      if (globalThis.navigator?.onLine === false) continue;
      this.#look();
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        globalThis.removeEventListener?.("online", end);
        this.signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      globalThis.addEventListener?.("online", end);
      this.signal.addEventListener("abort", end);
    });
  }

  /** Ends when the stream does; every `poke` makes a pull. */
  async #stream(): Promise<void> {
    const stop = new AbortController();
    const end = (): void => stop.abort();
    this.signal.addEventListener("abort", end, { once: true });
    let watchdog = setTimeout(end, SILENCE_MS_MAX);
    try {
      const response = await this.#options.transport.get(
        "/sync/stream",
        "text/event-stream",
        Number.POSITIVE_INFINITY,
        stop.signal,
      );
      if (!response.ok) this.#returnTime.refused(response.headers.get("retry-after"));
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      if (!response.ok || !reader) return;
      let line = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(end, SILENCE_MS_MAX);
        const lines = (line + value).split("\n");
        line = lines.pop() ?? "";
        if (line.length > LINE_CHARS_MAX) return;
        for (const one of lines) this.#returnTime.heard(one);
        if (lines.some((one) => one.trim() === "event: poke")) this.#look();
        if (lines.some((one) => one.trim() === "event: bye")) return;
      }
    } finally {
      clearTimeout(watchdog);
      this.signal.removeEventListener("abort", end);
      stop.abort();
    }
  }

  close(): void {
    this.#stop.abort();
  }
}

/** 0 for what is no change's number. */
const numberOf = (value: unknown): number => (Number.isSafeInteger(value) ? Math.max(Number(value), 0) : 0);

function bytesOf(text: unknown): Uint8Array {
  const bytes = typeof text === "string" ? fromBase64(text) : undefined;
  if (!bytes) throw foreign();
  return bytes;
}
