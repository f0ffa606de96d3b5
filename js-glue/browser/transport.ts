/** Carries batches to the sync server by `fetch`, with whatever credential there is. */

import { failure } from "../core/errors.ts";
import type { Transport, TransportReply, TransportRequest } from "../core/ports.ts";

/** A bearer token; undefined when there is none. May take its time, may reject. */
export type TokenSource = () => string | undefined | null | Promise<string | undefined | null>;

export interface FetchTransportOptions {
  /** Where the API lives, without a slash at its end, such as `/api/offline-ai`. */
  readonly url: string;
  /** `cookie` = the browser's own credentials do. */
  readonly auth?: "cookie" | TokenSource | undefined;
  readonly context: "page" | "worker";
  /** Told of every token that is about to be used, for those who keep it. */
  readonly obtained?: ((token: string) => void) | undefined;
}

/** Far beyond any answer of ours; a proxy's page may be anything. */
const REPLY_BYTES_MAX = 8_000_000;

export class FetchTransport implements Transport {
  readonly #options: FetchTransportOptions;
  #token: string | undefined;
  #asking: Promise<string | undefined> | undefined;

  constructor(options: FetchTransportOptions) {
    this.#options = options;
  }

  async send({ pull, body, timeoutMs, signal }: TransportRequest): Promise<TransportReply> {
    const headers = { "content-type": "application/vnd.oas.batch", accept: "application/vnd.oas.batch" };
    const init = { method: "POST", body: body as Uint8Array<ArrayBuffer>, headers };
    const response = await this.#fetch(`/sync/${pull ? "pull" : "push"}`, init, timeoutMs, signal);
    return {
      status: response.status,
      retryAfterMs: retryAfterMs(response.headers.get("retry-after")),
      body: await readBody(response),
    };
  }

  /** For the few calls that speak JSON. Rejects when there is no answer. */
  async post(path: string, value: unknown, timeoutMs: number): Promise<Response> {
    const headers = { "content-type": "application/json", accept: "application/json" };
    return this.#fetch(path, { method: "POST", body: JSON.stringify(value), headers }, timeoutMs);
  }

  /** Bytes of our own. Rejects when there is no answer. */
  put(path: string, body: Uint8Array, timeoutMs: number): Promise<Response> {
    const headers = { "content-type": "application/octet-stream", accept: "application/json" };
    return this.#fetch(path, { method: "PUT", body: body as Uint8Array<ArrayBuffer>, headers }, timeoutMs);
  }

  /** Rejects when there is no answer. `timeoutMs` covers the body, too; Infinity for streams, which `signal` ends. */
  get(path: string, accept: string, timeoutMs: number, signal?: AbortSignal): Promise<Response> {
    return this.#fetch(path, { method: "GET", headers: { accept } }, timeoutMs, signal);
  }

  async renew(): Promise<boolean> {
    const before = this.#token;
    this.#token = undefined;
    const token = await this.#obtain();
    return typeof this.#options.auth === "function" ? token !== undefined && token !== before : false;
  }

  async #fetch(
    path: string,
    init: { readonly method: string; readonly body?: BodyInit; readonly headers: Record<string, string> },
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Response> {
    const token = this.#token ?? (await this.#obtain());
    const controller = new AbortController();
    const abort = (): void => controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    // The timeout also covers the body: a proxy that never finishes its page must not hold a request for ever.
    if (Number.isFinite(timeoutMs))
      setTimeout(() => controller.abort(failure("offline", "no answer in time")), timeoutMs);
    return fetch(this.#options.url + path, {
      ...init,
      headers: {
        ...init.headers,
        "oas-context": this.#options.context,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      credentials: "same-origin",
      redirect: "error", // a captive portal redirects; a redirected push would lose its body
      cache: "no-store",
      signal: controller.signal,
    });
  }

  /** One question at a time, however many requests wait for the answer. */
  #obtain(): Promise<string | undefined> {
    const { auth, obtained } = this.#options;
    if (typeof auth !== "function") return Promise.resolve(undefined);
    this.#asking ??= Promise.resolve()
      .then(auth)
      .then((token) => {
        if (typeof token !== "string" || token === "") return undefined;
        this.#token = token;
        obtained?.(token);
        return token;
      })
      .finally(() => {
        this.#asking = undefined;
      });
    return this.#asking;
  }
}

/** Seconds, or a date of the server's clock. */
function retryAfterMs(header: string | null): number {
  if (header === null) return 0;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(0, Math.round(seconds * 1000)), 86_400_000) : 0;
}

/** Rejects with `foreign_reply` beyond 8 MB. */
export async function readBody(response: Response): Promise<Uint8Array> {
  const reader = response.body?.getReader();
  if (!reader) return new Uint8Array(0);
  const parts: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    total += value.length;
    if (total > REPLY_BYTES_MAX) {
      await reader.cancel();
      throw failure("foreign_reply", "the answer is larger than any of ours");
    }
    parts.push(value);
  }
  const body = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}
