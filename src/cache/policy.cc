#include "cache/policy.h"

#include <algorithm>
#include <bit>

namespace oas::cache {
namespace {

constexpr std::uint32_t kScaleBits = 24;
constexpr std::uint32_t kSamplePerItem = 8;  // requests between two halvings of the sketch, per item held
constexpr std::uint32_t kSampleMin = 512;

// The square root, rounded down: a large item is not punished by its full size, since bytes served count as well.
std::uint64_t root(std::uint64_t value) {
  std::uint64_t low = 0;
  for (std::uint64_t bit = std::uint64_t{1} << ((static_cast<std::uint32_t>(std::bit_width(value)) + 1) / 2); bit > 0;
       bit >>= 1)
    if ((low + bit) * (low + bit) <= value) low += bit;
  return low;
}

std::uint64_t weight(std::uint32_t priority) { return std::uint64_t{1} << std::min(priority, kPriorityMax); }

}  // namespace

std::uint64_t Cache::worth(const Item& item) const {
  const std::uint64_t asked = (2ULL * sketch_.count(item.key) + 1) * weight(item.priority);
  if (policy_ == Policy::kTinyLfu) return asked;
  return (asked << kScaleBits) / std::max<std::uint64_t>(root(root(item.bytes)), 1);
}

std::uint64_t Cache::score_of(const Entry& entry) const {
  switch (policy_) {
    case Policy::kLru:
    case Policy::kTinyLfu: return ticks_;
    case Policy::kLfu: return entry.hits << 32 | (ticks_ & 0xFFFF'FFFF);
    case Policy::kGdsf:
      return inflation_ +
             ((entry.hits * weight(entry.item.priority)) << kScaleBits) / std::max<std::uint64_t>(entry.item.bytes, 1);
    case Policy::kValue: break;
  }
  return inflation_ + worth(entry.item);
}

void Cache::rank(Entry& entry) {
  entry.score = score_of(entry);
  if (!entry.item.pinned) ranks_.insert({entry.score, entry.item.key});
}

bool Cache::touch(std::uint64_t key) {
  ++ticks_;
  sketch_.add(key, std::max(kSampleMin, static_cast<std::uint32_t>(entries_.size()) * kSamplePerItem));
  const auto found = entries_.find(key);
  if (found == entries_.end()) return false;
  unrank(found->second);
  ++found->second.hits;
  rank(found->second);
  return true;
}

bool Cache::admits(const Item& item) const {
  if (item.pinned) return true;
  if (item.bytes > budget_) return false;
  if (policy_ != Policy::kTinyLfu && policy_ != Policy::kValue) return true;
  const std::uint64_t own = worth(item);
  std::uint64_t room = budget_ > bytes_ ? budget_ - bytes_ : 0;
  for (auto at = ranks_.begin(); at != ranks_.end() && room < item.bytes; ++at) {
    const Item& victim = entries_.at(at->second).item;
    if (worth(victim) > own) return false;
    room += victim.bytes;
  }
  return true;
}

std::vector<std::uint64_t> Cache::put(const Item& item) {
  erase(item.key);
  if (entries_.size() >= kItemsMax || !admits(item)) return {item.key};
  Entry entry{.item = item, .score = 0, .hits = 1};
  entry.item.priority = std::min(item.priority, kPriorityMax);
  bytes_ += item.bytes;
  std::vector<std::uint64_t> victims = shrink();
  rank(entry);
  entries_.emplace(item.key, entry);
  return victims;
}

void Cache::erase(std::uint64_t key) {
  const auto found = entries_.find(key);
  if (found == entries_.end()) return;
  unrank(found->second);
  bytes_ -= found->second.item.bytes;
  entries_.erase(found);
}

std::vector<std::uint64_t> Cache::shrink() {
  std::vector<std::uint64_t> victims;
  while (bytes_ > budget_ && !ranks_.empty()) {
    const Rank least = *ranks_.begin();
    inflation_ = std::max(inflation_, least.first);
    victims.push_back(least.second);
    erase(least.second);
  }
  return victims;
}

}  // namespace oas::cache
