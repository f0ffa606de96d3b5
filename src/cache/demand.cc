#include "cache/demand.h"

#include <algorithm>
#include <bit>

namespace oas::cache {
namespace {

constexpr std::uint64_t kOne = std::uint64_t{1} << 16;
// 2^-x = 1 - x ln 2 + ..., with 32 bits after the point; the last term is bent so that 2^-1 is exactly a half.
constexpr std::uint64_t kTerm1 = 2'977'044'472;
constexpr std::uint64_t kTerm2 = 1'031'764'991;
constexpr std::uint64_t kTerm3 = 202'204'167;
constexpr std::int64_t kRecordRequests = 2'048;  // over which a record fades to a third
// A key is never thought rarer than one of as many as a cache holds: a forecast that forgot it is wrong, not absurd.
constexpr std::int64_t kForecastMin = -17 * static_cast<std::int64_t>(kOne);
constexpr std::int64_t kRecordLead = 20 * static_cast<std::int64_t>(kOne);  // a hundredth of a bit a request

// value * 2^-(elapsed / 2^shift), for values below 2^32.
std::uint64_t faded(std::uint64_t value, std::uint64_t elapsed, std::uint32_t shift) {
  const std::uint64_t halvings = elapsed >> shift;
  if (halvings >= 32) return 0;
  const std::uint64_t x = ((elapsed & ((std::uint64_t{1} << shift) - 1)) << 16) >> shift;
  const std::uint64_t square = x * x >> 16;
  const std::uint64_t factor =
      (kOne << 16) - (kTerm1 * x >> 16) + (kTerm2 * square >> 16) - (kTerm3 * (square * x >> 16) >> 16);
  return (value * factor >> 32) >> halvings;
}

}  // namespace

std::uint64_t log2_q16(std::uint64_t value) {
  if (value == 0) return 0;
  const std::uint32_t whole = static_cast<std::uint32_t>(std::bit_width(value)) - 1;
  // The mantissa, 1 to 2, with 31 bits after the point; each squaring gives one more bit of the logarithm.
  std::uint64_t mantissa = whole > 31 ? value >> (whole - 31) : value << (31 - whole);
  std::uint64_t fraction = 0;
  for (std::uint64_t bit = kOne >> 1; bit > 0; bit >>= 1) {
    mantissa = mantissa * mantissa >> 31;
    if (mantissa >> 32 == 0) continue;
    mantissa >>= 1;
    fraction |= bit;
  }
  return std::uint64_t{whole} << 16 | fraction;
}

void Demand::fade(Track& track) const {
  for (std::uint32_t scale = 0; scale < kScales; ++scale)
    track.counts[scale] = static_cast<std::uint32_t>(faded(track.counts[scale], ticks_ - track.last, shift(scale)));
  track.last = ticks_;
}

bool Demand::judge(const Track& faded) {
  for (std::uint32_t scale = 0; scale < kScales; ++scale) {
    const auto forecast = static_cast<std::int64_t>(log2_q16(faded.counts[scale])) -
                          static_cast<std::int64_t>(log2_q16(sums_[scale] >> 16));
    records_[scale] += std::max(forecast, kForecastMin) - records_[scale] / kRecordRequests;
  }
  const auto best = static_cast<std::uint32_t>(std::max_element(records_.begin(), records_.end()) - records_.begin());
  if (records_[best] <= records_[scale_] + kRecordLead) return false;
  scale_ = best;
  return true;
}

bool Demand::add(std::uint64_t key) {
  ++ticks_;
  const auto [at, fresh] = tracks_.try_emplace(key);
  Track& track = at->second;
  if (!fresh && !track.held) ghosts_.erase({track.last, key});
  fade(track);
  const bool changed = !fresh && judge(track);
  for (std::uint32_t scale = 0; scale < kScales; ++scale) {
    track.counts[scale] += static_cast<std::uint32_t>(kOne);
    sums_[scale] -= (sums_[scale] >> 16) * kTerm1 >> 16 >> shift(scale);
    sums_[scale] += kOne << 16;
  }
  if (!track.held) ghosts_.insert({track.last, key});
  if (ghosts_.size() > kGhostsMax) {
    tracks_.erase(ghosts_.begin()->second);
    ghosts_.erase(ghosts_.begin());
  }
  return changed;
}

void Demand::hold(std::uint64_t key) {
  const auto [at, fresh] = tracks_.try_emplace(key);
  Track& track = at->second;
  if (fresh) {
    track.last = ticks_;
    track.counts.fill(static_cast<std::uint32_t>(kOne / 2));
  }
  ghosts_.erase({track.last, key});
  track.held = true;
}

void Demand::release(std::uint64_t key) {
  const auto found = tracks_.find(key);
  if (found == tracks_.end() || !found->second.held) return;
  found->second.held = false;
  ghosts_.insert({found->second.last, key});
  if (ghosts_.size() <= kGhostsMax) return;
  tracks_.erase(ghosts_.begin()->second);
  ghosts_.erase(ghosts_.begin());
}

std::uint64_t Demand::rank(std::uint64_t key) const {
  const auto found = tracks_.find(key);
  if (found == tracks_.end()) return 0;
  return log2_q16(found->second.counts[scale_]) + (found->second.last << 16 >> shift(scale_));
}

}  // namespace oas::cache
