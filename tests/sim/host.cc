// What a browser host does for one context, with everything that can happen to it.
#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/limits.h"
#include "base/sim_points.h"
#include "queue/keys.h"
#include "queue/records.h"
#include "sim/documents_world.h"
#include "sim/world.h"
#include "wire/writer.h"

namespace oas::sim {
namespace {

constexpr std::int64_t kSlowNetworkMs = 2'000;

using Numbers = std::array<std::uint64_t, kLaneCount>;

// `next`: the first number of each lane in this record.
Bytes journal_record(std::int64_t wall, Epoch epoch, const Numbers& next, const std::string& text) {
  Bytes record;
  wire::Writer out(record);
  out.u8('J');
  out.u8(1);
  out.u64(static_cast<std::uint64_t>(wall));
  out.u64(epoch.value);
  for (const std::uint64_t first : next) out.u64(first);
  std::uint32_t fnv = 0x811C9DC5U;
  for (const char c : text) fnv = (fnv ^ static_cast<std::uint8_t>(c)) * 0x01000193U;
  out.u32(fnv);
  out.raw(as_bytes(text));
  return record;
}

// Under which number a transaction stores a call; nothing for one that it does not store.
std::optional<EventId> id_of(const engine::Persist& persist, std::uint32_t command) {
  for (const engine::Accepted& run : persist.covers)
    if (command >= run.first && command - run.first < run.count)
      return EventId{run.id.stream, {run.id.seq.value + (command - run.first)}};
  return std::nullopt;
}

}  // namespace

std::string World::text_of(const Call& call, const std::string& entity, const std::string& json) {
  std::string text{static_cast<char>('0' + static_cast<int>(call.lane)), call.strict ? '2' : '1'};
  text.push_back('\0');
  for (const std::string& field : {std::string("t"), std::string("m"), entity, std::string(), json}) {
    text += field;
    text.push_back('\0');
  }
  return text;
}

// --- birth and death -------------------------------------------------------------------------------------------------

void World::boot(std::size_t index) {
  Context& context = *contexts_[index];
  context.epoch = {prng_.next()};
  context.opens = true;
  if (documents_ && !context.worker) documents_->born(index);
  if (!context.worker && faults_.hit(Fault::kJournalLeft, 1, 4)) {
    boot_with_journal(index);
  } else {
    start(context, {1, 1, 1, 1, 1});
  }
}

// Calls that came before the core was there: the page's JavaScript has stored and numbered them, in one transaction or
// several, and may die now.
void World::boot_with_journal(std::size_t index) {
  Context& context = *contexts_[index];
  Device& device = *devices_[context.device];
  Numbers next{1, 1, 1, 1, 1};
  const std::int64_t moment = wall(device) + 1;  // no page comes up in the millisecond in which the one before it died
  const std::uint32_t records = 1 + prng_.below(3);
  for (std::uint32_t n = 0; n < records; ++n) {
    const Numbers first = next;
    std::string text;
    for (std::uint32_t i = 1 + prng_.below(6); i > 0; --i) {
      Call call = make_call(context, device);
      if (call.number == 0) ++ledger_.clicks_made;
      call.strict = true;
      text += call.text;
      ++next[static_cast<std::size_t>(call.lane)];
      promise(device, call);
    }
    const engine::Persist write{
        .tx = 0,
        .durability = Durability::kStrict,
        .expects = {},
        .puts = {{queue::journal_key(context.epoch, n), journal_record(moment, context.epoch, first, text)}},
        .deletes = {},
        .guard = {}};
    (void)device.disk.commit(write, true);
  }
  if (prng_.chance(1, 3)) {
    kill(index);  // the journal is for whoever drains
    at(now_ + prng_.between(100, 5'000), [this, index, life = context.life] {
      if (contexts_[index]->life == life && !contexts_[index]->engine) boot(index);
    });
    return;
  }
  start(context, next);
}

void World::start(Context& context, const std::array<std::uint64_t, kLaneCount>& next) {
  if (tracing)
    std::printf("%lld: %s of device %zu slot %u starts with epoch %llx, wall %+lld\n", static_cast<long long>(now_),
                context.worker ? "worker" : "tab", context.device, context.slot,
                static_cast<unsigned long long>(context.epoch.value),
                static_cast<long long>(devices_[context.device]->skew));
  context.engine = std::make_unique<engine::Engine>();
  ++context.instance;
  context.loads.clear();
  forget(context);
  context.sends.clear();
  context.log.clear();
  context.nudged = false;
  context.follows = {};
  context.asked_to_wait_until = 0;
  const Device& device = *devices_[context.device];
  engine::Start start{.device = device.id, .epoch = context.epoch, .next = next, .seed = {}};
  // All of it, as a host does: from a seed of mostly zeros the engine would draw the same nonce twice.
  Prng entropy(prng_.next());
  for (std::size_t i = 0; i < start.seed.size(); ++i) start.seed[i] = static_cast<std::uint8_t>(entropy.next() >> 56);
  const std::size_t index = static_cast<std::size_t>(
      std::find_if(contexts_.begin(), contexts_.end(), [&](const auto& one) { return one.get() == &context; }) -
      contexts_.begin());
  feed(index, start);
  feed(index, engine::Connectivity{now_ >= device.offline_until, false});
  if (!context.calls.empty()) {
    // What the last instance had not stored is given to this one, in the old order.
    const std::map<std::uint32_t, Call> calls = std::exchange(context.calls, {});
    for (const auto& [command, call] : calls) {
      if (call.text.empty()) continue;  // a command that stores an event is not repeated
      const std::uint32_t fresh = context.next_command++;
      context.calls[fresh] = call;
      feed(index, engine::Enqueue{fresh, 1, to_bytes(as_bytes(call.text))});
    }
  }
  ask_dictionary(index);
}

// As a host does once the engine runs: with the dictionary it has kept, or none.
void World::ask_dictionary(std::size_t index) {
  if (!habits_.pack) return;
  Context& context = *contexts_[index];
  context.dictionary_command = context.next_command++;
  feed(index, engine::Command{context.dictionary_command, engine::Command::Op::kDictionary,
                              devices_[context.device]->dictionary});
}

void World::bring_dictionary(std::size_t index, const Bytes& packed) {
  const std::int64_t delay = packing_.between(20, 2'000);
  const bool lost = packing_.chance(1, 4);
  at(now_ + delay, [this, index, packed, lost, instance = contexts_[index]->instance] {
    Device& device = *devices_[contexts_[index]->device];
    const bool there = !lost && now_ >= device.offline_until && now_ >= server_down_until_;
    if (there) server_.keep_dictionary(device.id, packed);
    device.dictionary = there ? packed : Bytes{};
    if (contexts_[index]->instance == instance && contexts_[index]->engine) ask_dictionary(index);
  });
}

void World::kill(std::size_t index) {
  Context& context = *contexts_[index];
  if (tracing) std::printf("%lld: context %zu is killed\n", static_cast<long long>(now_), index);
  // Of a killed tab the browser may or may not have had the whole transaction.
  if (context.in_hand && prng_.chance(1, 2)) {
    Device& device = *devices_[context.device];
    const bool strict = context.in_hand->durability >= Durability::kStrict;
    (void)device.disk.commit(*context.in_hand, strict);
  }
  context.in_hand.reset();
  if (documents_) documents_->gone(index);
  context.backlog.clear();
  context.engine.reset();
  tell_followers(index);
  ++context.life;
  ++context.instance;
  ++context.alarm;
  context.calls.clear();
  context.frozen_until = 0;
  context.open_commits = 0;
  context.in_doubt.reset();
}

// The instance is gone, the tab is not: first the transaction in hand ends, then a new instance gets the rest.
void World::trap(std::size_t index) {
  Context& context = *contexts_[index];
  context.engine.reset();
  context.backlog.clear();  // calls in it are among the outstanding ones, everything else starts over
  ++context.instance;
  ++context.alarm;
  if (!OAS_MUTANT(kReplayBeforeTransactionEnds)) {
    if (context.open_commits > 0) return;  // its end starts the next one
    if (context.in_doubt) {
      // An outcome that nobody has found out yet is found out first, by writing the same bytes once more.
      ++context.open_commits;
      const engine::Persist persist = *std::exchange(context.in_doubt, std::nullopt);
      const bool strict = persist.durability >= Durability::kStrict;
      end_transaction(index, persist, devices_[context.device]->disk.commit(persist, strict));
      return;
    }
  }
  tell_followers(index);
  context.epoch = {prng_.next()};
  start(context, {1, 1, 1, 1, 1});
}

void World::follow(std::size_t index, Epoch owner) {
  if (!tells_gone_) return;
  contexts_[index]->follows = owner;
  const std::vector<std::size_t>& others = devices_[contexts_[index]->device]->contexts;
  const bool lives = std::any_of(others.begin(), others.end(), [&](std::size_t other) {
    return contexts_[other]->engine && contexts_[other]->epoch == owner;
  });
  if (!lives) return post(index, 1, engine::Gone{owner});
  // A tab that was frozen and comes back, or one of an older build.
  if (faults_.hit(Fault::kTakenForGone, 1, 4)) post(index, prng_.between(1, 5'000), engine::Gone{owner});
}

void World::tell_followers(std::size_t gone) {
  const Epoch epoch = contexts_[gone]->epoch;
  for (const std::size_t other : devices_[contexts_[gone]->device]->contexts)
    if (contexts_[other]->follows == epoch) post(other, 1, engine::Gone{epoch});
}

// --- turns -----------------------------------------------------------------------------------------------------------

void World::post(std::size_t index, std::int64_t delay, engine::Input input) {
  const std::uint32_t instance = contexts_[index]->instance;
  at(now_ + delay, [this, index, instance, input = std::move(input)]() mutable {
    if (contexts_[index]->instance == instance) feed(index, std::move(input));
  });
}

void World::feed(std::size_t index, engine::Input input) {
  Context& context = *contexts_[index];
  if (!context.engine) return;
  if (now_ < context.frozen_until || !context.backlog.empty()) {
    if (context.backlog.empty()) thaw_later(index);
    context.backlog.push_back(std::move(input));
    return;
  }
  turn(index, std::move(input));
}

// A frozen tab gets its mail in the old order when it wakes.
void World::thaw_later(std::size_t index) {
  const std::uint32_t instance = contexts_[index]->instance;
  at(contexts_[index]->frozen_until, [this, index, instance] {
    Context& context = *contexts_[index];
    if (context.instance != instance) return;
    if (now_ < context.frozen_until) return thaw_later(index);
    const std::vector<engine::Input> backlog = std::exchange(context.backlog, {});
    for (const engine::Input& input : backlog)
      if (context.instance == instance) turn(index, input);
  });
}

void World::turn(std::size_t index, engine::Input input) {
  Context& context = *contexts_[index];
  Device& device = *devices_[context.device];
  if (faults_.uses(Fault::kMachineCloned)) context.log.emplace_back(now_, input);
  if (context.opening && std::holds_alternative<engine::Peer>(input)) forget(context);
  std::vector<engine::Input> batch;
  batch.push_back(std::move(input));
  const std::span<const engine::Output> view = context.engine->step({{now_}, {wall(device)}}, batch);
  const std::vector<engine::Output> outputs(view.begin(), view.end());
  ++context.alarm;
  context.alarm_at = 0;
  for (const engine::Output& output : outputs) carry_out(index, output);
}

void World::carry_out(std::size_t index, const engine::Output& output) {
  Context& context = *contexts_[index];
  if (const auto* one = std::get_if<engine::Persist>(&output)) {
    persist(index, *one);
  } else if (const auto* load = std::get_if<engine::Load>(&output)) {
    read(index, *load);
  } else if (const auto* request = std::get_if<engine::Send>(&output)) {
    send(index, *request);
  } else if (const auto* tell = std::get_if<engine::Tell>(&output)) {
    for (const std::size_t other : devices_[context.device]->contexts)
      if (other != index && !faults_.hit(Fault::kPeerLost, 1, 6)) post(other, 1, engine::Peer{tell->bytes});
  } else if (const auto* log = std::get_if<engine::Log>(&output)) {
    if (tracing)
      std::printf("%lld: context %zu logs %d (%llx)\n", static_cast<long long>(now_), index, log->code,
                  static_cast<unsigned long long>(log->detail));
  } else if (const auto* notice = std::get_if<engine::Deliver>(&output)) {
    deliver(index, notice->notice);
  } else if (const auto* owner = std::get_if<engine::Follow>(&output)) {
    follow(index, owner->owner);
  } else if (const auto* wake = std::get_if<engine::Wake>(&output)) {
    const std::uint64_t alarm = ++context.alarm;
    context.alarm_at = wake->at.value;
    at(wake->at.value, [this, index, alarm] {
      if (contexts_[index]->alarm == alarm) feed(index, engine::Woke{});
    });
  }
}

// --- storage ---------------------------------------------------------------------------------------------------------

void World::read(std::size_t index, const engine::Load& load) {
  Context& context = *contexts_[index];
  context.loads[load.load] = load;
  const std::int64_t delay = open_ahead(index, load);
  const auto answered = known(context, load);
  read_ahead(index, load);
  at(now_ + delay, [this, index, instance = context.instance, load, answered] {
    Context& reader = *contexts_[index];
    if (reader.instance != instance) return;
    reader.loads.erase(load.load);
    if (faults_.hit(Fault::kReadFailed, 1, 150)) return feed(index, engine::LoadFailed{load.load});
    feed(index, engine::Loaded{load.load, answered ? *answered : answer(reader, load)});
  });
}

void World::persist(std::size_t index, engine::Persist persist) {
  Context& context = *contexts_[index];
  if (documents_) documents_->accompany(index, persist);
  if (!takes_lease(persist)) forget(context);
  if (takes_lease(persist) && !context.ahead.contains({'m'})) begin_round(index);
  ++context.open_commits;
  context.in_hand = persist;
  const bool strict = persist.durability >= Durability::kStrict;
  at(now_ + (strict ? prng_.between(3, 9) : prng_.between(1, 2)),
     [this, index, life = context.life, instance = context.instance, powers = devices_[context.device]->powers,
      persist] {
       const Context& owner = *contexts_[index];
       if (devices_[owner.device]->powers == powers && owner.life == life) commit(index, instance, persist);
     });
}

void World::commit(std::size_t index, std::uint32_t instance, const engine::Persist& persist) {
  Context& context = *contexts_[index];
  Device& device = *devices_[context.device];
  const bool strict = persist.durability >= Durability::kStrict;
  engine::PersistFailed failed{.tx = persist.tx};
  std::optional<engine::PersistFailed::Kind> failure;
  const bool full = now_ < device.quota_until && !persist.puts.empty();
  bool written = false;
  if (full) {
    failure = engine::PersistFailed::Kind::kAborted;
    failed.code = static_cast<std::uint16_t>(ErrorCode::kStorageQuota);
  } else if (faults_.hit(Fault::kConnectionLost, 1, 60)) {
    if (prng_.chance(1, 2)) written = device.disk.commit(persist, strict);
    failure = engine::PersistFailed::Kind::kUnknown;
  } else if (written = device.disk.commit(persist, strict); !written) {
    failure = engine::PersistFailed::Kind::kConflict;
  }
  if (written && std::any_of(persist.puts.begin(), persist.puts.end(),
                             [](const engine::Put& put) { return put.key == queue::retry_key(); })) {
    device.retry_at = now_;
    device.retry_by = context.epoch;
  }
  // A repetition that finds its guard there has nothing to write, and so flushes nothing.
  if (written && strict && device.disk.tail() == 0) {
    device.relaxed.clear();
    device.relaxed_clicks = 0;
  }
  context.in_hand.reset();
  // An attempt that was rolled back says nothing of an earlier one whose outcome is unknown.
  const bool doubtful = context.in_doubt && context.in_doubt->tx == persist.tx;
  const bool open = failure == engine::PersistFailed::Kind::kUnknown ||
                    (doubtful && failure == engine::PersistFailed::Kind::kAborted);
  if (context.instance != instance) {
    // Its instance has trapped meanwhile. The host finds out how it ended, however often it has to ask.
    context.in_doubt.reset();
    if (open) written = device.disk.commit(persist, strict);
    end_transaction(index, persist, written);
    return;
  }
  --context.open_commits;
  context.in_doubt.reset();
  if (open) context.in_doubt = persist;
  if (failure) {
    failed.kind = *failure;
    forget(context);
    feed(index, failed);
  } else {
    feed(index, engine::Persisted{persist.tx});
  }
}

// After a trap: the calls that the transaction covers are answered by the host, the rest goes to a new instance.
void World::end_transaction(std::size_t index, const engine::Persist& persist, bool written) {
  Context& context = *contexts_[index];
  Device& device = *devices_[context.device];
  if (tracing)
    std::printf("      ctx %zu ends transaction %llu: %s\n", index, static_cast<unsigned long long>(persist.tx),
                written ? "written" : "not written");
  if (context.open_commits > 0) --context.open_commits;
  for (auto at = context.calls.begin(); written && at != context.calls.end();) {
    const std::optional<EventId> id = id_of(persist, at->first);
    if (!id) {
      ++at;
      continue;
    }
    promise(device, at->second);
    if (documents_ && !at->second.fixed) documents_->stored(index, at->second.number, id);
    at = context.calls.erase(at);
  }
  if (context.engine || context.open_commits > 0) return;
  context.epoch = {prng_.next()};
  start(context, {1, 1, 1, 1, 1});
}

// --- network ---------------------------------------------------------------------------------------------------------

void World::send(std::size_t index, const engine::Send& send) {
  Context& context = *contexts_[index];
  Device& device = *devices_[context.device];
  check_patience(context, device);
  context.asked_to_wait_until = 0;
  context.nudged = false;
  note(hash64(send.body, send.request));
  if (tracing)
    std::printf("%lld: context %zu of device %zu sends %zu bytes\n", static_cast<long long>(now_), index,
                context.device, send.body.size());
  context.sends.push_back(send.request);
  const std::uint32_t instance = context.instance;
  const auto reply = [this, index, instance](std::int64_t delay, engine::Input input) {
    at(now_ + delay, [this, index, instance, input = std::move(input)]() mutable {
      if (contexts_[index]->instance != instance) return;
      contexts_[index]->sends.clear();
      feed(index, std::move(input));
    });
  };
  if (script_) return script_(index, send, reply);
  const std::int64_t delay = prng_.between(5, 60);
  const bool reachable = now_ >= device.offline_until && now_ >= server_down_until_;
  if (!reachable || faults_.hit(Fault::kRequestLost, 1, 12)) return reply(delay, engine::SendFailed{send.request});
  if (faults_.hit(Fault::kCaptivePortal, 1, 40))
    return reply(delay, engine::Response{send.request, 200, 0, to_bytes(as_bytes("<html>sign in</html>"))});
  if (now_ < device.unauthorized_until) return reply(delay, engine::Response{send.request, 401, 0, {}});
  if (faults_.hit(Fault::kServerError, 1, 30)) {
    ++device.busy_answers;
    return reply(delay, engine::Response{send.request, 500, 0, {}});
  }
  if (faults_.hit(Fault::kServerBusy, 1, 30)) {
    ++device.busy_answers;
    const std::uint32_t asked = 1'000 + prng_.below(20'000);
    context.asked_to_wait_until = now_ + delay + asked;
    return reply(delay, engine::Response{send.request, 503, asked, {}});
  }
  if (faults_.hit(Fault::kOldReply, 1, 30) && !device.old_reply.empty())
    return reply(delay, engine::Response{send.request, 200, 0, device.old_reply});
  at(now_ + delay, [this, index, send, reply] { arrive(index, send, reply); });
}

void World::arrive(std::size_t index, const engine::Send& send, const Reply& reply) {
  Device& device = *devices_[contexts_[index]->device];
  if (now_ < server_down_until_) return reply(5, engine::SendFailed{send.request});
  if (faults_.hit(Fault::kRequestDoubled, 1, 20))
    at(now_ + prng_.between(1, 20'000), [this, body = send.body] { (void)server_.serve(body, {wall(Device{})}); });
  Server::Answer answer = server_.serve(send.body, {wall(Device{})});
  note(hash64(answer.body));
  const std::int64_t delay = prng_.between(5, 60);
  if (answer.status == 0 || faults_.hit(Fault::kReplyLost, 1, 12))
    return reply(prng_.chance(1, 2) ? delay : send.timeout_ms, engine::SendFailed{send.request});
  device.busy_answers = 0;
  if (prng_.chance(1, 20)) device.old_reply = answer.body;
  if (faults_.hit(Fault::kReplyLate, 1, 40)) {
    reply(send.timeout_ms, engine::SendFailed{send.request});
    return reply(send.timeout_ms + prng_.between(1, kSlowNetworkMs),
                 engine::Response{send.request, answer.status, 0, std::move(answer.body)});
  }
  reply(delay, engine::Response{send.request, answer.status, answer.retry_after_ms, std::move(answer.body)});
}

// A stored time of the next attempt is kept by whoever holds the lease, unless somebody asked for an attempt before it.
void World::check_patience(const Context& context, const Device& device) {
  const auto record = device.disk.records.find(queue::retry_key());
  if (record == device.disk.records.end()) return;
  const auto retry = queue::read_record<queue::RetryState>(record->second);
  if (!retry) return;
  // An honest answer that moved nothing counts too; there are never many in a row.
  if (retry->attempts > device.busy_answers + 3 && !device.twin)
    ledger_.fail("attempts: " + std::to_string(retry->attempts) + " counted, the server refused " +
                 std::to_string(device.busy_answers) + " times");
  if (device.twin || context.nudged) return;
  // A later answer, in whatever context, ends what an earlier one asked for; until then the stored record stands.
  if (retry->attempts > 0 && now_ < context.asked_to_wait_until)
    ledger_.fail("patience: the server had asked to wait " + std::to_string(context.asked_to_wait_until - now_) +
                 " ms more");
  if (device.jumped_at >= 0) return;
  // Who has lost the lease without knowing finds out at its next write; until then two may send.
  const auto held = device.disk.records.find(queue::lease_key());
  const auto lease =
      held == device.disk.records.end() ? Result<queue::Lease>{} : queue::read_record<queue::Lease>(held->second);
  if (!lease || lease->owner != context.epoch) return;
  // A host that reads ahead may have looked just before the last holder wrote this and let go.
  if (reads_ahead_ && device.retry_by != context.epoch && device.retry_at >= context.meta_read_at) return;
  if (retry->attempts > 0 && retry->next_at.value > wall(device) + 5)
    ledger_.fail("patience: a request " + std::to_string(retry->next_at.value - wall(device)) + " ms before its time");
}

// --- notices ---------------------------------------------------------------------------------------------------------

void World::promise(Device& device, const Call& call) {
  if (call.number == 0) {
    ++ledger_.clicks_accepted;
    ++device.clicks_since_image;
    if (!call.strict) ++device.relaxed_clicks;
    return;
  }
  if (tracing)
    std::printf("%lld: %u%s is acknowledged\n", static_cast<long long>(now_), call.number,
                call.fixed ? " (corrected)" : "");
  Fate& fate = ledger_.fates[call.number];
  (call.fixed ? fate.retried : fate.accepted) = true;
  device.accepted_since_image.push_back(call.number);
  device.accepted_ever.push_back(call.number);
  if (!call.strict) device.relaxed.push_back(call.number);
}

void World::accepted(std::size_t index, const engine::Accepted& notice) {
  Context& context = *contexts_[index];
  for (std::uint32_t i = 0; i < notice.count; ++i) {
    const auto call = context.calls.find(notice.first + i);
    if (call == context.calls.end()) {
      ledger_.fail("a call was answered twice");
      return;
    }
    promise(*devices_[context.device], call->second);
    if (documents_ && !call->second.fixed)
      documents_->stored(index, call->second.number, EventId{notice.id.stream, {notice.id.seq.value + i}});
    context.calls.erase(call);
  }
  if (tracing)
    std::printf("      ctx %zu accepted %u+%u as %llx.%d.%llu\n", index, notice.first, notice.count,
                static_cast<unsigned long long>(notice.id.stream.epoch.value), static_cast<int>(notice.id.stream.lane),
                static_cast<unsigned long long>(notice.id.seq.value));
  note(hash_mix(notice.first, notice.id.seq.value));
}

void World::deliver(std::size_t index, const engine::Notice& notice) {
  Context& context = *contexts_[index];
  const Device& device = *devices_[context.device];
  if (const auto* one = std::get_if<engine::Accepted>(&notice)) {
    accepted(index, *one);
  } else if (const auto* failed = std::get_if<engine::Failed>(&notice)) {
    const auto call = context.calls.find(failed->command);
    if (call == context.calls.end()) return;
    if (call->second.number != 0 && !call->second.fixed) ledger_.fates[call->second.number].refused = true;
    if (documents_ && !call->second.fixed) documents_->refused(index, call->second.number);
    context.calls.erase(call);
  } else if (const auto* result = std::get_if<engine::CommandResult>(&notice)) {
    if (result->command == context.dictionary_command && context.dictionary_command != 0)
      bring_dictionary(index, result->bytes);
  } else if (const auto* settled = std::get_if<engine::Settled>(&notice)) {
    check_settled(device, *settled);
    if (documents_) documents_->settled(index, *settled);
  } else if (const auto* status = std::get_if<engine::Status>(&notice)) {
    context.status = *status;
    if (documents_) documents_->counted(index, *status);
  } else if (std::holds_alternative<engine::NeedToken>(notice)) {
    at(now_ + prng_.between(500, 4'000), [this, index, instance = context.instance] {
      Context& asked = *contexts_[index];
      if (asked.instance != instance) return;
      asked.nudged = true;
      feed(index, engine::Connectivity{true, true});
    });
  }
}

// `.synced` resolves on the final verdict only. A restored server may have forgotten since what it then said.
void World::check_settled(const Device& device, const engine::Settled& settled) {
  if (faults_.uses(Fault::kRestore) || settled.upto < settled.from) return;
  auto exception = settled.exceptions.begin();
  for (Sequence seq = settled.from; seq <= settled.upto; ++seq.value) {
    while (exception != settled.exceptions.end() && exception->seq < seq) ++exception;
    const bool listed = exception != settled.exceptions.end() && exception->seq == seq;
    const auto kind = listed ? static_cast<sync::VerdictKind>(exception->kind) : sync::VerdictKind::kApplied;
    const Server::Standing standing = server_.standing(device.id, {settled.stream, seq});
    // Who reads at its start how far a stream has come learns of no duplicates: these count with what was applied.
    const bool applied = standing == Server::Standing::kApplied || standing == Server::Standing::kDuplicate;
    const bool fits = kind == sync::VerdictKind::kApplied    ? applied
                      : kind == sync::VerdictKind::kRejected ? standing == Server::Standing::kRejected
                                                             : true;
    if (!fits)
      ledger_.fail("settled: number " + std::to_string(seq.value) + " of lane " +
                   std::to_string(static_cast<int>(settled.stream.lane)) + (device.twin ? " of a twin" : "") +
                   " is told as " + (kind == sync::VerdictKind::kApplied ? "applied" : "rejected") +
                   ", the server knows better");
  }
}

}  // namespace oas::sim
