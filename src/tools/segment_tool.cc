#include "tools/segment_tool.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "tools/io.h"
#include "tools/json_members.h"
#include "wire/json_check.h"
#include "wire/segment.h"

namespace oas::tools {
namespace {

struct Options {
  StreamId stream{{1}, Lane::kNormal};
  Sequence first{1};
  RollingHash before;
  std::string type;  // not empty: every line is an event's JSON
};

int bad(std::string_view what, const Error& error) {
  write_text(
      std::string(what) + " " + std::string(error_info(error.code).name) + " " + std::to_string(error.detail) + "\n",
      stderr);
  return 1;
}

std::string hex(std::uint64_t value) {
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) text[15 - i] = "0123456789abcdef"[(value >> (4 * i)) & 15];
  return text;
}

bool read_number(std::string_view text, std::uint64_t& number, int base) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

bool read_lane(std::string_view text, Lane& lane) {
  std::uint64_t number = 0;
  if (!read_number(text, number, 10) || number >= kLaneCount) return false;
  lane = static_cast<Lane>(number);
  return true;
}

bool read_options(std::span<const std::string_view> arguments, Options& options) {
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string_view name = arguments[i];
    const std::string_view value = arguments[i + 1];
    if (name == "--type")
      options.type = value;
    else if (name == "--epoch"  ? !read_number(value, options.stream.epoch.value, 16)
             : name == "--lane" ? !read_lane(value, options.stream.lane)
                                : name != "--first" || !read_number(value, options.first.value, 10))
      return false;
  }
  return arguments.size() % 2 == 0 && options.first.value > 0;
}

// A member that may be missing. False when it is there in another form.
bool read_hex(const std::vector<Member>& members, std::string_view name, std::uint64_t& number) {
  const auto value = find(members, name);
  return !value || read_number(unquote(*value), number, 16);
}

// "epoch/lane/sequence"
std::optional<EventId> read_id(std::string_view text) {
  EventId id;
  const std::size_t a = text.find('/');
  const std::size_t b = text.find('/', a + 1);
  if (a == std::string_view::npos || b == std::string_view::npos) return std::nullopt;
  const bool good = read_number(text.substr(0, a), id.stream.epoch.value, 16) &&
                    read_lane(text.substr(a + 1, b - a - 1), id.stream.lane) &&
                    read_number(text.substr(b + 1), id.seq.value, 10);
  return good ? std::optional(id) : std::nullopt;
}

// One line's event with the strings its view needs.
struct Line {
  std::string type, module, entity, dedupe_key;
  wire::EventView event;
};

Result<void> read_event_line(const std::vector<Member>& members, Line& line) {
  const auto text = [&](std::string_view name) { return unquote(find(members, name).value_or("")); };
  line.type = text("type");
  line.module = text("module");
  line.entity = text("entity");
  line.dedupe_key = text("dedupeKey");
  const auto json = find(members, "json");
  if (!json || !read_hex(members, "hlc", line.event.hlc.value)) return fail(ErrorCode::kInvalidEnvelope);
  if (const auto replaces = find(members, "replaces")) {
    line.event.replaces = read_id(unquote(*replaces));
    if (!line.event.replaces) return fail(ErrorCode::kInvalidEnvelope);
  }
  line.event.json = as_bytes(*json);
  return {};
}

Result<void> read_head_line(const std::vector<Member>& members, Options& options) {
  const bool good = read_hex(members, "epoch", options.stream.epoch.value) &&
                    read_lane(find(members, "lane").value_or("2"), options.stream.lane) &&
                    read_number(find(members, "first").value_or("1"), options.first.value, 10) &&
                    read_hex(members, "hashBefore", options.before.value) && options.first.value > 0;
  return good ? Result<void>{} : fail(ErrorCode::kInvalidArgument);
}

class Encoder {
 public:
  explicit Encoder(const Options& options) : options_(options) {}

  Result<void> take(std::string_view text) {
    Line line;
    line.event.hlc = {hlc_.value + 1};
    if (!options_.type.empty()) {
      line.type = options_.type;
      line.event.json = as_bytes(text);
    } else {
      OAS_TRY(const std::vector<Member> members, split_object(text));
      if (!builder_ && find(members, "epoch")) return read_head_line(members, options_);
      OAS_CHECK(read_event_line(members, line));
    }
    line.event.type = line.type;
    line.event.module = line.module;
    line.event.entity = line.entity;
    line.event.dedupe_key = line.dedupe_key;
    OAS_CHECK(wire::check_envelope(line.event));
    OAS_CHECK(wire::check_json(line.event.json));
    if (!builder_) builder_.emplace(options_.stream, options_.first, options_.before);
    if (builder_->count() > 0 && !builder_->fits(line.event)) return fail(ErrorCode::kLimit, builder_->count());
    builder_->add(line.event);
    hlc_ = line.event.hlc;
    return {};
  }

  Result<Bytes> finish() {
    if (!builder_) return fail(ErrorCode::kInvalidArgument);
    std::vector<wire::SealedSegment> sealed = builder_->seal();
    if (sealed.size() != 1) return fail(ErrorCode::kLimit, sealed.size());
    return std::move(sealed[0].bytes);
  }

 private:
  Options options_;
  Hlc hlc_;
  std::optional<wire::SegmentBuilder> builder_;
};

int encode(const Options& options) {
  const Bytes input = read_all();
  std::string_view rest = as_text(input);
  Encoder encoder(options);
  for (std::uint64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    if (const auto taken = encoder.take(line); !taken) return bad("line " + std::to_string(number), taken.error());
  }
  const Result<Bytes> bytes = encoder.finish();
  if (!bytes) return bad("segment", bytes.error());
  write_all(*bytes);
  return 0;
}

std::string head_line(const wire::SegmentHead& head) {
  return "{\"epoch\":\"" + hex(head.stream.epoch.value) +
         "\",\"lane\":" + std::to_string(static_cast<int>(head.stream.lane)) +
         ",\"first\":" + std::to_string(head.first.value) + ",\"count\":" + std::to_string(head.count) +
         ",\"codec\":" + std::to_string(static_cast<int>(head.codec)) +
         ",\"jsonBytes\":" + std::to_string(head.json_bytes) + ",\"bodyBytes\":" + std::to_string(head.body_bytes) +
         ",\"storedBytes\":" + std::to_string(head.stored_bytes) +
         ",\"entities\":" + std::to_string(head.entities.size()) + ",\"hashBefore\":\"" + hex(head.hash_before.value) +
         "\",\"hashAfter\":\"" + hex(head.hash_after.value) + "\"}\n";
}

std::string row_line(const wire::RowCursor::Row& row) {
  const wire::EventView& event = row.event;
  std::string line = "{\"seq\":" + std::to_string(row.seq.value) + ",\"hlc\":\"" + hex(event.hlc.value) +
                     "\",\"type\":" + quote(event.type);
  if (!event.module.empty()) line += ",\"module\":" + quote(event.module);
  if (!event.entity.empty()) line += ",\"entity\":" + quote(event.entity);
  if (!event.dedupe_key.empty()) line += ",\"dedupeKey\":" + quote(event.dedupe_key);
  if (event.replaces) {
    line += ",\"replaces\":\"" + hex(event.replaces->stream.epoch.value) + "/" +
            std::to_string(static_cast<int>(event.replaces->stream.lane)) + "/" +
            std::to_string(event.replaces->seq.value) + "\"";
  }
  if (const auto checked = wire::check_json(event.json); !checked)
    return line + ",\"refused\":\"" + std::string(error_info(checked.error().code).name) + "\"}\n";
  std::string json(as_text(event.json));
  // In valid JSON a bare line break is only ever space between tokens.
  std::replace_if(json.begin(), json.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return line + ",\"json\":" + json + "}\n";
}

int decode() {
  const Bytes input = read_all();
  const Result<wire::SegmentView> segment = wire::open_segment(input);
  if (!segment) return bad("segment", segment.error());
  write_text(head_line(segment->head));
  Bytes rows;
  if (const auto decoded = wire::decode_rows(*segment, rows); !decoded) return bad("segment", decoded.error());
  wire::RowCursor cursor(segment->head, rows);
  while (!cursor.done()) {
    const auto row = cursor.next();
    if (!row) return bad("row", row.error());
    write_text(row_line(*row));
  }
  return 0;
}

}  // namespace

int segment(std::span<const std::string_view> arguments) {
  if (arguments.size() == 1 && arguments[0] == "decode") return decode();
  Options options;
  if (!arguments.empty() && arguments[0] == "encode" && read_options(arguments.subspan(1), options))
    return encode(options);
  write_text("usage: oas segment encode [--epoch HEX] [--lane 0..4] [--first N] [--type TYPE] | oas segment decode\n",
             stderr);
  return 2;
}

}  // namespace oas::tools
