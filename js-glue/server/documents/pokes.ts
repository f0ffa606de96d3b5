/** Who is told that documents changed, once the transaction that changed them has ended. */

import { toHex } from "../../core/bytes.ts";
import type { SyncEvent } from "../handlers.ts";
import type { Metrics } from "../operations/metrics.ts";
import { text } from "../store/rows.ts";
import type { Store } from "../store/store.ts";
import { ownerOf } from "./names.ts";

export interface PokesOptions {
  readonly store: Store;
  /** Something of this principal's changed. */
  readonly notify: (tenant: string, principal: string) => void;
  readonly metrics: Metrics;
}

/** What a device's events did in a transaction that has not ended yet. */
interface Touched {
  readonly spaces: Set<string>;
  /** Classes of the conflicts that each event opened; an event that runs again replaces what it said. */
  readonly conflicts: Map<string, readonly string[]>;
}

/** Members of one space that are poked; more look by themselves. */
const POKED_MAX = 10_000;
/** Devices whose pokes are kept until their transaction has ended. */
const TOUCHED_MAX = 10_000;

export class Pokes {
  readonly #options: PokesOptions;
  readonly #touched = new Map<string, Touched>();

  constructor(options: PokesOptions) {
    this.#options = options;
  }

  /** A handler does not know whether its transaction will be committed; who does, calls `flush` afterwards. */
  touch({ tenant, deviceId, id }: SyncEvent, spaceId: string, conflicts: readonly string[]): void {
    const key = `${deviceId}/${tenant}`;
    if (this.#touched.size >= TOUCHED_MAX) this.#touched.clear(); // pokes are hints
    const touched = this.#touched.get(key) ?? { spaces: new Set(), conflicts: new Map() };
    this.#touched.set(key, touched);
    touched.spaces.add(spaceId);
    touched.conflicts.set(id, conflicts);
  }

  /** The transaction of this device's events was committed: members of the spaces it wrote to are told. */
  flush(tenant: string, device: Uint8Array): void {
    const key = `${toHex(device)}/${tenant}`;
    const touched = this.#touched.get(key);
    if (!touched) return;
    this.#touched.delete(key);
    for (const classes of touched.conflicts.values()) this.#options.metrics.conflicts(classes);
    for (const id of touched.spaces) this.poke(tenant, id);
  }

  poke(tenant: string, spaceId: string): void {
    const { store, notify } = this.#options;
    const owner = ownerOf(spaceId);
    if (owner !== undefined) {
      notify(tenant, owner); // nobody else is a member there
      return;
    }
    store
      .read(({ connection }) =>
        connection.query(
          `SELECT principal_id FROM space_member WHERE tenant_id = $1 AND space_id = $2 LIMIT ${POKED_MAX}`,
          [tenant, spaceId],
        ),
      )
      .then((rows) => {
        for (const row of rows) notify(tenant, text(row, "principal_id"));
      })
      .catch(() => undefined); // a hint; clients look by themselves, too
  }
}
