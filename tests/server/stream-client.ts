/** A fleet's half of an event stream: lean, so that ten thousand fit into the process that makes the load. */

import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { BASE_PATH } from "../../js-glue/server/server.ts";

export interface StreamEvents {
  /** The server said "look". */
  readonly poke?: () => void;
  /** The stream has ended; not called after `close`. */
  readonly lost?: () => void;
}

const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });

export class StreamClient {
  readonly #origin: URL;
  readonly #key: string;
  #response: IncomingMessage | undefined;
  #closed = false;
  /** When to come back after a loss, as the server said last. */
  retryMs = 1_000;
  /** When to ask again, as the last refusal said; 0 = the server could not be reached. */
  retryAfterMs = 0;
  pokes = 0;

  constructor(url: string, key: string) {
    this.#origin = new URL(url);
    this.#key = key;
  }

  get connected(): boolean {
    return this.#response !== undefined;
  }

  /** False when the server refused, or could not be reached. */
  connect({ poke = () => undefined, lost = () => undefined }: StreamEvents): Promise<boolean> {
    return new Promise((resolve) => {
      this.retryAfterMs = 0;
      const { hostname, port } = this.#origin;
      const headers = { authorization: `Bearer ${this.#key}` };
      const ask = httpRequest({ hostname, port, path: `${BASE_PATH}/sync/stream`, headers, agent }, (response) => {
        if (response.statusCode !== 200) {
          this.retryAfterMs = Number(response.headers["retry-after"] ?? 0) * 1_000;
          response.resume();
          resolve(false);
          return;
        }
        this.#response = response;
        response.setEncoding("latin1");
        response.on("data", (chunk: string) => {
          // Events are a few bytes each and the server writes them whole, so none lies across two chunks here.
          const retry = /retry: (\d+)/.exec(chunk)?.[1];
          if (retry) this.retryMs = Number(retry);
          if (!chunk.includes("event: poke")) return;
          this.pokes++;
          poke();
        });
        response.on("error", () => undefined); // close follows
        response.on("close", () => {
          this.#response = undefined;
          if (!this.#closed) lost();
        });
        resolve(true);
      });
      ask.on("error", () => resolve(false));
      ask.end();
    });
  }

  close(): void {
    this.#closed = true;
    this.#response?.destroy();
  }
}
