// Longest common subsequence over small integer labels, with the ends trimmed first.
//
// Deterministic: of several longest ones it takes the same on every target. O(n + m) when only one stretch differs,
// else O(n * m) table cells; above kAlignCellsMax the middle is left unmatched and the caller falls back.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace oas::merge {

using IndexPair = std::pair<std::uint32_t, std::uint32_t>;

// Ascending pairs (index in a, index in b) of equal labels.
[[nodiscard]] std::vector<IndexPair> longest_common(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b);

// Indices of one longest strictly increasing subsequence; O(n log n).
[[nodiscard]] std::vector<std::uint32_t> longest_increasing(std::span<const std::uint32_t> values);

}  // namespace oas::merge
