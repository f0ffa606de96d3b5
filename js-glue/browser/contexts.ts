/** Hashing, addresses and the channel between contexts, as browsers offer them. */

import type { Notice } from "../core/io.ts";
import type { Channel, Crypto } from "../core/ports.ts";
import { sha256 } from "../core/sha256.ts";

export const systemCrypto: Crypto = {
  async sha256(bytes) {
    // Pages that did not come over TLS have no SubtleCrypto.
    if (typeof crypto.subtle === "undefined") return sha256(bytes);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  },
};

/** Undefined where the browser has no BroadcastChannel; other contexts then learn from storage, later. */
export function broadcastChannel(database: string): Channel | undefined {
  if (typeof BroadcastChannel === "undefined") return undefined;
  const channel = new BroadcastChannel(database);
  return {
    ...postsLater(channel),
    listen(heard) {
      channel.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (data instanceof Uint8Array) heard(data);
      };
    },
  };
}

/** Posting takes a tenth of what storing an event takes: whoever awaits the event goes on first. */
function postsLater<T>(channel: BroadcastChannel): { post(message: T): void; close(): void } {
  let waiting: T[] = [];
  let closed = false;
  const flush = (): void => {
    const due = waiting;
    waiting = []; // before: one that cannot be posted holds up no later one
    for (const message of due) channel.postMessage(message);
  };
  return {
    post(message) {
      if (!closed && waiting.push(message) === 1) setTimeout(flush);
    },
    close() {
      flush(); // others wait for what was said last, such as that the lease is free
      closed = true;
      channel.close();
    },
  };
}

/** The server's address without query, fragment or a slash at its end, as it enters the device id. */
export function canonicalUrl(url: string): string {
  const { origin, pathname } = new URL(url, globalThis.location?.href);
  return origin + pathname.replace(/\/+$/, "");
}

export type SettledNotice = Extract<Notice, { readonly notice: "settled" }>;

/**
 * Whoever drains tells the others what became of their events, so that `.synced` resolves in the tab that asked. What is
 * lost on the way is only a promise that resolves later: storage and server know.
 */
export function shareSettled(
  database: string,
  heard: (notice: SettledNotice) => void,
): { post(notice: SettledNotice): void; close(): void } {
  if (typeof BroadcastChannel === "undefined") return { post: () => undefined, close: () => undefined };
  const channel = new BroadcastChannel(`${database}:settled`);
  channel.onmessage = ({ data }: MessageEvent<SettledNotice>) => heard(data);
  return postsLater(channel);
}
