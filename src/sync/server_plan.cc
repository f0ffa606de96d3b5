// What becomes of each pushed thing: the streams' rows against the client's, event by event. Flow: server_session.h.
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/sim_points.h"
#include "sync/server_state.h"

namespace oas::sync {

void ServerSession::plan(Rows rows, bool take_blocks) {
  Impl& impl = *impl_;
  OAS_ASSERT(rows.streams.size() == impl.needs.size());
  impl.progress.clear();
  impl.dep_marks.clear();
  impl.deferred.clear();
  impl.take_blocks = take_blocks;
  impl.planned.clear();
  impl.blocks.clear();
  impl.sealed_again.clear();
  impl.outcomes.clear();
  impl.voids.clear();
  impl.recovered.clear();
  impl.oldest_waiting.clear();
  impl.failed_entities.clear();
  impl.probe.reset();
  impl.late = std::move(rows.late);
  impl.deferred_count = static_cast<std::uint32_t>(rows.deferred.size());
  for (const DeferredRow& row : rows.deferred) {
    impl.deferred.insert(row.event);
    if (row.entity != 0) impl.oldest_waiting.try_emplace(row.entity, row.after);
  }
  for (std::size_t i = 0; i < rows.streams.size(); ++i) {
    StreamRow& row = rows.streams[i];
    OAS_ASSERT(row.stream == impl.needs[i].stream);
    impl.dep_marks[row.stream] = row.mark.seq;
    const auto state = std::find_if(impl.request.streams.begin(), impl.request.streams.end(),
                                    [&row](const StreamState& one) { return one.stream == row.stream; });
    if (state != impl.request.streams.end()) impl.start_stream(*state, std::move(row));
  }
  impl.judged = impl.dep_marks;
  const Incarnation known = impl.request.known;
  const bool strangers = known != Incarnation{} && known != rows.incarnation && !OAS_MUTANT(kRestoredServerTakesOn);
  if (!strangers)
    for (std::uint32_t i = 0; i < impl.items.size() && !impl.probe; ++i) impl.plan_item(i);
  if (impl.probe) {
    impl.planned.clear();
    impl.blocks.clear();
  }
  impl.outcomes.resize(impl.planned.size());
  for (std::size_t i = 0; i < impl.planned.size(); ++i) {
    const PlannedEvent& event = impl.planned[i];
    if (event.refused != 0)
      impl.outcomes[i] = {VerdictKind::kRejected, event.refused};
    else if (!event.run)
      impl.outcomes[i] = {VerdictKind::kDeferred, 0};
  }
}

// What the client says it has stored must be on our history, or nothing of the stream is touched.
void ServerSession::Impl::start_stream(const StreamState& state, StreamRow row) {
  Progress& at = progress[state.stream];
  at.state = state;
  at.mark = row.mark;
  at.row = std::move(row);
  const Watermark& stored = state.stored;
  if (stored.seq > at.mark.seq) {
    at.status = StreamStatus::kRewound;
  } else if (stored.seq == at.mark.seq) {
    if (stored.hash != at.mark.hash && stored.seq.value > 0) at.status = StreamStatus::kUnknown;
  } else if (stored.seq.value > 0) {
    const Watermark* kept = find_hash(at.row.hashes, stored.seq);
    if (kept == nullptr || kept->hash != stored.hash) at.status = StreamStatus::kUnknown;
  }
  at.stopped = at.status != StreamStatus::kOk;
}

void ServerSession::Impl::plan_item(std::uint32_t index) {
  const OpenItem& item = items[index];
  Progress& at = progress[item.stream];
  if (at.stopped) return;
  if (waits_for_stopped(index)) {
    at.stopped = true;
    return;
  }
  if (item.undecodable) {
    at.status = StreamStatus::kUndecodable;
    at.stopped = true;
    return;
  }
  if (item.first.value > at.mark.seq.value + 1) {
    at.status = StreamStatus::kGap;
    at.stopped = true;
    return;
  }
  if (item.last <= at.mark.seq) {
    plan_known(at, item, index);
    return;
  }
  if (item.hole) {
    plan_hole(at, item);
    return;
  }
  const Sequence join = std::max(at.mark.seq, Sequence{item.first.value - 1});
  if (item.hash_at(join) != at.mark.hash && join == at.mark.seq) {
    fork(at, item);
    return;
  }
  if (join.value + 1 == item.first.value && plan_block(item)) {
    at.mark = {item.last, item.after};
    dep_marks[item.stream] = item.last;
    return;
  }
  for (Sequence seq{join.value + 1}; seq <= item.last; ++seq.value) {
    if (!plan_event(at, item, index, seq, false)) return;
    at.mark = {seq, item.hash_at(seq)};
    dep_marks[item.stream] = seq;
  }
}

// A stream of this request that was stopped before the number: what depends on it comes again with it. Deferring would be
// wrong where two histories have parted, because the other one's numbers would count for ours.
bool ServerSession::Impl::waits_for_stopped(std::uint32_t index) const {
  const auto item = deps.find(index);
  if (item == deps.end()) return false;
  for (const auto& [entity, events] : item->second)
    for (const EventId& event : events)
      if (const auto at = progress.find(event.stream);
          at != progress.end() && at->second.stopped && at->second.mark.seq < event.seq)
        return true;
  return false;
}

// Numbers at or below the mark: duplicates, if they tell the same history; or lost ones that have turned up after all.
void ServerSession::Impl::plan_known(Progress& at, const OpenItem& item, std::uint32_t index) {
  if (item.hole) return;
  if (OAS_MUTANT(kNoServerDedupe)) {
    for (Sequence seq = item.first; seq <= item.last; ++seq.value)
      if (!plan_event(at, item, index, seq, true)) return;
    return;
  }
  bool covered = true;
  for (Sequence seq = item.first; seq <= item.last; ++seq.value) {
    const auto hole = std::find_if(at.row.voids.begin(), at.row.voids.end(),
                                   [seq](const VoidRow& row) { return row.from <= seq && seq <= row.to; });
    const bool is_void = hole != at.row.voids.end();
    covered &= is_void;
    if (is_void && hole->reason == VoidReason::kLost && !hole->recovered) {
      if (!plan_event(at, item, index, seq, true)) return;
      recovered.push_back({item.stream, seq});
    }
  }
  if (covered) return;
  const bool is_mark = item.last == at.mark.seq;
  const Watermark* kept = is_mark ? &at.mark : find_hash(at.row.hashes, item.last);
  if (kept == nullptr) {
    // No hash kept: settled long ago, or passed as part of a void.
    return;
  }
  if (kept->hash != item.after) fork(at, item);
}

void ServerSession::Impl::plan_hole(Progress& at, const OpenItem& item) {
  // Whoever has lost several records in a row can no longer say what the hash was between them. Nothing is at stake: should
  // the numbers turn up elsewhere, they are taken.
  const bool knows = item.hole->reason != VoidReason::kLost;
  if (knows && item.first.value == at.mark.seq.value + 1 && item.before != at.mark.hash) {
    at.stopped = true;
    if (at.mark != at.row.mark) return;
    at.status = StreamStatus::kUnknown;
    return;
  }
  VoidRange range = *item.hole;
  range.from = {at.mark.seq.value + 1};
  voids.push_back({range});
  at.new_voids.push_back({range.from, range.to, range.reason, false});
  at.mark = {item.last, item.after};
  dep_marks[item.stream] = item.last;
  if (Sequence& mark = judged[item.stream]; mark.value + 1 >= item.first.value) mark = std::max(mark, item.last);
}

bool ServerSession::Impl::plan_event(Progress& at, const OpenItem& item, std::uint32_t index, Sequence seq,
                                     bool is_recovered) {
  const OpenItem::Row& row = item.rows[static_cast<std::size_t>(seq.value - item.first.value)];
  PlannedEvent event{.id = {item.stream, seq}, .hash = row.hash, .event = row.event};
  event.entity = row.event.entity.empty() ? 0 : entity_hash(as_bytes(row.event.entity));
  event.refused = row.refused;
  event.recovered = is_recovered;
  if (event.refused == 0) {
    event.after = event.entity == 0 ? std::vector<EventId>{} : open_deps(index, event.entity);
    // What it stands in for must have been judged first, and for good; a restored server may have forgotten that it was.
    if (const std::optional<EventId>& original = row.event.replaces)
      if (const auto mark = judged.find(original->stream);
          mark != judged.end() && (mark->second < original->seq || deferred.contains(*original)))
        event.after.push_back(*original);
    const bool waits = !event.after.empty() || held_back(event.entity, event.id);
    if (waits && deferred_count >= kDeferredPerDeviceMax) {
      at.status = StreamStatus::kFull;
      at.stopped = true;
      return false;
    }
    event.run = !waits;
    if (waits) {
      ++deferred_count;
      if (event.entity != 0) oldest_waiting.try_emplace(event.entity, event.after);
    }
  }
  planned.push_back(std::move(event));
  return true;
}

// An event waits behind the deferred ones of its entity, unless the oldest of them waits for this very event.
bool ServerSession::Impl::held_back(std::uint32_t entity, const EventId& event) const {
  const auto oldest = oldest_waiting.find(entity);
  return oldest != oldest_waiting.end() &&
         std::none_of(oldest->second.begin(), oldest->second.end(), [&event](const EventId& awaited) {
           return awaited.stream == event.stream && event.seq <= awaited.seq;
         });
}

std::vector<EventId> ServerSession::Impl::open_deps(std::uint32_t index, std::uint32_t entity) const {
  std::vector<EventId> open;
  const auto item = deps.find(index);
  if (item == deps.end()) return open;
  const auto named = item->second.find(entity);
  if (named == item->second.end()) return open;
  for (const EventId& dep : named->second) {
    const auto mark = dep_marks.find(dep.stream);
    if (mark == dep_marks.end() || mark->second < dep.seq) open.push_back(dep);
  }
  return open;
}

// Two histories under one epoch. The agreed position is the last at which our kept hashes equal the client's chain.
void ServerSession::Impl::fork(Progress& at, const OpenItem& item) {
  if (at.mark != at.row.mark) {
    // What was planned of this stream stands; the next request meets the fork first.
    at.stopped = true;
    return;
  }
  const Sequence from = std::max(at.state.stored.seq, Sequence{item.first.value - 1});
  const Sequence to = std::min(item.last, at.row.mark.seq);
  // What lies before this item was compared with the items before it; only its last hash is looked at once more.
  const Sequence first = from > at.state.stored.seq ? from : Sequence{from.value + 1};
  Watermark agreed = at.state.stored;
  bool complete = true;
  for (Sequence seq = first; seq < to; ++seq.value) {
    const Watermark* kept = find_hash(at.row.hashes, seq);
    if (kept == nullptr) {
      complete = false;
      break;
    }
    if (kept->hash != item.hash_at(seq)) break;
    agreed = *kept;
  }
  if (!complete) {
    probe = HashProbe{item.stream, first, to};
    // A host that no longer keeps them leaves them out a second time; then the stream is parked.
    if (at.row.hashes.size() > 1 && find_hash(at.row.hashes, {from.value + 1}) != nullptr) probe.reset();
  }
  at.status = complete ? StreamStatus::kFork : StreamStatus::kUnknown;
  at.mark = complete ? agreed : at.row.mark;
  at.stopped = true;
}

}  // namespace oas::sync
