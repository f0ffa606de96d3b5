// What a scalar looks like (version, number, date, id), and the comparators of `max` and `min`.
//
// Versions follow Semantic Versioning 2.0.0 precedence (section 11); a range prefix such as ^ or ~ is looked past. Dates
// are RFC 3339 / ISO 8601 texts that start with yyyy-mm-dd. Numbers compare by their exact decimal value.
#pragma once

#include <optional>
#include <string_view>

#include "merge/rules.h"
#include "merge/value.h"

namespace oas::merge {

// `^1.2.3-rc.1` -> prefix "^", version "1.2.3-rc.1".
struct VersionText {
  std::string_view prefix;
  std::string_view version;
};
[[nodiscard]] std::optional<VersionText> as_version(std::string_view text);

[[nodiscard]] bool looks_like_date(std::string_view text);
// Version, number, date or id: two different new ones must never be mixed into a third that nobody wrote.
[[nodiscard]] bool is_atomic_text(std::string_view text);

// -1, 0, 1 as a is less, equal or greater; nothing when one of them is not comparable this way.
[[nodiscard]] std::optional<int> compare_values(Comparator comparator, const Value& a, const Value& b);

}  // namespace oas::merge
