#include "merge/writes.h"
#include "base/sim_points.h"
#include "merge/order.h"

#include <algorithm>

namespace oas::merge {

bool sees(const Write& later, const Op& earlier, const Stamp& stamp) {
  const Op& op = *later.op;
  if (op.cause->context.contains(earlier.dot, stamp.change)) return true;
  // Operations of one change see those before them in the same change.
  return op.dot.epoch == earlier.dot.epoch && op.dot.n > earlier.dot.n &&
         (op.cause == earlier.cause || op.cause->hlc == earlier.cause->hlc);
}

bool sees(const Write& later, const Write& earlier) { return sees(later, *earlier.op, earlier.stamp); }

bool before(const Write& a, const Write& b) {
  if (OAS_MUTANT(kMergeByDevice)) return a.op->dot < b.op->dot;
  if (a.clock() != b.clock()) return a.clock() < b.clock();
  return a.op->dot < b.op->dot;
}

std::vector<std::uint32_t> all_indices(const std::vector<Write>& writes) {
  std::vector<std::uint32_t> all(writes.size());
  for (std::uint32_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

std::vector<std::uint32_t> uncovered(const std::vector<Write>& writes, const std::vector<std::uint32_t>& among) {
  if (OAS_MUTANT(kMergeNothingCovered)) return among;
  // Newest first, so that one comparison settles most of them; a skewed clock only costs more comparisons.
  std::vector<std::uint32_t> newest = among;
  order(newest, [&](std::uint32_t a, std::uint32_t b) {
    const Op& x = *writes[a].op;
    const Op& y = *writes[b].op;
    return x.cause->hlc != y.cause->hlc ? x.cause->hlc > y.cause->hlc : x.dot > y.dot;
  });
  std::vector<std::uint32_t> tops;
  for (const std::uint32_t i : newest) {
    const auto covers_i = [&](std::uint32_t top) { return sees(writes[top], writes[i]); };
    if (std::any_of(tops.begin(), tops.end(), covers_i)) continue;
    std::erase_if(tops, [&](std::uint32_t top) { return sees(writes[i], writes[top]); });
    tops.push_back(i);
  }
  // A writer may know an operation without those it covers, so what a covered one covers has to be looked at too.
  if (tops.size() > 1) {
    std::erase_if(tops, [&](std::uint32_t top) {
      return std::any_of(among.begin(), among.end(),
                         [&](std::uint32_t i) { return i != top && sees(writes[i], writes[top]); });
    });
  }
  order(tops);
  return tops;
}

Standing standing_of(const std::vector<Write>& writes, bool has_base) {
  const std::vector<std::uint32_t> all = all_indices(writes);
  Standing out;
  std::vector<std::uint32_t> deletions;
  for (const std::uint32_t i : uncovered(writes, all)) (writes[i].value ? out.siblings : deletions).push_back(i);
  if (deletions.empty()) {
    out.alive = has_base || !out.siblings.empty();
    return out;
  }
  const auto ended_by = [&](std::uint32_t creation, std::uint32_t deletion) {
    if (OAS_MUTANT(kMergeRemoveBeatsUnseenAdd) && !writes[deletion].value) return true;
    return !writes[deletion].value && sees(writes[deletion], writes[creation]);
  };
  const auto ended = [&](std::uint32_t creation) {
    return std::any_of(all.begin(), all.end(), [&](std::uint32_t i) { return ended_by(creation, i); });
  };
  for (const std::uint32_t i : all) {
    if (writes[i].creates && writes[i].value && !ended(i)) out.alive = true;
  }
  if (OAS_MUTANT(kMergeResurrects)) out.alive = out.alive || !out.siblings.empty() || has_base;
  for (const std::uint32_t deletion : deletions) {
    const bool ends_something = has_base || std::any_of(all.begin(), all.end(), [&](std::uint32_t i) {
                                  return writes[i].value && ended_by(i, deletion);
                                });
    if (ends_something) out.killers.push_back(deletion);
  }
  // Without a creation that any deletion could have ended, values stand: nothing here was deleted.
  if (out.killers.empty()) out.alive = out.alive || has_base || !out.siblings.empty();
  return out;
}

const Value* common_base(const std::vector<Write>& writes, const std::vector<std::uint32_t>& siblings,
                         const Value* fallback) {
  std::vector<std::uint32_t> seen_by_all;
  for (std::uint32_t i = 0; i < writes.size(); ++i) {
    const auto sees_i = [&](std::uint32_t sibling) { return sibling != i && sees(writes[sibling], writes[i]); };
    if (std::all_of(siblings.begin(), siblings.end(), sees_i)) seen_by_all.push_back(i);
  }
  if (seen_by_all.empty()) return fallback;
  const auto tops = uncovered(writes, seen_by_all);
  const auto last = std::max_element(tops.begin(), tops.end(),
                                     [&](std::uint32_t a, std::uint32_t b) { return before(writes[a], writes[b]); });
  return last == tops.end() ? fallback : writes[*last].value;
}

}  // namespace oas::merge
