// How often keys were asked for lately, in four bits a counter, for keys that are not in the cache as well.
//
// A count-min sketch of four rows with conservative update; after every so many additions all counters are halved,
// so that yesterday's favourites fade (G. Einziger, R. Friedman, B. Manes: TinyLFU, 2017). Deterministic, integers only.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace oas::cache {

class Sketch {
 public:
  // `width` counters a row, a power of two.
  explicit Sketch(std::uint32_t width = 4'096) : width_(width), counters_(std::size_t{width} * kRows) {}

  // `sample` = additions between two halvings.
  void add(std::uint64_t key, std::uint32_t sample);
  // 0 to 15; never less than the truth since the last halving, unless saturated.
  [[nodiscard]] std::uint32_t count(std::uint64_t key) const;

  static constexpr std::uint32_t kCountMax = 15;

 private:
  static constexpr std::uint32_t kRows = 4;
  [[nodiscard]] std::array<std::size_t, kRows> places(std::uint64_t key) const;

  std::uint32_t width_;
  std::uint32_t added_ = 0;
  std::vector<std::uint8_t> counters_;
};

}  // namespace oas::cache
