/** Changed rows between two published files of one table of recommendations. */

import { makeDelta } from "../../core/file-delta.ts";
import { MANIFEST_ENTRIES_MAX, readStatement } from "../../core/model-statement.ts";
import type { Reads } from "../store/store.ts";
import { listModels, type ModelRow, readFilePart } from "./rows.ts";

// Comparing takes time of everybody's; a table of 4,096 items is 400 kB.
const DELTA_FILE_BYTES_MAX = 2_000_000;
const KEPT_MAX = 16;
const STATES = ["canary", "active", "retired"] as const;

export class Deltas {
  // All devices ask for the same few.
  readonly #kept = new Map<string, Uint8Array>();

  /** From the published file with this SHA-256; undefined when there is none, or loading the file is no worse. */
  async find(reads: Reads, tenant: string, row: ModelRow, from: string): Promise<Uint8Array | undefined> {
    const { connection } = reads;
    const about = readStatement(row.statement);
    if (about.kind !== "history") return undefined;
    const filter = { states: STATES, slug: about.slug, limit: MANIFEST_ENTRIES_MAX };
    const old = (await listModels(connection, tenant, filter)).find(
      ({ hasFile, statement }) => hasFile && readStatement(statement).sha256 === from,
    );
    if (!old) return undefined;
    const { bytes } = readStatement(old.statement);
    if (Math.max(bytes, about.bytes) > DELTA_FILE_BYTES_MAX) return undefined;
    const key = JSON.stringify([tenant, from, about.sha256]);
    let delta = this.#kept.get(key);
    if (!delta) {
      const before = await readFilePart(connection, tenant, old.id, 0, bytes);
      delta = makeDelta(before, await readFilePart(connection, tenant, row.id, 0, about.bytes));
      this.#keep(key, delta);
    }
    return delta.length <= about.bytes / 2 ? delta : undefined;
  }

  #keep(key: string, delta: Uint8Array): void {
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.set(key, delta);
  }
}
