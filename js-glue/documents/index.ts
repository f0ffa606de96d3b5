/** `offline-ai-sync/documents`: documents that several devices edit offline. Importing loads nothing. */

export { type ErrorCode, OfflineSyncError } from "../core/errors.ts";
export { Collection, type Conflict, type DocumentChange, type Edit } from "./collection.ts";
export { type CollectionOptions, Documents, type DocumentsOptions, withDocuments } from "./documents.ts";
