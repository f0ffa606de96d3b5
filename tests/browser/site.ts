/**
 * What the browser tests talk to: the built package under a strict policy, and the real server behind a proxy whose
 * weather a test decides. One origin, like an application that serves its own page and API.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";

export const PAGE_POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; worker-src 'self'";

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".html": "text/html",
  ".map": "application/json",
};

const PAGE = `<!doctype html><meta charset="utf-8"><title>test page</title><script type="module" src="/page.js"></script>`;
const PAGE_SCRIPT = `import * as lib from "/lib/index.js"; globalThis.lib = lib; globalThis.globals = globalThis; globalThis.ready = true;`;

export type Weather =
  | "clear"
  | "down" // nobody answers
  | "reply-lost" // the server commits, then the connection breaks
  | { readonly status: number; readonly body?: string; readonly type?: string }; // somebody else answers

export interface SeenRequest {
  readonly path: string;
  readonly context: string;
  readonly status: number;
  /** Of the request's body. */
  readonly sent: number;
  /** Of the answer's body, as the server announced it. */
  readonly bytes: number;
}

export interface HistoryEvent {
  readonly id: string;
  readonly eventType: string;
  readonly eventData: unknown;
}

export class Site {
  readonly #folder = mkdtempSync(join(tmpdir(), "oas-site-"));
  readonly #lib: string;
  readonly #extra: string | undefined;
  readonly #db: string;
  #http: Server | undefined;
  #api: ChildProcess | undefined;
  #apiUrl = "";
  weather: Weather = "clear";
  /** Held until released: a slow network for files whose path contains the text. */
  hold: { readonly path: string; readonly until: Promise<void> } | undefined;
  /** Sees every request to the API before it goes on; a number cuts the answer off after so many bytes. */
  meddle: ((path: string) => number | ((body: Buffer) => Buffer) | undefined) | undefined;
  key = "";
  url = "";
  readonly seen: SeenRequest[] = [];

  /** `lib` = the folder of the built package; `extra` = another one, served under /tests/; `db` = an address of PostgreSQL. */
  constructor(lib: string, extra?: string, db?: string) {
    this.#db = db ?? `sqlite:${join(this.#folder, "db.sqlite")}`;
    this.#lib = lib;
    this.#extra = extra;
  }

  async start(): Promise<void> {
    await this.startApi();
    this.#http = createServer((incoming, outgoing) => {
      this.#serve(incoming, outgoing).catch((error: unknown) => {
        outgoing.destroy(error instanceof Error ? error : undefined);
      });
    });
    await new Promise<void>((resolve) => this.#http?.listen(0, "127.0.0.1", resolve));
    this.url = `http://localhost:${(this.#http.address() as AddressInfo).port}`;
  }

  /** The server as a process of its own, on a database that outlives it. */
  async startApi(): Promise<void> {
    const args = [join(this.#lib, "cli.js"), "serve", "--port", "0", "--json", "--log", "error"];
    const api = spawn(process.execPath, [...args, "--db", this.#db], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#api = api;
    const line = await new Promise<string>((resolve, reject) => {
      if (api.stdout) createInterface({ input: api.stdout }).once("line", resolve);
      api.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    });
    const { url, key } = JSON.parse(line) as { url: string; key: string };
    this.#apiUrl = url;
    this.key = key;
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#api?.once("exit", resolve));
    this.#api?.kill("SIGTERM");
    this.#http?.closeAllConnections();
    this.#http?.close();
    await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Requests to the API whose path ends so. */
  count(path: string, context?: string): number {
    return this.seen.filter((one) => one.path.endsWith(path) && (!context || one.context === context)).length;
  }

  /** Everything the server has applied of one device, in the order it came. */
  async history(deviceId: string): Promise<readonly HistoryEvent[]> {
    const all: HistoryEvent[] = [];
    let cursor = "";
    do {
      const query = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const response = await fetch(`${this.#apiUrl}/api/offline-ai/events/${deviceId}/history?limit=500${query}`, {
        headers: { authorization: `Bearer ${this.key}` },
      });
      if (response.status === 404) return [];
      const page = (await response.json()) as { items: HistoryEvent[]; nextCursor?: string | null };
      all.push(...page.items);
      cursor = page.nextCursor ?? "";
    } while (cursor !== "");
    return all;
  }

  async #serve(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const { pathname, search } = new URL(incoming.url ?? "/", "http://localhost");
    if (pathname.startsWith("/api/")) {
      this.#proxy(incoming, outgoing, pathname + search);
      return;
    }
    if (this.hold && pathname.includes(this.hold.path)) await this.hold.until;
    outgoing.setHeader("content-security-policy", PAGE_POLICY);
    outgoing.setHeader("cache-control", "no-cache");
    const file = this.#fileFor(pathname);
    if (file === undefined) {
      outgoing.writeHead(404).end();
      return;
    }
    outgoing.setHeader("content-type", TYPES[extname(pathname)] ?? "text/html");
    outgoing.end(file);
  }

  #fileFor(pathname: string): string | Buffer | undefined {
    if (pathname === "/") return PAGE;
    if (pathname === "/page.js") return PAGE_SCRIPT;
    if (pathname === "/favicon.ico") return "";
    const folders = { "/lib/": this.#lib, "/tests/": this.#extra, "/": this.#lib };
    for (const [prefix, folder] of Object.entries(folders)) {
      if (!folder || !pathname.startsWith(prefix) || pathname.includes("..")) continue;
      try {
        return readFileSync(join(folder, pathname.slice(prefix.length)));
      } catch {
        // Not in this folder; the next one may have it.
      }
    }
    return undefined;
  }

  #proxy(incoming: IncomingMessage, outgoing: ServerResponse, path: string): void {
    const { weather } = this;
    const change = this.meddle?.(path);
    const note = (status: number, bytes = 0): void => {
      const { "oas-context": context = "", "content-length": sent = 0 } = incoming.headers;
      this.seen.push({ path, context: String(context), status, sent: Number(sent), bytes });
    };
    if (weather === "down") {
      note(0);
      incoming.socket.destroy();
      return;
    }
    if (typeof weather === "object") {
      note(weather.status);
      incoming.resume();
      outgoing.writeHead(weather.status, { "content-type": weather.type ?? "text/html" }).end(weather.body ?? "");
      return;
    }
    const onward = request(
      this.#apiUrl + path,
      { method: incoming.method ?? "GET", headers: incoming.headers },
      (reply) => {
        note(reply.statusCode ?? 0, Number(reply.headers["content-length"] ?? 0));
        if (weather === "reply-lost" && path.endsWith("/sync/push")) {
          reply.resume().once("end", () => incoming.socket.destroy());
          return;
        }
        outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
        if (change !== undefined) meddleWith(reply, outgoing, change);
        else reply.pipe(outgoing);
      },
    );
    onward.once("error", () => incoming.socket.destroy());
    incoming.pipe(onward);
  }
}

function meddleWith(
  reply: IncomingMessage,
  outgoing: ServerResponse,
  change: number | ((body: Buffer) => Buffer),
): void {
  const chunks: Buffer[] = [];
  reply.on("data", (chunk: Buffer) => chunks.push(chunk));
  reply.once("end", () => {
    const body = Buffer.concat(chunks);
    if (typeof change === "function") outgoing.end(change(body));
    else if (body.length <= change) outgoing.end(body);
    else outgoing.write(body.subarray(0, change), () => outgoing.destroy());
  });
}
