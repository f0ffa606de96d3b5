/** From one HTTP request to one answer: credential, body, schemas, handler, and never an answer without our headers. */

import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { failure } from "../../core/errors.ts";
import { type Authenticate, type Identity, requireScope } from "../auth.ts";
import { errorFields, type Logger } from "../log.ts";
import type { Store } from "../store/store.ts";
import { readBody } from "./body.ts";
import { HttpProblem, LIMITS, PROTOCOL_NEWEST, problemOf } from "./problem.ts";
import { check, type Result, type Route } from "./route.ts";

export const BATCH_TYPE = "application/vnd.oas.batch";

export interface Environment {
  readonly store: Store;
  readonly authenticate: Authenticate;
  readonly now: () => number;
  readonly log: Logger;
  /** True once the server has begun to shut down. */
  readonly draining: () => boolean;
}

const NOBODY: Identity = { tenant: "", principal: "", scopes: [] };
const JSON_BYTES_MAX = LIMITS.pushBytesMax;

/** Never rejects: whatever goes wrong becomes an answer, unless the connection is gone. */
export async function respond(
  environment: Environment,
  found: { readonly route: Route; readonly params: Readonly<Record<string, string>> },
  request: IncomingMessage & { readonly body?: unknown },
  response: ServerResponse,
): Promise<void> {
  const traceId = traceOf(request);
  const start = performance.now();
  let result: Result;
  let failed: unknown;
  try {
    result = await run(environment, found, request);
  } catch (error) {
    failed = error;
    result = problemOf(error, traceId, (one) => environment.store.isTrouble(one));
  }
  const ms = Math.round((performance.now() - start) * 10) / 10;
  // Which context of the client speaks: its page, its Service Worker, or a Node program.
  const from = contextOf(request);
  const line = { method: found.route.method, path: found.route.path, status: result.status, ms, from, traceId };
  if (result.status >= 500) environment.log.error({ ...line, ...errorFields(failed) }, "request failed");
  else
    environment.log.info(
      failed === undefined ? line : { ...line, ...errorFields(failed), stack: undefined },
      "request",
    );
  send(environment, result, response);
}

/** Writes the answer with the headers that every answer of this server carries. */
export function send({ store, now, draining }: Environment, result: Result, response: ServerResponse): void {
  if (response.headersSent || response.destroyed) return;
  const { mintedAt, random } = store.incarnation;
  response.writeHead(result.status, {
    "oas-protocol": String(PROTOCOL_NEWEST),
    "oas-server-time": String(now()),
    "oas-incarnation": `${mintedAt}.${random.toString(16)}`,
    "x-content-type-options": "nosniff",
    "content-length": String(result.body?.length ?? 0),
    ...(draining() ? { connection: "close" } : {}),
    ...result.headers,
  });
  response.end(result.body);
}

async function run(
  environment: Environment,
  { route, params }: { readonly route: Route; readonly params: Readonly<Record<string, string>> },
  request: IncomingMessage & { readonly body?: unknown },
): Promise<Result> {
  const url = new URL(request.url ?? "/", "http://localhost");
  const identity = await identify(environment, route, request);
  const body = await bodyOf(route, request);
  return route.run({
    identity,
    params: check(route.params, params, "path"),
    query: check(route.query, Object.fromEntries(url.searchParams), "query"),
    body: route.body === "json" ? check(route.json, body, "body") : body,
    headers: request.headers,
    log: environment.log,
  });
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

async function bodyOf(route: Route, request: IncomingMessage & { readonly body?: unknown }): Promise<unknown> {
  if (route.body === "none") return undefined;
  const type = (request.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase();
  const wanted = route.body === "bytes" ? BATCH_TYPE : "application/json";
  if (type !== wanted) throw new HttpProblem("unsupported_media_type", `the media type must be ${wanted}`);
  // An application's own body parser may have been here before us.
  if (request.body !== undefined && request.readableEnded) return request.body;
  const bytes = await readBody(request, JSON_BYTES_MAX);
  return route.body === "bytes" ? bytes : parseJson(bytes);
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    if (error instanceof SyntaxError) throw failure("invalid_json", "the body is not JSON");
    throw failure("invalid_utf8", "the body is not UTF-8", { cause: error });
  }
}

const traceOf = ({ headers: { traceparent } }: IncomingMessage): string => {
  const given = typeof traceparent === "string" ? /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(traceparent)?.[1] : undefined;
  return given ?? randomUUID().replaceAll("-", "");
};

const contextOf = ({ headers }: IncomingMessage): string => {
  const value = headers["oas-context"];
  return value === "page" || value === "worker" || value === "node" ? value : "unknown";
};
