/**
 * Requests that change something and cannot reach the server become events: a form that posts by `fetch` works offline
 * without code of its own.
 *
 * The network is asked first. Only when it fails is the request journalled, as durable as any event, and answered with 202.
 * Credentials are never stored: the server runs the event as the device's principal.
 */

import { openDatabase } from "../browser/database.ts";
import * as reader from "../browser/indexeddb-read.ts";
import { IndexedDbStore } from "../browser/indexeddb-store.ts";
import { Journal } from "../browser/journal.ts";
import { mintEpoch, systemRandom } from "../browser/platform.ts";
import { toBase64 } from "../core/bytes.ts";
import { encodeEvent } from "../core/calls.ts";
import { failure } from "../core/errors.ts";
import { formatEventId, type Position } from "../core/events.ts";

/** The type of the event a captured request becomes. */
export const REQUEST_EVENT = "http.request";

/** What its `eventData` holds. */
export interface CapturedRequest {
  readonly method: string;
  /** Path and query; the origin is the worker's. */
  readonly url: string;
  /** Empty = the request had none. */
  readonly contentType: string;
  /** Text as it was, or anything else in base64; neither = no body. */
  readonly body?: string;
  readonly bodyBase64?: string;
}

export interface CaptureOptions {
  /** Which paths of the worker's own origin. */
  readonly match: RegExp;
  /** The API's own address; its requests are never captured. */
  readonly apiUrl: string;
  readonly database: string;
  readonly origin: string;
  /** A request was stored: the browser is to wake the worker. */
  readonly stored: () => Promise<unknown>;
}

const METHODS: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH", "DELETE"]);
/** An event holds 40,000 bytes of JSON, and base64 makes four of three. */
const BODY_BYTES_MAX = 29_000;
const ENTITY_BYTES_MAX = 256;

interface FetchLike {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

/** A listener for `fetch`. */
export function captureRequests(options: CaptureOptions): (event: FetchLike) => void {
  const { match, origin, stored } = options;
  const api = new URL(options.apiUrl, origin).pathname;
  let journal: Promise<Journal> | undefined;

  const queue = async (data: CapturedRequest): Promise<string> => {
    journal ??= openJournal(options.database);
    const open = await journal.catch((error: unknown) => {
      journal = undefined; // no page has opened the queue yet, or it was erased: the next request looks again
      throw error;
    });
    const path = new URL(data.url, origin).pathname;
    const entity = path.length <= ENTITY_BYTES_MAX ? path : undefined;
    const call = encodeEvent({ eventType: REQUEST_EVENT, entity, eventData: data }, "strict");
    const position = await new Promise<Position>((resolve, reject) => {
      open.enqueue([{ ...call, stored: resolve, failed: reject }]);
    });
    void stored().catch(() => undefined); // the pages' own triggers remain
    return formatEventId(position);
  };

  const answer = async (request: Request): Promise<Response> => {
    const kept = request.clone();
    try {
      return await fetch(request);
    } catch (error) {
      const id = await queue(await describe(kept)).catch(() => undefined);
      if (id === undefined) throw error; // what cannot be stored has failed, as it would have without us
      return queued(kept, id);
    }
  };

  return (event) => {
    const { method, url } = event.request;
    const at = new URL(url);
    if (!METHODS.has(method) || at.origin !== origin || isBelow(at.pathname, api) || !match.test(at.pathname)) return;
    event.respondWith(answer(event.request));
  };
}

const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

async function openJournal(database: string): Promise<Journal> {
  const reopen = () => openDatabase(database, {});
  const store = new IndexedDbStore(await reopen(), { reopen, reader: () => Promise.resolve(reader) });
  const journal = new Journal(mintEpoch(systemRandom), Date.now);
  journal.attach(store);
  return journal;
}

async function describe(request: Request): Promise<CapturedRequest> {
  const { pathname, search } = new URL(request.url);
  const body = new Uint8Array(await request.arrayBuffer());
  if (body.length > BODY_BYTES_MAX)
    throw failure("event_too_large", `a captured request holds at most ${BODY_BYTES_MAX} bytes`);
  const common = {
    method: request.method,
    url: pathname + search,
    contentType: request.headers.get("content-type") ?? "",
  };
  if (body.length === 0) return common;
  try {
    return { ...common, body: new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body) };
  } catch {
    return { ...common, bodyBase64: toBase64(body) };
  }
}

/** A form that was submitted by the browser itself goes back to its page; a script is told. */
function queued(request: Request, id: string): Response {
  if (request.mode === "navigate" && request.referrer.startsWith("http"))
    return Response.redirect(request.referrer, 303);
  return new Response(JSON.stringify({ queued: true, id }), {
    status: 202,
    headers: { "content-type": "application/json", "oas-queued": id },
  });
}
