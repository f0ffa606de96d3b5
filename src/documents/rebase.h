// An edit that is too old for the server, made again on top of what the server has now.
//
// The device still knows what its writer looked at and what he made of it. The difference of the two is applied to the
// document as it is today: what nobody else has touched simply happens, increments add, and what others have changed, too,
// is left to a person. Nothing comes back that was deleted meanwhile.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "merge/document.h"

namespace oas::documents {

struct Rebased {
  merge::Delta edit;  // what can be done now
  merge::Delta contested;  // what would undo somebody else's work; its dots follow those of `edit`
  std::uint64_t numbers = 0;  // that both may name; the writer's next edit begins behind them
  std::uint32_t stranded = 0;  // operations on what is not there any more
};

// `base` → `mine` is what the writer did; `now` is what he would edit today. Whoever did the same as he in the meantime has
// done it for him. O(size of the three).
[[nodiscard]] Rebased rebase(const merge::MaybeValue& base, const merge::MaybeValue& mine, const merge::Shown& now,
                             const merge::Rules& rules, const merge::Author& author);

}  // namespace oas::documents
