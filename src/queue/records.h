// The small records of the meta store, and dead letters: what they hold and their bytes.
//
// Every record starts with a format version; a version this build does not know is never overwritten (kUnknownVersion).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "base/types.h"

namespace oas::queue {

// What one epoch has numbered. Written by the context that owns the epoch, in the transaction that stores the events;
// by another one only when it takes a journal over or re-numbers a fork.
struct EpochTotals {
  std::array<std::uint64_t, kLaneCount> last{};  // highest number per lane
  std::array<RollingHash, kLaneCount> hash{};  // the stream's hash after it
  Hlc hlc;  // of the newest event
  friend bool operator==(const EpochTotals&, const EpochTotals&) = default;
};

// After the server lost what it had acknowledged (a restored backup), a stream first learns the server's mark and verdicts
// again (kCompare); then numbers nobody holds any more may be given up (kCompared).
enum class Rewind : std::uint8_t { kNone = 0, kCompare = 1, kCompared = 2 };

// How far the server has acknowledged one stream, with what became of the events it passed.
struct StreamMark {
  Watermark mark;
  std::uint64_t rejected{};  // dead letters ever made, not those still lying there
  std::uint64_t voided{};
  std::uint64_t deferred{};  // passed, final verdict still open
  Millis acked_at;  // server time of the newest acknowledgement; folded once the horizon has passed it
  Rewind rewind{};
  [[nodiscard]] std::uint64_t applied() const { return mark.seq.value - rejected - voided - deferred; }
};

// Who drains. Stale when `stamp` has not changed for kLeaseStaleMs of the observer's monotonic time.
struct Lease {
  Epoch owner;
  std::uint64_t stamp{};
};

struct RetryState {
  std::uint32_t attempts{};
  Millis next_at;  // wall clock; whoever reads it caps it at now + the greatest delay
};

struct ServerState {
  Incarnation incarnation;
  std::uint64_t late_seen{};
  Millis horizon;  // server time
  bool verify{};  // the incarnation changed: all streams must be compared before anything is believed settled
  Millis
      verified_at;  // server time of the last such comparison; only a later backup is known to hold what was acked before
};

// Totals of epochs whose own records were folded away.
struct FoldedTotals {
  std::uint64_t created{};
  std::uint64_t applied{};
  std::uint64_t rejected{};
  std::uint64_t voided{};
};

struct DeadLetter {
  std::uint16_t code{};
  Millis at;  // wall clock
  Bytes event;  // canonical bytes (wire/event.h)
};

// A run of numbers given up, standing in a pending segment's place until the server has passed it. Checksummed, as a segment
// is: a damaged one is given up once more.
struct HoleRecord {
  std::uint8_t reason{};  // sync::VoidReason
  RollingHash before;
  RollingHash after;
};

[[nodiscard]] Bytes write_record(const EpochTotals& record);
[[nodiscard]] Bytes write_record(const StreamMark& record);
[[nodiscard]] Bytes write_record(const Lease& record);
[[nodiscard]] Bytes write_record(const RetryState& record);
[[nodiscard]] Bytes write_record(const ServerState& record);
[[nodiscard]] Bytes write_record(const FoldedTotals& record);
[[nodiscard]] Bytes write_record(const DeadLetter& record);
[[nodiscard]] Bytes write_record(const HoleRecord& record);

// T is one of the records above. Errors: kTruncated, kMalformed, kLimit, kUnknownVersion; of a hole also kChecksum.
template <class T>
Result<T> read_record(ByteView bytes);

// True for the bytes of a HoleRecord, false for those of a segment.
[[nodiscard]] bool is_hole(ByteView bytes);

}  // namespace oas::queue
