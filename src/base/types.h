// Identities and quantities that must never be confused with one another.
//
// A Strong value has no arithmetic of its own: whoever computes takes `.value`, on purpose and visibly.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

namespace oas {

template <class Tag, class Rep>
struct Strong {
  Rep value{};
  friend auto operator<=>(const Strong&, const Strong&) = default;
};

// hash128(install id, tenant, subject): one shared tablet is one device per user. Made by the host.
using DeviceId = Strong<struct DeviceIdTag, std::array<std::uint8_t, 16>>;
// Random 64 bits, minted when an engine numbers its first event; never read back to continue it.
using Epoch = Strong<struct EpochTag, std::uint64_t>;
// Position in a stream, dense from 1; 0 means "nothing yet".
using Sequence = Strong<struct SequenceTag, std::uint64_t>;
// Chained hash over the bytes of all events of a stream up to a position; {0} before the first.
using RollingHash = Strong<struct RollingHashTag, std::uint64_t>;
// Wall-clock or monotonic milliseconds; every name says which.
using Millis = Strong<struct MillisTag, std::int64_t>;
// Hybrid logical clock: 48 bits of milliseconds since 1970, then a 16-bit counter.
using Hlc = Strong<struct HlcTag, std::uint64_t>;

// Urgency and stream at once. Smaller is more urgent. `analytics` is the block lane.
enum class Lane : std::uint8_t { kCritical = 0, kHigh = 1, kNormal = 2, kLow = 3, kAnalytics = 4 };
inline constexpr std::uint32_t kLaneCount = 5;

// One dense sequence of events of one device.
struct StreamId {
  Epoch epoch;
  Lane lane{Lane::kNormal};
  friend auto operator<=>(const StreamId&, const StreamId&) = default;
};

// 128 bits on the wire (epoch, lane, sequence), derivable from a segment head, so it costs no bytes in a batch.
struct EventId {
  StreamId stream;
  Sequence seq;
  friend auto operator<=>(const EventId&, const EventId&) = default;
};

// How far a stream has come. Never travels without the verdicts it passed (docs/protocol.md).
struct Watermark {
  Sequence seq;
  RollingHash hash;
  friend auto operator<=>(const Watermark&, const Watermark&) = default;
};

// When a server installation came into being. Clients accept only a greater one.
struct Incarnation {
  Millis minted_at;
  std::uint64_t random{};
  friend auto operator<=>(const Incarnation&, const Incarnation&) = default;
};

// What a resolved promise means, weakest first.
enum class Durability : std::uint8_t { kMemory = 0, kDurable = 1, kStrict = 2, kReplicated = 3 };

}  // namespace oas
