/**
 * The sync server as a library: a router for an existing Express application, a listener for plain `node:http`, and the
 * hooks an application hangs its own effects on.
 */

import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { Router } from "express";
import { failure } from "../core/errors.ts";
import {
  type ApiKeys,
  type Authenticate,
  apiKeys,
  firstOf,
  type Identity,
  type MintedKey,
  mintApiKey,
  type Scope,
} from "./auth.ts";
import { type Bus, type Listener, localBus } from "./bus/bus.ts";
import { postgresBus } from "./bus/postgres.ts";
import { redisBus } from "./bus/redis.ts";
import type { Server } from "./context.ts";
import { ServerCore } from "./core.ts";
import { Dictionaries } from "./dictionaries.ts";
import type { CollectionOptions } from "./documents/collections.ts";
import { MergeCore } from "./documents/core.ts";
import { CursorNotes } from "./documents/cursor-notes.ts";
import { Documents } from "./documents/documents.ts";
import { DOCUMENT_EVENT } from "./documents/names.ts";
import { type Handler, Handlers, type Subject } from "./handlers.ts";
import { BodyBudget } from "./http/body.ts";
import { type FetchHandler, fetchHandler } from "./http/fetch.ts";
import { RouteTable } from "./http/match.ts";
import { HttpProblem, problemOf } from "./http/problem.ts";
import { type Environment, respond, send } from "./http/respond.ts";
import type { Route } from "./http/route.ts";
import { DeviceTokens } from "./identity/device-token.ts";
import { type JwtOptions, jwtAuth } from "./identity/jwt.ts";
import { subjectRates } from "./identity/rates.ts";
import { Signatures } from "./identity/signature.ts";
import { createLogger, errorFields, type Logger } from "./log.ts";
import { ModelRegistry } from "./models/registry.ts";
import type { ModelTrust } from "./models/signing.ts";
import { runErasures } from "./operations/erasure.ts";
import { foldDocuments } from "./operations/folding.ts";
import { Insight } from "./operations/insight.ts";
import { Load } from "./operations/load.ts";
import { Maintenance } from "./operations/maintenance.ts";
import { Metrics } from "./operations/metrics.ts";
import type { Queued } from "./queue-event.ts";
import { RecentDevices } from "./recent-devices.ts";
import { Releases } from "./releases.ts";
import { type Registration, registerDevice, registration } from "./routes/device.ts";
import { type QueuedEventBody, queuedEvent, queueOne } from "./routes/events.ts";
import { allRoutes } from "./routes/table.ts";
import { BLOCKS_SCHEMA } from "./store/blocks.ts";
import { storedFigures } from "./store/figures.ts";
import { type OpenStoreOptions, openStore } from "./store/sql-store.ts";
import type { Store } from "./store/store.ts";
import { Streams } from "./streams.ts";

/** Where `handler` and `fetch` expect the API. */
export const BASE_PATH = "/api/offline-ai";

/** What `createSyncServer` wants to know; `db` is enough. */
export interface SyncServerOptions {
  /** `sqlite:<file>`, `sqlite::memory:` or `postgres://...`. */
  readonly db: string;
  /** Default: API keys of this database. Tokens of devices are believed beside it. */
  readonly auth?: Authenticate;
  /** Also believe the application's own tokens. */
  readonly jwt?: JwtOptions;
  /** The keys of the registry of models. Default: none, so there is no manifest. */
  readonly models?: ModelTrust;
  /** Events a minute and subject; 0 = no limit. Default 600,000. */
  readonly rateEventsPerMinute?: number;
  /** Whether and how far the schema is brought up to date at the start. Default: as far as this build knows. */
  readonly schema?: OpenStoreOptions["schema"];
  /** PostgreSQL's row level security as a second fence; see `OpenStoreOptions`. */
  readonly rowSecurity?: boolean;
  /** False = never turn requests away under load. Default true. */
  readonly shedding?: boolean;
  /** How often clients are asked to look for news when nothing tells them, in milliseconds. Default 30,000. */
  readonly syncIntervalMs?: number;
  /** A replica that was not heard of for so many days holds back neither folding nor the removal of changes. Default 14. */
  readonly replicaDays?: number;
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
  /** Hints between processes: `redis://...`. Default: PostgreSQL's own where that is the database, else none. */
  readonly redis?: string;
  /** How often maintenance runs, in milliseconds; 0 = never by itself. Default a day. */
  readonly cleanupIntervalMs?: number;
  /** Days that applied events are kept; 0, the default = for ever. */
  readonly retentionDays?: number;
  /**
   * Analytics without a handler are kept as the client's own segments, a few bytes an event, instead of a row each. False
   * where they are wanted as rows, and while processes run that know no blocks. Default true.
   */
  readonly analyticsBlocks?: boolean;
  /** Where maintenance puts copies of an SQLite database. Default: it makes none. */
  readonly backupFolder?: string;
  readonly log?: Logger;
  readonly now?: () => number;
}

/** A running sync server. Made by `createSyncServer`. */
export interface SyncServer {
  /** For `app.use("/api/offline-ai", sync.router)`. Throws `invalid_argument` when Express is not installed. */
  readonly router: Router;
  /** For `http.createServer(sync.handler)`; serves paths below /api/offline-ai, and 404 for the rest. */
  readonly handler: RequestListener;
  /** For frameworks that speak the web's `Request` and `Response`: Hono, Next route handlers. The paths are those of `handler`. */
  readonly fetch: FetchHandler;
  readonly store: Store;
  readonly routes: readonly Route[];
  readonly metrics: Metrics;
  readonly load: Load;
  readonly maintenance: Maintenance;
  /** What happens with events of this type; "*" = of every type without a handler. */
  on(type: string, handler: Handler): void;
  /** What documents of this collection must fulfil; once a collection. */
  collection(name: string, options: CollectionOptions): void;
  /** The key is shown once; only its hash is kept. Default scope: `sync`. */
  createApiKey(
    subject: Subject,
    options?: { readonly scopes?: readonly Scope[]; readonly name?: string },
  ): Promise<string>;
  /** Resolves with the device's id, as `POST /device/register` does. */
  registerDevice(subject: Subject, device: Registration): Promise<string>;
  /** Queues an event for a device, as `POST /events/queue` does. */
  queueEvent(subject: Subject, event: QueuedEventBody): Promise<Queued>;
  /** Runs deferred events that may run now. For tests and maintenance; a timer and every push do it too. */
  release(): Promise<void>;
  /** Probes answer 503 from now on; requests are still served. */
  drain(): void;
  /** Waits for what runs in the background, then closes the database. */
  close(): Promise<void>;
}

const DAY_MS = 24 * 3_600_000;

/** Opens the database and makes a server for it. Rejects as `openStore` does, and when the WebAssembly core cannot be loaded. */
export async function createSyncServer(options: SyncServerOptions): Promise<SyncServer> {
  const now = options.now ?? Date.now;
  const log = options.log ?? createLogger("warn");
  const [core, merge] = await Promise.all([ServerCore.load(), MergeCore.load()]);
  const metrics = new Metrics();
  const store = await openStore(options.db, {
    onCommit: (seconds) => metrics.commit(seconds),
    ...(options.rowSecurity === undefined ? {} : { rowSecurity: options.rowSecurity }),
    ...(options.schema === undefined ? {} : { schema: options.schema }),
    now,
    restored: options.restored ?? false,
    ...(options.connectionsMax === undefined ? {} : { connectionsMax: options.connectionsMax }),
    onIdleError: (error) => log.warn(errorFields(error), "a database connection broke"),
  });
  const handlers = new Handlers();
  const documents = new Documents({
    store,
    merge,
    now,
    notify: (tenant, principal, news) => streams.notify(tenant, principal, news),
    isHeard: (tenant, principal) => streams.isHeard(tenant, principal),
    metrics,
  });
  handlers.own(DOCUMENT_EVENT, {
    handle: (event, tx) => documents.take(event, tx),
    refused: (event, tx) => documents.refused(event, tx),
    prepare: (subject, events, tx) => documents.prepare(subject, events, tx),
  });
  const cursors = new CursorNotes(store, now, log);
  const releases = new Releases({
    store,
    handlers,
    releasable: (deferred, marks) => core.releasable(deferred, marks),
    now,
    triesMax: options.triesMax ?? 10,
    log,
    intervalMs: options.releaseIntervalMs ?? 1_000,
    settled: (tenant, device) => {
      documents.flush(tenant, device);
      store
        .read((reads) => reads.device(tenant, device))
        .then((record) => record && streams.notify(tenant, record.principal))
        .catch(() => undefined); // a hint; the client looks by itself, too
    },
  });
  const streams = new Streams(metrics, now);
  const bus = await openBus(options, (topics) => streams.hear(topics), log);
  streams.connect(bus);
  let draining = false;
  const load = new Load({ pool: () => store.pressure(), metrics, measure: options.shedding ?? true });
  const deviceTokens = new DeviceTokens(store, now);
  const keys: ApiKeys = options.auth ? { authenticate: options.auth, forget: () => undefined } : apiKeys(store, now);
  const ways = [keys.authenticate, deviceTokens.authenticate];
  if (options.jwt) ways.push(await jwtAuth(options.jwt, now));
  const dictionaries = new Dictionaries({ store, idOf: core.dictionaryId, drop: core.dropDictionary, now });
  const insight = new Insight(store, now);
  const horizon = options.horizon ?? ((): number => maintenance.backedUpTo || now() - DAY_MS);
  const maintenance: Maintenance = new Maintenance({
    store,
    insight,
    metrics,
    now,
    log,
    cleanupIntervalMs: options.cleanupIntervalMs ?? DAY_MS,
    retentionDays: options.retentionDays ?? 0,
    backupFolder: options.backupFolder,
    jobs: async () => {
      dictionaries.expire();
      await runErasures(store, now);
    },
    fold: async (tenant, dryRun) => {
      await cursors.idle();
      return foldDocuments({
        store,
        documents,
        now,
        horizon,
        replicaMs: (options.replicaDays ?? 14) * DAY_MS,
        tenant,
        dryRun,
      });
    },
  });
  metrics.readFrom(() => store.read(({ connection }) => storedFigures(connection, now())));
  const server: Server = {
    store,
    metrics,
    load,
    streams,
    insight,
    maintenance,
    deviceTokens,
    apiKeys: keys,
    syncIntervalMs: options.syncIntervalMs ?? 30_000,
    handlers,
    recent: new RecentDevices(),
    documents,
    cursors,
    models: new ModelRegistry(store, now, options.models),
    openSession: core.open,
    dictionaries,
    openSegment: core.openSegment,
    takeBlocks: () => ((options.analyticsBlocks ?? true) ? store.hasSchema(BLOCKS_SCHEMA) : Promise.resolve(false)),
    checkJson: (json) => core.checkJson(json),
    entityHash: (entity) => core.entityHash(entity),
    now,
    horizon,
    credit: options.credit ?? 1_000,
    log,
    draining: () => draining,
    release: (tenant, device) => releases.soon(tenant, device),
  };
  const environment: Environment = {
    store,
    authenticate: firstOf(...ways),
    signatures: new Signatures(store, now),
    rates: subjectRates(options.rateEventsPerMinute ?? 600_000),
    load,
    bodies: new BodyBudget(),
    metrics,
    now,
    log,
    draining: () => draining,
  };
  const routes = allRoutes(server);
  const handle = handleWith(environment, new RouteTable(routes));
  const handler: RequestListener = (request, response) => {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    const below = path.startsWith(`${BASE_PATH}/`) ? path.slice(BASE_PATH.length) : "";
    void handle(below, request, response);
  };
  const express = await import("express").catch(() => undefined);
  const as = (subject: Subject): Identity => ({ ...subject, scopes: ["admin"] });

  return {
    get router(): Router {
      if (!express) throw failure("invalid_argument", "the router needs the package express");
      const router = express.Router();
      router.use((request, response) => handle(request.path, request, response));
      return router;
    },
    handler,
    fetch: fetchHandler(handler),
    store,
    routes,
    metrics,
    load,
    maintenance,
    on: (type, handler) => handlers.on(type, handler),
    collection: (name, rules) => documents.collection(name, rules),
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
    async registerDevice(subject, device) {
      return (await registerDevice(server, as(subject), registration.parse(device))).deviceId;
    },
    queueEvent: (subject, event) => queueOne(server, as(subject), queuedEvent.parse(event)),
    release: () => releases.due(),
    drain() {
      if (!draining) streams.close();
      draining = true;
    },
    async close() {
      if (!draining) streams.close();
      draining = true;
      load.close();
      await bus.close();
      await releases.close();
      await maintenance.close();
      await cursors.idle();
      await insight.flush().catch((error: unknown) => log.warn(errorFields(error), "statistics were not written"));
      await store.close();
    },
  };
}

function openBus({ db, redis }: SyncServerOptions, listener: Listener, log: Logger): Promise<Bus> | Bus {
  if (redis !== undefined) return redisBus(redis, listener, log);
  return /^postgres/.test(db) ? postgresBus(db, listener, log) : localBus();
}

const handleWith =
  (environment: Environment, table: RouteTable) =>
  async (path: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const found = table.match(request.method ?? "GET", path);
    if (found && "route" in found) return respond(environment, found, path, request, response);
    const error = found
      ? new HttpProblem("method_not_allowed", `this path takes ${found.join(", ")}`)
      : failure("not_found", "there is no such endpoint");
    const answer = problemOf(error, "", () => false);
    const headers = found ? { ...answer.headers, allow: found.join(", ") } : answer.headers;
    send(environment, { ...answer, ...(headers ? { headers } : {}) }, response, request);
  };
