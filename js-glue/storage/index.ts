/**
 * offline-ai-sync/storage: one look at how full the origin's storage is, for everything that lives in it, and what gives way
 * at which point: cached content, then analytics, then new bulk work. What is queued never does (src/device/ladder.h).
 */

export { RUNGS, type Rung, type StorageOptions, type StorageStatus, StorageWatch, watchStorage } from "./watch.ts";
