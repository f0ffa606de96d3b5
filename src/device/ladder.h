// How full the origin's storage is, in rungs that say what gives way next. Unsent work never does.
//
//   rung            from   gives way
//   kOk                    nothing
//   kWarn           70 %   nothing yet: people are told
//   kCompact        75 %   small segments are put together
//   kEvict          80 %   cached content, least valuable first
//   kSample         90 %   new analytics are sampled
//   kRefuseBulk     95 %   new events of low priority and analytics are refused
//   kCriticalOnly   98 %   every new event is refused but critical ones, which go to the network when they cannot be stored
//
// Going down takes three points less than going up did, so that a figure at an edge does not flicker.
#pragma once

#include <cstdint>

namespace oas::device {

enum class Rung : std::uint8_t { kOk, kWarn, kCompact, kEvict, kSample, kRefuseBulk, kCriticalOnly };

class Ladder {
 public:
  // Bytes in use and bytes offered, as the browser estimates them; a quota of 0 is unknown, and nothing is full.
  Rung look(std::uint64_t usage, std::uint64_t quota);
  // The browser has refused to store something, whatever its estimate says: the top rung until the next look.
  Rung refused();
  [[nodiscard]] Rung rung() const { return rung_; }

 private:
  Rung rung_{Rung::kOk};
};

}  // namespace oas::device
