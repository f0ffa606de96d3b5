/**
 * What the engine needs from the world around it. Hosts implement these; tests replace them.
 *
 * A port may reject: the turn loop makes an input of every rejection, so nothing above it can throw.
 */

export type Level = "memory" | "durable" | "strict";

/** One record of storage. */
export interface StoredRecord {
  /** The whole key; its first byte names the object store. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Half open: from `from` up to, not including, `to`. */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** Must hold inside the transaction, or nothing is written. */
export interface Expectation {
  readonly kind: "absent" | "present" | "equals";
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** What one transaction writes. */
export interface WriteBatch {
  readonly level: Level;
  readonly expects: readonly Expectation[];
  readonly deletes: readonly KeyRange[];
  readonly puts: readonly StoredRecord[];
  /** Written like a put. Found in place after a lost connection, it proves that the batch was written. */
  readonly guard?: StoredRecord | undefined;
}

/** Durable, ordered key-value storage. One writer at a time; readers see whole transactions only. */
export interface Store {
  /**
   * All or nothing; deletes come before puts. Resolves only when the data survives what `level` names. Rejects with an
   * OfflineSyncError: `storage_conflict` = an expectation failed; `storage_unknown` = the connection was lost and it is
   * not known whether the batch was written; any other code = certainly not written.
   */
  commit(batch: WriteBatch): Promise<void>;
  /** In key order, at most `limit`; fewer mean the end of the range. A record that cannot be read is left out. */
  scan(range: KeyRange, limit: number): Promise<readonly StoredRecord[]>;
  close(): void;
}

/** One request to the sync server, as bytes. */
export interface TransportRequest {
  /** A pull carries no items. */
  readonly pull: boolean;
  readonly body: Uint8Array;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** An answer, whoever gave it. */
export interface TransportReply {
  readonly status: number;
  readonly retryAfterMs: number;
  readonly body: Uint8Array;
}

/** Carries one request to the sync server. Any answer resolves, whoever gave it; no answer rejects. */
export interface Transport {
  /** Rejects when there was no answer. */
  send(request: TransportRequest): Promise<TransportReply>;
  /** The credential in hand was refused: get another one before the next request. Resolves false when there is none. */
  renew(): Promise<boolean>;
}

/** Time, of both kinds, and alarms. */
export interface Clock {
  /** Milliseconds that only grow; drives every timer. */
  mono(): number;
  /** Milliseconds since 1970. Data: may jump either way. */
  wall(): number;
  /** Calls `ring` once, no earlier than `mono()` reaches `at`; the result cancels it. */
  alarm(at: number, ring: () => void): () => void;
}

/** Unpredictable bytes. */
export interface Random {
  /** So many of them. */
  bytes(count: number): Uint8Array;
}

/** Reaches the other contexts of this device, if it can: messages may be lost, never altered. */
export interface Channel {
  /** To all other contexts; may be lost. */
  post(bytes: Uint8Array): void;
  /** At most one listener; it never gets what its own context posted. */
  listen(heard: (bytes: Uint8Array) => void): void;
  close(): void;
}

/** Tells the contexts of this device of each other's end, if the host can. A hint: who lives may be called gone. */
export interface Presence {
  /** This context lives, under this number and no earlier one. */
  here(epoch: bigint): void;
  /** Calls `gone` once when the context with this number is no longer there. Replaces the one before. */
  follow(owner: bigint, gone: () => void): void;
  close(): void;
}

/** Hashing for the device id. */
export interface Crypto {
  sha256(bytes: Uint8Array): Promise<Uint8Array>;
}

/** One instance of the compiled core. Each call's view is dead after the next call. */
export interface Core {
  /** Room for exactly `bytes` bytes of input block, to be filled before `step`. */
  input(bytes: number): Uint8Array;
  /** Consumes the input block; the outputs as one block. Throws when the instance has trapped: drop it then. */
  step(monoMs: number, wallMs: number): Uint8Array;
  delete(): void;
}

/** Makes a fresh instance; called again after a trap, so it must not fetch anything twice. */
export type CreateCore = () => Promise<Core>;
