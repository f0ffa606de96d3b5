// The merge of two edited copies of one JSON value, through the same path that devices take.
//
// Two replicas start from the base, each puts its side, the deltas cross as bytes, both join and show. The sides are told
// apart by their content alone, so swapping them gives the same bytes.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "merge/show.h"

namespace oas::merge {

struct ThreeWayOptions {
  Rules rules;
  ShowOptions show;
  // Which side reached the server first, for `server-wins` and `local-wins`; 0: neither has been there.
  std::uint8_t first_at_server = 0;  // 1 ours, 2 theirs
  // Which side wrote later, for `lww`; 0: at the same time, so ids decide.
  std::uint8_t later = 0;  // 1 ours, 2 theirs
};

struct ThreeWay {
  Shown shown;
  Bytes state;  // canonical, equal on both replicas
  std::uint64_t delta_bytes = 0;
};

// Nothing as a side means: deleted there; nothing as base: created on both. Errors: those of decoding, never for valid
// values. O(size).
[[nodiscard]] Result<ThreeWay> merge_three_way(const MaybeValue& base, const MaybeValue& ours, const MaybeValue& theirs,
                                               const ThreeWayOptions& options);

}  // namespace oas::merge
