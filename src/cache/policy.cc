#include "cache/policy.h"

#include <algorithm>
#include <bit>

namespace oas::cache {
namespace {

constexpr std::uint32_t kScaleBits = 24;
constexpr std::uint32_t kSamplePerItem = 8;  // requests between two halvings of the sketch, per item held
constexpr std::uint32_t kSampleMin = 512;

std::uint64_t weight(std::uint32_t priority) { return std::uint64_t{1} << std::min(priority, kPriorityMax); }

}  // namespace

std::uint64_t Cache::counted(const Item& item) const {
  return (2ULL * sketch_.count(item.key) + 1) * weight(item.priority);
}

// A logarithm, with 16 bits after the point: each priority is a doubling, and no size takes more than eight halvings.
std::uint64_t Cache::worth(const Item& item) const {
  constexpr std::uint64_t size_root = 8;
  return demand_.rank(item.key) + ((size_root + std::min(item.priority, kPriorityMax)) << 16) -
         log2_q16(item.bytes) / size_root;
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
  return worth(entry.item);
}

void Cache::rank(Entry& entry) {
  entry.score = score_of(entry);
  if (!entry.item.pinned) ranks_.insert({entry.score, entry.item.key});
}

void Cache::count_request(std::uint64_t key) {
  ++ticks_;
  if (policy_ == Policy::kTinyLfu)
    sketch_.add(key, std::max(kSampleMin, static_cast<std::uint32_t>(entries_.size()) * kSamplePerItem));
  if (policy_ != Policy::kValue || !demand_.add(key)) return;
  ranks_.clear();  // another half-life counts, as it does a few times in a life
  for (auto& [_, entry] : entries_) rank(entry);
}

bool Cache::touch(std::uint64_t key) {
  count_request(key);
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
  const auto value = [this](const Item& one) { return policy_ == Policy::kValue ? worth(one) : counted(one); };
  const std::uint64_t own = value(item);
  std::uint64_t room = budget_ > bytes_ ? budget_ - bytes_ : 0;
  for (auto at = ranks_.begin(); at != ranks_.end() && room < item.bytes; ++at) {
    const Item& victim = entries_.at(at->second).item;
    if (value(victim) > own) return false;
    room += victim.bytes;
  }
  return true;
}

std::vector<std::uint64_t> Cache::put(const Item& item) {
  erase(item.key);
  demand_.hold(item.key);
  if (entries_.size() >= kItemsMax || !admits(item)) {
    demand_.release(item.key);
    return {item.key};
  }
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
  demand_.release(key);
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
