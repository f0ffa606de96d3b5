/** offline-ai-sync for pages. Importing it does nothing; `open` does. */

export type { QueuedEvent } from "../core/calls.ts";
export { type ErrorCode, type Fault, OfflineSyncError } from "../core/errors.ts";
export type { Durability, LaneName, Priority, VerdictKind } from "../core/events.ts";
export type { DeadLetter, ListedEvent, Page } from "../core/pages.ts";
export type { Verdict } from "../core/settlements.ts";
export type { Subscribable } from "../core/subscribable.ts";
export type { Capabilities, DeviceType } from "./capabilities.ts";
export {
  type Inspection,
  type LogEntry,
  type OfflineSync,
  type OpenOptions,
  open,
  type Receipt,
  type TraceEntry,
} from "./client.ts";
export type { Drained, ListOptions } from "./commands.ts";
export type { WorkerOptions } from "./host.ts";
export type { Device } from "./registration.ts";
export type { StorageState, SyncPhase, SyncStatus } from "./status.ts";
export type { TokenSource } from "./transport.ts";
