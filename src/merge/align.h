// Which element of the next array is which element of the base: the step that decides how well lists merge.
//
// In this order: equal keys, equal values (a longest common subsequence first, the rest as moves), then what was removed
// and added in one slot and is similar enough to be an edit (R16), then one element replaced by one (R17).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "merge/identity.h"
#include "merge/value.h"

namespace oas::merge {

inline constexpr std::uint32_t kUnmatched = 0xFFFFFFFF;

struct Alignment {
  std::vector<std::uint32_t> base_of;  // for each next element: its base element, or kUnmatched
  std::vector<bool> taken;  // for each base element: whether it lives on
  ListShape shape;  // of the base, or of the next array where the base is empty
};

// O(n log n) for keyed lists and sets; sequences see lcs.h.
[[nodiscard]] Alignment align(const std::vector<Value>& base, const std::vector<Value>& next,
                              std::string_view declared_key);

// Leaves at equal paths with equal values. An edit is assumed from 5 * shared >= 3 * max(leaves).
[[nodiscard]] std::uint64_t shared_leaves(const Value& a, const Value& b);
[[nodiscard]] bool similar(const Value& a, const Value& b);

}  // namespace oas::merge
