#include "tools/segment_tool.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "tools/io.h"
#include "wire/json_check.h"
#include "wire/segment.h"

namespace oas::tools {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::uint64_t epoch = 1;
  std::uint32_t lane = 2;
  std::uint64_t first = 1;
};

bool read_options(std::span<const std::string_view> arguments, Options& options) {
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string value(arguments[i + 1]);
    if (arguments[i] == "--epoch")
      options.epoch = std::strtoull(value.c_str(), nullptr, 16);
    else if (arguments[i] == "--lane")
      options.lane = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    else if (arguments[i] == "--first")
      options.first = std::strtoull(value.c_str(), nullptr, 10);
    else
      return false;
  }
  return arguments.size() % 2 == 0 && options.lane < kLaneCount && options.first > 0;
}

int bad(std::string_view what, const Error& error) {
  write_text(
      std::string(what) + " " + std::string(error_info(error.code).name) + " " + std::to_string(error.detail) + "\n",
      stderr);
  return 1;
}

std::string text_of(const Json& line, const char* name) {
  const auto at = line.find(name);
  return at != line.end() && at->is_string() ? at->get<std::string>() : std::string();
}

int encode(const Options& options) {
  const Bytes input = read_all();
  wire::SegmentBuilder builder({{options.epoch}, static_cast<Lane>(options.lane)}, {options.first}, {});
  std::string_view rest = as_text(input);
  for (std::uint64_t number = 1; !rest.empty(); ++number) {
    const std::string_view text = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), text.size() + 1));
    if (text.empty()) continue;
    const Json line = Json::parse(text, nullptr, false);
    if (line.is_discarded() || !line.is_object() || !line.contains("json"))
      return bad("line", {ErrorCode::kInvalidJson, number});
    const std::string type = text_of(line, "type");
    const std::string module = text_of(line, "module");
    const std::string entity = text_of(line, "entity");
    const std::string key = text_of(line, "dedupeKey");
    const std::string json = line["json"].dump();
    const std::uint64_t hlc =
        line.contains("hlc") && line["hlc"].is_number_unsigned() ? line["hlc"].get<std::uint64_t>() : number;
    const wire::EventView event{{hlc}, type, module, entity, key, {}, as_bytes(json)};
    if (const auto checked = wire::check_envelope(event); !checked) return bad("line", checked.error());
    if (const auto checked = wire::check_json(event.json); !checked) return bad("line", checked.error());
    if (!builder.fits(event) && builder.count() > 0) return bad("segment", {ErrorCode::kLimit, number});
    builder.add(event);
  }
  if (builder.count() == 0) return bad("segment", {ErrorCode::kInvalidArgument});
  const auto sealed = builder.seal();
  if (sealed.size() != 1) return bad("segment", {ErrorCode::kLimit, sealed.size()});
  write_all(sealed[0].bytes);
  return 0;
}

std::string hex(std::uint64_t value) {
  std::string text(16, '0');
  for (std::size_t i = 0; i < 16; ++i) text[15 - i] = "0123456789abcdef"[(value >> (4 * i)) & 15];
  return text;
}

int decode() {
  const Bytes input = read_all();
  const Result<wire::SegmentView> segment = wire::open_segment(input);
  if (!segment) return bad("segment", segment.error());
  const wire::SegmentHead& head = segment->head;
  write_text("{\"epoch\":\"" + hex(head.stream.epoch.value) + "\",\"lane\":" +
             std::to_string(static_cast<int>(head.stream.lane)) + ",\"first\":" + std::to_string(head.first.value) +
             ",\"count\":" + std::to_string(head.count) + ",\"codec\":" + std::to_string(static_cast<int>(head.codec)) +
             ",\"bodyBytes\":" + std::to_string(head.body_bytes) +
             ",\"storedBytes\":" + std::to_string(head.stored_bytes) + ",\"hashBefore\":\"" +
             hex(head.hash_before.value) + "\",\"hashAfter\":\"" + hex(head.hash_after.value) + "\"}\n");
  Bytes rows;
  if (const auto decoded = wire::decode_rows(*segment, rows); !decoded) return bad("segment", decoded.error());
  wire::RowCursor cursor(head, rows);
  while (!cursor.done()) {
    const auto row = cursor.next();
    if (!row) return bad("row", row.error());
    write_text("{\"seq\":" + std::to_string(row->seq.value) + ",\"hlc\":" + std::to_string(row->event.hlc.value) +
               ",\"type\":" + Json(std::string(row->event.type)).dump() +
               ",\"module\":" + Json(std::string(row->event.module)).dump() +
               ",\"entity\":" + Json(std::string(row->event.entity)).dump() +
               ",\"json\":" + std::string(as_text(row->event.json)) + "}\n");
  }
  return 0;
}

}  // namespace

int segment(std::span<const std::string_view> arguments) {
  if (!arguments.empty() && arguments[0] == "decode" && arguments.size() == 1) return decode();
  Options options;
  if (!arguments.empty() && arguments[0] == "encode" && read_options(arguments.subspan(1), options))
    return encode(options);
  write_text("usage: oas segment encode [--epoch HEX] [--lane 0..4] [--first N] | oas segment decode\n", stderr);
  return 2;
}

}  // namespace oas::tools
