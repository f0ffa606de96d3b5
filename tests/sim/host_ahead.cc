// A host that reads before it is asked, as js-glue/core/read-ahead.ts does: all that a start asks for while the core still
// loads, and all that a round asks for from the moment that a session looks at the lease.
// Here meta is read at once, what is handed out may be older than the lease, and messages are heeded only while a page opens:
// the worst that such a host can do.
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

// A page or worker begins to read. How long its engine's first question takes: it is asked when everything else has loaded.
std::int64_t World::open_ahead(std::size_t index, const engine::Load& load) {
  Context& context = *contexts_[index];
  if (!reads_ahead_ || !context.opens || load.range.from != kTotals) return 1;
  context.opens = false;
  begin_round(index, true);
  return prng_.between(1, 40);
}

void World::read_ahead(std::size_t index, const engine::Load& load) {
  if (!reads_ahead_) return;
  Context& context = *contexts_[index];
  if (load.range.from == kTotals && !context.opening) {
    const Bytes lease = queue::lease_key();
    const Bytes to = queue::after_key(lease);
    context.ahead.clear();
    context.ahead[lease] = {to, 1, devices_[context.device]->disk.scan({lease, to}, 1)};
  }
  if (load.range.from != queue::lease_key()) return;
  if (context.opening) {
    context.ahead[kMeta] = *std::exchange(context.opening, std::nullopt);
  } else {
    begin_round(index);
  }
}

void World::forget(Context& context) {
  context.ahead.clear();
  context.opening.reset();
}

// Of all meta as it was when the page opened, if that holds what is asked for.
std::optional<std::vector<engine::Put>> World::known(const Context& context, const engine::Load& load) {
  if (!context.opening || load.range.from < kMeta || load.range.to > context.opening->to) return std::nullopt;
  const std::vector<engine::Put>& all = context.opening->records;
  if (all.size() == context.opening->records_max) return std::nullopt;
  std::vector<engine::Put> found;
  for (const engine::Put& record : all)
    if (record.key >= load.range.from && record.key < load.range.to && found.size() < load.records_max)
      found.push_back(record);
  // A holder may have let go since. That there is none is proved by taking the lease.
  if (load.range.from == queue::lease_key() && !found.empty()) return std::nullopt;
  return found;
}

void World::begin_round(std::size_t index, bool opening) {
  if (!reads_ahead_) return;
  Context& context = *contexts_[index];
  const auto take = [this, index](const Bytes& from, const Bytes& to, std::uint32_t records_max) {
    return Context::Ahead{to, records_max, devices_[contexts_[index]->device]->disk.scan({from, to}, records_max)};
  };
  const auto take_meta = [this, index, take, opening] {
    Context& reader = *contexts_[index];
    reader.meta_read_at = now_;
    const Context::Ahead meta = take(kMeta, queue::after_prefix(kMeta), kLoadRecordsMax);
    if (opening) {
      reader.opening = meta;
    } else {
      reader.ahead[kMeta] = meta;
    }
  };
  const auto take_segments = [this, index, take] {
    Context& reader = *contexts_[index];
    const Bytes pending = queue::pending_lane_prefix(Lane::kCritical);
    const Bytes to = queue::after_prefix(queue::pending_lane_prefix(Lane::kAnalytics));
    reader.ahead[kJournals] = take(kJournals, queue::after_prefix(kJournals), kJournalsAhead);
    reader.ahead[pending] = take(pending, to, kSegmentsAhead);
  };
  // Segments are never older than meta.
  const bool upside_down = OAS_MUTANT(kSegmentsBeforeMeta);
  std::erase_if(context.ahead, [](const auto& one) { return one.first != queue::lease_key(); });
  upside_down ? take_segments() : take_meta();
  at(now_ + 1, [this, index, upside_down, opening, instance = context.instance, take_meta, take_segments] {
    const Context& reader = *contexts_[index];
    if (reader.instance != instance) return;
    const bool forgotten = upside_down ? !reader.ahead.contains(kJournals)
                           : opening   ? !reader.opening
                                       : !reader.ahead.contains(kMeta);
    if (forgotten) return;
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
  if (load.range.from == queue::lease_key() && !records.empty()) forget(context);
  return records;
}

}  // namespace oas::sim
