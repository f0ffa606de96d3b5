/** Errors on the wire: RFC 9457 problem+json with a stable `code` that callers branch on. */

import type { ErrorCode } from "../../core/error-codes.ts";
import { ERROR_STATUS } from "../../core/error-sentences.ts";
import { OfflineSyncError } from "../../core/errors.ts";
import type { Result } from "./route.ts";

/** Codes of HTTP itself, beside those of docs/errors.md. */
export type HttpCode =
  | "method_not_allowed"
  | "unsupported_media_type"
  | "unsupported_encoding"
  | "invalid_request"
  | "payload_too_large"
  | "precondition_failed"
  | "range_not_satisfiable"
  | "draining"
  | "schema_behind"
  | "overloaded"
  | "rate_limited"
  | "token_expired"
  | "bad_signature"
  | "signature_needed"
  | "device_revoked"
  | "request_timeout"
  | "headers_too_large";

const HTTP_CODES: Readonly<Record<HttpCode, number>> = {
  method_not_allowed: 405,
  unsupported_media_type: 415,
  unsupported_encoding: 415,
  invalid_request: 400,
  payload_too_large: 413,
  precondition_failed: 412,
  range_not_satisfiable: 416,
  draining: 503,
  schema_behind: 503,
  overloaded: 503,
  rate_limited: 429,
  token_expired: 401,
  bad_signature: 401,
  signature_needed: 401,
  device_revoked: 403,
  request_timeout: 408,
  headers_too_large: 431,
};

/** Every code an answer may carry: those of HTTP and those of docs/errors.md. */
export const ERROR_CODES: readonly string[] = [...Object.keys(HTTP_CODES), ...Object.keys(ERROR_STATUS)];

/** What may stand beside the members of RFC 9457. */
export interface ProblemExtra {
  readonly retryAfterMs?: number;
  readonly limits?: Limits;
  readonly protocol?: { readonly oldest: number; readonly newest: number };
  readonly path?: string;
  /** The number the error's sentence in docs/errors.md speaks of. */
  readonly number?: number;
  readonly in?: string;
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
}

/** An error of the request's outside: its method, media type, size or shape. */
export class HttpProblem extends Error {
  override readonly name = "HttpProblem";
  readonly code: HttpCode;
  readonly extra: ProblemExtra;
  constructor(code: HttpCode, message: string, extra: ProblemExtra = {}) {
    super(message);
    this.code = code;
    this.extra = extra;
  }
}

export const PROTOCOL_OLDEST = 1;
export const PROTOCOL_NEWEST = 1;

export interface Limits {
  readonly pushBytesMax: number;
  readonly segmentBytesMax: number;
  readonly segmentEventsMax: number;
  readonly eventJsonBytesMax: number;
  readonly pushDecodedBytesMax: number;
  readonly pushItemsMax: number;
  readonly pushStreamsMax: number;
}

export const LIMITS: Limits = {
  pushBytesMax: 1_000_000,
  segmentBytesMax: 48_000,
  segmentEventsMax: 1_000,
  eventJsonBytesMax: 40_000,
  pushDecodedBytesMax: 8_000_000,
  pushItemsMax: 1_000,
  pushStreamsMax: 256,
};

const RETRY_MS = 1_000;

/** The answer to whatever was thrown. Text of errors that are not ours stays inside: it may hold data. */
export function problemOf(error: unknown, traceId: string, isTrouble: (error: unknown) => boolean): Result {
  if (error instanceof HttpProblem)
    return problem(HTTP_CODES[error.code], error.code, error.message, traceId, error.extra);
  if (error instanceof OfflineSyncError) return ours(error, traceId);
  if (isTrouble(error))
    return problem(503, "server_busy", "the database cannot be reached", traceId, { retryAfterMs: RETRY_MS });
  return problem(500, "internal", "a defect on our side", traceId, { retryAfterMs: RETRY_MS });
}

function ours(error: OfflineSyncError, traceId: string): Result {
  const status = ERROR_STATUS[error.code] ?? 500;
  return problem(status, error.code, error.message, traceId, {
    ...(error.path === undefined ? {} : { path: error.path }),
    ...(error.detail === undefined ? {} : { number: error.detail }),
    ...(status === 413 ? { limits: LIMITS } : {}),
    ...(status === 426 ? { protocol: { oldest: PROTOCOL_OLDEST, newest: PROTOCOL_NEWEST } } : {}),
    ...(status === 503 || status === 429 ? { retryAfterMs: RETRY_MS } : {}),
  });
}

export function problem(
  status: number,
  code: ErrorCode | HttpCode,
  detail: string,
  traceId: string,
  extra: ProblemExtra = {},
): Result {
  const headers = {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    ...(extra.retryAfterMs === undefined ? {} : { "retry-after": String(Math.ceil(extra.retryAfterMs / 1_000)) }),
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
    ...(status === 426 ? { upgrade: `oas/${PROTOCOL_NEWEST}` } : {}),
  };
  const body = {
    type: `urn:offline-ai-sync:error:${code}`,
    title: code.replaceAll("_", " "),
    status,
    code,
    detail,
    traceId,
  };
  return { status, headers, body: Buffer.from(JSON.stringify({ ...body, ...extra })) };
}
