/**
 * The application's own accounts: short-lived JSON Web Tokens, checked against the issuer's published keys.
 *
 * Only asymmetric algorithms of a closed list are believed, the keys come from the configuration and never from a token's
 * header, and a token is old after fifteen minutes whatever it says of itself.
 */

import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from "jose";
import { failure } from "../../core/errors.ts";
import { type Authenticate, bearerOf, type Identity, isScope } from "../auth.ts";
import { HttpProblem } from "../http/problem.ts";

export interface JwtOptions {
  /** Address of the issuer's JWKS document, or the document itself. */
  readonly jwks: string | JSONWebKeySet;
  readonly issuer: string;
  readonly audience: string;
  /** The claim that names the tenant. Default `tenant`. */
  readonly tenantClaim?: string;
  /** The tenant of tokens without that claim; without it such tokens are refused. */
  readonly tenant?: string;
  /** Scopes of the `scope` claim that start with this are ours. Default `offline-ai:`. */
  readonly scopePrefix?: string;
  /** Seconds since a token was issued after which it is old. Default 900. */
  readonly ageSecondsMax?: number;
}

const ALGORITHMS = ["ES256", "ES384", "EdDSA", "PS256", "RS256"];
const CLOCK_TOLERANCE_S = 30;
const CACHE_MS = 30_000;
const CACHE_MAX = 10_000;
const NAME_BYTES_MAX = 256;

/** Rejects when `jose` is not installed. The result rejects with `token_expired`, and with `server_busy` without keys. */
export async function jwtAuth(options: JwtOptions, now: () => number): Promise<Authenticate> {
  const jose = await import("jose");
  const keys: JWTVerifyGetKey =
    typeof options.jwks === "string"
      ? jose.createRemoteJWKSet(new URL(options.jwks), { timeoutDuration: 5_000, cooldownDuration: 10_000 })
      : jose.createLocalJWKSet(options.jwks);
  const known = new Map<string, { readonly identity: Identity; readonly until: number }>();

  return async (request) => {
    const token = bearerOf(request);
    if (!token || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined;
    const cached = known.get(token);
    if (cached && cached.until > now()) return cached.identity;
    let payload: JWTPayload;
    try {
      ({ payload } = await jose.jwtVerify(token, keys, {
        issuer: options.issuer,
        audience: options.audience,
        algorithms: ALGORITHMS,
        requiredClaims: ["exp", "iat", "sub"],
        maxTokenAge: options.ageSecondsMax ?? 900,
        clockTolerance: CLOCK_TOLERANCE_S,
        currentDate: new Date(now()),
      }));
    } catch (error) {
      if (error instanceof jose.errors.JWTExpired) throw new HttpProblem("token_expired", "the token has expired");
      if (isOurTrouble(error, jose.errors))
        throw failure("server_busy", "the issuer's keys cannot be read", { cause: error });
      return undefined; // whatever else is wrong with it, it names nobody
    }
    const identity = identityOf(payload, options);
    if (!identity) return undefined;
    if (known.size >= CACHE_MAX) known.clear();
    known.set(token, { identity, until: Math.min(now() + CACHE_MS, (payload.exp ?? 0) * 1_000) });
    return identity;
  };
}

const isOurTrouble = (error: unknown, errors: typeof import("jose").errors): boolean =>
  !(error instanceof errors.JOSEError) ||
  error instanceof errors.JWKSTimeout ||
  error instanceof errors.JWKSInvalid ||
  error.code === "ERR_JOSE_GENERIC";

function identityOf(payload: JWTPayload, options: JwtOptions): Identity | undefined {
  const tenant = payload[options.tenantClaim ?? "tenant"] ?? options.tenant;
  const { sub: principal, scope } = payload;
  if (!isName(tenant) || !isName(principal)) return undefined;
  const prefix = options.scopePrefix ?? "offline-ai:";
  const asked = (typeof scope === "string" ? scope.split(" ") : [])
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter(isScope);
  return { tenant, principal, scopes: asked.length > 0 ? asked : ["sync"], expiresAt: (payload.exp ?? 0) * 1_000 };
}

const isName = (value: unknown): value is string =>
  typeof value === "string" &&
  value !== "" &&
  Buffer.byteLength(value) <= NAME_BYTES_MAX &&
  !/[\0\p{Surrogate}]/u.test(value);
