// Places where a simulation may turn a known mistake on, or take the rare path on purpose. Absent from shipped builds.
//
// OAS_MUTANT(name) is true while the simulator runs that mutant: the code under it is a protocol mistake that the
// simulator must notice. SIM_BUGGIFY(n, d) is true in n of d visits under simulation: the code under it is correct but
// rarely taken.
#pragma once

#include <cstdint>

#ifdef OAS_SIM

namespace oas::sim {

enum class Mutant : std::uint8_t {
  kNone,
#define OAS_MUTANT_ROW(name, sentence) name,
#include "base/document_mutants.def"
#include "base/merge_mutants.def"
#include "base/mutants.def"
#undef OAS_MUTANT_ROW
};

// One simulation a thread; the simulator sets both before each run.
extern thread_local Mutant active_mutant;
[[nodiscard]] bool buggify(std::uint32_t numerator, std::uint32_t denominator);
void seed_buggify(std::uint64_t seed, bool on);

}  // namespace oas::sim

#define OAS_MUTANT(name) (::oas::sim::active_mutant == ::oas::sim::Mutant::name)
#define SIM_BUGGIFY(numerator, denominator) (::oas::sim::buggify(numerator, denominator))

#else

#define OAS_MUTANT(name) false
#define SIM_BUGGIFY(numerator, denominator) false

#endif
