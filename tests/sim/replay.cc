#include "sim/replay.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

#include "sim/trace.h"
#include "sim/world.h"

namespace oas::sim {
namespace {

using Kind = TraceEntry::Kind;

constexpr std::uint64_t kSeed = 1;
constexpr std::int64_t kForeverMs = 365LL * 24 * 3'600 * 1'000;
// A request of the replay may be so much earlier than the one of the page whose outcome it meets.
constexpr std::int64_t kEarlierMs = 1'000;
constexpr std::int64_t kStoreMsMax = 10'000;

constexpr std::array<std::string_view, 5> kNetworkNames{"online", "offline", "captive portal", "server error",
                                                        "signed out"};
constexpr std::array<std::string_view, 5> kWayNames{"answered", "lost on its way", "served, its reply lost",
                                                    "answered by a stranger", "refused"};

// As many bytes as the page's event had, as far as its number leaves room: 12.000 is event 12 all the same.
std::string json_of(std::uint32_t number, std::uint32_t bytes) {
  std::string json = std::to_string(number);
  if (bytes < json.size() + 2) return json;
  json += '.';
  json.resize(bytes, '0');
  return json;
}

}  // namespace

// Plays a trace to a world of one device with one tab. It decides what becomes of each request; no fault strikes by chance.
class Replay {
 public:
  Replay(World& world, const Trace& trace) : world_(&world), trace_(&trace) {
    for (std::size_t fault = 0; fault < kFaultCount; ++fault) world.faults_.forbid(static_cast<Fault>(fault));
    world.contexts_.resize(1);
    world.devices_.resize(1);
    world.devices_.front()->contexts = {0};
    std::size_t before = 0;
    for (std::size_t i = 0; i < trace.entries.size(); ++i) {
      if (trace.entries[i].kind == Kind::kRequest) {
        outcomes_.push_back({&trace.entries[i], before});
      } else {
        before = i + 1;
      }
    }
    world.script_ = [this](std::size_t context, const engine::Send& send, const World::Reply& reply) {
      answer(context, send, reply);
    };
  }

  Report run() {
    for (std::size_t i = 0; i < trace_->entries.size() && !world_->ledger_.violation;) {
      world_->run_until(trace_->entries[i].at + 1);  // a world begins at 1
      i = perform(i);
    }
    over_ = true;
    world_->calm();
    world_->settle();
    if (!world_->ledger_.violation) world_->check_end();
    check_verdicts();
    return {.violation = world_->ledger_.violation.value_or(""),
            .events = calls_.size(),
            .digest = world_->digest_,
            .slowest_drain_ms = world_->slowest_drain_ms_};
  }

  void tell() const {
    std::printf("requests: %zu of the page's %zu were met\n", met_, outcomes_.size());
    std::printf("applied=%zu of %zu calls, the page saw %zu applied\n", applied_, calls_.size(), seen(Seen::kApplied));
  }

 private:
  struct Outcome {
    const TraceEntry* entry{};
    std::size_t before{};  // entries that come ahead of it
  };
  struct Given {
    std::uint32_t number{};
    const TraceEntry* entry{};
  };

  // Carries out the entry, with the calls of the same moment that follow it, and returns the place of the next one.
  std::size_t perform(std::size_t i) {
    const TraceEntry& entry = trace_->entries[i];
    played_ = i + 1;
    switch (entry.kind) {
      case Kind::kOpened:
        if (!tab().engine && tab().open_commits == 0) world_->boot(0);
        break;
      case Kind::kKilled: kill(); break;
      case Kind::kTrap:
        if (tab().engine) world_->trap(0);
        break;
      case Kind::kNetwork: change_network(entry.network); break;
      case Kind::kCall: return enqueue(i);
      case Kind::kRequest: break;  // the next request meets it
    }
    return i + 1;
  }

  World::Context& tab() { return *world_->contexts_.front(); }
  World::Device& device() { return *world_->devices_.front(); }
  void say(std::string_view what) const {
    if (tracing) std::printf("%lld: page: %s\n", static_cast<long long>(world_->now_), std::string(what).c_str());
  }

  void change_network(Network network) {
    network_ = network;
    say(kNetworkNames[static_cast<std::size_t>(network)]);
    const bool online = network != Network::kOffline;
    device().offline_until = online ? 0 : kForeverMs;
    tab().nudged |= online;
    world_->feed(0, engine::Connectivity{online, false});
  }

  // The handlers of a simulated server judge by number, so numbers are passed over until one gets the page's verdict.
  std::uint32_t number_for(const TraceEntry& entry) {
    std::uint32_t number = world_->ledger_.create();
    while (is_poison(number) != (entry.verdict == Seen::kRejected)) number = world_->ledger_.create();
    return number;
  }

  std::size_t enqueue(std::size_t i) {
    const std::int64_t moment = trace_->entries[i].at;
    World::Context& context = tab();
    const std::uint32_t first = context.next_command;
    std::string text;
    for (; i < trace_->entries.size() && trace_->entries[i].kind == Kind::kCall && trace_->entries[i].at == moment;
         ++i) {
      const TraceEntry& entry = trace_->entries[i];
      World::Call call{
          .number = number_for(entry), .lane = entry.lane, .strict = entry.strict, .fixed = false, .text = {}};
      const std::string entity = entry.entity == 0 ? "" : "e" + std::to_string(entry.entity);
      call.text = World::text_of(call, entity, json_of(call.number, entry.json_bytes));
      calls_.push_back({call.number, &entry});
      text += call.text;
      context.calls[context.next_command++] = std::move(call);
    }
    played_ = i;
    const std::uint32_t count = context.next_command - first;
    say(std::to_string(count) + (count == 1 ? " call" : " calls"));
    if (context.engine) world_->feed(0, engine::Enqueue{first, count, to_bytes(as_bytes(text))});
    return i;
  }

  // What the page saw stored before it died is stored here, too, before the tab dies.
  void kill() {
    const auto awaited = [this](const auto& given) {
      const auto at = std::ranges::find(calls_, given.second.number, &Given::number);
      return at != calls_.end() && at->entry->stored;
    };
    const std::int64_t until = world_->now_ + kStoreMsMax;
    while (world_->now_ < until && std::ranges::any_of(tab().calls, awaited)) world_->run_until(world_->now_ + 1);
    say("killed");
    world_->kill(0);
  }

  // Not before its time, nor before all that the page did ahead of it.
  [[nodiscard]] bool may_come(std::size_t i, std::int64_t earlier_ms) const {
    return i < outcomes_.size() && outcomes_[i].before <= played_ &&
           outcomes_[i].entry->at <= world_->now_ + earlier_ms;
  }

  // The next outcome that the page saw; else what the network does as it is switched. An answer that nobody has met is passed over
  // when that of the request behind it may come: trouble is for who asks in its time.
  TraceEntry next_outcome() {
    while (may_come(next_ + 1, 0) && outcomes_[next_].entry->way == Way::kAnswered) ++next_;
    if (!over_ && may_come(next_, kEarlierMs)) {
      ++met_;
      return *outcomes_[next_++].entry;
    }
    TraceEntry made{.kind = Kind::kRequest, .way = Way::kAnswered};
    if (over_ || network_ == Network::kOnline) return made;
    made.way = network_ == Network::kOffline   ? Way::kRequestLost
               : network_ == Network::kCaptive ? Way::kForeign
                                               : Way::kStatus;
    made.status = network_ == Network::kError ? 500 : 401;
    return made;
  }

  void answer(std::size_t index, const engine::Send& send, const World::Reply& reply) {
    const TraceEntry outcome = next_outcome();
    const std::int64_t delay = world_->prng_.between(5, 60);
    say("request " + std::string(kWayNames[static_cast<std::size_t>(outcome.way)]));
    switch (outcome.way) {
      case Way::kAnswered:
        return world_->at(world_->now_ + delay, [this, index, send, reply] { world_->arrive(index, send, reply); });
      case Way::kRequestLost: return reply(delay, engine::SendFailed{send.request});
      case Way::kReplyLost:
        world_->at(world_->now_ + delay,
                   [this, body = send.body] { (void)world_->server_.serve(body, {world_->wall(World::Device{})}); });
        return reply(2 * delay, engine::SendFailed{send.request});
      case Way::kForeign:
        return reply(delay, engine::Response{send.request, 200, 0, to_bytes(as_bytes("<html>sign in</html>"))});
      case Way::kStatus: break;
    }
    if (outcome.status >= 500 || outcome.status == 429) ++device().busy_answers;
    if (outcome.retry_after_ms > 0) tab().asked_to_wait_until = world_->now_ + delay + outcome.retry_after_ms;
    reply(delay, engine::Response{send.request, outcome.status, outcome.retry_after_ms, {}});
  }

  [[nodiscard]] std::size_t seen(Seen verdict) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(calls_, [verdict](const Given& given) { return given.entry->verdict == verdict; }));
  }

  void check_verdicts() {
    const std::vector<std::uint8_t>& applied = world_->server_.effects().applied;
    for (const Given& given : calls_) {
      const bool here = given.number < applied.size() && applied[given.number] == 1;
      applied_ += here;
      if (!here && given.entry->verdict == Seen::kApplied)
        world_->ledger_.fail("replay: event " + std::to_string(given.number) +
                             " was applied for the page, and is not here");
    }
  }

  World* world_;
  const Trace* trace_;
  std::vector<Outcome> outcomes_;
  std::size_t played_ = 0;  // entries
  std::size_t next_ = 0;
  std::size_t met_ = 0;
  std::vector<Given> calls_;
  std::size_t applied_ = 0;
  Network network_ = Network::kOnline;
  bool over_ = false;
};

namespace {

Report play(const Trace& trace, Mutant mutant, bool tell) {
  FaultCounts counts{};
  active_mutant = mutant;
  World world(kSeed, Mode::kSafety, counts, FaultSet{}, kLaneCount);
  Replay replay(world, trace);
  tracing = tell;
  const Report report = replay.run();
  tracing = false;
  active_mutant = Mutant::kNone;
  if (tell) replay.tell();
  return report;
}

}  // namespace

int replay_file(std::string_view path, Mutant mutant) {
  std::ifstream file{std::string(path), std::ios::binary};
  if (!file) {
    std::printf("refused: not_found (%s)\n", std::string(path).c_str());
    return 2;
  }
  // One byte more than is allowed is enough to know.
  std::string text(kTraceBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  const std::expected<Trace, TraceError> trace = read_trace(text);
  if (!trace) {
    std::printf("refused: %s (%s)\n", std::string(error_info(trace.error().code).name).c_str(),
                trace.error().where.c_str());
    return 2;
  }
  const Report first = play(*trace, mutant, true);
  const bool same = first.digest == play(*trace, mutant, false).digest;
  if (!same) std::printf("I9: the second run has another digest\n");
  std::printf("%s\n", first.violation.empty() ? "no violation" : first.violation.c_str());
  return first.violation.empty() && same ? 0 : 1;
}

}  // namespace oas::sim
