/** Clock and entropy, as browsers offer them. */

import type { Clock, Random } from "../core/ports.ts";

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

/** 64 random bits: the epoch of a context that is about to number events. */
export function mintEpoch(random: Random): bigint {
  const bytes = random.bytes(8);
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0);
}
