// Made from src/base/error_codes.def by scripts/gen-errors.mjs. Do not edit.

/** Who has to act. */
export type Fault = "caller" | "peer" | "environment" | "bug";

/** Every error code this library can report. A number or a code is never given to another error. */
export type ErrorCode =
  | "invalid_json"
  | "invalid_utf8"
  | "lone_surrogate"
  | "too_deep"
  | "event_too_large"
  | "too_many_keys"
  | "unsupported_value"
  | "unknown_priority"
  | "invalid_envelope"
  | "invalid_argument"
  | "duplicate_key"
  | "queue_full"
  | "closed"
  | "not_found"
  | "truncated"
  | "malformed"
  | "checksum"
  | "version_not_supported"
  | "limit_exceeded"
  | "unknown_codec"
  | "undecodable"
  | "foreign_reply"
  | "missing_dictionary"
  | "signature"
  | "expired"
  | "storage_quota"
  | "storage_failed"
  | "storage_unknown"
  | "storage_conflict"
  | "offline"
  | "server_busy"
  | "unauthorized"
  | "forbidden"
  | "storage_lost"
  | "storage_blocked"
  | "wasm_blocked"
  | "runtime_unavailable"
  | "key_locked"
  | "wrong_key"
  | "key_missing"
  | "seal_broken"
  | "rejected"
  | "gap"
  | "epoch_fork"
  | "rewound"
  | "duplicate"
  | "deferred"
  | "lost"
  | "discarded"
  | "replaced"
  | "erased"
  | "too_many_deferred"
  | "unknown_device"
  | "sampled"
  | "consent"
  | "not_a_member"
  | "read_only"
  | "invalid_document"
  | "unique_violation"
  | "cursor_expired"
  | "already_exists"
  | "stale_edit"
  | "internal"
  | "poison";

export interface ErrorInfo {
  readonly number: number;
  readonly code: ErrorCode;
  readonly fault: Fault;
  readonly retryable: boolean;
}

const FAULTS: readonly Fault[] = ["caller", "peer", "environment", "bug"];

// number, code, fault, retryable
const ROWS: readonly (readonly [number, ErrorCode, number, 0 | 1])[] = [
  [100, "invalid_json", 0, 0],
  [101, "invalid_utf8", 0, 0],
  [102, "lone_surrogate", 0, 0],
  [103, "too_deep", 0, 0],
  [104, "event_too_large", 0, 0],
  [105, "too_many_keys", 0, 0],
  [106, "unsupported_value", 0, 0],
  [107, "unknown_priority", 0, 0],
  [108, "invalid_envelope", 0, 0],
  [109, "invalid_argument", 0, 0],
  [110, "duplicate_key", 0, 0],
  [111, "queue_full", 0, 1],
  [112, "closed", 0, 0],
  [113, "not_found", 0, 0],
  [200, "truncated", 1, 0],
  [201, "malformed", 1, 0],
  [202, "checksum", 1, 0],
  [203, "version_not_supported", 1, 0],
  [204, "limit_exceeded", 1, 0],
  [205, "unknown_codec", 1, 0],
  [206, "undecodable", 1, 0],
  [207, "foreign_reply", 1, 1],
  [208, "missing_dictionary", 1, 0],
  [209, "signature", 1, 0],
  [210, "expired", 1, 0],
  [300, "storage_quota", 2, 1],
  [301, "storage_failed", 2, 1],
  [302, "storage_unknown", 2, 1],
  [303, "storage_conflict", 2, 1],
  [304, "offline", 2, 1],
  [305, "server_busy", 2, 1],
  [306, "unauthorized", 2, 1],
  [307, "forbidden", 2, 1],
  [308, "storage_lost", 2, 0],
  [309, "storage_blocked", 2, 1],
  [310, "wasm_blocked", 2, 0],
  [311, "runtime_unavailable", 2, 0],
  [320, "key_locked", 2, 1],
  [321, "wrong_key", 0, 0],
  [322, "key_missing", 2, 0],
  [323, "seal_broken", 2, 0],
  [400, "rejected", 1, 0],
  [401, "gap", 1, 0],
  [402, "epoch_fork", 1, 0],
  [403, "rewound", 1, 0],
  [404, "duplicate", 1, 0],
  [405, "deferred", 1, 1],
  [406, "lost", 2, 0],
  [407, "discarded", 0, 0],
  [408, "replaced", 0, 0],
  [409, "erased", 1, 0],
  [410, "too_many_deferred", 1, 1],
  [411, "unknown_device", 1, 0],
  [412, "sampled", 2, 0],
  [413, "consent", 0, 0],
  [414, "not_a_member", 1, 0],
  [415, "read_only", 1, 0],
  [416, "invalid_document", 1, 0],
  [417, "unique_violation", 1, 0],
  [418, "cursor_expired", 1, 0],
  [419, "already_exists", 0, 0],
  [420, "stale_edit", 1, 0],
  [500, "internal", 3, 1],
  [501, "poison", 3, 0],
];

/** The table, in order of number. */
export const ERRORS: readonly ErrorInfo[] = /* @__PURE__ */ ROWS.map(([number, code, fault, retryable]) => ({
  number,
  code,
  fault: FAULTS[fault] ?? "bug",
  retryable: retryable === 1,
}));

/** Looks an error up by its code or by its number; undefined for one that this build does not know. */
export function errorInfo(key: ErrorCode | number): ErrorInfo | undefined {
  return ERRORS.find((error) => error.code === key || error.number === key);
}
