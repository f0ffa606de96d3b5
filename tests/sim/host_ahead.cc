// A host that reads before it is asked, as js-glue/core/read-ahead.ts does: the lease when an engine starts, the rest from the
// moment that a session looks at the lease.
// Here meta is read at once, and what is handed out may be older than the lease: the worst that such a host can do.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/sim_points.h"
#include "queue/keys.h"
#include "sim/world.h"

namespace oas::sim {
namespace {

constexpr std::uint32_t kJournalsAhead = 32;
constexpr std::uint32_t kSegmentsAhead = 4;

const Bytes kMeta{'m'};
const Bytes kTotals{'m', 'e'};
const Bytes kJournals{'s', 'j'};

}  // namespace

// It writes the lease, and that is all it does.
bool World::takes_lease(const engine::Persist& persist) {
  return persist.deletes.empty() && persist.puts.size() == 1 && persist.puts.front().key == queue::lease_key();
}

void World::read_ahead(std::size_t index, const engine::Load& load) {
  if (!reads_ahead_) return;
  if (load.range.from == kTotals) {
    Context& starting = *contexts_[index];
    const Bytes lease = queue::lease_key();
    const Bytes to = queue::after_key(lease);
    starting.ahead.clear();
    starting.ahead[lease] = {to, 1, devices_[starting.device]->disk.scan({lease, to}, 1)};
  }
  if (load.range.from == queue::lease_key()) begin_round(index);
}

void World::begin_round(std::size_t index) {
  if (!reads_ahead_) return;
  Context& context = *contexts_[index];
  const auto take = [this, index](const Bytes& from, const Bytes& to, std::uint32_t records_max) {
    Context& reader = *contexts_[index];
    reader.ahead[from] = {to, records_max, devices_[reader.device]->disk.scan({from, to}, records_max)};
  };
  const auto take_meta = [this, index, take] {
    contexts_[index]->meta_read_at = now_;
    take(kMeta, queue::after_prefix(kMeta), kLoadRecordsMax);
  };
  const auto take_segments = [take] {
    take(kJournals, queue::after_prefix(kJournals), kJournalsAhead);
    take(queue::pending_lane_prefix(Lane::kCritical), queue::after_prefix(queue::pending_lane_prefix(Lane::kAnalytics)),
         kSegmentsAhead);
  };
  // Segments are never older than meta.
  const bool upside_down = OAS_MUTANT(kSegmentsBeforeMeta);
  std::erase_if(context.ahead, [](const auto& one) { return one.first != queue::lease_key(); });
  upside_down ? take_segments() : take_meta();
  at(now_ + 1, [this, index, upside_down, instance = context.instance, take_meta, take_segments] {
    const Context& reader = *contexts_[index];
    if (reader.instance != instance || !reader.ahead.contains(upside_down ? kJournals : kMeta)) return;
    upside_down ? take_meta() : take_segments();
  });
}

// What was read ahead, once, if the question can be answered from it; otherwise what storage holds now.
std::vector<engine::Put> World::answer(Context& context, const engine::Load& load) {
  const Disk& disk = devices_[context.device]->disk;
  const auto at = context.ahead.find(load.range.from);
  if (at != context.ahead.end() && at->second.to == load.range.to) {
    const Context::Ahead ahead = std::move(at->second);
    context.ahead.erase(at);
    const bool whole = ahead.records.size() < ahead.records_max;
    // A holder may have let go since. That there is none is proved by taking the lease.
    const bool held = load.range.from == queue::lease_key() && !ahead.records.empty();
    if (held) return answer(context, load);
    if (whole || load.records_max <= ahead.records_max) {
      const std::size_t count = std::min<std::size_t>(load.records_max, ahead.records.size());
      return {ahead.records.begin(), ahead.records.begin() + static_cast<std::ptrdiff_t>(count)};
    }
  }
  std::vector<engine::Put> records = disk.scan(load.range, load.records_max);
  // Somebody holds it: whoever takes it from them reads what they have left.
  if (load.range.from == queue::lease_key() && !records.empty()) context.ahead.clear();
  return records;
}

}  // namespace oas::sim
