/** Answers GET requests of a Service Worker from the content cache, so that a page works offline without code of its own. */

import type { ContentCache } from "./content-cache.ts";

/** Which requests of a worker the cache answers, and how long answers are fresh. */
export interface RouteOptions {
  /** Which requests; others are left to the browser. */
  readonly match: RegExp;
  readonly ttl?: number | string | undefined;
  readonly priority?: number | undefined;
}

interface FetchLike {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const ENVELOPE = "oas-response-1\n";

/** Type and body of an answer as one text-free item: a line of JSON, then the bytes. */
async function wrap(response: Response): Promise<Uint8Array> {
  const head = `${ENVELOPE}${JSON.stringify({ type: response.headers.get("content-type") ?? "" })}\n`;
  const body = new Uint8Array(await response.arrayBuffer());
  const bytes = new TextEncoder().encode(head);
  const whole = new Uint8Array(bytes.length + body.length);
  whole.set(bytes);
  whole.set(body, bytes.length);
  return whole;
}

function unwrap(item: Uint8Array): Response {
  const end = item.indexOf(10, ENVELOPE.length);
  const head = JSON.parse(new TextDecoder().decode(item.subarray(ENVELOPE.length, end))) as { readonly type: string };
  return new Response(item.slice(end + 1), { headers: { "content-type": head.type, "oas-cache": "hit" } });
}

/** A listener for `fetch`. Kept answers are given at once and renewed behind; failures of the network fall back to them. */
export function cacheRoute(
  cache: Promise<ContentCache>,
  { match, ttl, priority }: RouteOptions,
): (event: FetchLike) => void {
  const answer = async (request: Request): Promise<Response> => {
    const store = await cache;
    const load = async (): Promise<unknown> => {
      const response = await fetch(request.clone());
      if (!response.ok || response.redirected) throw new TypeError(`not kept: ${response.status}`);
      return wrap(response);
    };
    try {
      return unwrap(
        (await store.cachedContent("oas-route", request.url.slice(0, 256), load, { ttl, priority })) as Uint8Array,
      );
    } catch {
      return fetch(request); // what cannot be kept is the network's to answer
    }
  };
  return (event) => {
    if (event.request.method === "GET" && match.test(event.request.url)) event.respondWith(answer(event.request));
  };
}
