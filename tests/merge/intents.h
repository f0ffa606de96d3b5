// What people meant, and which results they would accept: the oracle of the typed apps.
//
// An act is one intention on one cell (a field, a counter, a member of a set, an element of a list), with the acts its
// author had seen. The oracle knows acts alone, no documents, and judges every cell by itself:
//   register   one value per author who was not overtaken; the greatest clock of them, or either when clocks are equal;
//              gone when somebody removed it and nobody made it anew
//   counter    the beginning plus every increment
//   best       the greatest score anybody reached
//   element    there while something was done to it that nobody who removed it had seen; no member of a set twice
//   words      edits of different words are both there; of the same word, as a register
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace oas::intents {

enum class Cell : std::uint8_t { kRegister, kCounter, kBest, kElement, kMember, kWords };
enum class Deed : std::uint8_t { kSet, kMake, kRemove, kIncrease, kTouch };

struct Act {
  std::uint32_t id = 0;
  std::uint64_t seen = 0;  // bits of earlier acts
  std::uint64_t clock = 0;  // as the author's device wrote it
  std::uint64_t receipt = 0;  // when the server got it
  std::string cell;
  Deed deed = Deed::kSet;
  std::string value;  // JSON text
  std::int64_t by = 0;
};

struct Beginning {
  Cell kind = Cell::kRegister;
  std::optional<std::string> value;  // JSON text; members and elements: anything
};

using Wanted = std::set<std::string>;  // "" stands for: not there

class Oracle {
 public:
  Oracle(std::map<std::string, Beginning> cells, std::vector<Act> acts)
      : cells_(std::move(cells)), acts_(std::move(acts)) {}

  [[nodiscard]] const std::map<std::string, Beginning>& cells() const { return cells_; }

  [[nodiscard]] Wanted acceptable(const std::string& cell) const {
    const Beginning& start = cells_.at(cell);
    std::vector<const Act*> here;
    for (const Act& act : acts_) {
      if (act.cell == cell) here.push_back(&act);
    }
    const std::vector<Act> ends = ends_of(cell);
    for (const Act& end : ends) here.push_back(&end);
    switch (start.kind) {
      case Cell::kCounter: return {std::to_string(sum(start, here))};
      case Cell::kBest: return {std::to_string(best(start, here))};
      case Cell::kElement: return {there(start, here, true) ? "1" : ""};
      case Cell::kMember: return {there(start, here, false) ? "1" : ""};
      case Cell::kWords: return words(start, here);
      case Cell::kRegister: return latest(start, here);
    }
    return {};
  }

 private:
  static bool knows(const Act& later, const Act& earlier) { return (later.seen >> earlier.id & 1) != 0; }
  static std::uint64_t clock_of(const Act& act) { return std::min(act.clock, act.receipt + 60'000); }

  static std::vector<const Act*> current(const std::vector<const Act*>& here) {
    std::vector<const Act*> out;
    for (const Act* act : here) {
      if (std::none_of(here.begin(), here.end(), [&](const Act* other) { return knows(*other, *act); }))
        out.push_back(act);
    }
    return out;
  }

  // A removed element that somebody made anew begins anew: what the removal saw in it is gone. One that lives on because it
  // was edited lives on whole.
  [[nodiscard]] std::vector<Act> ends_of(const std::string& cell) const {
    const std::size_t slash = cell.find('/');
    if (slash == std::string::npos) return {};
    std::vector<Act> ends;
    for (const Act& act : acts_) {
      if (act.cell == cell.substr(0, slash) && act.deed == Deed::kRemove) ends.push_back(act);
    }
    const bool anew = std::any_of(acts_.begin(), acts_.end(), [&](const Act& act) {
      const auto saw = [&](const Act& end) { return knows(end, act); };
      return act.cell == cell.substr(0, slash) && act.deed == Deed::kMake &&
             std::none_of(ends.begin(), ends.end(), saw);
    });
    return anew ? ends : std::vector<Act>();
  }

  static bool there(const Beginning& start, const std::vector<const Act*>& here, bool edits_keep) {
    std::vector<const Act*> removals;
    for (const Act* act : here) {
      if (act->deed == Deed::kRemove) removals.push_back(act);
    }
    if (removals.empty() && start.value) return true;
    return std::any_of(here.begin(), here.end(), [&](const Act* act) {
      if (act->deed == Deed::kRemove || (act->deed != Deed::kMake && !edits_keep)) return false;
      return std::none_of(removals.begin(), removals.end(), [&](const Act* removal) { return knows(*removal, *act); });
    });
  }

  static std::int64_t sum(const Beginning& start, const std::vector<const Act*>& here) {
    std::vector<const Act*> turns;  // where counting began or ended
    for (const Act* act : here) {
      if (act->deed == Deed::kMake || act->deed == Deed::kRemove) turns.push_back(act);
    }
    const std::vector<const Act*> last = current(turns);
    std::int64_t total = turns.empty() && start.value ? std::stoll(*start.value) : 0;
    for (const Act* act : last) total += act->by;
    for (const Act* act : here) {
      const auto forgets = [&](const Act* one) { return knows(*one, *act); };
      if (act->deed == Deed::kIncrease && std::none_of(last.begin(), last.end(), forgets)) total += act->by;
    }
    return total;
  }

  static std::int64_t best(const Beginning& start, const std::vector<const Act*>& here) {
    std::int64_t greatest = std::stoll(*start.value);
    for (const Act* act : here) greatest = std::max(greatest, act->by);
    return greatest;
  }

  static Wanted latest(const Beginning& start, const std::vector<const Act*>& here) {
    if (here.empty()) return {start.value.value_or("")};
    if (!there(start, here, false)) return {""};
    std::vector<const Act*> standing;
    for (const Act* act : current(here)) {
      if (act->deed != Deed::kRemove) standing.push_back(act);
    }
    if (standing.empty()) return {start.value.value_or("")};
    // Whoever writes what everybody knew has changed nothing; the apps never do that alone, see the generator.
    std::uint64_t greatest = 0;
    for (const Act* act : standing) greatest = std::max(greatest, clock_of(*act));
    Wanted wanted;
    for (const Act* act : standing) {
      if (clock_of(*act) == greatest) wanted.insert(act->value);
    }
    return wanted;
  }

  // Every word by itself, against what all had seen last; when one word was changed twice the whole text is a register.
  static Wanted words(const Beginning& start, const std::vector<const Act*>& here) {
    const std::vector<const Act*> standing = current(here);
    if (standing.size() < 2) return latest(start, here);
    std::vector<const Act*> common;
    for (const Act* act : here) {
      if (std::all_of(standing.begin(), standing.end(), [&](const Act* one) { return knows(*one, *act); }))
        common.push_back(act);
    }
    common = current(common);
    Wanted any;
    for (const Act* act : standing) any.insert(act->value);
    if (common.size() > 1) return any;
    const auto base = split(common.empty() ? *start.value : common.front()->value);
    std::string merged;
    for (std::size_t i = 0; i < base.size(); ++i) {
      std::set<std::string> changed;
      for (const Act* act : standing) changed.insert(split(act->value)[i]);
      changed.erase(base[i]);
      if (changed.size() > 1) return latest(start, here);
      merged += (merged.empty() ? "" : " ") + (changed.empty() ? base[i] : *changed.begin());
    }
    return {merged};
  }

  static std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> out(1);
    for (const char c : text) {
      if (c == ' ')
        out.emplace_back();
      else
        out.back().push_back(c);
    }
    return out;
  }

  std::map<std::string, Beginning> cells_;
  std::vector<Act> acts_;
};

}  // namespace oas::intents
