/**
 * Who is asking. Tenant and principal come from the credential alone.
 *
 * API keys look like `oas_<prefix>_<secret>`; only the SHA-256 of the whole key is stored. An application with accounts of
 * its own hands in a function instead (a session, a JWT).
 */

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { failure } from "../core/errors.ts";
import type { Subject } from "./handlers.ts";
import type { ApiKey, Store } from "./store/store.ts";

/** What a credential is good for; `admin` includes all others. */
export const SCOPES = ["sync", "admin", "metrics", "audit"] as const;
/** What a credential is good for; `admin` includes all others. */
export type Scope = (typeof SCOPES)[number];

export const isScope = (name: string): name is Scope => (SCOPES as readonly string[]).includes(name);

/** Whose request it is, and how far its credential reaches. */
export interface Caller extends Subject {
  /** The credential is this one device's; undefined = any device of the principal. */
  readonly device?: Uint8Array | undefined;
  /** The device whose key signed this very request. */
  readonly signedBy?: Uint8Array | undefined;
}

/** Who asks, and what the credential allows. */
export interface Identity extends Caller {
  readonly scopes: readonly Scope[];
  /** When the credential ends, in milliseconds since 1970; undefined = it does not by itself. */
  readonly expiresAt?: number | undefined;
}

/** The part of a request that a credential may be in. Header names are lower case. */
export interface AuthRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** Undefined means "not known here" and is answered with 401; a rejection is answered with 503. */
export type Authenticate = (request: AuthRequest) => Identity | undefined | Promise<Identity | undefined>;

const digest = (key: string): Buffer => createHash("sha256").update(key).digest();
const PREFIX_LENGTH = 12;
const CACHE_MS = 10_000;
const CACHE_MAX = 1_000;

export interface MintedKey {
  /** Shown once; only its hash is kept. */
  readonly key: string;
  readonly record: ApiKey;
}

export function mintApiKey(subject: Subject, scopes: readonly Scope[], name: string): MintedKey {
  const prefix = randomBytes(PREFIX_LENGTH / 2).toString("hex");
  const key = `oas_${prefix}_${randomBytes(32).toString("base64url")}`;
  return {
    key,
    record: { ...subject, prefix, name, sha256: digest(key), scopes, revokedAt: null },
  };
}

export interface ApiKeys {
  readonly authenticate: Authenticate;
  /** After a revocation, so that it holds here at once. */
  forget(): void;
}

/** API keys of this store. A key is looked up again every ten seconds, so one revoked elsewhere stops soon. */
export function apiKeys(store: Store, now: () => number): ApiKeys {
  const known = new Map<string, { readonly record: ApiKey | undefined; readonly until: number }>();
  const authenticate: Authenticate = async (request) => {
    const key = bearerOf(request) ?? cookieOf(request);
    const prefix = key && /^oas_([0-9a-f]{12})_[\w-]{43}$/.exec(key)?.[1];
    if (!key || !prefix) return undefined;
    let entry = known.get(prefix);
    if (!entry || entry.until <= now()) {
      if (known.size >= CACHE_MAX) known.clear();
      entry = { record: await store.read((reads) => reads.apiKey(prefix)), until: now() + CACHE_MS };
      known.set(prefix, entry);
    }
    const { record } = entry;
    // The compare happens for unknown prefixes too, so its time says nothing about which ones exist.
    const same = timingSafeEqual(digest(key), record ? Buffer.from(record.sha256) : digest(prefix));
    if (!record || !same || record.revokedAt !== null) return undefined;
    return { tenant: record.tenant, principal: record.principal, scopes: record.scopes.filter(isScope) };
  };
  return { authenticate, forget: () => known.clear() };
}

/** The first answer wins. */
export const firstOf =
  (...ways: readonly Authenticate[]): Authenticate =>
  async (request) => {
    for (const way of ways) {
      const identity = await way(request);
      if (identity) return identity;
    }
    return undefined;
  };

export function bearerOf({ headers: { authorization } }: AuthRequest): string | undefined {
  return typeof authorization === "string" ? /^Bearer ([\x21-\x7e]+)$/i.exec(authorization)?.[1] : undefined;
}

/**
 * The cookie `oas_key`, believed only on requests that the browser says come from the same origin. Where it says nothing,
 * reading is harmless (no other origin can read the answer), and writing needs the Origin header.
 */
function cookieOf({ method, headers }: AuthRequest): string | undefined {
  const { cookie, origin, host } = headers;
  if (typeof cookie !== "string") return undefined;
  const site = headers["sec-fetch-site"];
  const silent = origin === undefined ? method === "GET" || method === "HEAD" : hostOf(origin) === host;
  const sameOrigin = site === undefined ? silent : site === "same-origin";
  if (!sameOrigin) return undefined;
  return /(?:^|;\s*)oas_key=([\w-]+)/.exec(cookie)?.[1];
}

function hostOf(origin: string | string[]): string | undefined {
  return typeof origin === "string" && URL.canParse(origin) ? new URL(origin).host : undefined;
}

/** Throws `forbidden` when the credential lacks the scope; `admin` includes `sync`. */
export function requireScope({ scopes }: Identity, scope: Scope): void {
  if (!scopes.includes(scope) && !scopes.includes("admin")) throw failure("forbidden", `the scope ${scope} is needed`);
}
