/**
 * Requests signed by a device's own key (ECDSA P-256 over SHA-256), which makes a stolen bearer token useless.
 *
 *   oas-signature: v1.<device id>.<ms since 1970>.<base64url of r || s>
 *
 * signs the text `oas1 <METHOD> <path and query below the base> <ms> <device id> <sha-256 of the decoded body, hex>`.
 * Only the public key is kept here. A device that has registered one is believed signed requests only.
 */

import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { formatDeviceId } from "../../core/device-id.ts";
import { failure } from "../../core/errors.ts";
import { parseDeviceId } from "../context.ts";
import { HttpProblem } from "../http/problem.ts";
import type { Store } from "../store/store.ts";

const CLOCK_MS_MAX = 300_000;
const CACHE_MAX = 20_000;

export interface Signature {
  readonly device: Uint8Array;
  readonly at: number;
  readonly bytes: Uint8Array;
  /** The header as it came: the name of this very request. */
  readonly text: string;
}

/** Undefined without the header. Throws `bad_signature` for one of another shape. */
export function signatureOf(header: string | string[] | undefined): Signature | undefined {
  if (header === undefined) return undefined;
  const match = typeof header === "string" && /^v1\.([0-9a-f-]{32,36})\.(\d{12,14})\.([\w-]{86})$/.exec(header);
  const device = match && parseDeviceId(match[1] ?? "");
  if (!match || !device) throw new HttpProblem("bad_signature", "oas-signature has another shape");
  return { device, at: Number(match[2]), bytes: Buffer.from(match[3] ?? "", "base64url"), text: match[0] };
}

/** What is signed. `path` holds the query and stands below the base path. */
export function signedText(method: string, path: string, at: number, device: Uint8Array, body: Uint8Array): string {
  const hash = createHash("sha256").update(body).digest("hex");
  return `oas1 ${method} ${path} ${at} ${formatDeviceId(device)} ${hash}`;
}

/** Base64 or base64url of the key's SPKI form, DER. Throws `invalid_argument` for anything but a P-256 public key. */
export function readPublicKey(publicKey: string): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, "base64"), format: "der", type: "spki" });
    if (key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  } catch (error) {
    throw failure("invalid_argument", "publicKey is not a key", { path: "publicKey", cause: error });
  }
  throw failure("invalid_argument", "publicKey is not of the curve P-256", { path: "publicKey" });
}

export const signedBy = (key: KeyObject, text: string, signature: Uint8Array): boolean =>
  verify("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }, signature);

export class Signatures {
  readonly #store: Store;
  readonly #now: () => number;
  readonly #keys = new Map<string, KeyObject>();

  constructor(store: Store, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Rejects with `bad_signature` unless the device's key signed exactly this request within the last five minutes. */
  async check(tenant: string, signature: Signature, text: string): Promise<void> {
    if (Math.abs(this.#now() - signature.at) > CLOCK_MS_MAX)
      throw new HttpProblem("bad_signature", "the signature is too old, or the device's clock is wrong");
    const stored = await this.#store.read((reads) => reads.device(tenant, signature.device));
    const key = stored?.publicKey ? this.#key(stored.publicKey) : undefined;
    if (!key || stored?.revokedAt !== null || !signedBy(key, text, signature.bytes))
      throw new HttpProblem("bad_signature", "the signature does not fit the request");
  }

  #key(publicKey: string): KeyObject {
    let key = this.#keys.get(publicKey);
    if (!key) {
      key = readPublicKey(publicKey);
      if (this.#keys.size >= CACHE_MAX) this.#keys.clear();
      this.#keys.set(publicKey, key);
    }
    return key;
  }
}
