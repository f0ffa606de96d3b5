// JSON text to Value and back, with no floating point anywhere.
//
// Read: RFC 8259 with one meaning for each text. Refused: invalid UTF-8, lone surrogates, duplicate keys, depth above 64,
// numbers beyond the range of a double (they would be Infinity in JavaScript), anything behind the value.
// Numbers: 1, 1.0, 1e0 and 10E-1 are one value, the integer 1; -0 is 0. A number that is no int64 keeps all its decimal
// digits in one canonical spelling: 0.5, 12.25, 1e+21, 1.5e-7 (the shape of ECMAScript's Number::toString). Two decimals
// that a double cannot tell apart therefore stay different; texts written by JavaScript never contain such pairs.
// Print: the same canonical form, keys sorted by bytes; escapes only what JSON demands.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "merge/value.h"

namespace oas::merge {

// O(n). Errors: kInvalidJson, kInvalidUtf8, kLoneSurrogate, kTooDeep, kUnsupportedValue (number out of range); detail is
// the byte offset. kEventTooLarge above kDocumentBytesMax.
Result<Value> parse_json(std::string_view text);

// `indent` 0 prints one line.
void print_json(const Value& value, std::string& out, std::uint32_t indent = 0);
[[nodiscard]] std::string to_json(const Value& value, std::uint32_t indent = 0);

// The canonical spelling of a JSON number; nothing when it is out of the range of a double.
struct CanonicalNumber {
  bool integral = false;  // `integer` holds it
  std::int64_t integer = 0;
  std::string text;
};
std::optional<CanonicalNumber> canonical_number(std::string_view spelling);

}  // namespace oas::merge
