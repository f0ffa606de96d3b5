// What people do with a device, and what fate does to it.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "queue/keys.h"
#include "queue/records.h"
#include "sim/documents_world.h"
#include "sim/world.h"
#include "wire/segment.h"
#include "wire/writer.h"

namespace oas::sim {
namespace {

constexpr std::int64_t kActMs = 500;
constexpr std::uint32_t kBurst = 24;
constexpr std::int64_t kWithdrawMs = 10'000;
constexpr std::size_t kDevicesMax = 5;
constexpr std::int64_t kYearMs = 365LL * 24 * 3600 * 1000;

bool is_pending(const Bytes& key) { return key.size() > 1 && key[0] == 's' && key[1] == 'p'; }

// The event numbers in a pending segment; anonymous ones come as 0.
std::vector<std::uint32_t> numbers_in(const Bytes& record) {
  std::vector<std::uint32_t> numbers;
  const auto segment = wire::open_segment(record);
  Bytes rows;
  if (!segment || !wire::decode_rows(*segment, rows)) return numbers;
  wire::RowCursor cursor(segment->head, rows);
  while (!cursor.done()) {
    const auto row = cursor.next();
    if (!row) break;
    numbers.push_back(read_label(as_text(row->event.json)).number);
  }
  return numbers;
}

}  // namespace

void World::storm(std::int64_t until) {
  for (std::size_t i = 0; i < devices_.size(); ++i) act(i);
  while (now_ < until && !ledger_.violation) {
    run_until(std::min(until, now_ + prng_.between(300, 2'000)));
    server_trouble();
    const std::size_t device = prng_.below(static_cast<std::uint32_t>(devices_.size()));
    break_something(device);
  }
}

// One person at one device, until the faults stop.
void World::act(std::size_t index) {
  if (!faults_.active) return;
  Device& device = *devices_[index];
  const auto count = static_cast<std::uint32_t>(device.contexts.size());
  if (documents_) documents_->act(index);
  if (!documents_ || prng_.chance(1, 4)) enqueue(device.contexts[prng_.below(count)]);
  if (prng_.chance(1, 12)) retry_letter(device);
  if (habits_.withdraw && withdrawals_.chance(1, 20)) withdraw(device);
  if (habits_.pack && packing_.chance(1, 200)) server_.lose_dictionaries();
  if (prng_.chance(1, 15)) worker_drain(index);
  at(now_ + prng_.between(20, 2 * kActMs), [this, index] { act(index); });
}

World::Call World::make_call(Context& context, Device& device) {
  Call call{.number = 0,
            .lane = static_cast<Lane>(prng_.below(lanes_)),
            .strict = prng_.chance(2, 3),
            .fixed = false,
            .text = {}};
  if (prng_.chance(1, 30)) {
    if (habits_.withdraw && call.lane == Lane::kAnalytics)
      call.lane = Lane::kLow;  // nobody could tell which of them are gone
    call.text = text_of(call, "", "\"click\"");
    return call;
  }
  call.number = ledger_.create();
  Fate& fate = ledger_.fates[call.number];
  fate.analytics = call.lane == Lane::kAnalytics;
  fate.device = device.id.value[0];
  if (fate.analytics && now_ < device.withdrawn_until) excuse({call.number});
  std::string entity;
  if (call.lane < Lane::kLow && prng_.chance(1, 2))
    entity = std::to_string(context.device) + "." + std::to_string(context.slot) + "." + std::to_string(device.branch) +
             "." + std::to_string(prng_.below(3));
  call.text = text_of(call, entity, std::to_string(call.number));
  return call;
}

void World::enqueue(std::size_t index) {
  Context& context = *contexts_[index];
  if (!context.engine || context.worker) return;
  Device& device = *devices_[context.device];
  std::string text;
  const std::uint32_t first = context.next_command;
  const std::uint32_t count = 1 + prng_.below(kBurst);
  for (std::uint32_t i = 0; i < count; ++i) {
    Call call = make_call(context, device);
    if (call.number == 0) ++ledger_.clicks_made;
    text += call.text;
    context.calls[context.next_command++] = std::move(call);
  }
  feed(index, engine::Enqueue{first, count, to_bytes(as_bytes(text))});
}

// Someone corrects a dead letter; now and then in two tabs at once.
void World::retry_letter(Device& device) {
  const auto letters = device.disk.scan({{'x'}, {'y'}}, 8);
  if (letters.empty()) return;
  const engine::Put& record = letters[prng_.below(static_cast<std::uint32_t>(letters.size()))];
  const auto letter = queue::read_record<queue::DeadLetter>(record.value);
  if (!letter || record.key.size() != 18) return;
  wire::Reader in(letter->event);
  const auto event = wire::read_event(in);
  if (!event) return;
  const Label label = read_label(as_text(event->json));
  if (label.number == 0) return;
  ledger_.fates[label.number].disordered = true;
  Bytes args;
  wire::Writer out(args);
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  for (std::size_t i = 1; i < 9; ++i) epoch = epoch << 8 | record.key[i];
  for (std::size_t i = 10; i < 18; ++i) seq = seq << 8 | record.key[i];
  out.u64(epoch);
  out.u8(record.key[9]);
  out.u64(seq);
  // An edit of a document is tried again as it is.
  if (!ledger_.fates[label.number].document) out.raw(as_bytes("[" + std::to_string(label.number) + "]"));
  for (const std::size_t index : device.contexts) {
    Context& context = *contexts_[index];
    if (!context.engine || context.worker || prng_.chance(1, 2)) continue;
    const std::uint32_t command = context.next_command++;
    context.calls[command] = {
        .number = label.number, .lane = static_cast<Lane>(record.key[9]), .strict = true, .fixed = true, .text = {}};
    ledger_.fates[label.number].corrected = true;
    ledger_.fates[label.number].corrected_at = static_cast<std::uint32_t>(ledger_.fates.size() - 1);
    feed(index, engine::Command{command, engine::Command::Op::kDeadLetterRetry, args});
  }
}

// A person withdraws the consent to analytics: what waits of them is given up, what is on its way arrives.
void World::withdraw(Device& device) {
  for (const std::size_t index : device.contexts) {
    Context& context = *contexts_[index];
    if (!context.engine || context.worker || now_ < context.frozen_until || !context.backlog.empty()) continue;
    for (std::uint32_t n = 1; n < ledger_.fates.size(); ++n)
      if (ledger_.fates[n].analytics && ledger_.fates[n].device == device.id.value[0]) excuse({n});
    // Other tabs may store more before it has ended.
    device.withdrawn_until = now_ + kWithdrawMs;
    const auto lane = static_cast<std::uint8_t>(Lane::kAnalytics);
    const auto reason = static_cast<std::uint8_t>(sync::VoidReason::kConsent);
    return feed(index, engine::Command{context.next_command++, engine::Command::Op::kGiveUp, {lane, reason}});
  }
}

// The browser wakes a Service Worker: it drains for a while, and is stopped when the browser feels like it.
void World::worker_drain(std::size_t index) {
  Device& device = *devices_[index];
  auto free = std::find_if(device.contexts.begin(), device.contexts.end(),
                           [this](std::size_t one) { return contexts_[one]->worker; });
  if (free == device.contexts.end()) {
    contexts_.push_back(std::make_unique<Context>());
    contexts_.back()->device = index;
    contexts_.back()->worker = true;
    device.contexts.push_back(contexts_.size() - 1);
    free = std::prev(device.contexts.end());
  }
  const std::size_t worker = *free;
  Context& context = *contexts_[worker];
  if (context.engine) return;
  boot(worker);
  context.nudged = true;
  Bytes args;
  wire::Writer(args).u32(20'000);
  feed(worker, engine::Command{context.next_command++, engine::Command::Op::kDrain, args});
  const bool stopped = faults_.hit(Fault::kWorkerStopped, 1, 2);
  at(now_ + (stopped ? prng_.between(20, 2'000) : 20'000), [this, worker, life = context.life] {
    if (contexts_[worker]->life == life) kill(worker);
  });
}

// --- trouble ---------------------------------------------------------------------------------------------------------

void World::break_something(std::size_t index) {
  Device& device = *devices_[index];
  const std::size_t victim = device.contexts[prng_.below(static_cast<std::uint32_t>(device.contexts.size()))];
  Context& context = *contexts_[victim];
  if (faults_.hit(Fault::kPartition, 1, 12)) device.offline_until = now_ + prng_.between(500, 30'000);
  if (faults_.hit(Fault::kQuota, 1, 40)) device.quota_until = now_ + prng_.between(100, 4'000);
  if (faults_.hit(Fault::kUnauthorized, 1, 40)) device.unauthorized_until = now_ + prng_.between(500, 20'000);
  if (faults_.hit(Fault::kClockJump, 1, 25)) {
    device.skew +=
        prng_.chance(1, 10) ? (prng_.chance(1, 2) ? kYearMs : -kYearMs) : prng_.between(-2'000'000, 2'000'000);
    device.jumped_at = now_;
  }
  if (context.engine && !context.worker) {
    const bool awake = now_ >= context.frozen_until && context.backlog.empty();
    if (awake && faults_.hit(Fault::kTrap, 1, 15)) {
      if (prng_.chance(1, 2)) enqueue(victim);  // so that a transaction is in hand
      return trap(victim);
    }
    if (faults_.hit(Fault::kFrozen, 1, 25)) context.frozen_until = now_ + prng_.between(1'000, 40'000);
    if (faults_.hit(Fault::kTabKilled, 1, 15)) {
      kill(victim);
      return boot(victim);
    }
  }
  if (faults_.hit(Fault::kBrowserKilled, 1, 40)) {
    close_browser(device);
    return open_browser(device);
  }
  if (faults_.hit(Fault::kPowerLoss, 1, 40)) return cut_power(device);
  if (faults_.hit(Fault::kProfileRolledBack, 1, 60)) return roll_back(device);
  if (devices_.size() < kDevicesMax && faults_.hit(Fault::kProfileCloned, 1, 60)) return clone_profile(index);
  if (devices_.size() < kDevicesMax && faults_.uses(Fault::kMachineCloned)) clone_machine(index);
  if (faults_.uses(Fault::kRecordDamaged) && prng_.chance(1, 40)) damage(device);
}

void World::server_trouble() {
  server_.release({wall(Device{})});
  if (documents_) documents_->server_work();
  const Millis wall_now{wall(Device{})};
  if (prng_.chance(1, 12)) server_.back_up(wall_now);
  if (faults_.hit(Fault::kServerDown, 1, 40)) server_down_until_ = now_ + prng_.between(500, 10'000);
  if (faults_.hit(Fault::kRestore, 1, 60)) {
    server_.restore(wall_now);
    if (documents_) documents_->restored();
  }
}

void World::close_browser(Device& device) {
  for (const std::size_t index : device.contexts) kill(index);
}

void World::open_browser(Device& device) {
  if (!device.imaged || prng_.chance(1, 2)) {
    // A backup of the profile, made while nobody was writing.
    device.image = device.disk.records;
    device.imaged = true;
    device.accepted_since_image.clear();
    device.clicks_since_image = 0;
  }
  for (const std::size_t index : device.contexts)
    if (!contexts_[index]->worker) boot(index);
}

void World::cut_power(Device& device) {
  ++device.powers;
  close_browser(device);
  device.disk.lose_tail(prng_.below(static_cast<std::uint32_t>(device.disk.tail()) + 1));
  excuse(device.relaxed);
  ledger_.clicks_excused += std::exchange(device.relaxed_clicks, 0);
  device.relaxed.clear();
  open_browser(device);
}

void World::excuse(const std::vector<std::uint32_t>& numbers) {
  for (const std::uint32_t number : numbers) {
    ledger_.fates[number].excused = true;
    ledger_.fates[number].disordered = true;
  }
}

// The profile comes back from an old copy: what was acknowledged since may be gone, nothing may be doubled.
void World::roll_back(Device& device) {
  ++device.powers;  // what was on its way to the disk is gone with it
  close_browser(device);
  device.disk = {};
  device.disk.records = device.image;
  excuse(device.accepted_since_image);
  ledger_.clicks_excused += device.clicks_since_image;
  device.relaxed.clear();
  device.relaxed_clicks = 0;
  ++device.branch;
  open_browser(device);
}

// A second machine starts from a copy of the profile: same device to the server, two stores.
void World::clone_profile(std::size_t index) {
  Device& original = *devices_[index];
  ++original.powers;
  close_browser(original);
  devices_.push_back(std::make_unique<Device>());
  Device& copy = *devices_.back();
  const std::size_t device = devices_.size() - 1;
  copy.id = original.id;
  copy.disk.records = original.disk.records;
  copy.skew = original.skew;
  copy.jumped_at = original.jumped_at;
  copy.branch = original.branch + 100;
  original.branch += 1;
  original.twin = copy.twin = true;
  copy.accepted_ever = original.accepted_ever;
  // After a restore each twin pushes again what it kept. One cannot know that the other still keeps something older of the
  // same entity, so what was made before the copy may come in two orders.
  if (faults_.uses(Fault::kRestore))
    for (const std::uint32_t number : original.accepted_ever) ledger_.fates[number].disordered = true;
  original.disk = {};
  original.disk.records = copy.disk.records;
  contexts_.push_back(std::make_unique<Context>());
  contexts_.back()->device = device;
  copy.contexts.push_back(contexts_.size() - 1);
  // A clean shutdown before the copy: everything was synced.
  original.relaxed.clear();
  original.relaxed_clicks = 0;
  open_browser(original);
  open_browser(copy);
  act(device);
}

// A running machine is copied with all its memory and goes on twice: two histories under one epoch.
void World::clone_machine(std::size_t index) {
  Device& original = *devices_[index];
  for (const std::size_t one : original.contexts) {
    const Context& context = *contexts_[one];
    const bool still = context.open_commits == 0 && !context.in_doubt && context.calls.empty();
    if (context.worker ? context.engine != nullptr : !context.engine || !still || now_ < context.frozen_until) return;
  }
  if (!faults_.hit(Fault::kMachineCloned, 1, 10)) return;
  devices_.push_back(std::make_unique<Device>());
  Device& copy = *devices_.back();
  const std::size_t device = devices_.size() - 1;
  copy = original;
  copy.contexts.clear();
  copy.old_reply.clear();
  copy.branch = original.branch + 100;
  original.branch += 1;
  original.twin = copy.twin = true;
  for (const std::size_t one : original.contexts) {
    const Context& from = *contexts_[one];
    if (from.worker) continue;
    contexts_.push_back(std::make_unique<Context>());
    Context& to = *contexts_.back();
    const std::size_t clone = contexts_.size() - 1;
    copy.contexts.push_back(clone);
    to.device = device;
    to.slot = from.slot;
    to.epoch = from.epoch;
    to.next_command = from.next_command;
    to.instance = 1;
    to.engine = std::make_unique<engine::Engine>();
    for (const auto& [time, input] : from.log) {
      to.log.emplace_back(time, input);
      std::vector<engine::Input> batch{input};
      // The same clocks as then: the copy's memory is the original's.
      (void)to.engine->step({{time}, {wall(original) - now_ + time}}, batch);
    }
    if (from.alarm_at != 0) {
      const std::uint64_t alarm = to.alarm;
      at(from.alarm_at, [this, clone, alarm] {
        if (contexts_[clone]->alarm == alarm) feed(clone, engine::Woke{});
      });
    }
    for (const auto& [load, open] : from.loads) post(clone, 1, engine::LoadFailed{load});
    for (const std::uint32_t request : from.sends) post(clone, 2, engine::SendFailed{request});
  }
  act(device);
}

// One bit of a stored segment turns over. Its events may be lost, and are reported; nothing else may be.
void World::damage(Device& device) {
  std::vector<Disk::Records::iterator> segments;
  for (auto at = device.disk.records.lower_bound({'s', 'p'}); at != device.disk.records.end() && is_pending(at->first);
       ++at)
    segments.push_back(at);
  if (segments.empty() || !faults_.hit(Fault::kRecordDamaged, 1, 1)) return;
  Bytes& record = segments[prng_.below(static_cast<std::uint32_t>(segments.size()))]->second;
  for (const std::uint32_t number : numbers_in(record)) {
    if (number == 0) {
      ++ledger_.clicks_excused;
    } else {
      excuse({number});
    }
  }
  record[prng_.below(static_cast<std::uint32_t>(record.size()))] ^= static_cast<std::uint8_t>(1U << prng_.below(8));
}

}  // namespace oas::sim
