/**
 * Is the change order of a space whole? Every row carries the sum over itself and all before it (rows.ts), and the space the sum
 * over all. A copy that was cut, mixed from two moments or changed by hand does not add up.
 */

import type { Tx } from "../store/database.ts";
import { bytes, int, text, word } from "../store/rows.ts";
import { changeSum } from "./rows.ts";

const PAGE = 1_000;

export interface OrderProblem {
  readonly tenant: string;
  readonly space: string;
  /** The first number that does not fit. */
  readonly seq: number;
  readonly why: string;
}

export interface OrderVerification {
  readonly spaces: number;
  readonly changes: number;
  readonly problems: readonly OrderProblem[];
}

/** All spaces of all tenants; `connection` is a snapshot's. Rows that a fold has made needless may be gone from the front. */
export async function verifyOrders(connection: Tx): Promise<OrderVerification> {
  const problems: OrderProblem[] = [];
  let spaces = 0;
  let changes = 0;
  let [tenant, id] = ["", ""];
  for (;;) {
    const rows = await connection.query(
      `SELECT tenant_id, space_id, head, checksum FROM space WHERE tenant_id > $1 OR (tenant_id = $1 AND space_id > $2)
        ORDER BY tenant_id, space_id LIMIT ${PAGE}`,
      [tenant, id],
    );
    for (const row of rows) {
      [tenant, id] = [text(row, "tenant_id"), text(row, "space_id")];
      const found = await verifySpace(connection, tenant, id, { seq: int(row, "head"), sum: word(row, "checksum") });
      spaces++;
      changes += found.changes;
      if (found.problem) problems.push({ tenant, space: id, ...found.problem });
    }
    if (rows.length < PAGE) return { spaces, changes, problems };
  }
}

interface End {
  readonly seq: number;
  readonly sum: bigint;
}

async function verifySpace(
  connection: Tx,
  tenant: string,
  id: string,
  head: End,
): Promise<{ readonly changes: number; readonly problem?: { readonly seq: number; readonly why: string } }> {
  let at: End | undefined;
  let changes = 0;
  for (;;) {
    const rows = await connection.query(
      `SELECT seq, doc_key, body, checksum FROM change WHERE tenant_id = $1 AND space_id = $2 AND seq > $3
        ORDER BY seq LIMIT ${PAGE}`,
      [tenant, id, at?.seq ?? 0],
    );
    for (const row of rows) {
      const seq = int(row, "seq");
      // What the first row is added to is known only where nothing was removed before it.
      const before = at ?? (seq === 1 ? { seq: 0, sum: 0n } : undefined);
      if (before && before.seq + 1 !== seq) return { changes, problem: { seq: before.seq + 1, why: "it is missing" } };
      const sum = word(row, "checksum");
      if (before && changeSum(before.sum, seq, text(row, "doc_key"), bytes(row, "body")) !== sum)
        return { changes, problem: { seq, why: "it does not add up" } };
      at = { seq, sum };
      changes++;
    }
    if (rows.length < PAGE) break;
  }
  const end = at ?? { seq: 0, sum: 0n };
  // With every change folded away only the head is left to say what there was.
  if ((at || head.seq === 0) && (end.seq !== head.seq || end.sum !== head.sum))
    return { changes, problem: { seq: end.seq + 1, why: "the end is missing" } };
  return { changes };
}
