/** Clock, entropy, hashing and the channel between contexts, as browsers offer them. */

import type { Channel, Clock, Crypto, Random } from "../core/ports.ts";
import { sha256 } from "../core/sha256.ts";

const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  mono: () => performance.now(),
  wall: () => Date.now(),
  alarm(at, ring) {
    // A timer may fire a little early by the monotonic clock; the engine would then ask for the same moment again.
    const wait = Math.min(Math.max(0, Math.ceil(at - performance.now())), TIMER_MS_MAX);
    const timer = setTimeout(ring, wait);
    return () => clearTimeout(timer);
  },
};

export const systemRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
};

export const systemCrypto: Crypto = {
  async sha256(bytes) {
    // Pages that did not come over TLS have no SubtleCrypto.
    if (typeof crypto.subtle === "undefined") return sha256(bytes);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  },
};

/** 64 random bits: the epoch of a context that is about to number events. */
export function mintEpoch(random: Random): bigint {
  const bytes = random.bytes(8);
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}

/** Undefined where the browser has no BroadcastChannel; other contexts then learn from storage, later. */
export function broadcastChannel(database: string): Channel | undefined {
  if (typeof BroadcastChannel === "undefined") return undefined;
  const channel = new BroadcastChannel(database);
  return {
    post: (bytes) => channel.postMessage(bytes),
    listen(heard) {
      channel.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (data instanceof Uint8Array) heard(data);
      };
    },
    close: () => channel.close(),
  };
}

/** The server's address without query, fragment or a slash at its end, as it enters the device id. */
export function canonicalUrl(url: string): string {
  const { origin, pathname } = new URL(url, globalThis.location?.href);
  return origin + pathname.replace(/\/+$/, "");
}
