// One device, one server, both shipped objects, with storage and network that work. Faults belong to tests/sim.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/limits.h"
#include "engine/engine.h"
#include "sync/server_session.h"

namespace oas::test {

using Store = std::map<Bytes, Bytes>;

// Applies a transaction as a browser host does. False = a precondition failed and nothing was written.
inline bool commit(Store& store, const engine::Persist& persist) {
  for (const engine::Expect& expect : persist.expects) {
    const auto at = store.find(expect.key);
    const bool there = at != store.end();
    if (expect.kind == engine::Expect::Kind::kAbsent && there) return false;
    if (expect.kind == engine::Expect::Kind::kPresent && !there) return false;
    if (expect.kind == engine::Expect::Kind::kEquals && (!there || at->second != expect.value)) return false;
  }
  for (const engine::KeyRange& range : persist.deletes)
    store.erase(store.lower_bound(range.from), store.lower_bound(range.to));
  for (const engine::Put& put : persist.puts) store[put.key] = put.value;
  if (!persist.guard.key.empty()) store[persist.guard.key] = persist.guard.value;
  return true;
}

// The server's database as far as events need one.
class Server {
 public:
  // What the application's handler says; default: applied.
  std::function<sync::Outcome(const sync::PlannedEvent&)> handler = [](const sync::PlannedEvent&) {
    return sync::Outcome{};
  };
  std::vector<std::string> effects;  // "type/json" in the order of application
  std::uint32_t requests = 0;
  std::uint32_t refused = 0;  // requests that could not be opened
  std::vector<std::uint32_t> request_lanes;  // bit mask of lanes with items, per request
  Incarnation incarnation{{1}, 1};
  std::vector<wire::Dictionary> dictionaries;  // of the device
  std::vector<std::size_t> request_bytes;
  std::uint32_t unreadable = 0;  // requests that name a dictionary which is not here
  std::function<void(std::uint32_t)> before;  // called with the number of each request, before it is served

  Bytes serve(ByteView request, Millis now) {
    ++requests;
    if (before) before(requests);
    request_bytes.push_back(request.size());
    std::vector<const wire::Dictionary*> held;
    for (const wire::Dictionary& one : dictionaries) held.push_back(&one);
    Result<sync::ServerSession> session = sync::ServerSession::open(request, held);
    if (!session) {
      ++refused;
      return {};
    }
    if (session->missing_dictionary() != 0) ++unreadable;
    sync::Rows rows;
    rows.incarnation = incarnation;
    for (const sync::StreamNeed& need : session->needs()) {
      sync::StreamRow row{.stream = need.stream};
      Stream& stream = streams_[need.stream];
      row.mark = stream.mark;
      for (const auto& [seq, hash] : stream.hashes) row.hashes.push_back({{seq}, hash});
      for (const auto& [seq, verdict] : stream.verdicts)
        if (seq > need.stored.value) row.verdicts.push_back(verdict);
      row.voids = stream.voids;
      rows.streams.push_back(std::move(row));
    }
    for (const sync::LateVerdict& one : late_)
      if (one.number > session->late_seen()) rows.late.push_back(one);
    session->plan(std::move(rows));
    std::uint32_t lanes = 0;
    for (std::uint32_t i = 0; i < session->planned().size(); ++i) {
      const sync::PlannedEvent& event = session->planned()[i];
      lanes |= 1U << static_cast<std::uint32_t>(event.id.stream.lane);
      sync::Outcome outcome =
          event.refused != 0 ? sync::Outcome{sync::VerdictKind::kRejected, event.refused} : handler(event);
      session->outcome(i, outcome);
      if (outcome.kind == sync::VerdictKind::kApplied)
        effects.push_back(std::string(event.event.type) + "/" + std::string(as_text(event.event.json)));
      Stream& stream = streams_[event.id.stream];
      stream.hashes[event.id.seq.value] = event.hash;
      if (outcome.kind != sync::VerdictKind::kApplied)
        stream.verdicts[event.id.seq.value] = {event.id.seq, outcome.kind, outcome.code};
    }
    request_lanes.push_back(lanes);
    const sync::Writes writes = session->writes();
    for (const sync::StreamWrite& write : writes.streams) streams_[write.stream].mark = write.after;
    for (const sync::VoidWrite& write : writes.voids) {
      streams_[write.range.stream].hashes[write.range.to.value] = write.range.hash_after;
      for (Sequence seq = write.range.from; seq <= write.range.to; ++seq.value)
        streams_[write.range.stream].voids.push_back({seq, seq, write.range.reason, false});
    }
    for (const EventId& event : writes.recovered)
      for (sync::VoidRow& row : streams_[event.stream].voids)
        if (row.from == event.seq) row.recovered = true;
    return session->reply({.incarnation = incarnation, .server_time = now, .horizon = horizon, .credit = 10'000});
  }
  // The final word on every deferred event.
  void release() {
    for (auto& [id, stream] : streams_)
      std::erase_if(stream.verdicts, [&](const auto& entry) {
        if (entry.second.kind != sync::VerdictKind::kDeferred) return false;
        late_.push_back({late_.size() + 1, {id, {entry.first}}, sync::VerdictKind::kApplied, 0});
        return true;
      });
  }
  Millis horizon;

 private:
  struct Stream {
    Watermark mark;
    std::map<std::uint64_t, RollingHash> hashes;
    std::map<std::uint64_t, sync::Verdict> verdicts;
    std::vector<sync::VoidRow> voids;
  };
  std::map<StreamId, Stream> streams_;
  std::vector<sync::LateVerdict> late_;
};

class Device {
 public:
  Device(Server& server, std::uint64_t epoch, Store stored = {}) : store(std::move(stored)), server_(&server) {
    engine::Start start{.epoch = {epoch}};
    start.device.value[0] = 7;
    start.seed[0] = static_cast<std::uint8_t>(epoch);
    feed(start);
    if (!online) feed(engine::Connectivity{false, false});
  }

  void enqueue(Lane lane, const std::string& type, const std::string& json, const std::string& entity = "") {
    std::string text{static_cast<char>('0' + static_cast<int>(lane)), '2'};
    text.push_back('\0');
    for (const std::string& field : {type, std::string("m"), entity, std::string(), json}) {
      text += field;
      text.push_back('\0');
    }
    feed(engine::Enqueue{++commands, 1, to_bytes(as_bytes(text))});
  }
  void go(bool is_online) {
    online = is_online;
    feed(engine::Connectivity{is_online, false});
  }
  void feed(engine::Input input) {
    std::vector<engine::Input> one;
    one.push_back(std::move(input));
    feed_all(std::move(one));
  }
  // In one step.
  void feed_all(std::vector<engine::Input> inputs) {
    for (engine::Input& input : inputs) inputs_.push_back(std::move(input));
    while (!inputs_.empty()) {
      std::vector<engine::Input> batch(inputs_.begin(), inputs_.end());
      inputs_.clear();
      const std::span<const engine::Output> view = engine_.step({{clock_}, {1'700'000'000'000 + clock_}}, batch);
      const std::vector<engine::Output> outputs(view.begin(), view.end());
      for (const engine::Output& output : outputs) carry_out(output);
    }
  }
  // Lets time pass until the engine asks for nothing more, at most `limit_ms`.
  void run(std::int64_t limit_ms) {
    const std::int64_t end = clock_ + limit_ms;
    while (wake_ != 0 && wake_ <= end) {
      clock_ = std::max(clock_, wake_);
      feed(engine::Woke{});
    }
    clock_ = end;
  }

  Store store;
  bool online = true;
  bool lose_replies = false;
  std::uint32_t commands = 0;
  std::vector<engine::Accepted> accepted;
  std::vector<engine::Failed> failed;
  std::vector<engine::Settled> settled;
  std::vector<engine::CommandResult> results;
  std::vector<Epoch> follows;  // whose lease it waited for
  engine::Status status;

 private:
  void carry_out(const engine::Output& output) {
    if (const auto* persist = std::get_if<engine::Persist>(&output)) {
      if (commit(store, *persist))
        inputs_.push_back(engine::Persisted{persist->tx});
      else
        inputs_.push_back(engine::PersistFailed{persist->tx, engine::PersistFailed::Kind::kConflict, 0});
    } else if (const auto* load = std::get_if<engine::Load>(&output)) {
      engine::Loaded loaded{.load = load->load};
      for (auto at = store.lower_bound(load->range.from);
           at != store.end() && at->first < load->range.to && loaded.records.size() < load->records_max; ++at)
        loaded.records.push_back({at->first, at->second});
      inputs_.push_back(std::move(loaded));
    } else if (const auto* send = std::get_if<engine::Send>(&output)) {
      if (!online) {
        inputs_.push_back(engine::SendFailed{send->request});
      } else {
        Bytes reply = server_->serve(send->body, {2'000'000'000'000 + clock_});
        if (lose_replies)
          inputs_.push_back(engine::SendFailed{send->request});
        else
          inputs_.push_back(engine::Response{send->request, 200, 0, std::move(reply)});
      }
    } else if (const auto* deliver = std::get_if<engine::Deliver>(&output)) {
      if (const auto* one = std::get_if<engine::Accepted>(&deliver->notice)) accepted.push_back(*one);
      if (const auto* one = std::get_if<engine::Failed>(&deliver->notice)) failed.push_back(*one);
      if (const auto* one = std::get_if<engine::Settled>(&deliver->notice)) settled.push_back(*one);
      if (const auto* one = std::get_if<engine::CommandResult>(&deliver->notice)) results.push_back(*one);
      if (const auto* one = std::get_if<engine::Status>(&deliver->notice)) status = *one;
    } else if (const auto* follow = std::get_if<engine::Follow>(&output)) {
      follows.push_back(follow->owner);
    }
    const auto* wake = std::get_if<engine::Wake>(&output);
    wake_ = wake != nullptr ? wake->at.value : 0;
  }

  engine::Engine engine_;
  std::deque<engine::Input> inputs_;
  Server* server_;
  std::int64_t clock_ = 1;
  std::int64_t wake_ = 0;
};

}  // namespace oas::test
