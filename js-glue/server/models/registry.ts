/**
 * The registry: what a tenant publishes, who gets it, and the signed list of it.
 *
 *   draft --canary--> canary --active--> active --retired--> retired --active or canary--> ...
 *
 * Any state but `draft` may follow any other: a roll-out is widened, narrowed, ended and taken up again. A row without its
 * file is published to nobody, one without metrics never becomes active, and published bytes never change.
 */

import { isDeepStrictEqual } from "node:util";
import { sameBytes } from "../../core/bytes.ts";
import { failure } from "../../core/errors.ts";
import {
  blockHashes,
  type DeviceCaps,
  fits,
  hashBytes,
  MANIFEST_BYTES_MAX,
  MANIFEST_ENTRIES_MAX,
  type ModelStatement,
  modelId,
  type Rollout,
  readStatement,
} from "../../core/model-statement.ts";
import type { Identity } from "../auth.ts";
import { HttpProblem } from "../http/problem.ts";
import type { Tx } from "../store/database.ts";
import type { Reads, Store, Writes } from "../store/store.ts";
import type { ModelRow, ModelState } from "./rows.ts";
import * as rows from "./rows.ts";
import { type ModelTrust, Publishers } from "./signing.ts";

const CANARY_PERCENT = 10; // when nobody says otherwise
const MANIFEST_DAYS = 14; // a device that was in a drawer asks again; one that is shown an old list notices within weeks
const DAY_MS = 86_400_000;

export interface Change {
  readonly state?: Exclude<ModelState, "draft"> | undefined;
  readonly rollout?: { readonly percent?: number | undefined; readonly salt?: string | undefined } | undefined;
}

export interface SignedManifest {
  readonly text: string;
  readonly etag: string;
}

/** Changes with every change of the row. */
export const etagOf = ({ id, revision }: ModelRow): string => `"${id}.${revision}"`;

export const isPublished = ({ state }: ModelRow): boolean => state === "canary" || state === "active";

export class ModelRegistry {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #trust: ModelTrust;
  readonly #publishers: Publishers;

  /** Throws `invalid_argument` for keys that are none. */
  constructor(store: Store, now: () => number, trust: ModelTrust = {}) {
    this.#store = store;
    this.#now = now;
    this.#trust = trust;
    this.#publishers = new Publishers(trust);
  }

  /**
   * A draft; the same statement again finds the row that is there, and one that differs in a later signing and another end
   * alone renews it, in whatever state it is. Throws `signature`, `malformed`, `expired`, `already_exists`.
   */
  async create(identity: Identity, statement: string, signature: string | undefined): Promise<ModelRow> {
    const about = readStatement(statement);
    checkEnd(about, this.#now());
    const signed = this.#publishers.signatureOf(statement, signature);
    const id = modelId(about);
    // One place of a device for all files of a version.
    const rollout = { percent: 0, salt: `${about.slug}-${about.version}` };
    return this.#change(
      identity,
      id,
      (before) => (before ? "model.renew" : "model.create"),
      async (tx, row) => {
        if (row?.statement === statement) return;
        if (row && renews(readStatement(row.statement), about))
          return rows.renewModel(tx, identity.tenant, id, { statement, signature: signed }, this.#now());
        if (row) throw failure("already_exists", "there is another statement of this model, version and form");
        await rows.insertModel(tx, identity.tenant, { id, statement, signature: signed, rollout }, about, this.#now());
      },
    );
  }

  /** The file that the statement names; again is fine. Throws `not_found`, and `checksum` for any other bytes. */
  async upload(identity: Identity, id: string, file: Uint8Array): Promise<ModelRow> {
    return this.#change(identity, id, "model.upload", async (tx, row) => {
      const { bytes, sha256, blocksSha256 } = readStatement(known(row).statement);
      const blocks = await blockHashes(rows, file);
      const isNamed = file.length === bytes && sameBytes(rows.sha256(file), hashBytes(sha256));
      if (!isNamed || !sameBytes(rows.sha256(blocks), hashBytes(blocksSha256))) {
        throw failure("checksum", "this is not the file that the statement names");
      }
      if (row?.hasFile) return;
      await rows.insertFile(tx, identity.tenant, id, file, blocks, this.#now());
    });
  }

  /** Throws `not_found`, `precondition_failed` when `ifMatch` names another revision, `invalid_argument`, `limit_exceeded`. */
  async change(identity: Identity, id: string, change: Change, ifMatch?: string): Promise<ModelRow> {
    const action = change.state === "retired" ? "model.retire" : "model.update";
    return this.#change(identity, id, action, async (tx, row) => {
      const before = known(row);
      if (ifMatch !== undefined && ifMatch !== etagOf(before)) {
        throw new HttpProblem("precondition_failed", "the model has changed since it was read");
      }
      const state = change.state ?? before.state;
      const rollout = { ...before.rollout, ...defaultShare(before, state), ...given(change.rollout) };
      checkState(before, state, this.#now());
      if (state === before.state && rollout.percent === before.rollout.percent && rollout.salt === before.rollout.salt)
        return;
      await rows.changeModel(tx, identity.tenant, id, { state, rollout }, this.#now());
      // Said now, to whoever publishes, and not later to every device.
      if (state !== "retired" && this.#trust.key) await this.#manifest(tx, identity.tenant);
    });
  }

  /** Canary and active ones, signed; only what fits `caps`, when given. Throws `not_found` when this server signs nothing. */
  async manifest(reads: Reads, tenant: string, caps?: DeviceCaps): Promise<SignedManifest> {
    return this.#manifest(reads.connection, tenant, caps);
  }

  async #manifest(tx: Tx, tenant: string, caps?: DeviceCaps): Promise<SignedManifest> {
    const { key } = this.#trust;
    if (!key) throw failure("not_found", "this server has no key to sign a manifest with");
    const states = ["canary", "active"] as const;
    const all = await rows.listModels(tx, tenant, { states, limit: MANIFEST_ENTRIES_MAX + 1 });
    if (all.length > MANIFEST_ENTRIES_MAX) {
      throw failure("limit_exceeded", "too many models are published", { detail: MANIFEST_ENTRIES_MAX });
    }
    const models = all
      .filter(({ statement }) => caps === undefined || fits(readStatement(statement).minCaps, caps))
      .map(({ id, state, rollout, statement, signature }) => {
        return { id, status: state, rollout, statement, signature: base64(signature) };
      });
    // A restored database has forgotten changes that devices know of; its incarnation is younger than they are.
    const issuedAt = Math.max(await rows.issuedAt(tx, tenant), this.#store.incarnation.mintedAt);
    // Of whole days, so that the list and its ETag stand still for one.
    const days = Math.floor(this.#now() / DAY_MS) + 1 + (this.#trust.manifestDays ?? MANIFEST_DAYS);
    const body = JSON.stringify({ format: 1, issuedAt, expiresAt: days * DAY_MS, models });
    const text = JSON.stringify({ body, signature: base64(key.signManifest(body)) });
    if (text.length > MANIFEST_BYTES_MAX) {
      throw failure("limit_exceeded", "the manifest grows too large", { detail: MANIFEST_BYTES_MAX });
    }
    return {
      text,
      etag: `"${Buffer.from(rows.sha256(Buffer.from(body)))
        .toString("hex")
        .slice(0, 32)}"`,
    };
  }

  #change(
    { tenant, principal }: Identity,
    id: string,
    action: string | ((before: ModelRow | undefined) => string),
    work: (tx: Tx, row: ModelRow | undefined) => Promise<void>,
  ): Promise<ModelRow> {
    return this.#store.write(async (writes: Writes) => {
      const tx = writes.connection;
      await rows.touchRegistry(tx, tenant, this.#now());
      const before = await rows.findModel(tx, tenant, id);
      await work(tx, before);
      const after = known(await rows.findModel(tx, tenant, id));
      if (after.revision !== before?.revision) {
        const { state, rollout, revision } = after;
        const detail = JSON.stringify({ model: id, state, percent: rollout.percent, revision });
        const said = typeof action === "string" ? action : action(before);
        await writes.audit(tenant, [{ at: this.#now(), actor: principal, action: said, subject: id, detail }]);
      }
      return after;
    });
  }
}

export function known(row: ModelRow | undefined): ModelRow {
  if (!row) throw failure("not_found", "there is no such model");
  return row;
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

const given = (rollout: Change["rollout"]): Partial<Rollout> => ({
  ...(rollout?.percent === undefined ? {} : { percent: rollout.percent }),
  ...(rollout?.salt === undefined ? {} : { salt: rollout.salt }),
});

/** Whoever activates means everybody, whoever begins a canary a few. */
function defaultShare(before: ModelRow, state: ModelState): Partial<Rollout> {
  if (state === before.state) return {};
  if (state === "active") return { percent: 100 };
  return state === "canary" ? { percent: CANARY_PERCENT } : {};
}

function checkEnd({ expiresAt }: ModelStatement, now: number): void {
  if (expiresAt !== undefined && expiresAt <= now)
    throw failure("expired", "the statement has expired: sign it again", { detail: expiresAt });
}

/** The same of the same file, said again later. */
function renews(before: ModelStatement, next: ModelStatement): boolean {
  const { issuedAt = 0, expiresAt: _, ...same } = before;
  const { issuedAt: again = 0, expiresAt: __, ...rest } = next;
  return again > issuedAt && isDeepStrictEqual(same, rest);
}

function checkState(before: ModelRow, state: ModelState, now: number): void {
  if (state !== "canary" && state !== "active") return;
  if (!before.hasFile) throw failure("invalid_argument", "the file of this model has not come yet");
  const about = readStatement(before.statement);
  // What is published already may still be narrowed or widened.
  if (before.state !== state) checkEnd(about, now);
  const { metrics } = about;
  if (state === "active" && metrics.length === 0) {
    throw failure("invalid_argument", "a model without metrics does not become active");
  }
}
