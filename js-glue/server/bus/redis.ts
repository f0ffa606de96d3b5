/** Redis as the bus: pub/sub on one channel. Gone, it is waited for; nothing else stops. */

import { errorFields, type Logger } from "../log.ts";
import { type Bus, Envelope, Gatherer, type Listener } from "./bus.ts";

const CHANNEL = "oas:pokes";
const RETRY_MS_MAX = 5_000;

/** Rejects only when the package `redis` is missing or the address is none; the server itself may come later. */
export async function redisBus(url: string, listener: Listener, log: Logger): Promise<Bus> {
  const { createClient } = await import("redis");
  const envelope = new Envelope();
  const connect = () => {
    const client = createClient({
      url,
      // What cannot be sent now is not worth sending later.
      disableOfflineQueue: true,
      socket: { reconnectStrategy: (tries) => Math.min(RETRY_MS_MAX, 50 * 2 ** Math.min(tries, 10)) },
    });
    let told = false;
    client.on("error", (error: unknown) => {
      if (!told) log.warn(errorFields(error), "the bus cannot be reached; clients look by themselves meanwhile");
      told = true;
    });
    client.on("ready", () => {
      told = false;
    });
    return client;
  };
  const publisher = connect();
  const subscriber = connect();
  // The first connection may be refused; both go on trying by themselves, and subscriptions outlive a lost connection.
  publisher.connect().catch(() => undefined);
  subscriber.connect().catch(() => undefined);
  subscriber.on("ready", () => {
    if (!subscriber.isPubSubActive)
      subscriber.subscribe(CHANNEL, (message) => listener(envelope.open(message))).catch(() => undefined);
  });
  const gatherer = new Gatherer(
    (message) =>
      publisher.isReady ? publisher.publish(CHANNEL, envelope.seal(message)).catch(() => undefined) : undefined, // a hint
  );
  return {
    kind: "redis",
    publish: (topics) => gatherer.add(topics),
    async close() {
      gatherer.close();
      publisher.destroy();
      subscriber.destroy();
    },
  };
}
