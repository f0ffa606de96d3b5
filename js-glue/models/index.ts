/** `offline-ai-sync/models`: five models, learning on the device, other runtimes, signed updates. Importing loads nothing. */

export { type ErrorCode, OfflineSyncError } from "../core/errors.ts";
export type { DeviceCaps, Metric, ModelStatement, Rollout } from "../core/model-statement.ts";
export * from "../runtimes/index.ts";
export {
  createModels,
  type EngineForModels,
  type Models,
  type ModelsOptions,
  type PersonalContext,
  type SingleAnswer,
  withModels,
} from "./client.ts";
export { coldStart, type Titles } from "./cold-start.ts";
export type { FittedCollection, FittedIntent } from "./fitted.ts";
export type { ItemRecommendation, PersonalDecision, RecommendQuery } from "./learned.ts";
export { type Manifest, type ManifestEntry, readManifest, type Verifier } from "./manifest.ts";
export { ModelStore, type StoredModel } from "./model-store.ts";
export { fetchRegistry, type RegistryOptions, webVerifier } from "./registry.ts";
export { ModelUpdater, type Registry, type UpdateReport } from "./updater.ts";
export { type PredictMessage, predictInWorker, type WorkerAnswer } from "./worker-client.ts";
