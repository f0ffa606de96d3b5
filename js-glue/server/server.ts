/**
 * The sync server as a library: a router for an existing Express application, a listener for plain `node:http`, and the
 * hooks an application hangs its own effects on.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Router } from "express";
import { failure } from "../core/errors.ts";
import { type Authenticate, apiKeyAuth, type Identity, type MintedKey, mintApiKey, type Scope } from "./auth.ts";
import type { Server } from "./context.ts";
import { ServerCore } from "./core.ts";
import { type Handler, Handlers, type Subject } from "./handlers.ts";
import { RouteTable } from "./http/match.ts";
import { HttpProblem, problemOf } from "./http/problem.ts";
import { type Environment, respond, send } from "./http/respond.ts";
import type { Route } from "./http/route.ts";
import { createLogger, errorFields, type Logger } from "./log.ts";
import type { Queued } from "./queue-event.ts";
import { Releases } from "./releases.ts";
import { deadLetterRoutes } from "./routes/dead-letter.ts";
import { deviceRoutes, type Registration, registerDevice, registration } from "./routes/device.ts";
import { eventRoutes, type QueuedEventBody, queuedEvent, queueOne } from "./routes/events.ts";
import { healthRoutes } from "./routes/health.ts";
import { syncRoutes } from "./routes/sync.ts";
import { openStore } from "./store/sql-store.ts";
import type { Store } from "./store/store.ts";

export const BASE_PATH = "/api/offline-ai";

export interface SyncServerOptions {
  /** `sqlite:<file>`, `sqlite::memory:` or `postgres://...`. */
  readonly db: string;
  /** Default: API keys of this database. */
  readonly auth?: Authenticate;
  /** Merge policy per document type; documents are not served yet. */
  readonly merge?: Readonly<Record<string, string>>;
  /** Everything committed before this time (ms since 1970) is in a backup. Default: 24 hours ago. */
  readonly horizon?: () => number;
  /** Events wanted per push. Default 1,000. */
  readonly credit?: number;
  /** Failed tries of one event before it becomes a dead letter. Default 10. */
  readonly triesMax?: number;
  /** How often waiting events are looked at. Default 1,000 ms; 0 = never by itself. */
  readonly releaseIntervalMs?: number;
  /** This database was restored from a backup: clients compare what they have. */
  readonly restored?: boolean;
  readonly connectionsMax?: number;
  readonly log?: Logger;
  readonly now?: () => number;
}

export interface SyncServer {
  /** For `app.use("/api/offline-ai", sync.router)`. Throws `invalid_argument` when Express is not installed. */
  readonly router: Router;
  /** For `http.createServer(sync.handler)`; serves paths below /api/offline-ai, and 404 for the rest. */
  readonly handler: RequestListener;
  readonly store: Store;
  readonly routes: readonly Route[];
  /** What happens with events of this type; "*" = of every type without a handler. */
  on(type: string, handler: Handler): void;
  createApiKey(
    subject: Subject,
    options?: { readonly scopes?: readonly Scope[]; readonly name?: string },
  ): Promise<string>;
  registerDevice(subject: Subject, device: Registration): Promise<string>;
  queueEvent(subject: Subject, event: QueuedEventBody): Promise<Queued>;
  /** Runs deferred events that may run now. For tests and maintenance; a timer and every push do it too. */
  release(): Promise<void>;
  /** Probes answer 503 from now on; requests are still served. */
  drain(): void;
  /** Waits for what runs in the background, then closes the database. */
  close(): Promise<void>;
}

const DAY_MS = 24 * 3_600_000;

/** Rejects as `openStore` does, and when the WebAssembly core cannot be loaded. */
export async function createSyncServer(options: SyncServerOptions): Promise<SyncServer> {
  const now = options.now ?? Date.now;
  const log = options.log ?? createLogger("warn");
  const core = await ServerCore.load();
  const store = await openStore(options.db, {
    now,
    restored: options.restored ?? false,
    ...(options.connectionsMax === undefined ? {} : { connectionsMax: options.connectionsMax }),
    onIdleError: (error) => log.warn(errorFields(error), "a database connection broke"),
  });
  const handlers = new Handlers();
  const releases = new Releases({
    store,
    handlers,
    releasable: (deferred, marks) => core.releasable(deferred, marks),
    now,
    triesMax: options.triesMax ?? 10,
    log,
    intervalMs: options.releaseIntervalMs ?? 1_000,
  });
  let draining = false;
  const server: Server = {
    store,
    handlers,
    openSession: core.open,
    checkJson: (json) => core.checkJson(json),
    entityHash: (entity) => core.entityHash(entity),
    now,
    horizon: options.horizon ?? (() => now() - DAY_MS),
    credit: options.credit ?? 1_000,
    log,
    draining: () => draining,
    release: (tenant, device) => releases.soon(tenant, device),
  };
  const environment: Environment = {
    store,
    authenticate: options.auth ?? apiKeyAuth(store, now),
    now,
    log,
    draining: () => draining,
  };
  const routes = [
    ...deviceRoutes(server),
    ...eventRoutes(server),
    ...syncRoutes(server),
    ...deadLetterRoutes(server),
    ...healthRoutes(server),
  ];
  const handle = handleWith(environment, new RouteTable(routes));
  const express = await import("express").catch(() => undefined);
  const as = (subject: Subject): Identity => ({ ...subject, scopes: ["admin"] });

  return {
    get router(): Router {
      if (!express) throw failure("invalid_argument", "the router needs the package express");
      const router = express.Router();
      router.use((request, response) => handle(request.path, request, response));
      return router;
    },
    handler(request, response) {
      const path = (request.url ?? "/").split("?")[0] ?? "/";
      const below = path.startsWith(`${BASE_PATH}/`) ? path.slice(BASE_PATH.length) : "";
      void handle(below, request, response);
    },
    store,
    routes,
    on: (type, handler) => handlers.on(type, handler),
    async createApiKey(subject, given) {
      const { key, record }: MintedKey = mintApiKey(subject, given?.scopes ?? ["sync"], given?.name ?? "");
      await store.write(async (tx) => {
        await tx.insertApiKey(record, now());
        await tx.audit(subject.tenant, [
          { at: now(), actor: subject.principal, action: "api_key.create", subject: record.prefix },
        ]);
      });
      return key;
    },
    registerDevice: (subject, device) => registerDevice(server, as(subject), registration.parse(device)),
    queueEvent: (subject, event) => queueOne(server, as(subject), queuedEvent.parse(event)),
    release: () => releases.due(),
    drain() {
      draining = true;
    },
    async close() {
      draining = true;
      await releases.close();
      await store.close();
    },
  };
}

const handleWith =
  (environment: Environment, table: RouteTable) =>
  async (path: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const found = table.match(request.method ?? "GET", path);
    if (found && "route" in found) return respond(environment, found, request, response);
    const error = found
      ? new HttpProblem("method_not_allowed", `this path takes ${found.join(", ")}`)
      : failure("not_found", "there is no such endpoint");
    const answer = problemOf(error, "", () => false);
    const headers = found ? { ...answer.headers, allow: found.join(", ") } : answer.headers;
    send(environment, { ...answer, ...(headers ? { headers } : {}) }, response);
  };
