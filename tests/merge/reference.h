// What a document must show, by brute force: every write at a place against every other one, with sets of what was seen.
//
// Knows fields, nested fields, counters, sets and keyed elements by name, and takes the definitions of docs/merge.md
// literally: something is there while one act that made it was unseen by every deletion; the visible value is the one of
// the greatest clock among those nobody overwrote. Shares no code with src/merge on purpose.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace oas::reference {

struct Act {
  int id = 0;
  std::set<int> seen;  // ids of earlier acts its writer knew, his own included
  std::tuple<std::uint64_t, std::uint64_t, int> order;  // clock, epoch, id
  std::string place;  // "x", "o", "o/a", "n", "s:a", "l:1", "l:1/v"
  enum Kind { kAssign, kCreate, kDelete, kAdd } kind = kAssign;
  std::string value;  // JSON text; kAdd: the number
};

class Model {
 public:
  // `base`: values that were there from the beginning, by place. An object that has places below holds "{}".
  Model(std::map<std::string, std::string> base, std::vector<Act> acts)
      : base_(std::move(base)), acts_(std::move(acts)) {}

  // The value at a place without looking below it, or nothing when it is not there.
  [[nodiscard]] std::optional<std::string> at(const std::string& place) const {
    std::vector<const Act*> values, deletions;
    for (const Act& act : acts_) {
      if (act.place != place || act.kind == Act::kAdd) continue;
      (act.kind == Act::kDelete ? deletions : values).push_back(&act);
    }
    const auto deleted = [&](int id) {
      return std::any_of(deletions.begin(), deletions.end(),
                         [&](const Act* d) { return id < 0 || d->seen.count(id) > 0; });
    };
    bool there = base_.count(place) > 0 && !deleted(-1);
    for (const Act* act : values) there = there || (act->kind == Act::kCreate && !deleted(act->id));
    if (!there) return std::nullopt;
    const Act* last = nullptr;
    std::set<std::string> differing;
    for (const Act* act : values) {
      const auto covers = [&](const Act* other) { return other->seen.count(act->id) > 0; };
      if (std::any_of(values.begin(), values.end(), covers) || std::any_of(deletions.begin(), deletions.end(), covers))
        continue;
      differing.insert(act->value);
      if (last == nullptr || act->order > last->order) last = act;
    }
    if (last == nullptr) return base_.count(place) > 0 ? std::optional(base_.at(place)) : std::nullopt;
    // A write that repeats what everybody knew is no edit beside one that changes it.
    const auto known = agreed(place, values, deletions);
    if (known && differing.size() > 1 && last->value == *known) {
      last = nullptr;
      for (const Act* act : values) {
        const auto covers = [&](const Act* other) { return other->seen.count(act->id) > 0; };
        if (act->value == *known || std::any_of(values.begin(), values.end(), covers) ||
            std::any_of(deletions.begin(), deletions.end(), covers))
          continue;
        if (last == nullptr || act->order > last->order) last = act;
      }
    }
    return last->value;
  }

  [[nodiscard]] long long sum(const std::string& place) const {
    long long total = std::stoll(base_.at(place));
    for (const Act& act : acts_) {
      if (act.place == place && act.kind == Act::kAdd) total += std::stoll(act.value);
    }
    return total;
  }

 private:
  // The value all that now compete had before them; nothing when the last thing they all knew was a deletion.
  [[nodiscard]] std::optional<std::string> agreed(const std::string& place, const std::vector<const Act*>& values,
                                                  const std::vector<const Act*>& deletions) const {
    std::vector<const Act*> all = values;
    all.insert(all.end(), deletions.begin(), deletions.end());
    std::vector<const Act*> top;
    for (const Act* act : values) {
      if (std::none_of(all.begin(), all.end(), [&](const Act* other) { return other->seen.count(act->id) > 0; }))
        top.push_back(act);
    }
    const Act* last = nullptr;
    for (const Act* act : all) {
      const bool seen_by_all =
          std::all_of(top.begin(), top.end(), [&](const Act* one) { return one->seen.count(act->id) > 0; });
      if (!seen_by_all) continue;
      const bool newer = last == nullptr || act->seen.count(last->id) > 0 ||
                         (last->seen.count(act->id) == 0 && act->order > last->order);
      if (newer) last = act;
    }
    if (last != nullptr) return last->kind == Act::kDelete ? std::nullopt : std::optional(last->value);
    return base_.count(place) > 0 ? std::optional(base_.at(place)) : std::nullopt;
  }

  std::map<std::string, std::string> base_;
  std::vector<Act> acts_;
};

}  // namespace oas::reference
