// Fuzz input seen as a source of decisions, and the oracle's verdict.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "base/hash.h"
#include "wire/writer.h"

namespace oas::fuzz {

inline void require(bool holds) {
  if (!holds) std::abort();
}

// Zeros once the input is used up, so every prefix of an input means something.
class Feed {
 public:
  explicit Feed(ByteView bytes) : bytes_(bytes) {}

  [[nodiscard]] bool done() const { return bytes_.empty(); }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint64_t u64() { return number(8); }
  std::uint32_t below(std::uint32_t bound) { return bound == 0 ? 0 : u8() % bound; }
  // Small numbers often, great ones now and then: limits and wraps lie at both ends.
  std::uint64_t magnitude() {
    switch (below(4)) {
      case 0: return u64();
      case 1: return u16();
      default: return below(16);
    }
  }
  ByteView bytes(std::size_t size) {
    const ByteView out = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(out.size());
    return out;
  }
  ByteView rest() { return bytes(bytes_.size()); }

 private:
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const std::uint8_t byte : bytes(size)) value = value << 8 | byte;
    return value;
  }
  ByteView bytes_;
};

// The same bytes under a right checksum: an attacker could make it too.
inline Bytes sealed(ByteView content) {
  Bytes out = to_bytes(content);
  wire::Writer(out).u64(hash64(content));
  return out;
}

// Changes up to three bytes behind a right checksum, which stays the last eight.
inline void bend(Feed& feed, Bytes& bytes) {
  if (bytes.size() < 9) return;
  bytes.resize(bytes.size() - 8);
  for (std::uint32_t n = feed.below(4); n > 0; --n) bytes[feed.u16() % bytes.size()] = feed.u8();
  bytes = sealed(bytes);
}

}  // namespace oas::fuzz
