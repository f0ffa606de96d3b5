/**
 * One table describes every endpoint: it makes the Express router, the plain Node listener and the tests of isolation.
 * A route's handler is a plain function from a context to a result; HTTP stays outside.
 */

import type { ServerResponse } from "node:http";
import { z } from "zod";
import type { Identity, Scope } from "../auth.ts";
import type { Logger } from "../log.ts";
import { HttpProblem } from "./problem.ts";

export interface Result {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** Instead of a body: writes to the answer, and ends it when it likes. */
  readonly stream?: (response: ServerResponse) => void;
  /** Events this request brought, for the rate limit. Default 1. */
  readonly weight?: number;
}

export interface Context<Params = unknown, Query = unknown, Body = unknown> {
  readonly identity: Identity;
  /** Whether the request's credential still is this identity's, for answers that go on for long. Rejects where it is no more. */
  readonly holds: () => Promise<boolean>;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The body as it came; undefined when an application's own parser has read it, or there is none. */
  readonly bytes: Uint8Array | undefined;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly log: Logger;
}

/** What a route takes as its body. `bytes` is one binary frame of the sync protocol, `file` any bytes. */
export type BodyKind = "none" | "json" | "bytes" | "file";

/** What the OpenAPI document says beyond the schemas. */
export interface RouteDoc {
  readonly summary?: string;
  /** The body of a 2xx answer: its media type, or a schema when it is JSON. */
  readonly answer?: z.ZodType | string;
  /** Default 200. */
  readonly status?: number;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** Below the base path, with `:name` for parameters. */
  readonly path: string;
  /** Undefined = open to anyone; the identity is then that of nobody. */
  readonly scope: Scope | undefined;
  readonly body: BodyKind;
  /** Larger bodies are refused; undefined = as large as the kind of body may be. */
  readonly bytesMax: number | undefined;
  /** Answers when something happens, not when work is done: it does not count as load. */
  readonly waits: boolean;
  /** The migration whose tables it works with; 0 = any database that a server starts on has them. */
  readonly schema: number;
  readonly params: z.ZodType;
  readonly query: z.ZodType;
  readonly json: z.ZodType;
  readonly doc: RouteDoc;
  run(context: Context): Promise<Result> | Result;
}

export interface RouteOptions<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> {
  readonly scope?: Scope;
  readonly params?: P;
  readonly query?: Q;
  readonly json?: B;
  readonly body?: BodyKind;
  readonly bytesMax?: number;
  readonly waits?: boolean;
  readonly schema?: number;
  readonly doc?: RouteDoc;
}

const nothing = z.object({});

/** Ties the handler's types to its schemas; `bytes` and `file` routes get a `Uint8Array`. */
export function route<
  P extends z.ZodType = typeof nothing,
  Q extends z.ZodType = typeof nothing,
  B extends z.ZodType = z.ZodType<Uint8Array>,
>(
  method: Route["method"],
  path: string,
  options: RouteOptions<P, Q, B>,
  run: (context: Context<z.output<P>, z.output<Q>, z.output<B>>) => Promise<Result> | Result,
): Route {
  return {
    method,
    path,
    scope: options.scope,
    waits: options.waits ?? false,
    schema: options.schema ?? 0,
    body: options.body ?? (options.json ? "json" : "none"),
    bytesMax: options.bytesMax,
    params: options.params ?? nothing,
    query: options.query ?? nothing,
    json: options.json ?? z.unknown(),
    doc: options.doc ?? {},
    run: (context) => run(context as Context<z.output<P>, z.output<Q>, z.output<B>>),
  };
}

export const JSON_HEADERS = { "content-type": "application/json", "cache-control": "no-store" } as const;

export const json = (status: number, value: unknown): Result => ({
  status,
  headers: JSON_HEADERS,
  body: Buffer.from(JSON.stringify(value)),
});

/** Throws `invalid_request` with the places that do not fit. */
export function check<T extends z.ZodType>(schema: T, value: unknown, where: string): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, 20).map(({ path, message }) => ({ path: path.join("."), message }));
  throw new HttpProblem("invalid_request", `the ${where} does not fit`, { in: where, issues });
}
