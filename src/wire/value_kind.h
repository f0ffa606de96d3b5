// Values that are shorter than their text: whole numbers, addresses, UUIDs, hexadecimal.
//
// A kind is used only for text that comes back byte for byte: `007`, `-0`, `1e3` and upper-case UUIDs stay text.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "wire/range_coder.h"

namespace oas::wire {

enum class ValueKind : std::uint8_t { kText = 0, kInteger = 1, kAddress = 2, kUuid = 3, kHex = 4 };
inline constexpr std::uint32_t kValueKinds = 5;

// At most 15 digits: exact in every language that may read it. False leaves `value` alone.
[[nodiscard]] bool read_integer(std::string_view text, std::int64_t& value);
void print_integer(std::int64_t value, Bytes& out);

// A set bit 1 << kind for every kind that gives this text back exactly; kText always.
[[nodiscard]] std::uint32_t kinds_of(std::string_view text);

// One column's new values of one kind other than text.
class ValueCoder {
 public:
  // Pre: kinds_of(text) has `kind`.
  void write(RangeEncoder& out, ValueKind kind, std::string_view text);
  // Appends the text. Whatever is read is some value of the kind: at most 64 bytes.
  void read(RangeDecoder& in, ValueKind kind, Bytes& out);

 private:
  UintModel number_;
  TreeModel<8> octet_[4];
};

}  // namespace oas::wire
