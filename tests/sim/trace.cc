#include "sim/trace.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/limits.h"
#include "merge/json.h"

namespace oas::sim {
namespace {

using merge::Value;
using Kind = TraceEntry::Kind;

constexpr std::string_view kFormat = "offline-ai-sync/trace";
constexpr std::int64_t kStatusMin = 100;
constexpr std::int64_t kStatusMax = 599;
constexpr std::int64_t kRetryAfterMsMax = 24LL * 3'600 * 1'000;

// The place of a word is the value of its enumerator.
constexpr std::array<std::string_view, 6> kKinds{"opened", "killed", "call", "network", "request", "trap"};
constexpr std::array<std::string_view, kLaneCount> kLanes{"critical", "high", "normal", "low", "analytics"};
constexpr std::array<std::string_view, 4> kLevels{"memory", "durable", "strict", "replicated"};
constexpr std::array<std::string_view, 5> kNetworks{"online", "offline", "captive", "error", "unauthorized"};
constexpr std::array<std::string_view, 5> kWays{"answered", "request_lost", "reply_lost", "foreign", "status"};
constexpr std::array<std::string_view, 4> kVerdicts{"unknown", "applied", "rejected", "other"};
constexpr std::size_t kStrictLevel = 2;

// Reads the fields of one object; the first that is wrong stays named.
class Fields {
 public:
  Fields(const Value& object, std::string where) : object_(&object), where_(std::move(where)) {
    if (!object.is_object()) wrong_ = where_.empty() ? "the file" : where_;
  }

  std::int64_t number(std::string_view name, std::int64_t least, std::int64_t most) {
    const Value* value = object_->find(name);
    if (value == nullptr || !value->is_integer() || value->as_integer() < least || value->as_integer() > most) {
      refuse(name);
      return least;
    }
    return value->as_integer();
  }
  std::size_t word(std::string_view name, std::span<const std::string_view> words) {
    const Value* value = object_->find(name);
    const auto at = value == nullptr || !value->is_string() ? words.end() : std::ranges::find(words, value->text());
    if (at != words.end()) return static_cast<std::size_t>(at - words.begin());
    refuse(name);
    return 0;
  }
  bool flag(std::string_view name) {
    const Value* value = object_->find(name);
    if (value != nullptr && value->kind() == Value::Kind::kBool) return value->as_bool();
    refuse(name);
    return false;
  }
  [[nodiscard]] const std::optional<std::string>& wrong() const { return wrong_; }

 private:
  void refuse(std::string_view name) {
    if (!wrong_) wrong_ = (where_.empty() ? "" : where_ + ".") + std::string(name);
  }

  const Value* object_;
  std::string where_;
  std::optional<std::string> wrong_;
};

void read_call(Fields& fields, TraceEntry& entry) {
  entry.lane = static_cast<Lane>(fields.word("lane", kLanes));
  entry.strict = fields.word("level", kLevels) >= kStrictLevel;
  entry.entity = static_cast<std::uint32_t>(fields.number("entity", 0, kTraceEntriesMax));
  entry.json_bytes = static_cast<std::uint32_t>(fields.number("bytes", 1, kEventJsonBytesMax));
  entry.stored = fields.flag("stored");
  entry.verdict = static_cast<Seen>(fields.word("verdict", kVerdicts));
}

void read_request(Fields& fields, TraceEntry& entry) {
  entry.way = static_cast<Way>(fields.word("outcome", kWays));
  if (entry.way != Way::kStatus) return;
  entry.status = static_cast<std::uint16_t>(fields.number("status", kStatusMin, kStatusMax));
  entry.retry_after_ms = static_cast<std::uint32_t>(fields.number("retryAfterMs", 0, kRetryAfterMsMax));
}

TraceEntry read_entry(Fields& fields, std::int64_t since) {
  TraceEntry entry{};
  entry.kind = static_cast<Kind>(fields.word("kind", kKinds));
  entry.at = fields.number("at", since, kTraceMsMax);  // never back in time
  if (entry.kind == Kind::kCall) {
    read_call(fields, entry);
  } else if (entry.kind == Kind::kNetwork) {
    entry.network = static_cast<Network>(fields.word("mode", kNetworks));
  } else if (entry.kind == Kind::kRequest) {
    read_request(fields, entry);
  }
  return entry;
}

std::unexpected<TraceError> refused(ErrorCode code, std::string where) {
  return std::unexpected(TraceError{code, std::move(where)});
}

}  // namespace

std::expected<Trace, TraceError> read_trace(std::string_view text) {
  if (text.size() > kTraceBytesMax) return refused(ErrorCode::kLimit, "the file's size");
  const Result<Value> value = merge::parse_json(text);
  if (!value) return refused(value.error().code, "byte " + std::to_string(value.error().detail));
  Fields head(*value, "");
  (void)head.word("format", std::array{kFormat});
  const std::int64_t version = head.wrong() ? 0 : head.number("version", 0, UINT32_MAX);
  if (head.wrong()) return refused(ErrorCode::kMalformed, *head.wrong());
  if (version != kTraceVersion) return refused(ErrorCode::kUnknownVersion, "version");
  const Value* entries = value->find("entries");
  if (entries == nullptr || !entries->is_array()) return refused(ErrorCode::kMalformed, "entries");
  if (entries->items().size() > kTraceEntriesMax) return refused(ErrorCode::kLimit, "entries");
  Trace trace;
  for (const Value& item : entries->items()) {
    Fields fields(item, "entries[" + std::to_string(trace.entries.size()) + "]");
    if (!fields.wrong())
      trace.entries.push_back(read_entry(fields, trace.entries.empty() ? 0 : trace.entries.back().at));
    if (fields.wrong()) return refused(ErrorCode::kMalformed, *fields.wrong());
  }
  return trace;
}

}  // namespace oas::sim
