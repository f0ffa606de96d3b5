// How much keys are asked for lately, where nobody says how long "lately" is.
//
// Every key has one fading count for each of six half-lives. For a given half-life, the counts over their sum are a forecast of the
// next request, so each request tells which half-life forecast it best; the one with the best record of late counts. Where
// popularity holds still that is a long one (least frequently used), where it moves a short one (nearer to least recently
// used). The counts are those of LRFU (D. Lee et al., 2001); judging forecasts by their logarithm is prequential (A. Dawid, 1984).
//
// Keys that are not in the cache are remembered too, the latest kGhostsMax of them. Integers only; time is counted in requests.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <utility>

namespace oas::cache {

inline constexpr std::uint32_t kGhostsMax = 8'192;

// The binary logarithm with 16 bits after the point; 0 for 0.
[[nodiscard]] std::uint64_t log2_q16(std::uint64_t value);

class Demand {
 public:
  // One request. True when another half-life has come to count: every rank changes then.
  bool add(std::uint64_t key);
  // The key is in the cache from now on: not to be forgotten. One that was never asked for starts with half a request.
  void hold(std::uint64_t key);
  // It is not any more.
  void release(std::uint64_t key);

  // The logarithm of the fading count, with 16 bits after the point, as of a fixed moment: so that it changes with the key's own
  // requests alone, while the order of two keys is right at any time. The key is held.
  [[nodiscard]] std::uint64_t rank(std::uint64_t key) const;
  [[nodiscard]] std::uint64_t half_life() const { return std::uint64_t{1} << shift(scale_); }

 private:
  static constexpr std::uint32_t kScales = 6;  // half-lives of 1,024 to 32,768 requests
  static constexpr std::uint32_t shift(std::uint32_t scale) { return 10 + scale; }

  struct Track {
    std::array<std::uint32_t, kScales>
        counts{};  // 16 bits after the point, as of `last`; at most 2^32 by the half-lives
    std::uint64_t last{};
    bool held{};
  };

  void fade(Track& track) const;
  bool judge(const Track& faded);

  std::uint64_t ticks_ = 0;
  std::uint32_t scale_ = kScales / 2;
  std::array<std::uint64_t, kScales> sums_{};  // of all counts ever, faded; 32 bits after the point
  std::array<std::int64_t, kScales> records_{};  // of forecasts; 16 bits after the point
  std::map<std::uint64_t, Track> tracks_;
  std::set<std::pair<std::uint64_t, std::uint64_t>> ghosts_;  // last request, key
};

}  // namespace oas::cache
