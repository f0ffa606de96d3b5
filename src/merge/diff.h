// put(base, next): the fewest typed operations that turn one value into the other.
//
// Three-way in effect: the base is what the writer saw, so everything he did not change says nothing and loses nothing.
// All inference about identity happens here, once, at the writer: a bad guess gives a poor merge, never divergence.
#pragma once

#include "merge/rules.h"
#include "merge/show.h"

namespace oas::merge {

// Who writes, and the numbers his operations get: dots (epoch, first_n), (epoch, first_n + 1), ...
struct Author {
  Epoch epoch;
  std::uint64_t first_n = 1;
  Hlc hlc;
};

// Operations from `base` (its version is their causal context) to `next`; nothing for equal values.
// Laws: show(join(put(b, n))) = n; put(b, b) is empty. O(size) plus the alignment of the arrays that differ (align.h).
[[nodiscard]] Delta put(const Basis& base, const MaybeValue& next, const Rules& rules, const Author& author);

}  // namespace oas::merge
