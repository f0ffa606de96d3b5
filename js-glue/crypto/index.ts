/** Keys and sealed records: what the content cache uses, open to the application's own records. */
export { type Cabinet, MemoryCabinet } from "./cabinet.ts";
export { type KeyMode, KeyRing, PBKDF2_ROUNDS, RECORDS_PER_KEY_MAX } from "./key-ring.ts";
export { rotate, type SealedRecord, type SealedRecords } from "./rotation.ts";
export type { Place } from "./seal.ts";
