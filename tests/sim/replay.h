// A trace of a real page once more, in the simulated world: the same calls, the same network, the same deaths of the tab, against
// the shipped core; judged as every other world is.
#pragma once

#include <string_view>

#include "base/sim_points.h"

namespace oas::sim {

// Prints the timeline and the verdict; returns the exit code: 0 = no violation, 1 = some, 2 = the file is refused.
int replay_file(std::string_view path, Mutant mutant);

}  // namespace oas::sim
