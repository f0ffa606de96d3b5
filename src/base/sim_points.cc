#include "base/sim_points.h"

#ifdef OAS_SIM

#include "base/prng.h"

namespace oas::sim {

thread_local Mutant active_mutant = Mutant::kNone;

namespace {
thread_local Prng buggify_prng{0};
thread_local bool buggify_on = false;
}  // namespace

bool buggify(std::uint32_t numerator, std::uint32_t denominator) {
  return buggify_on && buggify_prng.chance(numerator, denominator);
}

void seed_buggify(std::uint64_t seed, bool on) {
  buggify_prng = Prng{seed};
  buggify_on = on;
}

}  // namespace oas::sim

#endif
