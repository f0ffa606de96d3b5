#include "merge/resolve.h"

#include <algorithm>
#include <array>

#include "base/sim_points.h"
#include "merge/compare.h"
#include "merge/limits.h"
#include "merge/order.h"
#include "merge/tokens.h"

namespace oas::merge {
namespace {

Decision manual(const Contest& contest, ConflictClass cls = ConflictClass::kManual) {
  return {.value = contest.base, .winner = nullptr, .rule = Rule::kManual, .cls = cls};
}

Decision choose(const Write* winner, Rule rule, ConflictClass cls = ConflictClass::kLossy) {
  return {.value = winner->value, .winner = winner, .rule = rule, .cls = cls};
}

Decision last_writer(const Contest& contest, Rule rule = Rule::kLww) {
  const Write* last = contest.siblings.back();
  const Write* second = contest.siblings[contest.siblings.size() - 2];
  Decision decision = choose(last, rule);
  decision.margin_ms = static_cast<std::uint64_t>(wall_of(last->clock()).value - wall_of(second->clock()).value);
  return decision;
}

// The first, or the last, to reach the server; what has no number yet counts as after all that have one.
Decision by_arrival(const Contest& contest, bool first) {
  const auto arrival = [](const Write* write) { return write->stamp.change == 0 ? ~0ULL : write->stamp.change; };
  const Write* winner = contest.siblings.back();
  for (const Write* write : contest.siblings) {
    if (first ? arrival(write) < arrival(winner) : arrival(write) > arrival(winner)) winner = write;
  }
  return choose(winner, first ? Rule::kServerWins : Rule::kLocalWins);
}

std::optional<Decision> extreme(const Contest& contest, Comparator comparator, bool greatest) {
  const Write* winner = contest.siblings.front();
  for (const Write* write : contest.siblings) {
    const auto order = compare_values(comparator, *write->value, *winner->value);
    if (!order) return std::nullopt;
    // Siblings stand in `before` order, so of equals the later one stays.
    const bool wants_greatest = greatest != OAS_MUTANT(kMergeMaxIsMin);
    if (*order == 0 || (wants_greatest ? *order > 0 : *order < 0)) winner = write;
  }
  return choose(winner, greatest ? Rule::kMax : Rule::kMin, ConflictClass::kLossless);
}

// R25 and R26; where a person is asked in doubt, only what is sure.
std::optional<Decision> by_tokens(const Contest& contest, bool asks) {
  if (!contest.base || !contest.base->is_string()) return std::nullopt;
  std::uint32_t atomic = 0;
  for (const Write* write : contest.siblings) {
    if (!write->value->is_string()) return std::nullopt;
    if (is_atomic_text(write->value->text())) ++atomic;
  }
  if (atomic >= 2) return std::nullopt;
  // The order of folding must not depend on clocks, which a stamp may still change.
  std::vector<const Write*> list = contest.siblings;
  order(list, [](const Write* a, const Write* b) { return canonical_less(*a->value, *b->value); });
  std::string merged(list.front()->value->text());
  for (std::size_t i = 1; i < list.size(); ++i) {
    auto next = merge_tokens(contest.base->text(), merged, list[i]->value->text());
    if (!next || (asks && !next->sure)) return std::nullopt;
    merged = std::move(next->text);
  }
  return Decision{
      .value = Value::string(std::move(merged)), .rule = Rule::kTokenMerge, .cls = ConflictClass::kLossless};
}

// Two pre-releases of one version are two builds, and neither holds what the other does.
bool same_core_prereleases(const Contest& contest) {
  const auto core = [](const Write* write) {
    const std::string_view text = write->value->is_string() ? write->value->text() : std::string_view{};
    const std::size_t dash = text.find('-');
    return dash == std::string_view::npos ? std::string_view{} : text.substr(0, dash);
  };
  const auto& all = contest.siblings;
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (!core(all[i]).empty() && core(all[i]) == core(all[j])) return true;
    }
  }
  return false;
}

// A greater version is what both sides of a bump want.
bool versions_grow_here(const Contest& contest) {
  constexpr std::array<std::string_view, 5> kMaps{"dependencies", "devDependencies", "peerDependencies",
                                                  "optionalDependencies", "resolutions"};
  if (is_field(contest.step) && field_key(contest.step) == "version") return !same_core_prereleases(contest);
  return is_field(contest.parent) && std::find(kMaps.begin(), kMaps.end(), field_key(contest.parent)) != kMaps.end();
}

// One side has released what the base prepared, the other goes on preparing: people want a third version (docs/merge.md).
bool parts_ways(const Contest& contest) {
  const auto is_release = [](const Value& value) {
    return !value.is_string() || value.text().find('-') == std::string_view::npos;
  };
  if (!contest.base || is_release(*contest.base)) return false;
  const bool first = is_release(*contest.siblings.front()->value);
  return std::any_of(contest.siblings.begin(), contest.siblings.end(),
                     [&](const Write* write) { return is_release(*write->value) != first; });
}

Decision by_function(const Contest& contest, const Policy& policy, const std::vector<NamedFunction>& functions) {
  const auto named = std::find_if(functions.begin(), functions.end(),
                                  [&](const NamedFunction& one) { return one.name == policy.function; });
  if (named == functions.end()) return manual(contest, ConflictClass::kFailed);
  std::vector<const Write*> list = contest.siblings;
  order(list, [](const Write* a, const Write* b) { return a->op->dot < b->op->dot; });
  FunctionCall call{.base = contest.base, .siblings = {}};
  for (const Write* write : list) call.siblings.push_back(write->value);
  auto answer = named->call(call);
  if (!answer) return manual(contest, ConflictClass::kFailed);
  return {.value = std::move(*answer), .rule = Rule::kFunction};
}

Decision by_type(const Contest& contest, const Policy& policy) {
  const bool asks = policy.choice == Choice::kMergeManual;
  if (auto merged = by_tokens(contest, asks); merged && !policy.strict) return std::move(*merged);
  if (!policy.strict && versions_grow_here(contest) && !(asks && parts_ways(contest))) {
    if (auto greatest = extreme(contest, Comparator::kSemver, true)) {
      greatest->cls = ConflictClass::kLossy;  // inferred, so it is counted as a decision
      return std::move(*greatest);
    }
  }
  return asks ? manual(contest) : last_writer(contest);
}

}  // namespace

Decision decide(const Contest& contest, const Policy& policy, const std::vector<NamedFunction>& functions) {
  if (contest.siblings.size() > kSiblingsMax) return last_writer(contest, Rule::kForced);
  switch (policy.choice) {
    case Choice::kMerge:
    case Choice::kMergeManual: return by_type(contest, policy);
    case Choice::kManual: return manual(contest);
    case Choice::kLww: return last_writer(contest);
    case Choice::kServerWins: return by_arrival(contest, true);
    case Choice::kLocalWins: return by_arrival(contest, false);
    case Choice::kFunction: return by_function(contest, policy, functions);
    case Choice::kMax:
    case Choice::kMin:
      if (auto decision = extreme(contest, policy.comparator, policy.choice == Choice::kMax))
        return std::move(*decision);
      return manual(contest, ConflictClass::kFailed);
  }
  return manual(contest);
}

}  // namespace oas::merge
