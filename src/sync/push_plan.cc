#include "sync/push_plan.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/sim_points.h"
#include "base/sort.h"
#include "wire/reader.h"

namespace oas::sync {
namespace {

constexpr std::uint32_t kOrderedLanes = 3;       // critical, high, normal keep entity order
constexpr std::uint32_t kPromotionRoundsMax = 8;
constexpr std::uint32_t kItemsSpare = 64;        // holes made up for a request, records behind a damaged one

auto send_order(const queue::SegmentKey& key) { return std::tuple(key.hlc, key.stream, key.first); }

std::vector<std::uint32_t> read_entities(ByteView bytes) {
  std::vector<std::uint32_t> entities;
  wire::Reader in(bytes);
  while (in.left() >= 4) entities.push_back(*in.u32());
  return entities;
}

bool share(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j) return true;
    *i < *j ? ++i : ++j;
  }
  return false;
}

bool ordered(Lane lane) { return static_cast<std::uint32_t>(lane) < kOrderedLanes; }

// Believed only for a checksum failure: anything else may be a newer format or a codec this build lacks.
bool is_damage(const Error& error) { return error.code == ErrorCode::kChecksum || error.code == ErrorCode::kTruncated; }

// The hole or the head of the segment that the record holds.
Result<void> read_into(Planned& planned, ByteView record) {
  const queue::SegmentKey& key = planned.key;
  if (queue::is_hole(record)) {
    OAS_TRY(const queue::HoleRecord hole, queue::read_record<queue::HoleRecord>(record));
    planned.hole =
        VoidRange{key.stream, key.first, key.last, static_cast<VoidReason>(hole.reason), hole.before, hole.after};
    return {};
  }
  OAS_TRY(wire::SegmentView segment, wire::open_segment(record));
  if (segment.head.stream != key.stream || segment.head.first != key.first || segment.head.last() != key.last)
    return fail(ErrorCode::kChecksum);
  planned.head = std::move(segment.head);
  return {};
}

}  // namespace

PushPlan::PushPlan(const Remembered& remembered, Budget budget, const std::set<StreamId>& skipped,
                   std::set<Bytes>& suspects)
    : remembered_(&remembered), budget_(budget), skipped_(&skipped), suspects_(&suspects) {
  for (std::uint32_t lane = 0; lane < kLaneCount; ++lane)
    lanes_[lane].cursor = queue::pending_lane_prefix(static_cast<Lane>(lane));
}

bool PushPlan::stuffed(std::uint32_t share) const {
  return bytes_ >= budget_.bytes / share || items_.size() >= (kPushItemsMax - kItemsSpare) / share ||
         decoded_ >= (kPushDecodedBytesMax - kSegmentJsonBytesMax * 2) / share;
}

bool PushPlan::full(std::uint32_t lane) const {
  const bool may_need_a_prefix = lane < static_cast<std::uint32_t>(Lane::kNormal);
  return events_ >= budget_.events || stuffed(may_need_a_prefix ? 2 : 1);
}

bool PushPlan::lane_wants_more(std::uint32_t lane) const {
  const LaneScan& scan = lanes_[lane];
  if (scan.done) return false;
  for (const Damage& damage : damages_)
    if (!damage.resolved && static_cast<std::uint32_t>(damage.key.stream.lane) == lane) return true;
  if (stuffed()) return false;
  return !full(lane) || (!scan.promote.empty() && scan.cursor <= scan.promote);
}

std::optional<ReadWish> PushPlan::next() {
  if (phase_ == Phase::kQueue) {
    asked_ = budget_.page;
    return ReadWish{{lanes_[0].cursor, queue::after_prefix(queue::pending_lane_prefix(Lane::kAnalytics))}, asked_};
  }
  if (phase_ == Phase::kLanes) {
    for (; lane_ < kLaneCount; ++lane_) {
      if (!lane_wants_more(lane_)) continue;
      // A small budget needs no large page; ask for one more than would fill it.
      const std::uint32_t page = budget_.events <= kSegmentEventsMax ? 8 : kPageSegments;
      asked_ = page;
      return ReadWish{{lanes_[lane_].cursor, queue::after_prefix(queue::pending_lane_prefix(static_cast<Lane>(lane_)))},
                      page};
    }
    begin_deps();
  }
  if (phase_ == Phase::kDeps) {
    for (; deps_lane_ < kOrderedLanes; ++deps_lane_) {
      if (deps_cursor_.empty()) deps_cursor_ = queue::entities_lane_prefix(static_cast<Lane>(deps_lane_));
      asked_ = kLoadRecordsMax;
      // Only what is older than the newest planned segment can come before it.
      queue::SegmentKey bound = items_.back().key;
      for (const Planned& item : items_) bound = send_order(item.key) > send_order(bound) ? item.key : bound;
      bound.stream.lane = static_cast<Lane>(deps_lane_);
      return ReadWish{{deps_cursor_, queue::after_key(queue::entities_key(bound))}, kLoadRecordsMax};
    }
    finish_deps();
    if (phase_ == Phase::kLanes) return next();
  }
  return std::nullopt;
}

// Keys sort by lane first: every lane before the last record's is read to its end.
void PushPlan::feed_queue(std::vector<queue::Put> records) {
  phase_ = Phase::kLanes;
  snapshot_ = records.size() < asked_;
  const std::uint32_t reached = snapshot_ ? kLaneCount : records.back().key[2];
  for (std::uint32_t lane = 0; lane < std::min(reached, kLaneCount); ++lane) lanes_[lane].done = true;
  std::uint32_t taken = 0;
  for (queue::Put& record : records) {
    const std::uint32_t lane = record.key[2];
    if (lane >= kLaneCount) continue;
    if (full(lane)) {
      // Twice what this request takes: segments that are somewhat smaller still come by one read.
      next_page_ = std::min(kPageSegments, 2 * taken + 2);
      // What is behind is left for the next request; nothing of a lane may be skipped.
      lanes_[lane].done = snapshot_ = false;
      for (std::uint32_t behind = lane; behind < kLaneCount; ++behind) lanes_[behind].done = false;
      return;
    }
    lanes_[lane].cursor = queue::after_key(record.key);
    take(std::move(record));
    ++taken;
  }
  if (snapshot_)
    for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) resolve_at_end(lane);
}

void PushPlan::feed(std::vector<queue::Put> records) {
  if (phase_ == Phase::kQueue) {
    feed_queue(std::move(records));
    return;
  }
  if (phase_ == Phase::kDeps) {
    feed_deps(records);
    return;
  }
  LaneScan& scan = lanes_[lane_];
  const bool last_page = records.size() < asked_;
  for (queue::Put& record : records) {
    const bool promoted = !scan.promote.empty() && record.key <= scan.promote;
    const bool damage_open = std::any_of(damages_.begin(), damages_.end(), [](const Damage& d) { return !d.resolved; });
    if ((promoted ? stuffed() : full(lane_)) && !damage_open) return;  // the cursor stays before this record
    scan.cursor = queue::after_key(record.key);
    take(std::move(record));
  }
  if (!last_page) return;
  scan.done = true;
  resolve_at_end(lane_);
}

// Nothing readable follows the damage: the chain goes on from what its epoch has stored of itself.
void PushPlan::resolve_at_end(std::uint32_t lane) {
  for (Damage& damage : damages_) {
    if (damage.resolved || static_cast<std::uint32_t>(damage.key.stream.lane) != lane) continue;
    const queue::EpochTotals* totals = remembered_->totals_of(damage.key.stream.epoch);
    const bool newest = totals != nullptr && totals->last[lane] == damage.key.last.value;
    if (!newest && !damage.followed && !totals_believed_) {
      outdated_ = true;  // its context has stored more since the totals were read
      continue;
    }
    damage.after = newest ? totals->hash[lane] : void_hash(damage.before, damage.key.first, damage.key.last);
    damage.resolved = true;
  }
}

PushPlan::Chain& PushPlan::chain(StreamId stream) {
  const auto [at, fresh] = chains_.try_emplace(stream);
  if (fresh) {
    const queue::StreamMark mark = remembered_->mark(stream);
    at->second = {{mark.mark.seq.value + 1}, mark.mark.hash};
  }
  return at->second;
}

void PushPlan::take(queue::Put record) {
  const Result<queue::SegmentKey> key = queue::read_segment_key(record.key);
  if (!key) return;  // not ours to judge; a newer build may know it
  const StreamId stream = key->stream;
  Chain& at = chain(stream);
  if (key->last < at.next) {
    stale_.push_back(std::move(record.key));
    return;
  }
  if (skipped_->contains(stream)) return;
  if (blocked_.contains(stream)) {
    follow_damage(*key, record.value);
    return;
  }

  const queue::Rewind rewind = remembered_->mark(stream).rewind;
  if (key->first > at.next && rewind == queue::Rewind::kCompare) {
    // Whether it can be read or not: what lies before it is at the server or nowhere. Where more of the stream is held below the
    // gap, that goes first: the server's answer would pass it without its copies for a server that is restored once more.
    blocked_.insert(stream);
    const bool nothing_below = at.next.value == remembered_->mark(stream).mark.seq.value + 1;
    if (nothing_below) compare_.emplace(stream, key->first);
    blocked_any_ |= !nothing_below;
    return;
  }

  Planned planned{.key = *key, .record = {}, .head = {}, .hole = {}};
  if (const Result<void> read = read_into(planned, record.value); !read) {
    if (is_damage(read.error()) && !OAS_MUTANT(kLostBlocksStream)) {
      take_damaged(*key, record.key, at);
    } else {
      blocked_.insert(stream);
      blocked_any_ = true;
    }
    return;
  }
  const RollingHash before = planned.hole ? planned.hole->hash_before : planned.head.hash_before;

  if (key->first <= at.next) {
    suspects_->erase(record.key);
  } else {
    if (rewind != queue::Rewind::kCompared) {
      blocked_.insert(stream);
      blocked_any_ = true;  // an earlier record is missing, or its journal is not taken over yet
      return;
    }
    // What lies before was stored before, but a page read earlier need not show it: another context's clock may be behind.
    // Only a second reading, begun after this record was seen, proves that nobody holds it.
    if (!snapshot_ && suspects_->insert(record.key).second) {
      suspicious_ = true;
      blocked_.insert(stream);
      return;
    }
    const queue::SegmentKey hole_key{key->hlc, stream, at.next, {key->first.value - 1}};
    items_.push_back({.key = hole_key,
                      .record = {},
                      .head = {},
                      .hole = VoidRange{stream, at.next, {key->first.value - 1}, VoidReason::kLost, at.hash, before}});
  }
  at = {{key->last.value + 1}, planned.hole ? planned.hole->hash_after : planned.head.hash_after};
  events_ += planned.hole ? 0 : planned.head.count;
  bytes_ += record.value.size() + 32;
  decoded_ += planned.head.body_bytes;
  const Millis made{static_cast<std::int64_t>(key->hlc.value >> 16)};
  oldest_ = oldest_.value == 0 ? made : std::min(oldest_, made);
  planned.record = std::move(record.value);
  items_.push_back(std::move(planned));
}

void PushPlan::take_damaged(const queue::SegmentKey& key, Bytes record_key, Chain& at) {
  const StreamId stream = key.stream;
  const bool again = suspects_->contains(record_key);
  if (!again) {
    suspects_->insert(std::move(record_key));
    suspicious_ = true;
  } else if (key.first <= at.next || remembered_->mark(stream).rewind == queue::Rewind::kCompared) {
    // Part of it may have passed before; after a rewind what lies before it may be held by nobody.
    damages_.push_back({.key = key, .before = at.hash, .after = {}});
  }
  blocked_.insert(stream);
}

// The first readable record behind a damaged one tells with which hash the stream goes on.
void PushPlan::follow_damage(const queue::SegmentKey& key, ByteView record) {
  for (Damage& damage : damages_)
    if (damage.key.stream == key.stream && damage.key.last < key.first) damage.followed = true;
  if (queue::is_hole(record)) {
    if (const auto hole = queue::read_record<queue::HoleRecord>(record))
      resolve_damage(key.stream, key.first, hole->before);
  } else if (const auto segment = wire::open_segment(record)) {
    resolve_damage(key.stream, key.first, segment->head.hash_before);
  }
}

void PushPlan::resolve_damage(StreamId stream, Sequence first, RollingHash before) {
  for (Damage& damage : damages_) {
    if (damage.resolved || damage.key.stream != stream) continue;
    // The next readable record gives the hash behind the damage only if it follows directly.
    damage.after =
        first.value == damage.key.last.value + 1 ? before : void_hash(damage.before, damage.key.first, damage.key.last);
    damage.resolved = true;
  }
}

void PushPlan::begin_deps() {
  phase_ = Phase::kComplete;
  for (std::uint32_t lane = 0; lane < kLaneCount; ++lane)
    if (lanes_[lane].done) resolve_at_end(lane);
  std::erase_if(damages_, [](const Damage& damage) { return !damage.resolved; });  // decided when more of it is read
  const bool all_read = std::all_of(lanes_.begin(), lanes_.end(), [](const LaneScan& scan) { return scan.done; });
  for (const auto& [stream, mark] : remembered_->marks) {
    // Nothing of it is held: whatever the server has of it is believed.
    const queue::EpochTotals* totals = remembered_->totals_of(stream.epoch);
    const Sequence passed = mark.value.mark.seq;
    const bool lacks = totals != nullptr && totals->last[static_cast<std::size_t>(stream.lane)] > passed.value;
    const bool asks = all_read && mark.value.rewind == queue::Rewind::kCompare && (passed.value == 0 || lacks);
    if (asks && !chains_.contains(stream) && !skipped_->contains(stream) && compare_.size() < kPushStreamsMax / 2)
      compare_.emplace(stream, Sequence{UINT64_MAX});
  }
  if (all_read) give_up_unheld();
  // While it is unknown how far the server is in some stream, nothing that may depend on it is sent.
  if (!compare_.empty()) items_.clear();
  bool entities = false;
  for (const Planned& item : items_) entities |= ordered(item.stream().lane) && !item.head.entities.empty();
  if (!entities || (snapshot_ && !leaves_out())) return;
  missing_.clear();
  deps_lane_ = 0;
  deps_cursor_.clear();
  phase_ = Phase::kDeps;
}

// Records were read whose streams cannot go on: nobody but the server can hold back what shares an entity with them.
bool PushPlan::leaves_out() const {
  return !blocked_.empty() ||
         std::any_of(skipped_->begin(), skipped_->end(), [this](StreamId stream) { return chains_.contains(stream); });
}

// After a rewind: numbers behind everything that is held and that the server has are nobody's any more.
void PushPlan::give_up_unheld() {
  for (const auto& [stream, mark] : remembered_->marks) {
    const queue::EpochTotals* totals = remembered_->totals_of(stream.epoch);
    const auto lane = static_cast<std::size_t>(stream.lane);
    if (mark.value.rewind != queue::Rewind::kCompared || totals == nullptr || stuffed()) continue;
    Chain& at = chain(stream);
    const Sequence last{totals->last[lane]};
    if (at.next > last || blocked_.contains(stream) || skipped_->contains(stream)) continue;
    const VoidRange hole{stream, at.next, last, VoidReason::kLost, at.hash, totals->hash[lane]};
    items_.push_back({.key = {totals->hlc, stream, at.next, last}, .record = {}, .head = {}, .hole = hole});
    at = {{last.value + 1}, hole.hash_after};
  }
}

void PushPlan::feed_deps(const std::vector<queue::Put>& records) {
  for (const queue::Put& record : records) {
    deps_cursor_ = queue::after_key(record.key);
    const Result<queue::SegmentKey> key = queue::read_segment_key(record.key);
    if (!key || key->last < chain(key->stream).next) continue;  // planned, or acknowledged
    missing_.push_back({*key, read_entities(record.value)});
  }
  if (records.size() < asked_) {
    ++deps_lane_;
    deps_cursor_.clear();
  }
}

void PushPlan::finish_deps() {
  phase_ = Phase::kComplete;
  std::erase_if(missing_, [&](const Missing& missing) {
    return std::none_of(items_.begin(), items_.end(), [&](const Planned& item) {
      return item.stream() != missing.key.stream && ordered(item.stream().lane) &&
             send_order(missing.key) < send_order(item.key) && share(item.head.entities, missing.entities);
    });
  });
  if (OAS_MUTANT(kPromotionWithoutPrefix)) missing_.clear();
  if (missing_.empty()) return;
  if (!promote_missing()) leave_dependents();
}

// Earlier segments of other streams that share an entity with a planned one: their lanes are read up to there.
bool PushPlan::promote_missing() {
  if (stuffed() || promotions_ >= kPromotionRoundsMax) return false;
  bool promoted = false;
  for (const Missing& missing : missing_) {
    LaneScan& scan = lanes_[static_cast<std::size_t>(missing.key.stream.lane)];
    const Bytes until = queue::pending_key(missing.key);
    if (scan.promote >= until) continue;
    scan.promote = until;
    scan.done = false;
    promoted = true;
  }
  if (!promoted) return false;
  ++promotions_;
  lane_ = 0;
  phase_ = Phase::kLanes;
  return true;
}

// One pass in the order of sending: what waits for a segment that is left behind is left behind too, and with it the rest
// of its stream. A segment of a parked stream holds nobody back here; the server is told and decides.
void PushPlan::leave_dependents() {
  std::vector<const Missing*> missing;
  for (const Missing& one : missing_) missing.push_back(&one);
  sort_list(missing, [](const Missing* a, const Missing* b) { return send_order(a->key) < send_order(b->key); });

  std::set<StreamId> cut;
  std::set<std::uint32_t> held;  // entities of what was left behind
  std::vector<bool> leaves(items_.size());
  std::size_t left = 0;
  auto next = missing.begin();
  for (const std::uint32_t i : in_send_order()) {
    const Planned& item = items_[i];
    for (; next != missing.end() && send_order((*next)->key) < send_order(item.key); ++next) {
      const StreamId stream = (*next)->key.stream;
      if (!skipped_->contains(stream) && !blocked_.contains(stream))
        held.insert((*next)->entities.begin(), (*next)->entities.end());
    }
    const bool waits =
        ordered(item.stream().lane) && std::any_of(item.head.entities.begin(), item.head.entities.end(),
                                                   [&held](std::uint32_t entity) { return held.contains(entity); });
    if (!waits && !cut.contains(item.stream())) continue;
    cut.insert(item.stream());
    if (ordered(item.stream().lane)) held.insert(item.head.entities.begin(), item.head.entities.end());
    leaves[i] = true;
    ++left;
  }
  if (left > 0 && left < items_.size()) leave(leaves);
}

void PushPlan::write(SyncRequest& request) {
  std::vector<std::uint32_t> order = in_send_order();
  order.resize(list_deps(order, request.deps));
  std::map<StreamId, Watermark> reach;
  std::vector<bool> leaves(items_.size(), true);
  for (const std::uint32_t i : order) {
    const Planned& item = items_[i];
    leaves[i] = false;
    reach[item.stream()] = {item.key.last, item.hole ? item.hole->hash_after : item.head.hash_after};
    request.items.push_back(
        {.segment = item.hole ? ByteView{} : ByteView{item.record}, .hole = item.hole.value_or(VoidRange{})});
  }
  for (const auto& [stream, first] : compare_) reach.try_emplace(stream, remembered_->mark(stream).mark);
  for (const auto& [stream, last] : reach) request.streams.push_back({stream, remembered_->mark(stream).mark, last});
  if (order.size() < items_.size()) leave(leaves);  // moving an item keeps its record's buffer
}

std::vector<std::uint32_t> PushPlan::in_send_order() const {
  std::vector<std::uint32_t> order(items_.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  if (!OAS_MUTANT(kEntityOrderByArrival))
    sort_list(order, [this](std::uint32_t a, std::uint32_t b) {
      return send_order(items_[a].key) < send_order(items_[b].key);
    });
  return order;
}

// Of each item the newest earlier position of each other stream that shares an entity; whatever is older follows by its own
// order. Returns for how many items there is room: one that does not say all it depends on could overtake what the server
// stops at. The first is always sent.
std::size_t PushPlan::list_deps(const std::vector<std::uint32_t>& order, std::vector<Dep>& deps) const {
  std::map<std::uint32_t, std::map<StreamId, Sequence>> before;
  std::vector<const Missing*> missing;
  for (const Missing& one : missing_) missing.push_back(&one);
  sort_list(missing, [](const Missing* a, const Missing* b) { return send_order(a->key) < send_order(b->key); });
  auto absent = missing.begin();
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    const Planned& item = items_[order[i]];
    if (!ordered(item.stream().lane) || OAS_MUTANT(kEntityOrderByArrival)) continue;
    for (; absent != missing.end() && send_order((*absent)->key) < send_order(item.key); ++absent)
      for (const std::uint32_t entity : (*absent)->entities)
        before[entity][(*absent)->key.stream] = (*absent)->key.last;
    const std::size_t listed = deps.size();
    for (const std::uint32_t entity : item.head.entities) {
      std::map<StreamId, Sequence>& streams = before[entity];
      for (const auto& [stream, seq] : streams)
        if (stream != item.stream()) deps.push_back({i, entity, stream, seq});
      streams[item.stream()] = item.key.last;
    }
    if (deps.size() <= kPushDepsMax) continue;
    deps.resize(i == 0 ? kPushDepsMax : listed);
    return std::max(i, 1U);
  }
  return order.size();
}

void PushPlan::leave(const std::vector<bool>& leaves) {
  std::vector<Planned> kept;
  for (std::size_t i = 0; i < items_.size(); ++i)
    if (!leaves[i]) kept.push_back(std::move(items_[i]));
  items_ = std::move(kept);
}

}  // namespace oas::sync
