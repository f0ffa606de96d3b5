// Every bound of the core, by name. A queue, batch, message, loop or recursion without one here is a defect.
#pragma once

#include <cstdint>

namespace oas {

// One event and one JSON value
inline constexpr std::uint32_t kEventJsonBytesMax = 40'000;
inline constexpr std::uint32_t kJsonDepthMax = 64;
inline constexpr std::uint32_t kJsonKeysMax = 10'000;
inline constexpr std::uint32_t kEnvelopeFieldBytesMax = 256;

// One segment: the unit of storage and of the wire
inline constexpr std::uint32_t kSegmentStoredBytesMax = 48'000;
inline constexpr std::uint32_t kSegmentEventsMax = 1'000;
inline constexpr std::uint32_t kSegmentJsonBytesMax = 512'000;
inline constexpr std::uint32_t kCompressionRatioMax = 64;

// One push and its answer
inline constexpr std::uint32_t kPushBytesMax = 1'000'000;         // decoded body as sent
inline constexpr std::uint32_t kPushDecodedBytesMax = 8'000'000;  // after lz4, over all segments
inline constexpr std::uint32_t kPushItemsMax = 1'000;
inline constexpr std::uint32_t kBlockGroupsMax = 64;  // kinds of events (type and module) of one analytics block
inline constexpr std::uint32_t kPushStreamsMax = 256;
inline constexpr std::uint32_t kPushDepsMax = 4'096;
inline constexpr std::uint32_t kVerdictsMax = 1'000;
inline constexpr std::uint32_t kDeferredPerDeviceMax = 1'000;

// One engine
inline constexpr std::uint32_t kWaitingEventsMax = 100'000;          // accepted, not yet in a transaction
inline constexpr std::uint64_t kWaitingBytesMax = 64'000'000;
inline constexpr std::uint32_t kTransactionEventsMax = 10'000;
inline constexpr std::uint32_t kTransactionBytesMax = 4'000'000;
inline constexpr std::uint32_t kLoadRecordsMax = 256;
inline constexpr std::uint32_t kRecordBytesMax = 48'000;
inline constexpr std::int64_t kClockAheadMsMax = 60'000;
inline constexpr std::int64_t kLeaseStaleMs = 10'000;

// Acknowledged events kept for a restored server
inline constexpr std::int64_t kSettlingMsMax = 7LL * 24 * 3600 * 1000;
inline constexpr std::uint64_t kSettlingBytesMax = 16'000'000;

}  // namespace oas
