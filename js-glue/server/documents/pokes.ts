/**
 * Who is told that documents changed, once the transaction that changed them has ended, and what. A few small changes go out with
 * the poke: a device that stands where they begin needs no request for them.
 */

import { toHex } from "../../core/bytes.ts";
import type { SyncEvent } from "../handlers.ts";
import type { Metrics } from "../operations/metrics.ts";
import { text } from "../store/rows.ts";
import type { Reads, Store } from "../store/store.ts";
import { type Cursor, formatCursor } from "./cursor.ts";
import { ownerOf, shownSpace } from "./names.ts";
import { changesAfter, shownPage } from "./reads.ts";
import { anySpace } from "./rows.ts";

export interface PokesOptions {
  readonly store: Store;
  /** Something of this principal's changed; `news` is what, where that is said. */
  readonly notify: (tenant: string, principal: string, news?: string) => void;
  /** Whether streams are open here, of this principal or of anybody: for nobody, no news are read. */
  readonly isHeard: (tenant: string, principal?: string) => boolean;
  readonly metrics: Metrics;
}

/** What a device's events did in a transaction that has not ended yet. */
interface Touched {
  /** Where each space stood before. */
  readonly spaces: Map<string, Cursor>;
  /** Classes of the conflicts that each event opened; an event that runs again replaces what it said. */
  readonly conflicts: Map<string, readonly string[]>;
}

/** Members of one space that are poked; more look by themselves. */
const POKED_MAX = 10_000;
/** Devices whose pokes are kept until their transaction has ended. */
const TOUCHED_MAX = 10_000;
/** What goes out with a poke, to every stream of every member; more is pulled. */
const NEWS_CHANGES_MAX = 20;
const NEWS_CHARS_MAX = 8_000;

export class Pokes {
  readonly #options: PokesOptions;
  readonly #touched = new Map<string, Touched>();

  constructor(options: PokesOptions) {
    this.#options = options;
  }

  /** A handler does not know whether its transaction will be committed; who does, calls `flush` afterwards. */
  touch({ tenant, deviceId, id }: SyncEvent, spaceId: string, before: Cursor, conflicts: readonly string[]): void {
    const key = `${deviceId}/${tenant}`;
    if (this.#touched.size >= TOUCHED_MAX) this.#touched.clear(); // pokes are hints
    const touched = this.#touched.get(key) ?? { spaces: new Map(), conflicts: new Map() };
    this.#touched.set(key, touched);
    if (!touched.spaces.has(spaceId)) touched.spaces.set(spaceId, before);
    touched.conflicts.set(id, conflicts);
  }

  /** The transaction of this device's events was committed: members of the spaces it wrote to are told. False when it wrote to none. */
  flush(tenant: string, device: Uint8Array): boolean {
    const key = `${toHex(device)}/${tenant}`;
    const touched = this.#touched.get(key);
    if (!touched) return false;
    this.#touched.delete(key);
    for (const classes of touched.conflicts.values()) this.#options.metrics.conflicts(classes);
    for (const [id, before] of touched.spaces) this.poke(tenant, id, before);
    return true;
  }

  /** `before`: where the space stood before it was written to. */
  poke(tenant: string, spaceId: string, before?: Cursor): void {
    const { store, notify, isHeard } = this.#options;
    const owner = ownerOf(spaceId); // nobody else is a member there
    const from = isHeard(tenant, owner) ? before : undefined;
    if (owner !== undefined && from === undefined) {
      notify(tenant, owner);
      return;
    }
    store
      .read(async (reads) => {
        const members = owner === undefined ? await membersOf(reads, tenant, spaceId) : [owner];
        // A poke that brings nothing is a poke: whatever stands in the way is met, and told, by the pull that follows.
        const news = from && (await newsOf(reads, store, tenant, spaceId, from).catch(() => undefined));
        for (const member of members) notify(tenant, member, news);
      })
      // Clients look by themselves, too.
      .catch(() => (owner === undefined ? undefined : notify(tenant, owner)));
  }
}

async function membersOf({ connection }: Reads, tenant: string, spaceId: string): Promise<readonly string[]> {
  const rows = await connection.query(
    `SELECT principal_id FROM space_member WHERE tenant_id = $1 AND space_id = $2 LIMIT ${POKED_MAX}`,
    [tenant, spaceId],
  );
  return rows.map((row) => text(row, "principal_id"));
}

/** The page of changes behind `before`, and that cursor, as JSON; undefined when that is too much. */
async function newsOf(
  { connection }: Reads,
  { incarnation }: Store,
  tenant: string,
  spaceId: string,
  before: Cursor,
): Promise<string | undefined> {
  const space = await anySpace(connection, tenant, spaceId, false);
  if (!space) return undefined;
  const after = formatCursor(incarnation, before);
  const page = await changesAfter(connection, space, incarnation, after, NEWS_CHANGES_MAX);
  if (page.more) return undefined;
  const news = JSON.stringify({ ...shownPage(shownSpace(spaceId), page), after });
  return news.length <= NEWS_CHARS_MAX ? news : undefined;
}
