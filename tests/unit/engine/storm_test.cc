// A small storm: several contexts over one store, one server, everything between them unreliable. Many seeds, every
// accepted event applied exactly once, entities in order. The full simulator with its fault list is tests/sim.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <set>

#include "base/prng.h"
#include "harness.h"

using namespace oas;

namespace {

constexpr std::int64_t kWallStart = 1'700'000'000'000;

struct StormServer {
  struct Stream {
    Watermark mark;
    std::map<std::uint64_t, RollingHash> hashes;
    std::map<std::uint64_t, sync::Verdict> verdicts;
    std::vector<sync::VoidRow> voids;
  };
  struct Kept {
    sync::DeferredRow row;
    std::string label;
    std::string entity;
  };
  struct State {
    std::map<StreamId, Stream> streams;
    std::vector<Kept> deferred;
    std::vector<sync::LateVerdict> late;
    std::map<std::string, int> applied;                            // label → times
    std::map<std::string, std::vector<std::string>> entity_order;  // entity → labels
    Incarnation incarnation{{1}, 1};
  };
  State now;
  Prng prng{1};
  bool reject_some = true;

  void apply(const std::string& label, const std::string& entity) {
    ++now.applied[label];
    if (!entity.empty()) now.entity_order[entity].push_back(label);
  }

  void release() {
    for (bool again = true; again;) {
      again = false;
      std::vector<sync::DeferredRow> rows;
      std::vector<std::pair<StreamId, Sequence>> marks;
      for (const Kept& kept : now.deferred) rows.push_back(kept.row);
      for (const auto& [id, stream] : now.streams) marks.emplace_back(id, stream.mark.seq);
      const std::vector<std::uint32_t> free = sync::releasable(rows, marks);
      for (auto i = free.rbegin(); i != free.rend(); ++i) {
        const Kept kept = now.deferred[*i];
        now.deferred.erase(now.deferred.begin() + static_cast<std::ptrdiff_t>(*i));
        apply(kept.label, kept.entity);
        now.streams[kept.row.event.stream].verdicts.erase(kept.row.event.seq.value);
        now.late.push_back({now.late.size() + 1, kept.row.event, sync::VerdictKind::kApplied, 0});
        again = true;
        break;  // one of an entity at a time, in order: start over
      }
    }
  }

  Bytes serve(ByteView request, Millis time) {
    Result<sync::ServerSession> session = sync::ServerSession::open(request);
    BOOST_REQUIRE(session.has_value());
    for (int round = 0;; ++round) {
      sync::Rows rows;
      rows.incarnation = now.incarnation;
      for (const sync::StreamNeed& need : session->needs()) {
        Stream& stream = now.streams[need.stream];
        sync::StreamRow row{.stream = need.stream, .mark = stream.mark};
        for (const auto& [seq, hash] : stream.hashes) row.hashes.push_back({{seq}, hash});
        for (const auto& [seq, verdict] : stream.verdicts)
          if (seq > need.stored.value) row.verdicts.push_back(verdict);
        row.voids = stream.voids;
        rows.streams.push_back(std::move(row));
      }
      for (const Kept& kept : now.deferred) rows.deferred.push_back(kept.row);
      for (const sync::LateVerdict& late : now.late)
        if (late.number > session->late_seen()) rows.late.push_back(late);
      session->plan(std::move(rows));
      if (!session->probe() || round > 2) break;
    }
    for (std::uint32_t i = 0; i < session->planned().size(); ++i) {
      const sync::PlannedEvent& event = session->planned()[i];
      const std::string label(as_text(event.event.json));
      const std::string entity(event.event.entity);
      sync::Outcome outcome;
      if (event.refused != 0)
        outcome = {sync::VerdictKind::kRejected, event.refused};
      else if (!session->still_runs(i))
        outcome = {sync::VerdictKind::kDeferred, 0};
      else if (prng.chance(1, 60))
        outcome = {sync::VerdictKind::kDeferred, 0};  // a handler's temporary failure
      else if (reject_some && label.back() == '7')
        outcome = {sync::VerdictKind::kRejected, 400};
      session->outcome(i, outcome);
      Stream& stream = now.streams[event.id.stream];
      stream.hashes[event.id.seq.value] = event.hash;
      if (outcome.kind == sync::VerdictKind::kApplied) apply(label, entity);
      if (outcome.kind == sync::VerdictKind::kDeferred)
        now.deferred.push_back({{event.id, event.entity, event.after}, label, entity});
      if (outcome.kind != sync::VerdictKind::kApplied)
        stream.verdicts[event.id.seq.value] = {event.id.seq, outcome.kind, outcome.code};
    }
    const sync::Writes writes = session->writes();
    for (const sync::StreamWrite& write : writes.streams) now.streams[write.stream].mark = write.after;
    for (const sync::VoidWrite& write : writes.voids)
      now.streams[write.range.stream].voids.push_back({write.range.from, write.range.to, write.range.reason, false});
    release();
    return session->reply({.incarnation = now.incarnation, .server_time = time, .horizon = {}, .credit = 1'000});
  }
};

// Everything that is on its way somewhere, by time and then by order of creation.
struct Storm {
  Prng prng;
  StormServer server;
  test::Store store;
  std::int64_t now = 1;
  bool faults = true;
  std::uint64_t created = 0;
  std::set<std::string> accepted;
  std::map<std::uint32_t, std::string> labels;  // command → label (commands are unique over contexts)
  std::uint32_t next_command = 1;
  std::uint64_t storage_calls = 0;

  struct Context {
    std::unique_ptr<engine::Engine> engine;
    std::int64_t wake = 0;
    std::uint32_t generation = 0;
    engine::Status status;
  };
  std::vector<Context> contexts;
  using Delivery = std::pair<std::size_t, engine::Input>;
  std::multimap<std::int64_t, std::tuple<std::size_t, std::uint32_t, engine::Input>> mail;

  explicit Storm(std::uint64_t seed) : prng(seed) { server.prng = Prng{seed * 31 + 7}; }

  void post(std::size_t to, std::int64_t delay, engine::Input input) {
    mail.emplace(now + delay, std::tuple(to, contexts[to].generation, std::move(input)));
  }
  void boot(std::size_t index) {
    Context& context = contexts[index];
    context.engine = std::make_unique<engine::Engine>();
    context.wake = 0;
    ++context.generation;
    engine::Start start{.epoch = {prng.next()}};
    start.device.value[3] = 9;
    const std::uint64_t word = prng.next();
    for (std::size_t i = 0; i < 8; ++i) start.seed[i] = static_cast<std::uint8_t>(word >> (8 * i));
    feed(index, start);
  }
  void feed(std::size_t index, engine::Input input) {
    std::vector<engine::Input> batch{std::move(input)};
    const std::span<const engine::Output> view = contexts[index].engine->step({{now}, {kWallStart + now}}, batch);
    const std::vector<engine::Output> outputs(view.begin(), view.end());
    contexts[index].wake = 0;
    for (const engine::Output& output : outputs) carry_out(index, output);
  }
  bool fault(std::uint32_t n, std::uint32_t d) { return faults && prng.chance(n, d); }

  void carry_out(std::size_t index, const engine::Output& output) {
    storage_calls += std::holds_alternative<engine::Persist>(output) || std::holds_alternative<engine::Load>(output);
    if (const auto* persist = std::get_if<engine::Persist>(&output)) {
      engine::PersistFailed failed{.tx = persist->tx};
      if (fault(1, 25)) {
        failed.kind = engine::PersistFailed::Kind::kAborted;
        failed.code = static_cast<std::uint16_t>(ErrorCode::kStorageQuota);
        post(index, 3, failed);
      } else if (fault(1, 25)) {
        // The connection is lost; half of the time the write had happened.
        if (prng.chance(1, 2)) (void)replay(*persist);
        failed.kind = engine::PersistFailed::Kind::kUnknown;
        post(index, 3, failed);
      } else if (replay(*persist)) {
        post(index, 2, engine::Persisted{persist->tx});
      } else {
        failed.kind = engine::PersistFailed::Kind::kConflict;
        post(index, 2, failed);
      }
    } else if (const auto* load = std::get_if<engine::Load>(&output)) {
      if (fault(1, 60)) return post(index, 1, engine::LoadFailed{load->load});
      engine::Loaded loaded{.load = load->load};
      for (auto at = store.lower_bound(load->range.from);
           at != store.end() && at->first < load->range.to && loaded.records.size() < load->records_max; ++at)
        loaded.records.push_back({at->first, at->second});
      post(index, 1, std::move(loaded));
    } else if (const auto* send = std::get_if<engine::Send>(&output)) {
      deliver_request(index, *send);
    } else if (const auto* tell = std::get_if<engine::Tell>(&output)) {
      for (std::size_t other = 0; other < contexts.size(); ++other)
        if (other != index && !fault(1, 5)) post(other, 1, engine::Peer{tell->bytes});
    } else if (const auto* deliver = std::get_if<engine::Deliver>(&output)) {
      if (const auto* one = std::get_if<engine::Accepted>(&deliver->notice))
        for (std::uint32_t i = 0; i < one->count; ++i) accepted.insert(labels[one->first + i]);
      if (const auto* one = std::get_if<engine::Status>(&deliver->notice)) contexts[index].status = *one;
    } else if (const auto* wake = std::get_if<engine::Wake>(&output)) {
      contexts[index].wake = wake->at.value;
    }
  }

  bool replay(const engine::Persist& persist) {
    // A guard found in place proves that this very transaction was written before.
    if (!persist.guard.key.empty()) {
      const auto at = store.find(persist.guard.key);
      if (at != store.end() && at->second == persist.guard.value) return true;
    }
    return test::commit(store, persist);
  }

  void deliver_request(std::size_t index, const engine::Send& send) {
    const std::int64_t delay = prng.between(5, 80);
    if (fault(1, 8)) return post(index, delay, engine::SendFailed{send.request});
    if (fault(1, 15)) return post(index, delay, engine::Response{send.request, 500, 0, {}});
    if (fault(1, 25))
      return post(index, delay, engine::Response{send.request, 200, 0, to_bytes(as_bytes("<html>sign in</html>"))});
    if (fault(1, 10)) (void)server.serve(send.body, {kWallStart + now});  // duplicated on the way
    Bytes reply = server.serve(send.body, {kWallStart + now});
    if (fault(1, 6)) return post(index, delay, engine::SendFailed{send.request});  // committed, answer lost
    post(index, delay, engine::Response{send.request, 200, 0, std::move(reply)});
  }

  void enqueue(std::size_t index) {
    std::string text;
    const std::uint32_t count = 1 + prng.below(12);
    const std::uint32_t first = next_command;
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::string label = std::to_string(++created);
      labels[next_command++] = label;
      const std::uint32_t lane = prng.below(4);
      text.push_back(static_cast<char>('0' + lane));
      text.push_back('2');
      text.push_back('\0');
      const std::string entity =
          lane < 3 && prng.chance(1, 2) ? "e" + std::to_string(index) + std::to_string(prng.below(3)) : "";
      for (const std::string& field : {std::string("t"), std::string("m"), entity, std::string(), label}) {
        text += field;
        text.push_back('\0');
      }
    }
    feed(index, engine::Enqueue{first, count, to_bytes(as_bytes(text))});
  }

  void run(std::int64_t until) {
    while (now < until) {
      std::int64_t next = until;
      if (!mail.empty()) next = std::min(next, mail.begin()->first);
      for (const Context& context : contexts)
        if (context.wake != 0) next = std::min(next, std::max(now, context.wake));
      now = std::max(now, next);
      if (!mail.empty() && mail.begin()->first <= now) {
        auto [to, generation, input] = std::move(mail.begin()->second);
        mail.erase(mail.begin());
        if (generation == contexts[to].generation) feed(to, std::move(input));
        continue;
      }
      for (std::size_t i = 0; i < contexts.size(); ++i)
        if (contexts[i].wake != 0 && contexts[i].wake <= now) feed(i, engine::Woke{});
    }
  }
};

void check_order(const Storm& storm, std::uint64_t seed) {
  for (const auto& [entity, order] : storm.server.now.entity_order) {
    std::uint64_t last = 0;
    for (const std::string& label : order) {
      const std::uint64_t number = std::stoull(label);
      BOOST_REQUIRE_MESSAGE(number > last,
                            "seed " << seed << ": " << entity << " applied " << number << " after " << last);
      last = number;
    }
  }
}

void storm(std::uint64_t seed) {
  Storm world(seed);
  world.contexts.resize(1 + world.prng.below(3));
  for (std::size_t i = 0; i < world.contexts.size(); ++i) world.boot(i);
  for (int step = 0; step < 60; ++step) {
    const auto index = world.prng.below(static_cast<std::uint32_t>(world.contexts.size()));
    world.enqueue(index);
    if (world.prng.chance(1, 12)) world.boot(index);  // the tab dies with all it had not stored
    world.run(world.now + world.prng.between(1, 400));
  }
  world.faults = false;
  world.server.prng = Prng{0};
  for (std::size_t i = 0; i < world.contexts.size(); ++i) world.feed(i, engine::Connectivity{true, true});
  world.run(world.now + 300'000);
  for (const std::string& label : world.accepted) {
    const int times = world.server.now.applied.contains(label) ? world.server.now.applied.at(label) : 0;
    const bool refused = label.back() == '7';
    BOOST_REQUIRE_MESSAGE(times == (refused ? 0 : 1) || (refused && times <= 1),
                          "seed " << seed << ": event " << label << " applied " << times << " times");
  }
  for (const auto& [label, times] : world.server.now.applied)
    BOOST_REQUIRE_MESSAGE(times == 1, "seed " << seed << ": event " << label << " applied " << times << " times");
  check_order(world, seed);
  for (const auto& [key, value] : world.store)
    BOOST_REQUIRE_MESSAGE(!(key[0] == 's' && key[1] == 'p'), "seed " << seed << ": something is still pending");
}

}  // namespace

BOOST_AUTO_TEST_SUITE(storms)

BOOST_AUTO_TEST_CASE(every_accepted_event_is_applied_once_and_in_order) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) storm(seed);
}

// Open tabs with nothing to do must not keep each other awake: every turn costs a disk and a battery.
BOOST_AUTO_TEST_CASE(idle_contexts_come_to_rest) {
  Storm world(1);
  world.faults = false;
  world.contexts.resize(3);
  for (std::size_t i = 0; i < 3; ++i) world.boot(i);
  for (std::size_t i = 0; i < 3; ++i) world.enqueue(i);
  world.run(world.now + 30'000);
  const std::uint64_t before = world.storage_calls;
  world.run(world.now + 60'000);
  BOOST_TEST(world.storage_calls == before);
}

BOOST_AUTO_TEST_SUITE_END()
