// Which pushed segments may be kept as they are. Flow: server_session.h.
#include <utility>

#include "base/limits.h"
#include "sync/server_state.h"
#include "wire/segment.h"

namespace oas::sync {
namespace {

using Groups = std::vector<PlannedBlock::Group>;

void add_to(Groups& groups, const PlannedBlock::Group& more) {
  // What comes one after another is mostly alike: looked for from the end.
  for (auto group = groups.rbegin(); group != groups.rend(); ++group)
    if (group->type == more.type && group->module == more.module) {
      group->count += more.count;
      return;
    }
  groups.push_back(more);
}

}  // namespace

// Takes a segment that has not been seen before, whole or not at all: every event of it must apply without a look at
// anything but itself. Events of an entity have an order with those of other lanes, which rows keep and blocks do not.
// True when it was taken.
bool ServerSession::Impl::plan_block(const OpenItem& item) {
  if (!take_blocks || item.stream.lane != Lane::kAnalytics) return false;
  Groups groups;
  for (const auto& [hash, event, refused] : item.rows) {
    if (refused != 0 || !event.entity.empty() || !event.dedupe_key.empty() || event.replaces) return false;
    add_to(groups, {.type = event.type, .module = event.module, .count = 1, .hlc = event.hlc});
    if (groups.size() > kBlockGroupsMax) return false;
  }
  const bool goes_on = !blocks.empty() && blocks.back().stream == item.stream &&
                       blocks.back().segments.back().last.value + 1 == item.first.value &&
                       blocks.back().groups.size() + groups.size() <= kBlockGroupsMax;
  if (!goes_on) blocks.push_back({.stream = item.stream, .segments = {}, .hashes = {}, .groups = {}});
  PlannedBlock& block = blocks.back();
  keep_in(block, item);
  for (const OpenItem::Row& row : item.rows) block.hashes.push_back(row.hash);
  for (const PlannedBlock::Group& group : groups) add_to(block.groups, group);
  return true;
}

// What is kept is readable alone: a dictionary is only a way to send, and may be gone when somebody reads the block.
void ServerSession::Impl::keep_in(PlannedBlock& block, const OpenItem& item) {
  if (item.alone) {
    block.segments.push_back({.first = item.first, .last = item.last, .bytes = item.segment});
    return;
  }
  wire::SegmentBuilder builder(item.stream, item.first, item.before);
  for (const OpenItem::Row& row : item.rows) builder.add(row.event);
  for (wire::SealedSegment& sealed : builder.seal()) {
    sealed_again.push_back(std::move(sealed.bytes));
    block.segments.push_back({.first = sealed.first, .last = sealed.last, .bytes = sealed_again.back()});
  }
}

}  // namespace oas::sync
