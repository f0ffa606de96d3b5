/**
 * The server as a function from `Request` to `Response`, for frameworks that speak those: Hono, Next route handlers, and others
 * that run on Node. It is the same listener; only the two messages are made from, and into, the web's own.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { PassThrough, Readable } from "node:stream";
import type { ReadableStream as NodeWebStream } from "node:stream/web";

/** Statuses whose answers have no body, by the standard. */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

export type FetchHandler = (request: Request) => Promise<Response>;

/** Never rejects for what the request holds; answers are those of the listener. */
export function fetchHandler(listener: RequestListener): FetchHandler {
  return (request) =>
    new Promise((resolve) => {
      const incoming = messageOf(request);
      const outgoing = new Answer(resolve);
      const leave = (): void => void outgoing.destroy();
      request.signal.addEventListener("abort", leave, { once: true });
      outgoing.once("close", () => {
        request.signal.removeEventListener("abort", leave);
        resolve(new Response(null, { status: 503 })); // nobody waits any more; without effect when there was a head
      });
      listener(incoming, outgoing as unknown as ServerResponse<IncomingMessage> & { req: IncomingMessage });
    });
}

function messageOf(request: Request): IncomingMessage {
  const { pathname, search } = new URL(request.url);
  const body = request.body ? Readable.fromWeb(request.body as NodeWebStream) : Readable.from([]);
  const headers = Object.fromEntries(request.headers);
  // `complete` matters for reusing a connection, which is the framework's.
  return Object.assign(body, { method: request.method, url: pathname + search, headers, complete: true }) as never;
}

/** What the listener writes to: the promise is kept with the head, what follows streams. */
class Answer extends PassThrough {
  headersSent = false;
  readonly #ready: (response: Response) => void;

  constructor(ready: (response: Response) => void) {
    super();
    this.#ready = ready;
  }

  writeHead(status: number, headers: Readonly<Record<string, string>>): this {
    this.headersSent = true;
    // A hop's own header: how the connection goes on is the framework's.
    const { connection: _, ...kept } = headers;
    const body = BODILESS.has(status)
      ? null
      : (Readable.toWeb(this) as unknown as ConstructorParameters<typeof Response>[0]);
    this.#ready(new Response(body, { status, headers: kept }));
    if (body === null) this.resume();
    return this;
  }
}
