/** The server as a process of its own: one port, one database, a graceful end. */

import { createServer, type Server as HttpServer, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { Reject } from "./handlers.ts";
import { HttpProblem, problemOf } from "./http/problem.ts";
import { createLogger, errorFields, type Logger } from "./log.ts";
import { BASE_PATH, createSyncServer, type SyncServer, type SyncServerOptions } from "./server.ts";
import { type StaticFiles, serveFile } from "./static.ts";

/** What `startStandalone` may be told; everything has a default. */
export interface StandaloneOptions extends Partial<SyncServerOptions> {
  /** Default 8787; 0 = any free one. */
  readonly port?: number;
  /** Default 127.0.0.1: only this machine. */
  readonly host?: string;
  /** A folder of files to serve beside the API, with a development key as the page's cookie. */
  readonly static?: string;
  /** Called before the server listens: the place for `sync.on`, so that no event comes before its handler. */
  readonly prepare?: (sync: SyncServer) => void | Promise<void>;
  /** Mint a development key even if this database has one already. */
  readonly freshKey?: boolean;
  /** How long one request may take to arrive, in milliseconds. Default 60,000. */
  readonly requestTimeoutMs?: number;
  /** Connections held at once; further ones are closed. Default 20,000. */
  readonly socketsMax?: number;
}

/** A server that listens. Made by `startStandalone`. */
export interface Standalone {
  readonly url: string;
  /** A key of the development tenant; undefined when one was minted at an earlier start. */
  readonly key: string | undefined;
  readonly sync: SyncServer;
  /** Answers what was begun, at most ten seconds, then closes the database. */
  stop(): Promise<void>;
}

/** Whom the development key stands for. */
export const DEVELOPMENT = { tenant: "default", principal: "developer" } as const;

const DRAIN_MS = 10_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const SOCKETS_MAX = 20_000;
/** How long a peer may take to read why it is let go. */
const LINGER_MS = 5_000;
/** Connections that the kernel holds until they are accepted: everybody comes back at once after an outage. */
const BACKLOG = 4_096;
const KEEP_ALIVE_MS = 65_000;
const TIMEOUT_CHECK_MS = 2_000;

/** Rejects as `createSyncServer` does, and when the port is taken. */
export async function startStandalone(options: StandaloneOptions = {}): Promise<Standalone> {
  const log = options.log ?? createLogger("info", 2);
  const sync = await createSyncServer({ ...options, db: options.db ?? "sqlite:./offline-ai-sync.sqlite", log });
  try {
    const key = await developmentKey(sync, options);
    const files = options.static === undefined || key === undefined ? undefined : { folder: options.static, key };
    if (files) demoHandlers(sync);
    await options.prepare?.(sync);
    const http = createHttp(sync, files, options, log);
    const { port } = await listen(http, options.port ?? 8787, options.host ?? "127.0.0.1");
    const host = options.host?.includes(":") ? `[${options.host}]` : (options.host ?? "127.0.0.1");
    const url = `http://${host}:${port}`;
    log.info({ url, database: sync.store.kind }, "listening");
    return { url, key, sync, stop: () => stop(http, sync, log) };
  } catch (error) {
    await sync.close();
    throw error;
  }
}

async function developmentKey(sync: SyncServer, options: StandaloneOptions): Promise<string | undefined> {
  const wanted = options.freshKey || options.static !== undefined;
  const has = !wanted && (await sync.store.read((reads) => reads.hasApiKey(DEVELOPMENT.tenant)));
  if (has) return undefined;
  return sync.createApiKey(DEVELOPMENT, { scopes: ["sync", "admin"], name: "development" });
}

// The demo has a button for an event that the server refuses.
function demoHandlers(sync: SyncServer): void {
  sync.on("demo.refuse", () => {
    throw new Reject("rejected", "the demo refuses this one on purpose");
  });
}

function createHttp(
  sync: SyncServer,
  files: StaticFiles | undefined,
  { requestTimeoutMs = REQUEST_TIMEOUT_MS, socketsMax = SOCKETS_MAX }: StandaloneOptions,
  log: Logger,
): HttpServer {
  const options = { connectionsCheckingInterval: TIMEOUT_CHECK_MS };
  const http = createServer(options, (request, response) => {
    if (!files || request.url?.startsWith(`${BASE_PATH}/`)) return sync.handler(request, response);
    serveFile(files, request, response).then(
      (served) => {
        if (!served) sync.handler(request, response);
      },
      (error: unknown) => {
        log.error(errorFields(error), "could not read a file");
        sync.handler(request, response);
      },
    );
  });
  http.headersTimeout = Math.min(HEADERS_TIMEOUT_MS, requestTimeoutMs);
  http.requestTimeout = requestTimeoutMs;
  http.maxConnections = socketsMax;
  http.keepAliveTimeout = KEEP_ALIVE_MS;
  http.on("clientError", refuse);
  return http;
}

// What is no HTTP, or comes too slowly, never reaches the router; it is refused by name all the same.
function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (socket.writableEnded) return; // answered already
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const code =
    error.code === "HPE_HEADER_OVERFLOW"
      ? "headers_too_large"
      : error.code === "ERR_HTTP_REQUEST_TIMEOUT"
        ? "request_timeout"
        : "invalid_request";
  const { status, body = new Uint8Array() } = problemOf(new HttpProblem(code, "this is no request"), "", () => false);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/problem+json\r\nconnection: close`;
  socket.end(`${head}\r\ncontent-length: ${body.length}\r\n\r\n${Buffer.from(body).toString()}`);
  // Closed at once, what is still on its way to us would take the answer from a peer that has not read it yet.
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}

function listen(http: HttpServer, port: number, host: string): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    http.once("error", reject);
    http.listen({ port, host, backlog: BACKLOG }, () => {
      http.off("error", reject);
      resolve(http.address() as AddressInfo);
    });
  });
}

async function stop(http: HttpServer, sync: SyncServer, log: Logger): Promise<void> {
  sync.drain();
  const closed = new Promise<void>((resolve) => http.close(() => resolve()));
  http.closeIdleConnections();
  const late = setTimeout(() => {
    log.warn({}, "requests were still open after ten seconds");
    http.closeAllConnections();
  }, DRAIN_MS);
  // A connection that falls idle while we wait would otherwise be kept alive.
  const idle = setInterval(() => http.closeIdleConnections(), 50);
  await closed;
  clearTimeout(late);
  clearInterval(idle);
  await sync.close();
  log.info({}, "stopped");
}
