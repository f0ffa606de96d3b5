/**
 * Credentials of one device: `oad_` and 256 random bits, of which only the SHA-256 is kept. They carry the device's own
 * subject and nothing but the scope `sync`, and end with the device.
 */

import { createHash, randomBytes } from "node:crypto";
import { type Authenticate, bearerOf, type Identity } from "../auth.ts";
import { HttpProblem } from "../http/problem.ts";
import type { Connection } from "../store/database.ts";
import { bytes, int, optionalInt, text } from "../store/rows.ts";
import type { Store } from "../store/store.ts";

const CACHE_MS = 5_000;
const CACHE_MAX = 20_000;
const TOKENS_PER_DEVICE_MAX = 8;

const digest = (token: string): Buffer => createHash("sha256").update(token).digest();

/** A new token of this device; the oldest ones beyond eight are dropped. `connection` is a transaction's. */
export async function mintDeviceToken(
  connection: Connection,
  tenant: string,
  device: Uint8Array,
  now: number,
  lifeMs: number,
): Promise<string> {
  const token = `oad_${randomBytes(32).toString("base64url")}`;
  await connection.run(
    "INSERT INTO device_token (tenant_id, device_id, sha256, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
    [tenant, device, digest(token), now, now + lifeMs],
  );
  await connection.run(
    `DELETE FROM device_token WHERE tenant_id = $1 AND device_id = $2 AND (expires_at <= $3 OR sha256 NOT IN
       (SELECT sha256 FROM device_token WHERE tenant_id = $1 AND device_id = $2 ORDER BY expires_at DESC LIMIT ${TOKENS_PER_DEVICE_MAX}))`,
    [tenant, device, now],
  );
  return token;
}

export async function dropDeviceTokens(connection: Connection, tenant: string, device: Uint8Array): Promise<number> {
  return connection.run("DELETE FROM device_token WHERE tenant_id = $1 AND device_id = $2", [tenant, device]);
}

interface Entry {
  readonly identity: Identity | undefined;
  readonly expiresAt: number;
  readonly until: number;
}

/** Tokens of this store, looked up again every five seconds. */
export class DeviceTokens {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #known = new Map<string, Entry>();

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Rejects with `token_expired` for a token that was good once. */
  readonly authenticate: Authenticate = async (request) => {
    const token = bearerOf(request);
    if (!token || !/^oad_[\w-]{43}$/.test(token)) return undefined;
    // The lookup is by a digest, so how long a compare takes says nothing about the token.
    const sha256 = digest(token);
    const key = sha256.toString("base64");
    let entry = this.#known.get(key);
    if (!entry || entry.until <= this.#now()) {
      entry = { ...(await this.#find(sha256)), until: this.#now() + CACHE_MS };
      if (this.#known.size >= CACHE_MAX) this.#known.clear();
      this.#known.set(key, entry);
    }
    if (entry.identity && entry.expiresAt <= this.#now())
      throw new HttpProblem("token_expired", "the device's token has expired");
    return entry.identity;
  };

  /** After a revocation, so that it holds here at once. */
  forget(): void {
    this.#known.clear();
  }

  async #find(sha256: Uint8Array): Promise<Omit<Entry, "until">> {
    const rows = await this.#store.read((reads) =>
      reads.connection.query(
        `SELECT t.tenant_id, t.device_id, t.expires_at, d.principal_id, d.revoked_at FROM device_token t
           JOIN device_sync_state d ON d.tenant_id = t.tenant_id AND d.device_id = t.device_id WHERE t.sha256 = $1`,
        [sha256],
      ),
    );
    const row = rows[0];
    if (!row || optionalInt(row, "revoked_at") !== null) return { identity: undefined, expiresAt: 0 };
    const identity: Identity = {
      tenant: text(row, "tenant_id"),
      principal: text(row, "principal_id"),
      scopes: ["sync"],
      device: Uint8Array.from(bytes(row, "device_id")),
      expiresAt: int(row, "expires_at"),
    };
    return { identity, expiresAt: int(row, "expires_at") };
  }
}
