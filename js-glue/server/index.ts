/** `offline-ai-sync/server`: the sync server for Node. */

export { type ErrorCode, type Fault, OfflineSyncError } from "../core/errors.ts";
export type { Authenticate, AuthRequest, Identity, Scope } from "./auth.ts";
export type { CollectionOptions, DocumentContext, Validator } from "./documents/collections.ts";
export type { MergeCall, MergeFunction } from "./documents/functions.ts";
export { type DeviceDescription, type EventDescription, OfflineAiSyncEngine, offlineAiSyncEngine } from "./engine.ts";
export { type Handler, Reject, type Subject, type SyncEvent } from "./handlers.ts";
export { createLogger, type Logger, type LogLevel } from "./log.ts";
export {
  makeStatement,
  type Publication,
  publishModel,
  type Renewal,
  renewModels,
  type StatementParts,
  type Validity,
} from "./models/publish.ts";
export { ModelKey, type ModelTrust } from "./models/signing.ts";
export { BASE_PATH, createSyncServer, type SyncServer, type SyncServerOptions } from "./server.ts";
export { DEVELOPMENT, type Standalone, type StandaloneOptions, startStandalone } from "./standalone.ts";
export type { Row, SqlValue, Tx } from "./store/database.ts";
export { openStore } from "./store/sql-store.ts";
export type { Store } from "./store/store.ts";
