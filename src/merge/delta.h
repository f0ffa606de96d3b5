// Deltas and whole states as canonical bytes: equal sets of operations give equal bytes on every target.
//
//   version u8 | epoch table | path table | change groups | stamps | voids | version 2: holds (dot, why text)
//   state: the same behind  magic u8, cut varint, snapshot flag u8, [snapshot value]
//
// Columnar where it pays: epochs and paths are interned (a path is its parent and one step), the clock is the difference to
// the group before, and a context that only grew by the writer's own operations costs no bytes. A one-field change in a
// batch of 100 takes about a dozen bytes before lz4.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "merge/operation.h"
#include "merge/state.h"

namespace oas::merge {

inline constexpr std::uint8_t kDeltaVersion = 1;
inline constexpr std::uint8_t kDeltaVersionWithHolds =
    2;  // only where there are some, so that all else keeps its bytes

// O(n log n) in the number of operations.
[[nodiscard]] Bytes encode_delta(const Delta& delta);

// Checks everything a hostile peer could break: order, canonical spelling, limits, steps, positions, UTF-8, contexts that
// contain their own dot. Errors: kTruncated, kMalformed, kLimit, kTooDeep, kUnknownVersion.
Result<Delta> decode_delta(ByteView bytes);

[[nodiscard]] Bytes encode_state(const State& state);
Result<State> decode_state(ByteView bytes);

// hash64 of the canonical bytes: what replicas compare.
[[nodiscard]] std::uint64_t state_digest(const State& state);

}  // namespace oas::merge
