/** Fakes for tests of applications and of this library: virtual time, storage in memory, a network that misbehaves. */

export { MemoryStore } from "../core/memory-store.ts";
export type {
  Channel,
  Clock,
  Random,
  Store,
  StoredRecord,
  Transport,
  TransportReply,
  TransportRequest,
  WriteBatch,
} from "../core/ports.ts";
export { FlakyTransport, type Weather } from "./flaky-transport.ts";
export { VirtualClock } from "./virtual-clock.ts";
