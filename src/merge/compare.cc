#include "merge/compare.h"

#include <algorithm>
#include <vector>

#include "merge/json.h"

namespace oas::merge {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool all_digits(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_digit); }

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

int sign(std::strong_ordering order) { return order < 0 ? -1 : order > 0 ? 1 : 0; }

// Digit strings of any length, by value.
int compare_digits(std::string_view a, std::string_view b) {
  while (a.size() > 1 && a[0] == '0') a.remove_prefix(1);
  while (b.size() > 1 && b[0] == '0') b.remove_prefix(1);
  return a.size() != b.size() ? sign(a.size() <=> b.size()) : sign(a <=> b);
}

int compare_identifier(std::string_view a, std::string_view b) {
  const bool a_number = all_digits(a);
  const bool b_number = all_digits(b);
  if (a_number && b_number) return compare_digits(a, b);
  if (a_number != b_number) return a_number ? -1 : 1;
  return sign(a <=> b);
}

int compare_lists(const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    if (const int order = compare_identifier(a[i], b[i]); order != 0) return order;
  }
  return sign(a.size() <=> b.size());
}

// Core fields, then pre-release identifiers; build metadata does not count.
int compare_versions(std::string_view a, std::string_view b) {
  a = a.substr(0, a.find('+'));
  b = b.substr(0, b.find('+'));
  const std::size_t a_dash = a.find('-');
  const std::size_t b_dash = b.find('-');
  if (const int order = compare_lists(split(a.substr(0, a_dash), '.'), split(b.substr(0, b_dash), '.')); order != 0)
    return order;
  const bool a_release = a_dash == std::string_view::npos;
  const bool b_release = b_dash == std::string_view::npos;
  if (a_release || b_release) return a_release == b_release ? 0 : a_release ? 1 : -1;
  return compare_lists(split(a.substr(a_dash + 1), '.'), split(b.substr(b_dash + 1), '.'));
}

// Exact: sign, then the power of ten of the first digit, then the digits.
struct Magnitude {
  bool negative = false;
  std::int64_t point = 0;
  std::string digits;
};
Magnitude magnitude_of(const Value& number) {
  const std::string text = number.is_integer() ? std::to_string(number.as_integer()) : std::string(number.text());
  Magnitude out;
  std::string_view rest = text;
  if (rest.starts_with('-')) {
    out.negative = true;
    rest.remove_prefix(1);
  }
  const std::size_t e = rest.find('e');
  if (e != std::string_view::npos) {
    std::int64_t exponent = 0;
    for (const char c : rest.substr(e + 1)) {
      if (is_digit(c)) exponent = exponent * 10 + (c - '0');
    }
    out.point = rest[e + 1] == '-' ? -exponent : exponent;
    rest = rest.substr(0, e);
  }
  const std::size_t dot = rest.find('.');
  out.point += static_cast<std::int64_t>(std::min(dot, rest.size()));
  for (const char c : rest) {
    if (c != '.') out.digits.push_back(c);
  }
  const std::size_t zeros = std::min(out.digits.find_first_not_of('0'), out.digits.size());
  out.digits.erase(0, zeros);
  out.point -= static_cast<std::int64_t>(zeros);
  return out;
}

int compare_numbers(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return sign(a.as_integer() <=> b.as_integer());
  const Magnitude x = magnitude_of(a);
  const Magnitude y = magnitude_of(b);
  const auto side = [](const Magnitude& m) { return m.digits.empty() ? 0 : m.negative ? -1 : 1; };
  if (side(x) != side(y)) return side(x) < side(y) ? -1 : 1;
  if (side(x) == 0) return 0;
  std::string left = x.digits;
  std::string right = y.digits;
  const std::size_t width = std::max(left.size(), right.size());
  left.resize(width, '0');
  right.resize(width, '0');
  const int order = x.point != y.point ? sign(x.point <=> y.point) : sign(left <=> right);
  return x.negative ? -order : order;
}

bool is_number(const Value& value) { return value.is_integer() || value.kind() == Value::Kind::kDecimal; }

// Hexadecimal digests, UUIDs and long digit-letter mixtures without a space.
bool looks_like_id(std::string_view text) {
  if (text.size() < 16) return false;
  const auto id_character = [](char c) {
    return is_alnum(c) || c == '-' || c == '_' || c == '+' || c == '/' || c == '=';
  };
  return std::all_of(text.begin(), text.end(), id_character) && std::count_if(text.begin(), text.end(), is_digit) >= 4;
}

bool looks_like_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || !is_digit(text[0])) return false;
  const auto character = [](char c) { return is_digit(c) || c == '.' || c == ',' || c == 'e' || c == 'E' || c == '%'; };
  return std::all_of(text.begin(), text.end(), character);
}

}  // namespace

std::optional<VersionText> as_version(std::string_view text) {
  std::size_t start = 0;
  while (start < text.size() && !is_digit(text[start])) ++start;
  const std::string_view prefix = text.substr(0, start);
  const auto prefix_character = [](char c) {
    return c == '^' || c == '~' || c == '>' || c == '<' || c == '=' || c == ' ' || c == 'v';
  };
  if (!std::all_of(prefix.begin(), prefix.end(), prefix_character)) return std::nullopt;
  const std::string_view version = text.substr(start);
  const std::string_view core = version.substr(0, version.find_first_of("-+"));
  const auto fields = split(core, '.');
  if (fields.size() < 2 || fields.size() > 4) return std::nullopt;
  if (!all_digits(fields[0])) return std::nullopt;
  for (const std::string_view field : fields) {
    if (!all_digits(field) && field != "x") return std::nullopt;
  }
  const auto tail_character = [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '+'; };
  if (!std::all_of(version.begin(), version.end(), tail_character)) return std::nullopt;
  return VersionText{prefix, version};
}

bool looks_like_date(std::string_view text) {
  if (text.size() < 10) return false;
  for (std::size_t i = 0; i < 10; ++i) {
    if (i == 4 || i == 7 ? text[i] != '-' : !is_digit(text[i])) return false;
  }
  return text.size() == 10 || text[10] == 'T' || text[10] == ' ';
}

bool is_atomic_text(std::string_view text) {
  return as_version(text).has_value() || looks_like_number(text) || looks_like_date(text) || looks_like_id(text);
}

std::optional<int> compare_values(Comparator comparator, const Value& a, const Value& b) {
  if (comparator == Comparator::kNumber) {
    if (!is_number(a) || !is_number(b)) return std::nullopt;
    return compare_numbers(a, b);
  }
  if (!a.is_string() || !b.is_string()) return std::nullopt;
  if (comparator == Comparator::kDate) {
    if (!looks_like_date(a.text()) || !looks_like_date(b.text())) return std::nullopt;
    return sign(a.text() <=> b.text());
  }
  const auto left = as_version(a.text());
  const auto right = as_version(b.text());
  if (!left || !right) return std::nullopt;
  return compare_versions(left->version, right->version);
}

}  // namespace oas::merge
