#include "tools/json_members.h"

#include <nlohmann/json.hpp>

#include "wire/json_check.h"

namespace oas::tools {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

std::string_view trim(std::string_view text) {
  const std::size_t from = text.find_first_not_of(kSpace);
  return from == std::string_view::npos ? "" : text.substr(from, text.find_last_not_of(kSpace) - from + 1);
}

// Where the first of `stops` stands outside all strings and brackets, or the text's end. Only finds borders: what lies
// between them is checked afterwards.
std::size_t find_outside(std::string_view text, std::string_view stops) {
  bool in_string = false;
  std::size_t depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      if (c == '\\') ++at;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (depth == 0 && stops.contains(c)) {
      return at;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return text.size();
}

}  // namespace

Result<std::vector<Member>> split_object(std::string_view text) {
  text = trim(text);
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return fail(ErrorCode::kInvalidJson);
  std::string_view rest = trim(text.substr(1, text.size() - 2));
  std::vector<Member> members;
  for (bool more = !rest.empty(); more;) {
    const std::size_t colon = find_outside(rest, ":,");
    if (colon == rest.size() || rest[colon] != ':') return fail(ErrorCode::kInvalidJson);
    const std::string_view name = trim(rest.substr(0, colon));
    rest.remove_prefix(colon + 1);
    const std::size_t end = find_outside(rest, ",");
    const std::string_view value = trim(rest.substr(0, end));
    OAS_CHECK(wire::check_json(as_bytes(name)));
    OAS_CHECK(wire::check_json(as_bytes(value)));
    if (!name.starts_with('"')) return fail(ErrorCode::kInvalidJson);
    members.push_back({unquote(name), value});
    more = end < rest.size();
    rest.remove_prefix(more ? end + 1 : end);
  }
  return members;
}

std::optional<std::string_view> find(const std::vector<Member>& members, std::string_view name) {
  for (auto at = members.rbegin(); at != members.rend(); ++at)
    if (at->name == name) return at->value;
  return std::nullopt;
}

std::string unquote(std::string_view literal) {
  const auto value = nlohmann::json::parse(literal, nullptr, false);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::string quote(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace oas::tools
