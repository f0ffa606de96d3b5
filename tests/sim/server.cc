#include "sim/server.h"

#include <algorithm>

#include "base/hash.h"
#include "base/limits.h"
#include "base/sim_points.h"
#include "wire/segment.h"

namespace oas::sim {
namespace {

constexpr std::int64_t kOrderWaitMs = 100'000;

RollingHash hash_of(const std::vector<RollingHash>& hashes, Sequence seq) {
  return seq.value == 0 || seq.value > hashes.size() ? RollingHash{} : hashes[static_cast<std::size_t>(seq.value - 1)];
}

}  // namespace

void Server::add_rows(sync::StreamRow& row, const Stream& stream, const sync::StreamNeed& need) {
  row.mark = stream.mark;
  if (need.mark_only) return;
  for (const Sequence seq : need.hashes_at)
    if (const RollingHash hash = hash_of(stream.hashes, seq); hash.value != 0) row.hashes.push_back({seq, hash});
  std::uint32_t listed = 0;
  for (auto at = stream.verdicts.upper_bound(need.stored.value);
       at != stream.verdicts.end() && listed++ <= kVerdictsMax; ++at)
    row.verdicts.push_back(at->second);
  if (!row.verdicts.empty()) {
    const Sequence last = row.verdicts.back().seq;
    const auto same = [last](const Watermark& mark) { return mark.seq == last; };
    const RollingHash hash = hash_of(stream.hashes, last);
    if (hash.value != 0 && std::none_of(row.hashes.begin(), row.hashes.end(), same)) {
      row.hashes.push_back({last, hash});
      std::sort(row.hashes.begin(), row.hashes.end());
    }
  }
  row.voids = stream.voids;
}

void Server::add_hashes(sync::StreamRow& row, const Stream& stream) {
  row.hashes.clear();
  for (Sequence seq{1}; seq.value <= stream.hashes.size(); ++seq.value)
    if (const RollingHash hash = hash_of(stream.hashes, seq); hash.value != 0) row.hashes.push_back({seq, hash});
}

sync::Rows Server::rows_of(const sync::ServerSession& session, const Device& device) const {
  sync::Rows rows{.incarnation = incarnation_, .streams = {}, .deferred = {}, .late = {}};
  for (const sync::StreamNeed& need : session.needs()) {
    sync::StreamRow row{.stream = need.stream, .mark = {}, .hashes = {}, .verdicts = {}, .voids = {}};
    if (const auto at = device.streams.find(need.stream); at != device.streams.end()) add_rows(row, at->second, need);
    rows.streams.push_back(std::move(row));
  }
  for (const Kept& kept : device.deferred) rows.deferred.push_back(kept.row);
  for (const sync::LateVerdict& late : device.late)
    if (late.number > session.late_seen() && rows.late.size() < kVerdictsMax) rows.late.push_back(late);
  return rows;
}

Server::Answer Server::serve(ByteView request, Millis time) {
  Result<sync::ServerSession> session = sync::ServerSession::open(request);
  if (session && session->missing_dictionary() != 0) session = with_dictionary(request, session->device());
  if (!session) {
    ledger_->fail("the server cannot open a request: " + std::string(error_info(session.error().code).name));
    return {400, 0, {}};
  }
  const bool crash_before = faults_->hit(Fault::kCrashBeforeCommit, 1, 40);
  const State before = crash_before ? now_ : State{};
  Device& device = now_.devices[session->device()];
  sync::Rows rows = rows_of(*session, device);
  for (std::uint32_t round = 0;; ++round) {
    session->plan(rows, true);
    if (!session->probe() && is_asked(*session)) session->plan(rows);
    if (!session->probe() || round == kPushStreamsMax) break;
    for (sync::StreamRow& row : rows.streams)
      if (row.stream == session->probe()->stream) add_hashes(row, device.streams[row.stream]);
  }
  run(*session, device, time);
  Bytes reply = session->reply(
      {.incarnation = incarnation_, .server_time = time, .horizon = horizon_, .credit = 1 + prng_->below(1'000)});
  if (tracing) tell_troubled(request, reply);
  if (crash_before) {
    const State after = now_;
    now_ = before;
    if (OAS_MUTANT(kWatermarkOutsideEffect)) now_.effects = after.effects;
    if (!OAS_MUTANT(kServerAcksBeforeCommit)) return {};
  } else if (faults_->hit(Fault::kCrashAfterCommit, 1, 40)) {
    return {};
  }
  return {200, 0, std::move(reply)};
}

// The device is known only once its request is open.
Result<sync::ServerSession> Server::with_dictionary(ByteView request, const DeviceId& device) {
  const Result<wire::Dictionary> dictionary = wire::unpack_dictionary(now_.devices[device].dictionary);
  if (tracing) std::printf("      names a dictionary that is %s\n", dictionary ? "here" : "lost");
  if (!dictionary) return sync::ServerSession::open(request);
  const wire::Dictionary* held = &*dictionary;
  return sync::ServerSession::open(request, {&held, 1});
}

// As a server reads them back: from the bytes it has kept.
std::vector<Server::Packed> Server::events_of(const sync::PlannedBlock& block) {
  std::vector<Packed> events;
  for (const sync::PlannedBlock::Segment& kept : block.segments) {
    const Result<wire::SegmentView> segment = wire::open_segment(kept.bytes);
    Bytes rows;
    if (!segment || !wire::decode_rows(*segment, rows)) {
      ledger_->fail("a block does not open");
      return events;
    }
    for (wire::RowCursor cursor(segment->head, rows); !cursor.done();) {
      const Result<wire::RowCursor::Row> row = cursor.next();
      if (!row || events.size() >= block.hashes.size() || row->hash != block.hashes[events.size()]) {
        ledger_->fail("a block holds another history than was planned");
        return events;
      }
      events.push_back({row->hash, std::string(as_text(row->event.json))});
    }
  }
  return events;
}

// Whether a handler has a word to say about one of them: then the push is planned without blocks.
bool Server::is_asked(const sync::ServerSession& session) {
  for (const sync::PlannedBlock& block : session.blocks())
    for (const Packed& event : events_of(block)) {
      const Label label = read_label(event.json);
      if (label.number != 0 && is_poison(label.number) && !label.fixed) return true;
    }
  return false;
}

void Server::take_blocks(const sync::ServerSession& session, Device& device) {
  for (const sync::PlannedBlock& block : session.blocks()) {
    Sequence seq = block.segments.front().first;
    for (const Packed& event : events_of(block)) {
      ledger_->apply(now_.effects, event.json, "", false);
      Stream& stream = device.streams[block.stream];
      if (stream.hashes.size() < seq.value) stream.hashes.resize(static_cast<std::size_t>(seq.value));
      stream.hashes[static_cast<std::size_t>(seq.value - 1)] = event.hash;
      stream.verdicts.erase(seq.value);
      ++seq.value;
    }
  }
}

void Server::run(sync::ServerSession& session, Device& device, Millis time) {
  take_blocks(session, device);
  for (std::uint32_t i = 0; i < session.planned().size(); ++i) {
    const sync::PlannedEvent& event = session.planned()[i];
    Kept kept{.row = {event.id, event.entity, event.after},
              .json = std::string(as_text(event.event.json)),
              .entity = std::string(event.event.entity),
              .replaces = event.event.replaces,
              .recovered = event.recovered,
              .since = time};
    sync::Outcome outcome{sync::VerdictKind::kRejected, event.refused};
    if (event.refused == 0)
      outcome = session.still_runs(i) ? run_event(session.device(), device, kept, time)
                                      : sync::Outcome{sync::VerdictKind::kDeferred, 0};
    session.outcome(i, outcome);
    if (tracing)
      std::printf("      %s of %s as %llx.%d.%llu: kind %d code %d\n", kept.json.c_str(), kept.entity.c_str(),
                  static_cast<unsigned long long>(event.id.stream.epoch.value), static_cast<int>(event.id.stream.lane),
                  static_cast<unsigned long long>(event.id.seq.value), static_cast<int>(outcome.kind), outcome.code);
    if (tracing)
      for (const EventId& other : event.after)
        std::printf("        after %llx.%d.%llu\n", static_cast<unsigned long long>(other.stream.epoch.value),
                    static_cast<int>(other.stream.lane), static_cast<unsigned long long>(other.seq.value));
    Stream& stream = device.streams[event.id.stream];
    if (stream.hashes.size() < event.id.seq.value) stream.hashes.resize(static_cast<std::size_t>(event.id.seq.value));
    // Behind a void the stream goes on with the void's hash, whatever is recovered of it later.
    RollingHash& hash = stream.hashes[static_cast<std::size_t>(event.id.seq.value - 1)];
    if (!event.recovered || hash.value == 0) hash = event.hash;
    if (outcome.kind == sync::VerdictKind::kApplied) {
      stream.verdicts.erase(event.id.seq.value);
    } else {
      stream.verdicts[event.id.seq.value] = {event.id.seq, outcome.kind, outcome.code};
    }
    if (outcome.kind == sync::VerdictKind::kDeferred) device.deferred.push_back(std::move(kept));
    if (outcome.kind == sync::VerdictKind::kRejected) device.letters.insert(event.id);
  }
  const sync::Writes writes = session.writes();
  for (const sync::StreamWrite& write : writes.streams) {
    device.streams[write.stream].mark = write.after;
    device.streams[write.stream].hashes.resize(static_cast<std::size_t>(write.after.seq.value));
  }
  for (const sync::VoidWrite& write : writes.voids) {
    Stream& stream = device.streams[write.range.stream];
    stream.voids.push_back({write.range.from, write.range.to, write.range.reason, false});
    if (stream.hashes.size() >= write.range.to.value)
      stream.hashes[static_cast<std::size_t>(write.range.to.value - 1)] = write.range.hash_after;
    if (tracing)
      std::printf("      void %llx.%d.%llu-%llu\n", static_cast<unsigned long long>(write.range.stream.epoch.value),
                  static_cast<int>(write.range.stream.lane), static_cast<unsigned long long>(write.range.from.value),
                  static_cast<unsigned long long>(write.range.to.value));
  }
  for (const EventId& event : writes.recovered) mark_recovered(device.streams[event.stream].voids, event.seq);
}

// The row that covers the number is cut into what lies before, the number itself, and what lies behind.
void Server::mark_recovered(std::vector<sync::VoidRow>& voids, Sequence seq) {
  const auto at = std::find_if(voids.begin(), voids.end(),
                               [seq](const sync::VoidRow& row) { return row.from <= seq && seq <= row.to; });
  if (at == voids.end()) return;
  const sync::VoidRow whole = *at;
  *at = {seq, seq, whole.reason, true};
  if (whole.from < seq) voids.push_back({whole.from, {seq.value - 1}, whole.reason, whole.recovered});
  if (seq < whole.to) voids.push_back({{seq.value + 1}, whole.to, whole.reason, whole.recovered});
}

sync::Outcome Server::run_event(const DeviceId& id, Device& device, const Kept& event, Millis time) {
  using sync::VerdictKind;
  if (event.replaces) {
    // It stands in for another one only where that one can never take effect.
    if (device.letters.erase(*event.replaces) == 0) return {VerdictKind::kDuplicate, 0};
  }
  const auto undone = [&](sync::Outcome outcome) {
    if (event.replaces) device.letters.insert(*event.replaces);
    return outcome;
  };
  if (faults_->hit(Fault::kHandlerFails, 1, 300)) return undone({VerdictKind::kDeferred, 0});
  const Label label = read_label(event.json);
  if (const std::optional<EditEvent> edit = read_edit_event(event.json)) {
    const sync::Outcome outcome = now_.documents.take(id, *edit, event.replaces.has_value(), documents_now(time));
    if (outcome.kind == VerdictKind::kApplied)
      ledger_->apply(now_.effects, event.json, event.entity + "@" + edit->writer, event.recovered);
    return outcome;
  }
  if (label.number != 0 && is_poison(label.number) && !label.fixed) return {VerdictKind::kRejected, 400};
  if (OAS_MUTANT(kContentHashDedupe) && !now_.contents.insert(hash64(as_bytes(event.json))).second)
    return {VerdictKind::kDuplicate, 0};
  ledger_->apply(now_.effects, event.json, event.entity, event.recovered);
  return {VerdictKind::kApplied, 0};
}

void Server::release(Millis time) {
  for (auto& [id, device] : now_.devices) {
    for (bool again = !device.deferred.empty(); again;) {
      again = false;
      std::vector<sync::DeferredRow> rows;
      std::vector<std::pair<StreamId, Sequence>> marks;
      for (const Kept& kept : device.deferred) {
        rows.push_back(kept.row);
        // What it waits for may never come: its profile was rolled back, its stream was numbered anew.
        if (time.value - kept.since.value > kOrderWaitMs) rows.back().after.clear();
      }
      for (const auto& [stream, state] : device.streams) marks.emplace_back(stream, state.mark.seq);
      std::vector<bool> done(rows.size());
      for (const std::uint32_t i : sync::releasable(rows, marks)) {
        const Kept& kept = device.deferred[i];
        Kept one = kept;
        one.recovered |= rows[i].after.empty() && !kept.row.after.empty();
        const sync::Outcome outcome = run_event(id, device, one, time);
        if (outcome.kind == sync::VerdictKind::kDeferred) continue;
        done[i] = again = true;
        if (tracing)
          std::printf("      released %s of %s: kind %d\n", kept.json.c_str(), kept.entity.c_str(),
                      static_cast<int>(outcome.kind));
        Stream& stream = device.streams[kept.row.event.stream];
        stream.verdicts.erase(kept.row.event.seq.value);
        if (outcome.kind != sync::VerdictKind::kApplied)
          stream.verdicts[kept.row.event.seq.value] = {kept.row.event.seq, outcome.kind, outcome.code};
        if (outcome.kind == sync::VerdictKind::kRejected) device.letters.insert(kept.row.event);
        device.late.push_back({device.late.size() + 1, kept.row.event, outcome.kind, outcome.code});
      }
      std::size_t i = 0;
      std::erase_if(device.deferred, [&](const Kept&) { return done[i++]; });
    }
  }
}

void Server::back_up(Millis time) {
  backup_ = now_;
  if (tracing) std::printf("      backup at %lld\n", static_cast<long long>(time.value - 1'700'000'000'000));
  horizon_ = time;
}

void Server::restore(Millis time) {
  now_ = backup_;
  incarnation_ = {time, prng_->next()};
}

void Server::tell_troubled(ByteView request, ByteView reply) {
  const auto opened = sync::read_request(request);
  const auto answer = sync::read_reply(reply, opened->nonce);
  std::printf("      late verdicts seen to %llu, %zu told\n",
              static_cast<unsigned long long>(opened->request.late_seen), answer->late.size());
  for (const sync::LateVerdict& late : answer->late)
    std::printf("      late %llu: %llx.%d.%llu\n", static_cast<unsigned long long>(late.number),
                static_cast<unsigned long long>(late.event.stream.epoch.value),
                static_cast<int>(late.event.stream.lane), static_cast<unsigned long long>(late.event.seq.value));
  for (const sync::StreamAnswer& stream : answer->streams) {
    if (stream.status == sync::StreamStatus::kOk) continue;
    for (const sync::StreamState& state : opened->request.streams)
      if (state.stream == stream.stream)
        std::printf("      %llx.%d: status %d, stored %llu, last %llu, answered %llu\n",
                    static_cast<unsigned long long>(stream.stream.epoch.value), static_cast<int>(stream.stream.lane),
                    static_cast<int>(stream.status), static_cast<unsigned long long>(state.stored.seq.value),
                    static_cast<unsigned long long>(state.last.seq.value),
                    static_cast<unsigned long long>(stream.mark.seq.value));
  }
}

void Server::tell_deferred() const {
  for (const auto& [id, device] : now_.devices)
    for (const Kept& kept : device.deferred) {
      std::printf("      waits at the server: %s of %s, after", kept.json.c_str(), kept.entity.c_str());
      for (const EventId& event : kept.row.after) {
        const auto stream = device.streams.find(event.stream);
        std::printf(
            " %llx.%d.%llu (at %llu)", static_cast<unsigned long long>(event.stream.epoch.value),
            static_cast<int>(event.stream.lane), static_cast<unsigned long long>(event.seq.value),
            static_cast<unsigned long long>(stream == device.streams.end() ? 0 : stream->second.mark.seq.value));
      }
      std::printf("\n");
    }
}

bool Server::quiet() const {
  return std::all_of(now_.devices.begin(), now_.devices.end(),
                     [](const auto& entry) { return entry.second.deferred.empty(); });
}

Server::Standing Server::standing(const DeviceId& id, const EventId& event) const {
  const auto device = now_.devices.find(id);
  if (device == now_.devices.end()) return Standing::kUnknown;
  const auto stream = device->second.streams.find(event.stream);
  if (stream == device->second.streams.end() || stream->second.mark.seq < event.seq) return Standing::kUnknown;
  const auto verdict = stream->second.verdicts.find(event.seq.value);
  if (verdict == stream->second.verdicts.end()) return Standing::kApplied;
  switch (verdict->second.kind) {
    case sync::VerdictKind::kRejected: return Standing::kRejected;
    case sync::VerdictKind::kDeferred: return Standing::kDeferred;
    case sync::VerdictKind::kDuplicate: return Standing::kDuplicate;
    case sync::VerdictKind::kVoid: return Standing::kVoid;
    case sync::VerdictKind::kApplied: break;
  }
  return Standing::kApplied;
}

}  // namespace oas::sim
