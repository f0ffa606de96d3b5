// Which value is visible where concurrent writes give different ones. Chooses, never deletes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "merge/record.h"
#include "merge/rules.h"
#include "merge/writes.h"

namespace oas::merge {

// What a merge function may look at. It spends steps and is cut off at the limit, so it always ends.
struct FunctionCall {
  const Value* base = nullptr;        // null: nothing was agreed
  std::vector<const Value*> siblings;  // by dot
  std::uint32_t steps_left = 100'000;
};
// Returns nothing when it cannot decide; the place is then `manual`. Must depend on the call alone.
using MergeFunction = MaybeValue (*)(FunctionCall& call);

struct NamedFunction {
  std::string_view name;
  MergeFunction call;
};

struct Contest {
  std::string_view step;  // the last step of the path, empty at the root
  std::string_view parent;  // the step above it
  const Value* base = nullptr;
  std::vector<const Write*> siblings;  // at least two, all with values, pairwise different, in `before` order
};

struct Decision {
  MaybeValue value;
  const Write* winner = nullptr;  // null: a new value, or the last agreed one
  Rule rule = Rule::kLww;
  ConflictClass cls = ConflictClass::kLossy;
  std::uint64_t margin_ms = 0;
};

[[nodiscard]] Decision decide(const Contest& contest, const Policy& policy,
                              const std::vector<NamedFunction>& functions);

}  // namespace oas::merge
