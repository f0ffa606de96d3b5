/** Settles conflicts by edits of the server's own. */

import { createHash } from "node:crypto";
import { failure } from "../../core/errors.ts";
import { Reject, type Subject } from "../handlers.ts";
import { elementTexts, memberText } from "../http/raw-json.ts";
import type { Incarnation } from "../session.ts";
import type { Tx } from "../store/database.ts";
import { type Acceptance, type AcceptanceOptions, isRefusal } from "./acceptance.ts";
import { findConflict, namedResolver, type StoredConflict } from "./conflict-rows.ts";
import { type DocumentName, nameOfKey, schemaKey, spaceIdOf } from "./names.ts";
import { findSpace, readRecord, type Space } from "./rows.ts";

export type Choice = "server" | "local" | "merge" | "value";

export interface AskedChoice {
  readonly space: string;
  readonly conflictId: string;
  readonly choice: Choice;
  /** JSON text, with the choice `value`. */
  readonly value?: string | undefined;
}

/**
 * In the caller's transaction. Throws `not_a_member`, `read_only`, `not_found`, `storage_conflict` when it is no longer as it
 * was, and the code of a `Reject`.
 */
export async function settle(
  tx: Tx,
  subject: Subject,
  asked: AskedChoice,
  acceptance: Acceptance,
  { store, merge, now }: AcceptanceOptions,
): Promise<{ readonly spaceId: string; readonly change: number }> {
  const { tenant, principal } = subject;
  const space = await findSpace(tx, tenant, spaceIdOf(asked.space, principal), principal, true);
  if (!space) throw failure("not_a_member", "there is no such space");
  if (space.role === "reader") throw failure("read_only", "readers of this space do not write");
  const conflict = await findConflict(tx, space, asked.conflictId);
  if (!conflict) throw failure("not_found", "there is no such conflict");
  const gone = failure("storage_conflict", "the conflict is settled already");
  if (conflict.resolvedAt !== null) throw gone;
  const name = nameOfKey(conflict.key);
  const { record, schema } = await readRecord(tx, space, name.key, schemaKey(name.collection));
  const place = {
    epoch: serverEpoch(space, name, store.incarnation),
    firstN: record.serverN + 1,
    wall: now(),
  };
  const chosen = chosenValue(conflict, asked.choice, asked.value);
  const made = await merge.resolve(record.body, schema, place, conflict.id, chosen).catch((error: unknown) => {
    if (isRefusal(error) && error.code === "malformed") throw gone; // it is not shown any more
    throw error;
  });
  const edit = { delta: made.delta, principal, device: null, again: false, serverNumbers: made.count, hold: false };
  try {
    if (made.count === 0 || !(await acceptance.accept(tx, space, name, edit))) throw gone;
  } catch (error) {
    if (error instanceof Reject) throw failure(error.code, error.message, { cause: error });
    throw error;
  }
  await namedResolver(tx, space, conflict, principal);
  return { spaceId: space.id, change: space.head };
}

// One per document and incarnation: after a restore, numbers that devices may have seen are not given again.
function serverEpoch(space: Space, { key }: DocumentName, { mintedAt, random }: Incarnation): bigint {
  const hash = createHash("sha256").update(
    JSON.stringify(["oas-server-edit", space.id, key, mintedAt, String(random)]),
  );
  const epoch = hash.digest().readBigUInt64LE();
  return epoch === 0n ? 1n : epoch;
}

/** JSON text, in the digits of whoever wrote it; undefined = deleted. */
function chosenValue({ json }: StoredConflict, choice: Choice, value: string | undefined): string | undefined {
  if (choice === "value") return value;
  if (choice === "merge") return memberText(json, "winner");
  const siblings = elementTexts(memberText(json, "siblings") ?? "[]").map((text) => ({
    value: memberText(text, "value"),
    change: Number(memberText(text, "change") ?? 0),
  }));
  // What is on hold stands alone, against what is shown.
  if (siblings.length === 1 && choice === "server") return memberText(json, "winner");
  // The server knew the first to reach it; the last came from somebody who had not seen that one.
  siblings.sort((a, b) => a.change - b.change);
  return (choice === "server" ? siblings.at(0) : siblings.at(-1))?.value;
}
