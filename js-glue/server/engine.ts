/** The engine of one process, for server code that only wants to register devices and queue events. */

import { formatEventId } from "../core/events.ts";
import type { Registration } from "./routes/device.ts";
import type { QueuedEventBody } from "./routes/events.ts";
import { createSyncServer, type SyncServer, type SyncServerOptions } from "./server.ts";
import { readSettings, serverOptions } from "./settings.ts";

const TENANT = "default";

/** A device that trusted code registers. */
export interface DeviceDescription extends Registration {
  /** The principal the device belongs to; trusted code may name anyone. */
  readonly userId: string;
  readonly tenant?: string;
}

/** An event that trusted code queues for a device. */
export interface EventDescription extends QueuedEventBody {
  readonly tenant?: string;
}

/** The server as one object for trusted code of the same process; see `offlineAiSyncEngine`. */
export class OfflineAiSyncEngine {
  #server: Promise<SyncServer> | undefined;

  /** Uses this server from now on. Without it the first call opens the database that DATABASE_URL names. */
  use(server: SyncServer): void {
    this.#server = Promise.resolve(server);
  }

  /** The server behind the engine, made at the first call. Rejects as `createSyncServer` does. */
  server(options: Partial<SyncServerOptions> = {}): Promise<SyncServer> {
    if (!this.#server) {
      const settings = readSettings(process.env);
      const db = settings.DATABASE_URL ?? "sqlite:./offline-ai-sync.sqlite";
      this.#server = createSyncServer({ ...serverOptions(settings), db, ...options });
      // A failed start is not kept: the next call tries again.
      this.#server.catch(() => {
        this.#server = undefined;
      });
    }
    return this.#server;
  }

  /** Resolves with the device id. Rejects with `unknown_device` when it is another user's. */
  async registerDevice({ userId, tenant = TENANT, ...device }: DeviceDescription): Promise<string> {
    const server = await this.server();
    return server.registerDevice({ tenant, principal: userId }, device);
  }

  /**
   * Resolves with the event's id and status once it is committed, handler included. Rejects with the checker's code for
   * data that is not JSON, and with `unknown_device`.
   */
  async queueEvent({ tenant = TENANT, ...event }: EventDescription): Promise<{ eventId: string; status: number }> {
    const server = await this.server();
    const queued = await server.queueEvent({ tenant, principal: event.userId ?? "" }, event);
    return { eventId: formatEventId(queued.id), status: queued.kind };
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await (await server)?.close();
  }
}

/** The one engine of this process; it opens the database that DATABASE_URL names unless it is given a server. */
export const offlineAiSyncEngine = new OfflineAiSyncEngine();
