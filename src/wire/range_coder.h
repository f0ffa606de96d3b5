// Adaptive binary arithmetic coding for what the column codec knows to be skewed: hits, references, small numbers.
//
// Carry-free binary coder of 32 bits with 12-bit probabilities, each with a counter, so that a model learns within a few
// symbols: a batch of a hundred events has no time for more. Integers only, so every target writes the same bytes.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "base/bytes.h"

namespace oas::wire {

// The chance that the next bit is 1, in 1/4096, above four bits that count how often it was asked.
class Prob {
 public:
  [[nodiscard]] std::uint32_t one() const { return (state_ >> 4) == 0 ? 1 : state_ >> 4; }
  void learn(std::uint32_t bit) {
    static constexpr std::array<std::uint8_t, 16> kShift{1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5};
    std::uint32_t chance = state_ >> 4;
    const std::uint32_t asked = state_ & 15;
    chance += bit != 0 ? (4095 - chance) >> kShift[asked] : 0;
    chance -= bit != 0 ? 0 : chance >> kShift[asked];
    state_ = static_cast<std::uint16_t>(chance << 4 | (asked < 15 ? asked + 1 : 15));
  }

 private:
  std::uint16_t state_ = 2'048 << 4;
};

class RangeEncoder {
 public:
  explicit RangeEncoder(Bytes& out) : out_(out) {}

  void bit(Prob& prob, std::uint32_t bit) {
    split(prob.one(), bit);
    prob.learn(bit);
  }
  // The low `bits` bits of `value`, each as likely as not.
  void direct(std::uint64_t value, std::uint32_t bits) {
    while (bits-- > 0) split(2'048, static_cast<std::uint32_t>(value >> bits) & 1);
  }
  // One byte names a point within the interval: the reader sees zeros behind the end.
  void finish() { out_.push_back(static_cast<std::uint8_t>(high_ >> 24)); }

 private:
  void split(std::uint32_t one, std::uint32_t bit) {
    const std::uint32_t range = high_ - low_;
    const std::uint32_t middle = low_ + (range >> 12) * one + (((range & 0xFFF) * one) >> 12);
    if (bit != 0)
      high_ = middle;
    else
      low_ = middle + 1;
    for (; ((low_ ^ high_) & 0xFF000000U) == 0; low_ <<= 8, high_ = high_ << 8 | 0xFF)
      out_.push_back(static_cast<std::uint8_t>(high_ >> 24));
  }

  Bytes& out_;
  std::uint32_t low_ = 0;
  std::uint32_t high_ = 0xFFFFFFFFU;
};

// Never fails: behind the end it reads zeros, and whoever uses what it says checks that.
class RangeDecoder {
 public:
  explicit RangeDecoder(ByteView bytes) : bytes_(bytes) {
    for (int i = 0; i < 4; ++i) code_ = code_ << 8 | next();
  }

  std::uint32_t bit(Prob& prob) {
    const std::uint32_t bit = split(prob.one());
    prob.learn(bit);
    return bit;
  }
  std::uint64_t direct(std::uint32_t bits) {
    std::uint64_t value = 0;
    while (bits-- > 0) value = value << 1 | split(2'048);
    return value;
  }

 private:
  std::uint32_t next() { return at_ < bytes_.size() ? bytes_[at_++] : 0; }
  std::uint32_t split(std::uint32_t one) {
    const std::uint32_t range = high_ - low_;
    const std::uint32_t middle = low_ + (range >> 12) * one + (((range & 0xFFF) * one) >> 12);
    const std::uint32_t bit = code_ <= middle ? 1 : 0;
    if (bit != 0)
      high_ = middle;
    else
      low_ = middle + 1;
    for (; ((low_ ^ high_) & 0xFF000000U) == 0; low_ <<= 8, high_ = high_ << 8 | 0xFF) code_ = code_ << 8 | next();
    return bit;
  }

  ByteView bytes_;
  std::size_t at_ = 0;
  std::uint32_t low_ = 0;
  std::uint32_t high_ = 0xFFFFFFFFU;
  std::uint32_t code_ = 0;
};

// `kBits` bits, most significant first, each under the bits before it.
template <std::uint32_t kBits>
class TreeModel {
 public:
  void write(RangeEncoder& out, std::uint32_t value) {
    std::uint32_t node = 1;
    for (std::uint32_t i = kBits; i-- > 0; node = node << 1 | (value >> i & 1)) out.bit(nodes_[node], value >> i & 1);
  }
  std::uint32_t read(RangeDecoder& in) {
    std::uint32_t node = 1;
    for (std::uint32_t i = 0; i < kBits; ++i) node = node << 1 | in.bit(nodes_[node]);
    return node - (1U << kBits);
  }

 private:
  std::array<Prob, 1U << kBits> nodes_{};
};

// Numbers below 2^63: the bit length, then three bits under their length, then bits as they are.
class UintModel {
 public:
  void write(RangeEncoder& out, std::uint64_t value) {
    const auto length = static_cast<std::uint32_t>(std::bit_width(value));
    length_.write(out, length);
    if (length < 2) return;
    const std::uint32_t modelled = length - 1 < 3 ? length - 1 : 3;
    std::uint32_t node = 1;
    for (std::uint32_t i = 0, at = length - 2; i < modelled; ++i, --at) {
      const auto bit = static_cast<std::uint32_t>(value >> at & 1);
      out.bit(top_[length][node], bit);
      node = node << 1 | bit;
    }
    out.direct(value, length - 1 - modelled);
  }
  std::uint64_t read(RangeDecoder& in) {
    const std::uint32_t length = length_.read(in);
    if (length < 2) return length;
    const std::uint32_t modelled = length - 1 < 3 ? length - 1 : 3;
    std::uint32_t node = 1;
    for (std::uint32_t i = 0; i < modelled; ++i) node = node << 1 | in.bit(top_[length][node]);
    const std::uint32_t rest = length - 1 - modelled;
    return std::uint64_t{node} << rest | in.direct(rest);
  }

 private:
  TreeModel<6> length_;
  std::array<std::array<Prob, 8>, 64> top_{};
};

[[nodiscard]] constexpr std::uint64_t to_zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
[[nodiscard]] constexpr std::int64_t from_zigzag(std::uint64_t value) {
  return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

}  // namespace oas::wire
