/** Who may see a row of the registry. */

import { failure } from "../../core/errors.ts";
import type { Identity } from "../auth.ts";
import type { Reads } from "../store/store.ts";
import { isPublished, known } from "./registry.ts";
import { findModel, type ModelRow } from "./rows.ts";

/** Drafts are nobody's business but the administrators'; what was retired stays readable for those that still use it. */
export async function readable(reads: Reads, { tenant, scopes }: Identity, id: string): Promise<ModelRow> {
  const row = known(await findModel(reads.connection, tenant, id));
  const isOpen = isPublished(row) || row.state === "retired";
  if (!isOpen && !scopes.includes("admin")) throw failure("not_found", "there is no such model");
  return row;
}

export async function withFile(reads: Reads, identity: Identity, id: string): Promise<ModelRow> {
  const row = await readable(reads, identity, id);
  if (!row.hasFile) throw failure("not_found", "the file of this model has not come yet");
  return row;
}
