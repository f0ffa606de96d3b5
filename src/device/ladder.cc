#include "device/ladder.h"

#include <algorithm>
#include <array>

namespace oas::device {
namespace {

constexpr std::array<std::uint64_t, 7> kFromPermille{0, 700, 750, 800, 900, 950, 980};
constexpr std::uint64_t kSlackPermille = 30;
// Estimates beyond this are no disk's.
constexpr std::uint64_t kBytesMax = std::uint64_t{1} << 53;

Rung highest(std::uint64_t permille) {
  std::uint8_t rung = 0;
  while (rung + 1U < kFromPermille.size() && permille >= kFromPermille[rung + 1U]) ++rung;
  return static_cast<Rung>(rung);
}

}  // namespace

Rung Ladder::look(std::uint64_t usage, std::uint64_t quota) {
  if (quota == 0) return rung_ = Rung::kOk;
  const std::uint64_t permille = std::min(usage, kBytesMax) * 1'000 / std::min(quota, kBytesMax);
  const Rung up = highest(permille);
  const Rung down = highest(permille + kSlackPermille);
  if (up > rung_) rung_ = up;
  if (down < rung_) rung_ = down;
  return rung_;
}

Rung Ladder::refused() { return rung_ = Rung::kCriticalOnly; }

}  // namespace oas::device
