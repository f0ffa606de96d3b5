// The writes that meet at one place, and what causality says about them.
//
// Besides the operations on the place itself, an operation further up writes here too: assigning an object assigns each of
// its fields and deletes the fields it saw and does not name. So two concurrent objects merge field by field, and an edit
// inside an object that somebody else replaces meets the replacement exactly where it matters (R07, R10).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/sim_points.h"
#include "merge/state.h"

namespace oas::merge {

struct Write {
  const Op* op = nullptr;
  Stamp stamp;
  const Value* value = nullptr;  // of the operation, or a part of it; null: this write deletes here
  std::string_view pos;
  bool creates = false;  // its writer saw nothing here before

  [[nodiscard]] Hlc clock() const {
    return OAS_MUTANT(kMergeClockUnclamped) ? op->cause->hlc : effective_hlc(op->cause->hlc, stamp);
  }
};

// Whether the writer of `later` had seen `earlier`.
[[nodiscard]] bool sees(const Write& later, const Write& earlier);
[[nodiscard]] bool sees(const Write& later, const Op& earlier, const Stamp& stamp);

// The order that breaks ties: effective clock, epoch, n. Never a side.
[[nodiscard]] bool before(const Write& a, const Write& b);

[[nodiscard]] std::vector<std::uint32_t> all_indices(const std::vector<Write>& writes);

// Indices, ascending, of the writes that no other of `among` has seen.
[[nodiscard]] std::vector<std::uint32_t> uncovered(const std::vector<Write>& writes,
                                                   const std::vector<std::uint32_t>& among);

struct Standing {
  bool alive = false;
  std::vector<std::uint32_t> siblings;  // uncovered values
  std::vector<std::uint32_t> killers;  // uncovered deletions that ended something
};

// `has_base`: the snapshot, or a place above, already gives a value here that every write has seen.
// Existence is observed-remove: alive while one act of creation is unseen by every deletion, so an unseen addition
// survives a deletion (R18) and an edit does not (R04).
[[nodiscard]] Standing standing_of(const std::vector<Write>& writes, bool has_base);

// The last value all of `siblings` had seen, for three-way merging; `fallback` when that is the base.
[[nodiscard]] const Value* common_base(const std::vector<Write>& writes, const std::vector<std::uint32_t>& siblings,
                                       const Value* fallback);

}  // namespace oas::merge
