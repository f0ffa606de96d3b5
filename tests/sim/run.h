// The simulator as a program: runs seeds, replays one, or shows that every known mistake is noticed.
#pragma once

#include <string_view>
#include <vector>

namespace oas::sim {

// Prints to standard output; returns the exit code: 0 = no violation, 1 = some, 2 = wrong use.
int simulate(const std::vector<std::string_view>& arguments);

}  // namespace oas::sim
