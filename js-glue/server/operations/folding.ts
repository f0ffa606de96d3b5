/**
 * Keeps documents and change orders small. A document is folded up to where every living replica is and a backup has it; the
 * fold is a change of its own, so that all replicas do the same at the same place. Changes that nobody needs any more go.
 */

import type { Documents } from "../documents/documents.ts";
import { anySpace, type Space } from "../documents/rows.ts";
import type { Tx } from "../store/database.ts";
import { int, text } from "../store/rows.ts";
import type { Store } from "../store/store.ts";

/** Changes of one document since its last fold; the index `record_unfolded` knows this number, too. */
const UNFOLDED_MAX = 64;
const DOCUMENTS_MAX = 1_000;
const SPACES_MAX = 10_000;
/** Rows of one transaction. */
const BATCH = 5_000;

export interface FoldingOptions {
  readonly store: Store;
  readonly documents: Documents;
  readonly now: () => number;
  /** Everything committed before this time is in a backup. */
  readonly horizon: () => number;
  /** A replica that was not heard of for so long holds nothing back. */
  readonly replicaMs: number;
  /** Undefined = all tenants. */
  readonly tenant?: string | undefined;
  /** Only counts the changes that would go. */
  readonly dryRun: boolean;
}

export interface Folded {
  readonly documents: number;
  readonly changes: number;
}

/** Rejects as the database does; what was done by then stays done. */
export async function foldDocuments(options: FoldingOptions): Promise<Folded> {
  return { documents: options.dryRun ? 0 : await foldAll(options), changes: await trimAll(options) };
}

const scope = ({ tenant }: FoldingOptions, alias: string): readonly [string, readonly string[]] =>
  tenant === undefined ? ["", []] : [` AND ${alias}.tenant_id = $1`, [tenant]];

async function foldAll(options: FoldingOptions): Promise<number> {
  const { store, documents } = options;
  const [where, params] = scope(options, "r");
  const rows = await store.read(({ connection }) =>
    connection.query(
      `SELECT tenant_id, space_id, doc_key FROM record r WHERE edits > ${UNFOLDED_MAX}${where} LIMIT ${DOCUMENTS_MAX}`,
      params,
    ),
  );
  let folded = 0;
  const touched = new Map<string, readonly [tenant: string, space: string]>();
  for (const row of rows) {
    const [tenant, id] = [text(row, "tenant_id"), text(row, "space_id")];
    const done = await store.write(async ({ connection }) => {
      const space = await anySpace(connection, tenant, id, true);
      if (!space) return false;
      return documents.fold(connection, space, text(row, "doc_key"), await cutOf(connection, space, options));
    });
    if (!done) continue;
    folded++;
    touched.set(`${id}/${tenant}`, [tenant, id]);
  }
  for (const [tenant, id] of touched.values()) documents.poke(tenant, id);
  return folded;
}

/** The least number that a living replica of the space has stored; all of them when there is none. */
async function leastCursor(tx: Tx, space: Space, { now, replicaMs }: FoldingOptions): Promise<number> {
  const [row] = await tx.query(
    "SELECT min(seq) AS n FROM space_cursor WHERE tenant_id = $1 AND space_id = $2 AND seen_at >= $3",
    [space.tenant, space.id, now() - replicaMs],
  );
  return row === undefined || row["n"] === null ? space.head : Math.min(space.head, int(row, "n"));
}

/** The last change before the first that came after `at`. */
async function lastBefore(tx: Tx, space: Space, at: number): Promise<number> {
  const [row] = await tx.query(
    "SELECT min(seq) AS n FROM change WHERE tenant_id = $1 AND space_id = $2 AND received_at > $3",
    [space.tenant, space.id, at],
  );
  return row === undefined || row["n"] === null ? space.head : int(row, "n") - 1;
}

async function cutOf(tx: Tx, space: Space, options: FoldingOptions): Promise<number> {
  return Math.min(await leastCursor(tx, space, options), await lastBefore(tx, space, options.horizon()));
}

async function trimAll(options: FoldingOptions): Promise<number> {
  const { store, dryRun } = options;
  const [where, params] = scope(options, "s");
  const rows = await store.read(({ connection }) =>
    connection.query(
      `SELECT tenant_id, space_id FROM space s WHERE head > 0${where} ORDER BY tenant_id, space_id LIMIT ${SPACES_MAX}`,
      params,
    ),
  );
  let removed = 0;
  for (const row of rows) {
    const [tenant, id] = [text(row, "tenant_id"), text(row, "space_id")];
    for (;;) {
      const count = await store.write(async ({ connection }) => {
        const space = await anySpace(connection, tenant, id, true);
        if (!space) return 0;
        const old = await oldestKept(connection, space, options);
        if (dryRun) return countBelow(connection, space, old);
        return connection.run(
          `DELETE FROM change WHERE tenant_id = $1 AND space_id = $2 AND seq IN
             (SELECT seq FROM change WHERE tenant_id = $1 AND space_id = $2 AND seq < $3 ORDER BY seq LIMIT ${BATCH})`,
          [tenant, id, old],
        );
      });
      removed += count;
      if (dryRun || count < BATCH) break;
    }
  }
  return removed;
}

/** Whoever never says where it is has as long to come back. The row at the cut stays: a cursor is checked against it. */
async function oldestKept(tx: Tx, space: Space, options: FoldingOptions): Promise<number> {
  const { now, replicaMs, horizon } = options;
  return Math.min(
    await lastBefore(tx, space, Math.min(now() - replicaMs, horizon())),
    await leastCursor(tx, space, options),
  );
}

async function countBelow(tx: Tx, space: Space, seq: number): Promise<number> {
  const [row] = await tx.query("SELECT count(*) AS n FROM change WHERE tenant_id = $1 AND space_id = $2 AND seq < $3", [
    space.tenant,
    space.id,
    seq,
  ]);
  return row ? int(row, "n") : 0;
}
