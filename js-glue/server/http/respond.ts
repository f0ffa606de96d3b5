/** From one HTTP request to one answer: credential, body, schemas, handler, and never an answer without our headers. */

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { failure } from "../../core/errors.ts";
import { MODEL_BYTES_MAX } from "../../core/model-statement.ts";
import { type Authenticate, type Identity, requireScope } from "../auth.ts";
import type { Rates } from "../identity/rates.ts";
import { type Signatures, signatureOf, signedText } from "../identity/signature.ts";
import { errorFields, type Logger } from "../log.ts";
import type { Load } from "../operations/load.ts";
import type { Metrics } from "../operations/metrics.ts";
import { traced } from "../operations/trace.ts";
import type { Store } from "../store/store.ts";
import { inNoTenant, inTenant } from "../store/tenant.ts";
import { type BodyBudget, readBody } from "./body.ts";
import { parseJson } from "./json-body.ts";
import { HttpProblem, LIMITS, PROTOCOL_NEWEST, problemOf } from "./problem.ts";
import { check, type Result, type Route } from "./route.ts";

export const BATCH_TYPE = "application/vnd.oas.batch";
const BODY_TYPES = { bytes: BATCH_TYPE, file: "application/octet-stream", json: "application/json" } as const;

export interface Environment {
  readonly store: Store;
  readonly authenticate: Authenticate;
  readonly signatures: Signatures;
  readonly rates: Rates;
  readonly load: Load;
  readonly bodies: BodyBudget;
  readonly metrics: Metrics;
  readonly now: () => number;
  readonly log: Logger;
  /** True once the server has begun to shut down. */
  readonly draining: () => boolean;
}

export type Request = IncomingMessage & { readonly body?: unknown };

interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

const NOBODY: Identity = { tenant: "", principal: "", scopes: [] };
/** An upgrade that is under way takes seconds. */
const BEHIND_MS = 5_000;
const BYTES_MAX = { bytes: LIMITS.pushBytesMax, file: MODEL_BYTES_MAX, json: LIMITS.pushBytesMax } as const;

/** Never rejects: whatever goes wrong becomes an answer, unless the connection is gone. `path` is below the base path. */
export async function respond(
  environment: Environment,
  found: Found,
  path: string,
  request: Request,
  response: ServerResponse,
): Promise<void> {
  const traceId = traceOf(request);
  const start = performance.now();
  const { method, path: pattern } = found.route;
  let result: Result;
  let failed: unknown;
  const leave = found.route.waits ? () => undefined : environment.load.enter();
  try {
    result = await traced(`${method} ${pattern}`, request.headers, () => run(environment, found, path, request));
  } catch (error) {
    failed = error;
    result = problemOf(error, traceId, (one) => environment.store.isTrouble(one));
  } finally {
    leave();
  }
  const ms = Math.round((performance.now() - start) * 10) / 10;
  environment.metrics.request(method, pattern, result.status, ms);
  // Which context of the client speaks: its page, its Service Worker, or a Node program.
  const from = contextOf(request);
  const line = { method, path: pattern, status: result.status, ms, from, traceId };
  if (result.status >= 500 && result.status !== 503)
    environment.log.error({ ...line, ...errorFields(failed) }, "request failed");
  else
    environment.log.info(
      failed === undefined ? line : { ...line, ...errorFields(failed), stack: undefined },
      "request",
    );
  send(environment, result, response, request);
}

/** Writes the answer with the headers that every answer of this server carries. */
export function send(
  { store, now, draining }: Pick<Environment, "store" | "now" | "draining">,
  result: Result,
  response: ServerResponse,
  request: IncomingMessage,
): void {
  if (response.headersSent || response.destroyed) return;
  const { mintedAt, random } = store.incarnation;
  const headers: Record<string, string> = {
    "oas-protocol": String(PROTOCOL_NEWEST),
    "oas-server-time": String(now()),
    "oas-incarnation": `${mintedAt}.${random.toString(16)}`,
    "x-content-type-options": "nosniff",
    // What is left of an unread body would be taken for the next request; the connection ends instead.
    ...(draining() || !request.complete ? { connection: "close" } : {}),
    ...result.headers,
  };
  if (result.stream) {
    response.writeHead(result.status, headers);
    if (request.method === "HEAD") response.end();
    else result.stream(response);
    return;
  }
  headers["content-length"] = String(result.body?.length ?? 0);
  response.writeHead(result.status, headers);
  response.end(request.method === "HEAD" ? undefined : result.body);
}

async function run(
  environment: Environment,
  { route, params }: Found,
  path: string,
  request: Request,
): Promise<Result> {
  const { signatures, rates, log, store } = environment;
  if (route.schema > 0 && !(await store.hasSchema(route.schema)))
    throw new HttpProblem("schema_behind", `migration ${route.schema} has not run yet`, { retryAfterMs: BEHIND_MS });
  const url = request.url ?? "/";
  const queryAt = url.indexOf("?");
  let identity = await identify(environment, route, request);
  const known = route.scope !== undefined;
  if (known) await rates.admit(identity);
  const bytes = await bodyOf(environment, route, request);
  const signature = known ? signatureOf(request.headers["oas-signature"]) : undefined;
  if (signature) {
    const signed = bytes instanceof Uint8Array ? bytes : new Uint8Array();
    const target = queryAt < 0 ? path : path + url.slice(queryAt);
    const text = signedText(request.method ?? "GET", target, signature.at, signature.device, signed);
    await signatures.check(identity.tenant, signature, text);
    identity = { ...identity, signedBy: signature.device };
  }
  const body = route.body === "json" && bytes instanceof Uint8Array ? parseJson(bytes) : bytes;
  const { tenant, principal } = identity;
  const context = {
    identity,
    holds: async () => {
      const now = await inNoTenant(() => identify(environment, route, request));
      return now.tenant === tenant && now.principal === principal;
    },
    params: check(route.params, params, "path"),
    query: check(route.query, queryAt < 0 ? {} : Object.fromEntries(new URLSearchParams(url.slice(queryAt))), "query"),
    body: route.body === "json" ? check(route.json, body, "body") : body,
    bytes: bytes instanceof Uint8Array ? bytes : undefined,
    headers: request.headers,
    log,
  };
  const result = await (known ? inTenant(identity.tenant, () => route.run(context)) : route.run(context));
  if (known) rates.charge(identity, (result.weight ?? 1) - 1);
  return result;
}

async function identify({ authenticate }: Environment, route: Route, request: IncomingMessage): Promise<Identity> {
  const identity = await authenticate({
    method: request.method ?? "GET",
    url: request.url ?? "/",
    headers: request.headers,
  });
  if (route.scope === undefined) return identity ?? NOBODY;
  if (!identity) throw failure("unauthorized", "a valid credential is needed");
  requireScope(identity, route.scope);
  return identity;
}

/** The decoded bytes, or what an application's own parser has made of them. */
async function bodyOf({ bodies }: Environment, route: Route, request: Request): Promise<unknown> {
  if (route.body === "none") return undefined;
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  const wanted = BODY_TYPES[route.body];
  if (type !== wanted) throw new HttpProblem("unsupported_media_type", `the media type must be ${wanted}`);
  // An application's own body parser may have been here before us.
  if (request.body !== undefined && request.readableEnded) return request.body;
  return readBody(request, route.bytesMax ?? BYTES_MAX[route.body], bodies);
}

const traceOf = ({ headers: { traceparent } }: IncomingMessage): string => {
  const given = typeof traceparent === "string" ? /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent)?.[1] : undefined;
  return given ?? randomUUID().replaceAll("-", "");
};

const contextOf = ({ headers }: IncomingMessage): string => {
  const value = headers["oas-context"];
  return value === "page" || value === "worker" || value === "node" ? value : "unknown";
};
