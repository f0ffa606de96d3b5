// What the devtools saw of one page, as the file that their "Export trace" writes (docs/testing.md has its fields).
//
// The file comes from anywhere: it is read whole or refused, and the refusal says what is wrong, and where.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/types.h"

namespace oas::sim {

inline constexpr std::uint32_t kTraceVersion = 1;
inline constexpr std::size_t kTraceBytesMax = 1'000'000;
inline constexpr std::size_t kTraceEntriesMax = 5'000;
inline constexpr std::int64_t kTraceMsMax = 24LL * 3'600 * 1'000;

// How the network was switched.
enum class Network : std::uint8_t { kOnline, kOffline, kCaptive, kError, kUnauthorized };
// What became of one request.
enum class Way : std::uint8_t { kAnswered, kRequestLost, kReplyLost, kForeign, kStatus };
enum class Seen : std::uint8_t { kUnknown, kApplied, kRejected, kOther };

struct TraceEntry {
  enum class Kind : std::uint8_t { kOpened, kKilled, kCall, kNetwork, kRequest, kTrap };
  Kind kind{};
  std::int64_t at{};  // ms since the trace began

  // kCall
  Lane lane{};
  bool strict{};
  std::uint32_t entity{};  // 0 = none
  std::uint32_t json_bytes{};
  bool stored{};
  Seen verdict{};

  Network network{};  // kNetwork

  // kRequest
  Way way{};
  std::uint16_t status{};
  std::uint32_t retry_after_ms{};
};

struct Trace {
  std::vector<TraceEntry> entries;  // in the order of time
};

struct TraceError {
  ErrorCode code{};
  std::string where;  // such as entries[3].lane
};

// Errors: kLimit (size, entries, time), kUnknownVersion, kMalformed (a field), and those of merge::parse_json.
std::expected<Trace, TraceError> read_trace(std::string_view text);

}  // namespace oas::sim
