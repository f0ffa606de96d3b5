// Who wrote what, and when: dots, server stamps, the hybrid clock and the total order that breaks ties.
//
// Wall time enters only as an argument. A device a year ahead wins at most until its operation is stamped: once the server
// has stamped it, its clock counts as at most 60 s ahead of the time of receipt. Nothing is ever refused for its clock.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>

#include "base/limits.h"
#include "base/types.h"

namespace oas::merge {

// One operation on one document. `n` is dense from 1 for each epoch and document, so a receiver sees gaps.
struct Dot {
  Epoch epoch;
  std::uint64_t n{};
  friend auto operator<=>(const Dot&, const Dot&) = default;
};

// Given once by the server when it accepts an operation; replicated as metadata. `change` 0: none yet.
struct Stamp {
  Incarnation incarnation;
  std::uint64_t change{};
  Millis received_at;
  friend auto operator<=>(const Stamp&, const Stamp&) = default;
};

[[nodiscard]] constexpr Hlc hlc_at(Millis wall, std::uint32_t counter = 0) {
  const std::int64_t ms = std::clamp<std::int64_t>(wall.value, 0, (std::int64_t{1} << 48) - 1);
  return {(static_cast<std::uint64_t>(ms) << 16) | (counter & 0xFFFFU)};
}
[[nodiscard]] constexpr Millis wall_of(Hlc hlc) { return {static_cast<std::int64_t>(hlc.value >> 16)}; }

// What comparisons use: the clock as written, clamped once the server has vouched for the time of receipt.
[[nodiscard]] constexpr Hlc effective_hlc(Hlc hlc, const Stamp& stamp) {
  if (stamp.change == 0) return hlc;
  return {std::min(hlc.value, hlc_at({stamp.received_at.value + kClockAheadMsMax}, 0xFFFF).value)};
}

// Strictly increasing at one writer, whatever wall time does.
class HybridClock {
 public:
  // `greatest`: the greatest value stored or told by another tab.
  explicit HybridClock(Hlc greatest = {}) : last_(greatest) {}

  Hlc tick(Millis wall) {
    last_.value = std::max(hlc_at(wall).value, last_.value + 1);
    return last_;
  }
  // Follows a remote clock, at most 60 s beyond the own wall.
  void receive(Hlc remote, Millis wall) {
    const Hlc bound = hlc_at({wall.value + kClockAheadMsMax}, 0xFFFF);
    last_.value = std::max(last_.value, std::min(remote.value, bound.value));
  }
  [[nodiscard]] Hlc last() const { return last_; }

 private:
  Hlc last_;
};

}  // namespace oas::merge
