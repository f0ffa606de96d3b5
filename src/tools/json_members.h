// Splits the text of one JSON object into its members, keeping every value's own bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace oas::tools {

struct Member {
  std::string name;        // unescaped
  std::string_view value;  // as it stands in the text
};

// Every name and value is checked as in wire/json_check.h. Errors: those of check_json; kInvalidJson for other values.
Result<std::vector<Member>> split_object(std::string_view text);

// The value of the last member of this name.
[[nodiscard]] std::optional<std::string_view> find(const std::vector<Member>& members, std::string_view name);

// The content of a string literal that was checked; empty for anything else.
[[nodiscard]] std::string unquote(std::string_view literal);
// A string literal; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::string quote(std::string_view text);

}  // namespace oas::tools
