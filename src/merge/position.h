// Fractional positions: where an element of a list stands, as base-62 text compared by bytes.
//
// Between any two different positions there is room for another. Writers end a new position with characters of their own
// (`salt`), and give all elements of one inserted run a common beginning, so concurrent runs in one gap stay together.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace oas::merge {

// Where element `index` of `count` stands in an array that came as a whole; the same text on every replica.
[[nodiscard]] std::string literal_position(std::uint64_t index, std::uint64_t count);

// `count` ascending positions strictly between `low` and `high`; empty text means the end of the list on that side.
// Precondition: low < high, or one is empty. O(count + length).
[[nodiscard]] std::vector<std::string> positions_between(std::string_view low, std::string_view high,
                                                         std::uint64_t count, std::uint64_t salt);

// Base-62 text, not empty, at most kPositionBytesMax, not ending in the zero digit.
[[nodiscard]] bool is_position(std::string_view text);

}  // namespace oas::merge
