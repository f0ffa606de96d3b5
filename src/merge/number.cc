// Canonical decimal numbers: digits and a power of ten, spelled in exactly one way.
#include <charconv>

#include "merge/json.h"

namespace oas::merge {
namespace {

// value = 0.d1d2d3... * 10^point, with no leading or trailing zero digit.
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t point = 0;
};

std::int64_t clamp_exponent(std::string_view text) {
  // Twenty million is beyond any number a double can hold and far from overflowing the sums below.
  std::int64_t value = 0;
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  for (const char digit : text) {
    if (value < 20'000'000) value = value * 10 + (digit - '0');
  }
  return negative ? -value : value;
}

Decimal split(std::string_view spelling) {
  Decimal out;
  if (!spelling.empty() && spelling[0] == '-') {
    out.negative = true;
    spelling.remove_prefix(1);
  }
  const std::size_t e = spelling.find_first_of("eE");
  const std::int64_t exponent = e == std::string_view::npos ? 0 : clamp_exponent(spelling.substr(e + 1));
  const std::string_view mantissa = spelling.substr(0, e);
  const std::size_t dot = mantissa.find('.');
  const std::string_view whole = mantissa.substr(0, dot);
  out.digits.append(whole);
  if (dot != std::string_view::npos) out.digits.append(mantissa.substr(dot + 1));
  out.point = static_cast<std::int64_t>(whole.size()) + exponent;
  const std::size_t first = out.digits.find_first_not_of('0');
  if (first == std::string::npos) return {};
  out.digits.erase(0, first);
  out.point -= static_cast<std::int64_t>(first);
  out.digits.erase(out.digits.find_last_not_of('0') + 1);
  return out;
}

bool fits_double(const Decimal& number) {
  // The greatest double is 1.7976931348623157e308; half a unit further it rounds to infinity.
  constexpr std::string_view kGreatest = "17976931348623158";
  if (number.point != 309) return number.point < 309;
  return std::string_view(number.digits).substr(0, kGreatest.size()) < kGreatest;
}

std::optional<std::int64_t> as_int64(const Decimal& number) {
  if (number.digits.empty()) return 0;
  const auto count = static_cast<std::int64_t>(number.digits.size());
  if (number.point < count || number.point > 19) return std::nullopt;
  std::string text = number.negative ? "-" : "";
  text += number.digits;
  text.append(static_cast<std::size_t>(number.point - count), '0');
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string spell(const Decimal& number) {
  std::string out = number.negative ? "-" : "";
  const auto count = static_cast<std::int64_t>(number.digits.size());
  if (count <= number.point && number.point <= 21) {
    out += number.digits;
    out.append(static_cast<std::size_t>(number.point - count), '0');
  } else if (0 < number.point && number.point <= 21) {
    const auto whole = static_cast<std::size_t>(number.point);
    out.append(number.digits, 0, whole).append(1, '.').append(number.digits, whole);
  } else if (-6 < number.point && number.point <= 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-number.point), '0').append(number.digits);
  } else {
    out.append(number.digits, 0, 1);
    if (count > 1) out.append(1, '.').append(number.digits, 1);
    const std::int64_t exponent = number.point - 1;
    out += exponent < 0 ? "e" : "e+";
    out += std::to_string(exponent);
  }
  return out;
}

}  // namespace

std::optional<CanonicalNumber> canonical_number(std::string_view spelling) {
  const Decimal number = split(spelling);
  if (!fits_double(number)) return std::nullopt;
  if (const auto integer = as_int64(number)) return CanonicalNumber{.integral = true, .integer = *integer};
  return CanonicalNumber{.text = spell(number)};
}

}  // namespace oas::merge
