#include "sync/server_session.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/sim_points.h"
#include "wire/json_check.h"
#include "wire/segment.h"

namespace oas::sync {
namespace {

// One pushed thing, opened.
struct OpenItem {
  StreamId stream;
  Sequence first;
  Sequence last;
  RollingHash before;
  RollingHash after;
  std::optional<VoidRange> hole;
  struct Row {
    RollingHash hash;
    wire::EventView event;
    std::uint16_t refused{};
  };
  std::vector<Row> rows;
  Bytes bytes;  // decoded rows; the events' views point here
  bool undecodable{};

  [[nodiscard]] RollingHash hash_at(Sequence seq) const {
    return seq.value + 1 == first.value ? before : rows[static_cast<std::size_t>(seq.value - first.value)].hash;
  }
};

std::uint16_t refusal(const wire::EventView& event) {
  const Result<void> envelope = wire::check_envelope(event);
  if (!envelope) return static_cast<std::uint16_t>(envelope.error().code);
  const Result<void> json = wire::check_json(event.json);
  return json ? std::uint16_t{0} : static_cast<std::uint16_t>(json.error().code);
}

// Checksum, head, rows and JSON. A body that cannot be decoded concerns its stream only.
Result<OpenItem> open_item(const Item& item) {
  OpenItem open;
  if (item.segment.empty()) {
    const VoidRange& hole = item.hole;
    open.stream = hole.stream;
    open.first = hole.from;
    open.last = hole.to;
    open.before = hole.hash_before;
    open.after = hole.hash_after;
    open.hole = hole;
    return open;
  }
  OAS_TRY(const wire::SegmentView segment, wire::open_segment(item.segment));
  open.stream = segment.head.stream;
  open.first = segment.head.first;
  open.last = segment.head.last();
  open.before = segment.head.hash_before;
  open.after = segment.head.hash_after;
  open.undecodable = !wire::decode_rows(segment, open.bytes).has_value();
  if (open.undecodable) return open;
  wire::RowCursor cursor(segment.head, open.bytes);
  open.rows.reserve(segment.head.count);
  while (!cursor.done()) {
    const Result<wire::RowCursor::Row> row = cursor.next();
    if (!row) {
      open.undecodable = true;
      break;
    }
    open.rows.push_back({row->hash, row->event, refusal(row->event)});
  }
  return open;
}

// A stream while its items are decided.
struct Progress {
  StreamRow row;
  StreamState state;
  StreamStatus status{StreamStatus::kOk};
  Watermark mark;  // where the stream stands after what has been planned so far
  bool stopped{};
  std::vector<VoidRow> new_voids;
};

const Watermark* find_hash(const std::vector<Watermark>& hashes, Sequence seq) {
  const auto at = std::find_if(hashes.begin(), hashes.end(), [seq](const Watermark& mark) { return mark.seq == seq; });
  return at == hashes.end() ? nullptr : &*at;
}

}  // namespace

struct ServerSession::Impl {
  Bytes bytes;
  std::uint64_t nonce = 0;
  SyncRequest request;
  std::vector<OpenItem> items;
  std::vector<StreamNeed> needs;
  std::map<std::uint32_t, std::map<std::uint32_t, std::vector<EventId>>> deps;  // item → entity → what comes first

  std::map<StreamId, Progress> progress;
  std::map<StreamId, Sequence> dep_marks;
  std::map<StreamId, Sequence> judged;  // the same before this push, and voids, which are final at once
  std::set<EventId> deferred;           // of earlier pushes
  std::vector<LateVerdict> late;
  // While planning: entities with deferred events, each with what its oldest one waits for.
  std::map<std::uint32_t, std::vector<EventId>> oldest_waiting;
  std::set<std::uint32_t> failed_entities;   // of events that were run and came back deferred
  std::uint32_t deferred_count = 0;
  std::vector<PlannedEvent> planned;
  std::vector<Outcome> outcomes;
  std::vector<VoidWrite> voids;
  std::vector<EventId> recovered;
  std::optional<HashProbe> probe;

  void list_needs();
  void start_stream(const StreamState& state, StreamRow row);
  void plan_item(std::uint32_t index);
  void plan_known(Progress& at, const OpenItem& item, std::uint32_t index);
  void plan_hole(Progress& at, const OpenItem& item);
  bool plan_event(Progress& at, const OpenItem& item, std::uint32_t index, Sequence seq, bool is_recovered);
  void fork(Progress& at, const OpenItem& item);
  bool waits_for_stopped(std::uint32_t index) const;
  bool held_back(std::uint32_t entity, const EventId& event) const;
  std::vector<EventId> open_deps(std::uint32_t index, std::uint32_t entity) const;
  StreamAnswer answer(const StreamState& state) const;
  std::vector<Verdict> verdicts_of(const Progress& at) const;
  std::optional<RollingHash> known_hash(const Progress& at, Sequence seq) const;
};

// --- opening ----------------------------------------------------------------------------------------------------------

Result<ServerSession> ServerSession::open(ByteView request) {
  ServerSession session(new Impl);
  Impl& impl = *session.impl_;
  impl.bytes = to_bytes(request);
  OAS_TRY(OpenedRequest opened, read_request(impl.bytes));
  impl.nonce = opened.nonce;
  impl.request = std::move(opened.request);
  std::uint64_t decoded = 0;
  for (const Item& item : impl.request.items) {
    OAS_TRY(OpenItem open, open_item(item));
    decoded += open.bytes.size();
    if (decoded > kPushDecodedBytesMax) return fail(ErrorCode::kLimit, kPushDecodedBytesMax);
    const auto named = std::find_if(impl.request.streams.begin(), impl.request.streams.end(),
                                    [&open](const StreamState& state) { return state.stream == open.stream; });
    if (named == impl.request.streams.end()) return fail(ErrorCode::kMalformed, 0);
    impl.items.push_back(std::move(open));
  }
  for (const Dep& dep : impl.request.deps) impl.deps[dep.item][dep.entity].push_back({dep.stream, dep.seq});
  impl.list_needs();
  return session;
}

void ServerSession::Impl::list_needs() {
  for (const StreamState& state : request.streams) {
    StreamNeed need{.stream = state.stream, .stored = state.stored.seq, .hashes_at = {}};
    if (state.stored.seq.value > 0) need.hashes_at.push_back(state.stored.seq);
    for (const OpenItem& item : items)
      if (item.stream == state.stream) need.hashes_at.push_back(item.last);
    std::sort(need.hashes_at.begin(), need.hashes_at.end());
    need.hashes_at.erase(std::unique(need.hashes_at.begin(), need.hashes_at.end()), need.hashes_at.end());
    needs.push_back(std::move(need));
  }
  std::set<StreamId> named;
  for (const StreamNeed& need : needs) named.insert(need.stream);
  const auto look_at = [&](StreamId stream) {
    if (named.insert(stream).second && needs.size() < 2 * kPushStreamsMax)
      needs.push_back({.stream = stream, .stored = {}, .hashes_at = {}, .mark_only = true});
  };
  for (const OpenItem& item : items)
    for (const OpenItem::Row& row : item.rows)
      if (row.event.replaces) look_at(row.event.replaces->stream);
  for (const Dep& dep : request.deps) look_at(dep.stream);
  // One lock order for every push of a device.
  std::sort(needs.begin(), needs.end(), [](const StreamNeed& a, const StreamNeed& b) { return a.stream < b.stream; });
}

ServerSession::ServerSession(Impl* impl) : impl_(impl) {}
ServerSession::ServerSession(ServerSession&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
ServerSession& ServerSession::operator=(ServerSession&& other) noexcept {
  std::swap(impl_, other.impl_);
  return *this;
}
ServerSession::~ServerSession() { delete impl_; }

DeviceId ServerSession::device() const { return impl_->request.device; }
std::uint64_t ServerSession::late_seen() const { return impl_->request.late_seen; }
const std::vector<StreamNeed>& ServerSession::needs() const { return impl_->needs; }
const std::vector<PlannedEvent>& ServerSession::planned() const { return impl_->planned; }
const std::optional<HashProbe>& ServerSession::probe() const { return impl_->probe; }

// --- planning -----------------------------------------------------------------------------------------------------------

void ServerSession::plan(Rows rows) {
  Impl& impl = *impl_;
  OAS_ASSERT(rows.streams.size() == impl.needs.size());
  impl.progress.clear();
  impl.dep_marks.clear();
  impl.deferred.clear();
  impl.planned.clear();
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
  if (impl.probe) impl.planned.clear();
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
  if (item.first.value == at.mark.seq.value + 1 && item.before != at.mark.hash) {
    at.stopped = true;
    if (at.mark != at.row.mark) return;
    at.status = StreamStatus::kUnknown;
    at.stopped = true;
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

// --- outcomes -------------------------------------------------------------------------------------------------------------

bool ServerSession::still_runs(std::uint32_t index) const {
  const PlannedEvent& event = impl_->planned[index];
  if (!event.run || event.refused != 0) return false;
  return event.entity == 0 || !impl_->failed_entities.contains(event.entity);
}

void ServerSession::outcome(std::uint32_t index, Outcome outcome) {
  const PlannedEvent& event = impl_->planned[index];
  if (outcome.kind == VerdictKind::kDeferred && event.entity != 0 && event.run)
    impl_->failed_entities.insert(event.entity);
  impl_->outcomes[index] = outcome;
}

Writes ServerSession::writes() const {
  Writes writes;
  for (const auto& [stream, at] : impl_->progress) {
    const bool moved = at.status != StreamStatus::kFork && at.mark != at.row.mark;
    if (moved) writes.streams.push_back({stream, at.row.mark, at.mark});
  }
  for (std::uint32_t i = 0; i < impl_->planned.size(); ++i) writes.events.push_back(i);
  writes.voids = impl_->voids;
  writes.recovered = impl_->recovered;
  return writes;
}

// --- the answer -------------------------------------------------------------------------------------------------------------

Bytes ServerSession::reply(const ReplyContext& context) const {
  SyncReply reply{.incarnation = context.incarnation,
                  .server_time = context.server_time,
                  .horizon = context.horizon,
                  .credit = context.credit,
                  .retry_after_ms = context.retry_after_ms};
  for (const StreamState& state : impl_->request.streams) reply.streams.push_back(impl_->answer(state));
  reply.late = impl_->late;
  if (reply.late.size() > kVerdictsMax) reply.late.resize(kVerdictsMax);
  Bytes out;
  write_reply(out, impl_->nonce, reply);
  return out;
}

StreamAnswer ServerSession::Impl::answer(const StreamState& state) const {
  const Progress& at = progress.at(state.stream);
  StreamAnswer answer{.stream = state.stream, .status = at.status, .mark = at.mark, .verdicts = {}};
  const bool lists =
      at.status == StreamStatus::kOk || at.status == StreamStatus::kGap || at.status == StreamStatus::kFull;
  if (!lists) return answer;
  answer.verdicts = verdicts_of(at);
  if (answer.verdicts.size() <= kVerdictsMax) return answer;
  // Too many to list: name the highest watermark whose list fits and whose hash we can state.
  Watermark lower = state.stored;
  for (std::uint32_t i = 0; i < kVerdictsMax; ++i)
    if (const auto hash = known_hash(at, answer.verdicts[i].seq)) lower = {answer.verdicts[i].seq, *hash};
  std::erase_if(answer.verdicts, [&lower](const Verdict& verdict) { return verdict.seq > lower.seq; });
  answer.mark = lower;
  return answer;
}

std::vector<Verdict> ServerSession::Impl::verdicts_of(const Progress& at) const {
  std::vector<Verdict> verdicts;
  for (const Verdict& verdict : at.row.verdicts)
    if (verdict.seq > at.state.stored.seq && verdict.seq <= at.mark.seq) verdicts.push_back(verdict);
  const auto add_voids = [&](const std::vector<VoidRow>& rows) {
    for (const VoidRow& hole : rows) {
      if (hole.recovered) continue;
      for (Sequence seq = std::max(hole.from, Sequence{at.state.stored.seq.value + 1});
           seq <= std::min(hole.to, at.mark.seq) && verdicts.size() <= 2 * kVerdictsMax; ++seq.value)
        verdicts.push_back({seq, VerdictKind::kVoid, static_cast<std::uint16_t>(hole.reason)});
    }
  };
  add_voids(at.row.voids);
  add_voids(at.new_voids);
  for (std::size_t i = 0; i < planned.size(); ++i) {
    const PlannedEvent& event = planned[i];
    if (event.id.stream != at.state.stream || event.id.seq <= at.state.stored.seq) continue;
    if (event.recovered)
      std::erase_if(verdicts, [&event](const Verdict& verdict) { return verdict.seq == event.id.seq; });
    if (outcomes[i].kind != VerdictKind::kApplied)
      verdicts.push_back({event.id.seq, outcomes[i].kind, outcomes[i].code});
  }
  std::sort(verdicts.begin(), verdicts.end(), [](const Verdict& a, const Verdict& b) { return a.seq < b.seq; });
  verdicts.erase(
      std::unique(verdicts.begin(), verdicts.end(), [](const Verdict& a, const Verdict& b) { return a.seq == b.seq; }),
      verdicts.end());
  return verdicts;
}

std::optional<RollingHash> ServerSession::Impl::known_hash(const Progress& at, Sequence seq) const {
  if (seq == at.mark.seq) return at.mark.hash;
  if (const Watermark* kept = find_hash(at.row.hashes, seq)) return kept->hash;
  for (const PlannedEvent& event : planned)
    if (event.id.stream == at.state.stream && event.id.seq == seq) return event.hash;
  return std::nullopt;
}

// --- deferred events --------------------------------------------------------------------------------------------------------

std::vector<std::uint32_t> releasable(const std::vector<DeferredRow>& deferred,
                                      const std::vector<std::pair<StreamId, Sequence>>& marks) {
  std::map<StreamId, Sequence> passed(marks.begin(), marks.end());
  std::set<std::uint32_t> waiting;
  std::vector<std::uint32_t> released;
  for (std::uint32_t i = 0; i < deferred.size(); ++i) {
    const DeferredRow& row = deferred[i];
    const bool open = std::any_of(row.after.begin(), row.after.end(), [&passed](const EventId& dep) {
      const auto mark = passed.find(dep.stream);
      return mark == passed.end() || mark->second < dep.seq;
    });
    if (open || (row.entity != 0 && waiting.contains(row.entity))) {
      if (row.entity != 0) waiting.insert(row.entity);
      continue;
    }
    released.push_back(i);
    // Only one of an entity at a time: whether it succeeds decides about the next.
    if (row.entity != 0) waiting.insert(row.entity);
  }
  return released;
}

}  // namespace oas::sync
