// The only source of randomness in the core: xoshiro256** (Blackman and Vigna, 2018), seeded by the host's 32 bytes.
//
// Deterministic on every target. Not for keys.
#pragma once

#include <array>
#include <cstdint>

namespace oas {

using Seed = std::array<std::uint8_t, 32>;

class Prng {
 public:
  explicit Prng(const Seed& seed);
  explicit Prng(std::uint64_t seed);  // for tests and simulations; expanded by splitmix64

  [[nodiscard]] std::uint64_t next();
  // Uniform in [0, bound); bound 0 gives 0. Multiply-shift; the bias of at most bound / 2^32 does not matter here.
  [[nodiscard]] std::uint32_t below(std::uint32_t bound);
  // Uniform in [low, high], for spans below 2^32.
  [[nodiscard]] std::int64_t between(std::int64_t low, std::int64_t high);
  [[nodiscard]] bool chance(std::uint32_t numerator, std::uint32_t denominator) {
    return below(denominator) < numerator;
  }

 private:
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace oas
