#include "wire/value_kind.h"

#include <array>

namespace oas::wire {
namespace {

constexpr std::uint32_t kDigitsMax = 15;
constexpr std::uint64_t kIntegerMax = 999'999'999'999'999ULL;
constexpr std::uint32_t kHexBytesMin = 8;
constexpr std::uint32_t kHexBytesMax = 64;
constexpr std::uint32_t kUuidBytes = 36;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_dash_place(std::size_t at) { return at == 8 || at == 13 || at == 18 || at == 23; }

// 0 to 15, or 16.
std::uint32_t nibble(char c) {
  if (is_digit(c)) return static_cast<std::uint32_t>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<std::uint32_t>(c - 'a' + 10);
  return 16;
}
std::uint8_t digit_of(std::uint64_t value) { return static_cast<std::uint8_t>("0123456789abcdef"[value & 15]); }

bool is_hex(std::string_view text, bool uuid) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool good = uuid && is_dash_place(i) ? text[i] == '-' : nibble(text[i]) < 16;
    if (!good) return false;
  }
  return true;
}

bool read_address(std::string_view text, std::array<std::uint32_t, 4>& octets) {
  if (text.size() < 7 || text.size() > 15) return false;
  std::size_t at = 0;
  for (std::size_t part = 0; part < 4; ++part) {
    if (part > 0 && (at == text.size() || text[at++] != '.')) return false;
    const std::size_t from = at;
    std::uint32_t value = 0;
    for (; at < text.size() && at - from < 3 && is_digit(text[at]); ++at)
      value = value * 10 + static_cast<std::uint32_t>(text[at] - '0');
    if (at == from || value > 255 || (text[from] == '0' && at - from > 1)) return false;
    octets[part] = value;
  }
  return at == text.size();
}

}  // namespace

bool read_integer(std::string_view text, std::int64_t& value) {
  const bool negative = !text.empty() && text[0] == '-';
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > kDigitsMax || (text[0] == '0' && (negative || text.size() > 1))) return false;
  std::int64_t read = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    read = read * 10 + (c - '0');
  }
  value = negative ? -read : read;
  return true;
}

void print_integer(std::int64_t value, Bytes& out) {
  std::array<std::uint8_t, 20> digits;
  std::size_t count = 0;
  std::uint64_t left = value < 0 ? ~static_cast<std::uint64_t>(value) + 1 : static_cast<std::uint64_t>(value);
  do {
    digits[count++] = static_cast<std::uint8_t>('0' + left % 10);
    left /= 10;
  } while (left != 0);
  if (value < 0) out.push_back('-');
  while (count > 0) out.push_back(digits[--count]);
}

std::uint32_t kinds_of(std::string_view text) {
  std::uint32_t kinds = 1U << static_cast<std::uint32_t>(ValueKind::kText);
  if (text.empty() || text.size() > kHexBytesMax || (nibble(text[0]) > 15 && text[0] != '-')) return kinds;
  std::int64_t number = 0;
  std::array<std::uint32_t, 4> octets{};
  if (read_integer(text, number)) kinds |= 1U << static_cast<std::uint32_t>(ValueKind::kInteger);
  if (read_address(text, octets)) kinds |= 1U << static_cast<std::uint32_t>(ValueKind::kAddress);
  if (text.size() == kUuidBytes && is_hex(text, true)) kinds |= 1U << static_cast<std::uint32_t>(ValueKind::kUuid);
  if (text.size() >= kHexBytesMin && is_hex(text, false)) kinds |= 1U << static_cast<std::uint32_t>(ValueKind::kHex);
  return kinds;
}

void ValueCoder::write(RangeEncoder& out, ValueKind kind, std::string_view text) {
  switch (kind) {
    case ValueKind::kText: return;
    case ValueKind::kInteger: {
      std::int64_t value = 0;
      (void)read_integer(text, value);
      number_.write(out, to_zigzag(value));
      return;
    }
    case ValueKind::kAddress: {
      std::array<std::uint32_t, 4> octets{};
      (void)read_address(text, octets);
      for (std::size_t i = 0; i < 4; ++i) octet_[i].write(out, octets[i]);
      return;
    }
    case ValueKind::kHex: number_.write(out, text.size()); [[fallthrough]];
    case ValueKind::kUuid:
      for (const char c : text)
        if (c != '-') out.direct(nibble(c), 4);
      return;
  }
}

void ValueCoder::read(RangeDecoder& in, ValueKind kind, Bytes& out) {
  switch (kind) {
    case ValueKind::kText: return;
    case ValueKind::kInteger: {
      const std::uint64_t value = number_.read(in);
      // Only a liar writes more than fifteen digits; any value will do for him.
      print_integer(from_zigzag(value > 2 * kIntegerMax ? 0 : value), out);
      return;
    }
    case ValueKind::kAddress:
      for (std::size_t i = 0; i < 4; ++i) {
        if (i > 0) out.push_back('.');
        print_integer(octet_[i].read(in), out);
      }
      return;
    case ValueKind::kUuid:
      for (std::size_t i = 0; i < kUuidBytes; ++i) out.push_back(is_dash_place(i) ? '-' : digit_of(in.direct(4)));
      return;
    case ValueKind::kHex: {
      const std::uint64_t size = number_.read(in);
      for (std::uint64_t i = 0; i < size && i < kHexBytesMax; ++i) out.push_back(digit_of(in.direct(4)));
      return;
    }
  }
}

}  // namespace oas::wire
