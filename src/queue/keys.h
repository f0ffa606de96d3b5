// The client's storage layout: which record stands under which key. Keys sort bytewise; numbers are big-endian.
//
//   'm' 'g'                                    genesis: proves the database is not a fresh, emptied one
//   'm' 'l'                                    lease of the draining context
//   'm' 'r'                                    retry state: attempts, next attempt
//   'm' 's'                                    server: incarnation, late cursor, horizon
//   'm' 'f'                                    totals of folded epochs
//   'm' 'e' epoch                              totals of one epoch; written by its own context only
//   'm' 'w' epoch lane                         watermark of one stream, with counts; written under `expect`
//   'm' 't' epoch                              guard: the context's last transaction
//   's' 'p' lane hlc epoch first last          a pending segment
//   's' 'e' lane hlc epoch first last          the entity hashes of that segment, when it has any
//   's' 'd' epoch lane first last              a segment whose deferred events await their final verdict
//   's' 't' server_ms lane hlc epoch first last  settling: acknowledged, kept for a server restored from backup
//   's' 'j' epoch n                            journal of the JavaScript path, not yet taken over
//   'x' epoch lane seq                         a dead letter
//
// The first byte is the IndexedDB object store: m = meta, s = segments, x = deadletters.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"

namespace oas::queue {

struct SegmentKey {
  Hlc hlc;  // of its first event
  StreamId stream;
  Sequence first;
  Sequence last;
  friend auto operator<=>(const SegmentKey&, const SegmentKey&) = default;  // send order within a lane set
};

[[nodiscard]] Bytes genesis_key();
[[nodiscard]] Bytes lease_key();
[[nodiscard]] Bytes retry_key();
[[nodiscard]] Bytes server_key();
[[nodiscard]] Bytes folded_key();
[[nodiscard]] Bytes epoch_key(Epoch epoch);
[[nodiscard]] Bytes watermark_key(StreamId stream);
[[nodiscard]] Bytes guard_key(Epoch context);
[[nodiscard]] Bytes pending_key(const SegmentKey& key);
[[nodiscard]] Bytes entities_key(const SegmentKey& key);
[[nodiscard]] Bytes deferred_key(const SegmentKey& key);
[[nodiscard]] Bytes settling_key(Millis server_time, const SegmentKey& key);
[[nodiscard]] Bytes journal_key(Epoch epoch, std::uint32_t n);
[[nodiscard]] Bytes dead_letter_key(const EventId& event);

[[nodiscard]] Bytes pending_lane_prefix(Lane lane);
[[nodiscard]] Bytes entities_lane_prefix(Lane lane);
// The least key greater than every key that starts with `prefix`.
[[nodiscard]] Bytes after_prefix(Bytes prefix);
// The least key greater than `key`.
[[nodiscard]] Bytes after_key(Bytes key);

// For 's' 'p', 's' 'e' and 's' 't' keys. Errors: kMalformed.
Result<SegmentKey> read_segment_key(ByteView key);
Result<StreamId> read_watermark_key(ByteView key);

}  // namespace oas::queue
