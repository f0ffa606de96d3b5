#include "infer/unicode.h"
#include "base/cold.h"

#include <algorithm>

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

#include "infer/unicode_table.inc"

std::uint32_t next_varint(const std::uint8_t*& at) {
  std::uint32_t value = 0;
  for (std::uint32_t shift = 0;; shift += 7) {
    const std::uint32_t byte = *at++;
    value |= (byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
}

bool is_space(std::uint32_t code) {
  if (code < 0x80) return code == ' ' || (code >= 9 && code <= 13);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_ascii_word(std::uint32_t code) {
  return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') || (code >= '0' && code <= '9') || code == '\'';
}

}  // namespace

CodePoint read_code_point(ByteView text, std::size_t at) {
  const std::uint32_t first = text[at];
  if (first < 0x80) return {first, 1};
  const std::size_t left = text.size() - at;
  const auto tail = [&](std::size_t i) { return i < left && (text[at + i] & 0xC0) == 0x80; };
  const auto bits = [&](std::size_t i) { return static_cast<std::uint32_t>(text[at + i] & 0x3F); };
  if (first >= 0xC2 && first < 0xE0 && tail(1)) return {((first & 0x1F) << 6) | bits(1), 2};
  if ((first & 0xF0) == 0xE0 && tail(1) && tail(2)) {
    const std::uint32_t code = ((first & 0x0F) << 12) | (bits(1) << 6) | bits(2);
    if (code >= 0x800 && (code < 0xD800 || code > 0xDFFF)) return {code, 3};
  }
  if (first >= 0xF0 && first < 0xF5 && tail(1) && tail(2) && tail(3)) {
    const std::uint32_t code = ((first & 0x07) << 18) | (bits(1) << 12) | (bits(2) << 6) | bits(3);
    if (code >= 0x10000 && code <= 0x10FFFF) return {code, 4};
  }
  return {kReplacement, 1};
}

UnicodeTable::UnicodeTable() {
  edges_.reserve(kWordEdges);
  const std::uint8_t* at = kWordBytes;
  std::uint32_t code = 0;
  for (std::uint32_t i = 0; i < kWordEdges; ++i) edges_.push_back(code += next_varint(at));
  runs_.reserve(kLowerRuns);
  at = kLowerBytes;
  code = 0;
  for (std::uint32_t i = 0; i < kLowerRuns; ++i) {
    const std::uint32_t first = code + next_varint(at);
    const std::uint32_t count_step = next_varint(at);
    const std::uint32_t zigzag = next_varint(at);
    const std::uint32_t step = (count_step & 1) != 0 ? 2 : 1;
    code = first + step * (count_step / 2 - 1);
    runs_.push_back({first, code, step, static_cast<std::int32_t>((zigzag >> 1) ^ (~(zigzag & 1) + 1))});
  }
}

std::uint32_t UnicodeTable::lower(std::uint32_t code) const {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + 32 : code;
  const auto run =
      std::lower_bound(runs_.begin(), runs_.end(), code, [](const Run& r, std::uint32_t c) { return r.last < c; });
  if (run == runs_.end() || code < run->first || (code - run->first) % run->step != 0) return code;
  return code + static_cast<std::uint32_t>(run->delta);
}

CharClass UnicodeTable::classify(std::uint32_t code) const {
  if (is_space(code)) return CharClass::kSpace;
  if (code < 0x80) return is_ascii_word(code) ? CharClass::kWord : CharClass::kOther;
  const auto edge = std::upper_bound(edges_.begin(), edges_.end(), code);
  return (edge - edges_.begin()) % 2 == 1 ? CharClass::kWord : CharClass::kOther;
}

}  // namespace oas::infer

OAS_COLD_END
