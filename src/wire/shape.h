// What events of one kind have in common: the JSON with its values cut out.
//
// A shape is the text with every string, number and word that is not a member's name replaced by U+0001; strings keep
// their quotes. Filling the holes in order gives back the bytes, spaces and escapes included, whatever they were: this is
// a cut, not a parse, and needs no valid JSON.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace oas::wire {

inline constexpr std::uint8_t kHole = 1;

// Appends the shape of `json` to `shape` and its values to `values`, in order; false when it holds a byte
// below 2, a control character in a string, a string without end, or more than `values_max` values. O(n).
[[nodiscard]] bool cut_values(ByteView json, std::size_t values_max, Bytes& shape,
                              std::vector<std::string_view>& values);

// Appends, for every hole of a shape, a number that stands for its JSON path (elements of one array share theirs).
// Never below kPathsReserved. O(n).
inline constexpr std::uint32_t kPathsReserved = 256;
void hole_paths(std::string_view shape, std::vector<std::uint32_t>& paths);

}  // namespace oas::wire
