/** A server of a test's own, over real HTTP and a real database, with clients that speak frames. */

import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Logger } from "../../js-glue/server/log.ts";
import { createSyncServer, type SyncServer, type SyncServerOptions } from "../../js-glue/server/server.ts";
import type { Row, SqlValue } from "../../js-glue/server/store/database.ts";
import type { DatabaseKind, TestDatabase } from "./databases.ts";
import { type Reply, type Request, readReply, request } from "./frames.ts";

export const BATCH = "application/vnd.oas.batch";

/** Keeps every line, so that a test can read what was logged. */
export class LogLines implements Logger {
  readonly lines: { readonly level: string; readonly message: string; readonly fields: object }[] = [];
  debug = (fields: object, message: string): void => this.#add("debug", fields, message);
  info = (fields: object, message: string): void => this.#add("info", fields, message);
  warn = (fields: object, message: string): void => this.#add("warn", fields, message);
  error = (fields: object, message: string): void => this.#add("error", fields, message);
  #add(level: string, fields: object, message: string): void {
    this.lines.push({ level, message, fields });
  }
}

export interface Clock {
  now: number;
}

export class TestServer {
  readonly sync: SyncServer;
  readonly log: LogLines;
  readonly clock: Clock;
  readonly #http: Server;
  readonly #database: TestDatabase;

  private constructor(sync: SyncServer, http: Server, database: TestDatabase, log: LogLines, clock: Clock) {
    this.sync = sync;
    this.#http = http;
    this.#database = database;
    this.log = log;
    this.clock = clock;
  }

  static async start(kind: DatabaseKind, options: Partial<SyncServerOptions> = {}): Promise<TestServer> {
    return TestServer.on(await kind.create(), options);
  }

  static async on(database: TestDatabase, options: Partial<SyncServerOptions> = {}): Promise<TestServer> {
    const log = new LogLines();
    const clock = { now: 1_800_000_000_000 };
    const now = (): number => clock.now;
    const sync = await createSyncServer({
      db: database.url,
      log,
      now,
      releaseIntervalMs: 0,
      shedding: false,
      ...options,
    });
    const http = createServer(sync.handler);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    return new TestServer(sync, http, database, log, clock);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/api/offline-ai`;
  }

  /** A fresh device of this tenant and principal, with a key of its own. */
  async client(
    tenant = "acme",
    principal = "ann",
    scopes: readonly ("sync" | "admin")[] = ["sync"],
  ): Promise<TestClient> {
    const key = await this.sync.createApiKey({ tenant, principal }, { scopes });
    return new TestClient(this.url, key, new Uint8Array(randomBytes(16)));
  }

  query(sql: string, params: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return this.sync.store.read((reads) => reads.connection.query(sql, params));
  }

  async execute(sql: string): Promise<void> {
    await this.sync.store.write((tx) => tx.connection.run(sql));
  }

  async count(table: string): Promise<number> {
    const [row] = await this.query(`SELECT count(*) AS n FROM ${table}`);
    return Number(Object.values(row ?? {})[0]);
  }

  /** Stops listening and closes the database, which stays. */
  async stop(): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
    await this.sync.close();
  }

  async end(): Promise<void> {
    await this.stop();
    await this.#database.drop();
  }
}

export interface HistoryItem {
  readonly id: string;
  readonly eventData: unknown;
  readonly verdict: string;
  readonly code?: string;
}

export class TestClient {
  readonly url: string;
  readonly key: string;
  readonly device: Uint8Array;

  constructor(url: string, key: string, device: Uint8Array) {
    this.url = url;
    this.key = key;
    this.device = device;
  }

  get deviceId(): string {
    const hex = Buffer.from(this.device).toString("hex");
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  }

  frame(what: Omit<Request, "device">): Uint8Array {
    return request({ device: this.device, ...what });
  }

  sync(what: Omit<Request, "device">, path = "/sync/push"): Promise<Reply> {
    return this.reply(this.frame(what), path);
  }

  /** What these bytes are answered. */
  async reply(frame: Uint8Array, path = "/sync/push"): Promise<Reply> {
    const response = await this.post(path, frame);
    const body = new Uint8Array(await response.arrayBuffer());
    if (response.status !== 200) throw new Error(`${response.status} ${Buffer.from(body).toString()}`);
    return readReply(body);
  }

  pull(what: Omit<Request, "device" | "items">): Promise<Reply> {
    return this.sync(what, "/sync/pull");
  }

  post(path: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(this.url + path, {
      method: "POST",
      body: Buffer.from(body),
      headers: { authorization: `Bearer ${this.key}`, "content-type": BATCH, ...headers },
    });
  }

  put(path: string, body: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(this.url + path, {
      method: "PUT",
      body: Buffer.from(body),
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/octet-stream", ...headers },
    });
  }

  json(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return fetch(this.url + path, {
      method,
      headers: { authorization: `Bearer ${this.key}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async history(query = ""): Promise<readonly HistoryItem[]> {
    const items: HistoryItem[] = [];
    for (let cursor: string | null = "0"; cursor !== null; ) {
      const response: Response = await this.json(
        "GET",
        `/events/${this.deviceId}/history?limit=500&cursor=${cursor}${query}`,
      );
      const page = (await response.json()) as { items: HistoryItem[]; nextCursor: string | null };
      items.push(...page.items);
      cursor = page.nextCursor;
    }
    return items;
  }
}
