// Which pushed segments may be kept as they are. Flow: server_session.h.
#include "base/limits.h"
#include "sync/server_state.h"

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
  block.segments.push_back({.first = item.first, .last = item.last, .bytes = item.segment});
  for (const OpenItem::Row& row : item.rows) block.hashes.push_back(row.hash);
  for (const PlannedBlock::Group& group : groups) add_to(block.groups, group);
  return true;
}

}  // namespace oas::sync
