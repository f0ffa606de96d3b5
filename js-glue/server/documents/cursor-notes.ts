/**
 * How far each replica has stored a space, as its pulls say. Folding goes no further than these notes, so one that is late holds
 * back a fold and does no other harm: a replica that was heard of here within the hour is answered first and noted with the
 * others of the same moment. One that comes back after a long time is noted before it is answered, because a fold may have
 * passed it, and its next edit is judged by what is written here.
 */

import { OfflineSyncError } from "../../core/errors.ts";
import type { Identity } from "../auth.ts";
import { ownDevice } from "../context.ts";
import { HttpProblem } from "../http/problem.ts";
import { errorFields, type Logger } from "../log.ts";
import type { Store, Writes } from "../store/store.ts";
import { inTenant } from "../store/tenant.ts";
import { cursorOf, putCursor } from "./reads.ts";
import type { Space } from "./rows.ts";

/** A replica that has nothing new to say is written down this often, so that it counts as alive. */
const BEAT_MS = 3_600_000;
const GATHER_MS = 50;
/** Notes of one tenant that wait to be written; further replicas are noted before they are answered. */
const WAITING_MAX = 10_000;
const KNOWN_MAX = 100_000;

interface Note {
  readonly identity: Identity;
  readonly device: string;
  readonly space: Space;
  readonly seq: number;
}

export class CursorNotes {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #log: Logger;
  /** By tenant, then by space and device. */
  readonly #waiting = new Map<string, Map<string, Note>>();
  /** What was written last, and when, by tenant, space and device. */
  readonly #known = new Map<string, { readonly seq: number; readonly at: number }>();
  #writing: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Store, now: () => number, log: Logger) {
    this.#store = store;
    this.#now = now;
    this.#log = log;
  }

  /** Resolves when the replica may be answered. Rejects as the database does. */
  async note(note: Note): Promise<void> {
    const key = keyOf(note);
    const known = this.#known.get(key);
    if (known && this.#now() - known.at < BEAT_MS) {
      if (known.seq === note.seq) return;
      const { tenant } = note.identity;
      const waiting = this.#waiting.get(tenant) ?? new Map<string, Note>();
      if (waiting.size < WAITING_MAX) {
        this.#waiting.set(tenant, waiting.set(key, note));
        this.#timer ??= setTimeout(() => void this.idle(), GATHER_MS);
        return;
      }
    }
    this.#waiting.get(note.identity.tenant)?.delete(key); // an older one would come after it
    this.#remember(await this.#store.write((tx) => write(tx, [note], this.#now())));
  }

  /** Everything noted before the call is written; what could not be is logged, and said again by the next pull. */
  idle(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#writeAll());
    return this.#writing;
  }

  async #writeAll(): Promise<void> {
    for (const [tenant, waiting] of this.#waiting) {
      this.#waiting.delete(tenant);
      // In one order for all processes, so that none waits for another in a circle.
      const notes = [...waiting].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, note]) => note);
      try {
        this.#remember(await inTenant(tenant, () => this.#store.write((tx) => write(tx, notes, this.#now()))));
      } catch (error) {
        this.#log.warn(errorFields(error), "cursors of replicas were not noted");
      }
    }
  }

  #remember(notes: readonly Note[]): void {
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    for (const note of notes) this.#known.set(keyOf(note), { seq: note.seq, at: this.#now() });
  }
}

const keyOf = ({ identity, space, device }: Note): string => JSON.stringify([space.id, device, identity.tenant]);

/** The notes that stand in the database now; a device that is not the caller's, or not known yet, is passed over. */
async function write(tx: Writes, notes: readonly Note[], now: number): Promise<readonly Note[]> {
  const written: Note[] = [];
  for (const note of notes) {
    const { identity, device: id, space, seq } = note;
    const device = await ownDevice(tx, identity, id).catch((error: unknown) => {
      if (error instanceof HttpProblem || error instanceof OfflineSyncError) return undefined;
      throw error;
    });
    if (!device) continue;
    const before = await cursorOf(tx.connection, space, device.device);
    if (before?.seq !== seq || now - before.seenAt >= BEAT_MS)
      await putCursor(tx.connection, space, device.device, seq, now);
    written.push(note);
  }
  return written;
}
