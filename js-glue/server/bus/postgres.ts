/**
 * PostgreSQL as the bus, where there is no Redis: NOTIFY on a connection of its own, gathered, and never inside a writing
 * transaction, where it would take a lock that all commits of the database share.
 */

import pg from "pg";
import { errorFields, type Logger } from "../log.ts";
import { type Bus, Envelope, Gatherer, type Listener } from "./bus.ts";

const CHANNEL = "oas_pokes";
const RETRY_MS = 1_000;

/** Connects in the background and again after each loss. */
export function postgresBus(url: string, listener: Listener, log: Logger): Bus {
  const envelope = new Envelope();
  let client: pg.Client | undefined;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let told = false;

  const lost = (error: unknown): void => {
    if (!told && !closed)
      log.warn(errorFields(error), "the bus cannot be reached; clients look by themselves meanwhile");
    told = true;
    client?.removeAllListeners();
    // A connection that broke may say so more than once.
    client?.on("error", () => undefined);
    client?.end().catch(() => undefined);
    client = undefined;
    if (!closed && timer === undefined)
      timer = setTimeout(() => {
        timer = undefined;
        void open();
      }, RETRY_MS);
    timer?.unref();
  };

  const open = async (): Promise<void> => {
    const fresh = new pg.Client({ connectionString: url, application_name: "offline-ai-sync bus", keepAlive: true });
    fresh.on("error", lost);
    fresh.on("end", () => {
      if (client === fresh) lost(new Error("the connection ended"));
    });
    fresh.on("notification", ({ payload }) => listener(envelope.open(payload)));
    try {
      await fresh.connect();
      await fresh.query(`LISTEN ${CHANNEL}`);
      client = fresh;
      told = false;
      if (closed) await fresh.end();
    } catch (error) {
      fresh.removeAllListeners("end");
      lost(error);
    }
  };

  const gatherer = new Gatherer(
    (message) => client?.query("SELECT pg_notify($1, $2)", [CHANNEL, envelope.seal(message)]).catch(() => undefined), // a hint
  );
  void open();
  return {
    kind: "postgres",
    publish: (topics) => gatherer.add(topics),
    async close() {
      closed = true;
      clearTimeout(timer);
      gatherer.close();
      const last = client;
      client = undefined;
      await last?.end();
    },
  };
}
