// What stays in the content cache when its budget is full.
//
// The default keeps what is asked for most lately (demand.h), for the room it takes: the fading count of an item's requests over
// the eighth root of its size, so that requests answered and bytes served both count. A newcomer is taken in only if nothing
// that would have to go is worth more. LRU, LFU, TinyLFU (G. Einziger, R. Friedman, B. Manes, 2017) and GreedyDual-Size-
// Frequency (L. Cherkasova, 1998) stand beside it for measurement: docs/cache.md.
//
// Integers only, no clock: the same calls give the same victims everywhere. Not here: expiry (the host compares times).
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "cache/demand.h"
#include "cache/sketch.h"

namespace oas::cache {

enum class Policy : std::uint8_t { kValue = 0, kLru = 1, kLfu = 2, kTinyLfu = 3, kGdsf = 4 };

inline constexpr std::uint32_t kPriorityMax = 10;
inline constexpr std::uint32_t kPriorityDefault = 5;
inline constexpr std::uint32_t kItemsMax = 100'000;

struct Item {
  std::uint64_t key{};
  std::uint64_t bytes{};
  std::uint32_t priority = kPriorityDefault;  // 0 to kPriorityMax; each step is worth a doubling
  bool pinned{};  // never a victim
};

class Cache {
 public:
  explicit Cache(std::uint64_t budget_bytes, Policy policy = Policy::kValue) : budget_(budget_bytes), policy_(policy) {}

  // A request for the key, hit or miss. True when it is here.
  bool touch(std::uint64_t key);
  // Takes the item in or changes it; returns the keys that must go, which may be the item itself. O(victims log items).
  std::vector<std::uint64_t> put(const Item& item);
  void erase(std::uint64_t key);
  void set_budget(std::uint64_t bytes) { budget_ = bytes; }
  // Victims until the budget holds; pinned items are not among them, so it may still not hold.
  std::vector<std::uint64_t> shrink();

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::uint64_t budget() const { return budget_; }
  [[nodiscard]] bool holds(std::uint64_t key) const { return entries_.contains(key); }
  [[nodiscard]] std::size_t count() const { return entries_.size(); }

 private:
  struct Entry {
    Item item;
    std::uint64_t score{};
    std::uint64_t hits{};
  };
  using Rank = std::pair<std::uint64_t, std::uint64_t>;  // score, then key: a total order

  [[nodiscard]] std::uint64_t counted(const Item& item) const;
  [[nodiscard]] std::uint64_t worth(const Item& item) const;
  [[nodiscard]] std::uint64_t score_of(const Entry& entry) const;
  void count_request(std::uint64_t key);
  void rank(Entry& entry);
  void unrank(const Entry& entry) { ranks_.erase({entry.score, entry.item.key}); }
  [[nodiscard]] bool admits(const Item& item) const;

  std::uint64_t budget_;
  Policy policy_;
  std::uint64_t bytes_ = 0;
  std::uint64_t inflation_ = 0;  // the score of the last victim: what is new starts there
  std::uint64_t ticks_ = 0;
  std::map<std::uint64_t, Entry> entries_;
  std::set<Rank> ranks_;  // of what is not pinned
  Demand demand_;  // of kValue
  Sketch sketch_;  // of kTinyLfu
};

}  // namespace oas::cache
