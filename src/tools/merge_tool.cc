#include "tools/merge_tool.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "merge/json.h"
#include "merge/three_way.h"
#include "tools/io.h"

namespace oas::tools {
namespace {

using merge::MaybeValue;
using merge::Value;

constexpr int kManual = 2;
constexpr int kBadInput = 1;
constexpr int kBadUsage = 64;

struct Options {
  std::vector<std::string> files;
  std::string schema;
  std::string policy;
  std::string records;
  bool lines = false;
  std::uint32_t indent = 2;
  merge::ThreeWayOptions merge;
};

int bad(std::string_view what, const Error& error) {
  write_text(
      std::string(what) + " " + std::string(error_info(error.code).name) + " " + std::to_string(error.detail) + "\n",
      stderr);
  return kBadInput;
}

bool read_side(std::string_view text, std::uint8_t& side) {
  side = text == "ours" ? 1 : text == "theirs" ? 2 : 0;
  return side != 0;
}

bool read_option(std::string_view name, std::string_view value, Options& options) {
  if (name == "--schema")
    options.schema = value;
  else if (name == "--policy")
    options.policy = value;
  else if (name == "--records")
    options.records = value;
  else if (name == "--first")
    return read_side(value, options.merge.first_at_server);
  else if (name == "--later")
    return read_side(value, options.merge.later);
  else if (name == "--indent" && value.size() == 1 && value[0] >= '0' && value[0] <= '8')
    options.indent = static_cast<std::uint32_t>(value[0] - '0');
  else
    return false;
  return true;
}

bool read_options(std::span<const std::string_view> arguments, Options& options) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--lines") {
      options.lines = true;
    } else if (!arguments[i].starts_with("--")) {
      options.files.emplace_back(arguments[i]);
    } else if (i + 1 == arguments.size() || !read_option(arguments[i], arguments[i + 1], options)) {
      return false;
    } else {
      ++i;
    }
  }
  return options.files.size() == (options.lines ? 0 : 3);
}

Result<MaybeValue> read_document(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return fail(ErrorCode::kInvalidJson);
  const Bytes bytes = read_all(file);
  (void)std::fclose(file);
  const std::string_view text = as_text(bytes);
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return MaybeValue();
  OAS_TRY(Value value, merge::parse_json(text));
  return MaybeValue(std::move(value));
}

Result<void> read_rules(Options& options) {
  std::vector<merge::Member> members;
  if (!options.schema.empty()) {
    OAS_TRY(const MaybeValue schema, read_document(options.schema));
    if (!schema || !schema->is_object()) return fail(ErrorCode::kUnsupportedValue);
    members = schema->members();
  }
  const bool has_root = !members.empty() && members.front().key.empty();
  if (!options.policy.empty() && !has_root) members.insert(members.begin(), {"", Value::string(options.policy)});
  OAS_TRY(options.merge.rules, merge::Rules::parse(Value::object(std::move(members))));
  return {};
}

int code_of(const std::vector<merge::Record>& records) {
  const bool manual = std::any_of(records.begin(), records.end(), [](const merge::Record& record) {
    return record.cls == merge::ConflictClass::kManual || record.cls == merge::ConflictClass::kFailed;
  });
  return manual ? kManual : 0;
}

int merge_files(const Options& options) {
  std::vector<MaybeValue> sides;
  for (const std::string& path : options.files) {
    auto side = read_document(path);
    if (!side) return bad(path, side.error());
    sides.push_back(std::move(*side));
  }
  const auto merged = merge::merge_three_way(sides[0], sides[1], sides[2], options.merge);
  if (!merged) return bad("merge", merged.error());
  if (merged->shown.value) write_text(merge::to_json(*merged->shown.value, options.indent) + "\n");
  std::FILE* out = options.records.empty() ? stderr : std::fopen(options.records.c_str(), "wb");
  if (out == nullptr) return bad(options.records, Error{ErrorCode::kUnsupportedValue, 0});
  for (const merge::Record& record : merged->shown.records) write_text(merge::record_json(record) + "\n", out);
  if (out != stderr) (void)std::fclose(out);
  return code_of(merged->shown.records);
}

MaybeValue member_of(const Value& object, std::string_view key) {
  const Value* value = object.find(key);
  return value;
}

int merge_lines(const Options& options) {
  const Bytes input = read_all();
  std::string_view rest = as_text(input);
  int code = 0;
  for (std::uint64_t number = 1; !rest.empty(); ++number) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto sides = merge::parse_json(line);
    if (!sides) return bad("line " + std::to_string(number), sides.error());
    const auto merged = merge::merge_three_way(member_of(*sides, "base"), member_of(*sides, "ours"),
                                               member_of(*sides, "theirs"), options.merge);
    if (!merged) return bad("line " + std::to_string(number), merged.error());
    std::string out = "{";
    if (merged->shown.value) out += "\"merged\":" + merge::to_json(*merged->shown.value) + ",";
    out += "\"records\":[";
    for (const merge::Record& record : merged->shown.records) {
      if (out.back() != '[') out += ',';
      out += merge::record_json(record);
    }
    write_text(out + "],\"deltaBytes\":" + std::to_string(merged->delta_bytes) + "}\n");
    code = std::max(code, code_of(merged->shown.records));
  }
  return code;
}

}  // namespace

int merge(std::span<const std::string_view> arguments) {
  Options options;
  if (!read_options(arguments, options)) {
    write_text(
        "usage: oas merge BASE OURS THEIRS | --lines  [--schema FILE] [--policy WORDS] [--first ours|theirs]\n"
        "         [--later ours|theirs] [--records FILE] [--indent N]\n",
        stderr);
    return kBadUsage;
  }
  if (const auto ready = read_rules(options); !ready) return bad("schema", ready.error());
  return options.lines ? merge_lines(options) : merge_files(options);
}

}  // namespace oas::tools
