#include "cache/sketch.h"

#include <algorithm>

#include "base/hash.h"

namespace oas::cache {

std::array<std::size_t, Sketch::kRows> Sketch::places(std::uint64_t key) const {
  std::array<std::size_t, kRows> out{};
  const std::uint64_t first = hash_mix(0x9AE16A3B2F90404FULL, key);
  const std::uint64_t step = hash_mix(0xC3A5C85C97CB3127ULL, key) | 1;
  for (std::uint32_t row = 0; row < kRows; ++row)
    out[row] = std::size_t{row} * width_ + static_cast<std::size_t>((first + row * step) >> 20 & (width_ - 1));
  return out;
}

std::uint32_t Sketch::count(std::uint64_t key) const {
  std::uint32_t least = kCountMax;
  for (const std::size_t place : places(key)) least = std::min<std::uint32_t>(least, counters_[place]);
  return least;
}

void Sketch::add(std::uint64_t key, std::uint32_t sample) {
  const std::uint32_t least = count(key);
  if (least < kCountMax)
    for (const std::size_t place : places(key))
      if (counters_[place] == least) ++counters_[place];
  if (++added_ < sample) return;
  added_ = 0;
  for (std::uint8_t& counter : counters_) counter /= 2;
}

}  // namespace oas::cache
