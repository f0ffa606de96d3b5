#include "merge/three_way.h"

#include "base/assert.h"
#include "base/hash.h"
#include "merge/codec.h"
#include "merge/delta.h"
#include "merge/diff.h"
#include "merge/json.h"

namespace oas::merge {
namespace {

Epoch epoch_of(const MaybeValue& side) { return {side ? hash_mix(0x73696465ULL, side->hash()) : hash64({}, 1)}; }

// Equal sides are one edit. Other sides may have one hash all the same: then the greater text is another writer.
bool needs_another_epoch(const MaybeValue& side, const MaybeValue& other) {
  if (!side || !other || side->hash() != other->hash() || *side == *other) return false;
  return to_json(*side) > to_json(*other);
}

Delta edit(const MaybeValue& base, const MaybeValue& side, const MaybeValue& other, const Rules& rules, bool later) {
  Epoch epoch = epoch_of(side);
  if (needs_another_epoch(side, other)) epoch.value = hash_mix(epoch.value, 1);
  return put({base, {}}, side, rules, {.epoch = epoch, .first_n = 1, .hlc = hlc_at({later ? 2 : 1})});
}

void stamp(Delta& delta, std::uint64_t change) {
  if (delta.ops.empty()) return;
  const Dot& first = delta.ops.front().op.dot;
  const Dot& last = delta.ops.back().op.dot;
  delta.stamps.push_back({{first.epoch, first.n, last.n}, {{Millis{1}, 1}, change, Millis{1}}});
}

}  // namespace

Result<ThreeWay> merge_three_way(const MaybeValue& base, const MaybeValue& ours, const MaybeValue& theirs,
                                 const ThreeWayOptions& options) {
  Delta mine = edit(base, ours, theirs, options.rules, options.later == 1);
  Delta other = edit(base, theirs, ours, options.rules, options.later == 2);
  if (options.first_at_server != 0) {
    stamp(mine, options.first_at_server == 1 ? 1 : 2);
    stamp(other, options.first_at_server == 1 ? 2 : 1);
  }
  const Bytes from_mine = encode_delta(mine);
  const Bytes from_other = encode_delta(other);
  State left(base);
  State right(base);
  OAS_CHECK(left.join(std::move(mine)));
  OAS_CHECK(right.join(std::move(other)));
  OAS_TRY(Delta arrived_left, decode_delta(from_other));
  OAS_TRY(Delta arrived_right, decode_delta(from_mine));
  OAS_CHECK(left.join(std::move(arrived_left)));
  OAS_CHECK(right.join(std::move(arrived_right)));
  ThreeWay out{.shown = show(left, options.rules, options.show),
               .state = encode_state(left),
               .delta_bytes = from_mine.size() + from_other.size()};
  OAS_ASSERT(out.state == encode_state(right));
  return out;
}

}  // namespace oas::merge
