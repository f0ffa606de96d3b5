// The quiet after a storm, and what must be true then.
#include <algorithm>
#include <array>
#include <cstdio>

#include "queue/keys.h"
#include "queue/records.h"
#include "sim/documents_world.h"
#include "sim/world.h"
#include "sync/acknowledge.h"

namespace oas::sim {
namespace {

// Backoff cap, a stale lease, a late poll and a slow request, one after the other: 60 + 10 + 60 + 30 s, and the work itself.
constexpr std::int64_t kDrainMsMax = 200'000;
constexpr std::int64_t kNoticeMs = 40'000;
constexpr std::int64_t kLookMs = 1'000;
constexpr std::int64_t kYearMs = 365LL * 24 * 3600 * 1000;

bool any_record(const Disk& disk, std::initializer_list<char> kinds) {
  for (const char kind : kinds) {
    const Bytes from{'s', static_cast<std::uint8_t>(kind)};
    const auto at = disk.records.lower_bound(from);
    if (at != disk.records.end() && at->first.size() > 1 && at->first[0] == 's' && at->first[1] == from[1]) return true;
  }
  return false;
}

std::string name_of(StreamId stream) {
  std::array<char, 32> text{};
  const int size = std::snprintf(text.data(), text.size(), "%llx.%d",
                                 static_cast<unsigned long long>(stream.epoch.value), static_cast<int>(stream.lane));
  return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace

// Faults stop. What was broken for good stays broken: now and then a frozen tab, in a world of several.
void World::calm() {
  faults_.active = false;
  server_down_until_ = 0;
  for (const auto& device : devices_) {
    device->offline_until = device->quota_until = device->unauthorized_until = 0;
    bool one_runs = false;
    for (const std::size_t index : device->contexts) {
      Context& context = *contexts_[index];
      if (context.worker) {
        kill(index);
        continue;
      }
      if (!context.engine && context.open_commits == 0) boot(index);
      const bool stays_frozen = one_runs && now_ < context.frozen_until && prng_.chance(1, 2);
      context.frozen_until = stays_frozen ? now_ + kYearMs : 0;
      if (!stays_frozen && !context.backlog.empty()) thaw_later(index);
      if (!stays_frozen && documents_) documents_->woken(index);
      one_runs |= !stays_frozen;
    }
    for (const std::size_t index : device->contexts) {
      contexts_[index]->nudged = true;
      post(index, 1, engine::Connectivity{true, true});
    }
  }
}

bool World::drained() const {
  for (const auto& device : devices_)
    if (any_record(device->disk, {'p', 'e', 'd', 'j'})) return false;
  for (const auto& context : contexts_) {
    if (!context->engine || now_ < context->frozen_until) continue;
    // What a request gives up as lost has no record of its own.
    if (!context->calls.empty() || !context->sends.empty() || context->open_commits > 0) return false;
  }
  return server_.quiet() && (!documents_ || documents_->drained());
}

void World::settle() {
  const std::int64_t calm_since = now_;
  std::int64_t drained_at = 0;
  // Devices with nothing to say need a moment too: only when they meet a restored server they learn what it lacks.
  while (!ledger_.violation && now_ - calm_since < kDrainMsMax && (drained_at == 0 || now_ - calm_since < kNoticeMs)) {
    run_until(now_ + kLookMs);
    server_.release({wall(Device{})});
    if (documents_) {
      documents_->server_work();
      documents_->look();
    }
    if (!drained()) {
      drained_at = 0;
    } else if (drained_at == 0) {
      drained_at = now_;
    }
  }
  slowest_drain_ms_ = std::max(slowest_drain_ms_, (drained_at == 0 ? now_ : drained_at) - calm_since);
  if (!drained() && !ledger_.violation) {
    std::string where;
    if (tracing) tell_left();
    for (std::size_t i = 0; i < devices_.size(); ++i) {
      where += " device " + std::to_string(i) + ":";
      for (const char kind : {'p', 'e', 'd', 'j'})
        if (any_record(devices_[i]->disk, {kind})) where += std::string(" ") + kind;
      for (const std::size_t index : devices_[i]->contexts)
        where += " [phase " + std::to_string(static_cast<int>(contexts_[index]->status.phase)) + " reason " +
                 std::to_string(contexts_[index]->status.reason) + " calls " +
                 std::to_string(contexts_[index]->calls.size()) + " wakes " +
                 std::to_string(contexts_[index]->alarm_at - now_) + " frozen " +
                 std::to_string(std::max<std::int64_t>(0, contexts_[index]->frozen_until - now_)) + " commits " +
                 std::to_string(contexts_[index]->open_commits) + " loads " +
                 std::to_string(contexts_[index]->loads.size()) + (contexts_[index]->engine ? "]" : " dead]");
    }
    if (documents_) where += documents_->left();
    ledger_.fail("I6: not drained " + std::to_string(kDrainMsMax / 1'000) + " s after the last fault:" + where);
  }
}

Server::Standing World::standing_of(const DeviceId& id, const Bytes& key, std::uint64_t seq) const {
  EventId event{{{}, static_cast<Lane>(key[10])}, {seq}};
  for (std::size_t i = 2; i < 10; ++i) event.stream.epoch.value = event.stream.epoch.value << 8 | key[i];
  return server_.standing(id, event);
}

void World::tell_left() const {
  server_.tell_deferred();
  for (std::size_t i = 0; i < devices_.size(); ++i)
    for (const auto& [key, value] : devices_[i]->disk.records) {
      if (key[0] != 's') continue;
      std::printf("      left on device %zu: %c%c", i, key[0], key[1]);
      for (std::size_t k = 2; k < key.size(); ++k) std::printf("%02x", key[k]);
      if (key[1] == 'd')
        if (const auto deferred = sync::read_deferred(value))
          for (const std::uint64_t seq : deferred->open)
            std::printf(" %llu (standing %d)", static_cast<unsigned long long>(seq),
                        static_cast<int>(standing_of(devices_[i]->id, key, seq)));
      std::printf("\n");
    }
}

void World::check_end() {
  ledger_.judge(server_.effects());
  for (const auto& device : devices_) check_device(*device);
  if (documents_) documents_->check();
}

// I10: per stream, every number that was ever given has been passed, and a rejection is counted once.
void World::check_device(const Device& device) {
  std::uint64_t rejected = 0;
  std::uint64_t known_rejected = 0;
  for (const auto& [key, value] : device.disk.records) {
    if (key.size() < 2 || key[0] != 'm' || key[1] != 'e') continue;
    const auto totals = queue::read_record<queue::EpochTotals>(value);
    if (!totals) return ledger_.fail("a totals record cannot be read");
    Epoch epoch;
    for (std::size_t i = 2; i < 10; ++i) epoch.value = epoch.value << 8 | key[i];
    for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) {
      const StreamId stream{epoch, static_cast<Lane>(lane)};
      if (totals->last[lane] == 0) continue;
      const auto record = device.disk.records.find(queue::watermark_key(stream));
      const auto mark = record == device.disk.records.end() ? Result<queue::StreamMark>{}
                                                            : queue::read_record<queue::StreamMark>(record->second);
      if (!mark) return ledger_.fail("a watermark cannot be read");
      const std::string whose = name_of(stream) + (device.twin ? " of a copied device" : "");
      if (mark->mark.seq.value < totals->last[lane])
        return ledger_.fail("I10: " + whose + " has given " + std::to_string(totals->last[lane]) +
                            " numbers and passed " + std::to_string(mark->mark.seq.value));
      if (mark->deferred != 0) return ledger_.fail("I10: events of " + whose + " count as deferred for ever");
      if (mark->rejected + mark->voided > mark->mark.seq.value)
        return ledger_.fail("I10: more exceptions than events in " + whose);
      rejected += mark->rejected;
      for (Sequence seq{1}; seq <= mark->mark.seq; ++seq.value)
        known_rejected += server_.standing(device.id, {stream, seq}) == Server::Standing::kRejected;
    }
  }
  // A damaged record can hide a letter, a rolled back profile has counted before.
  if (rejected != known_rejected && !device.twin && !faults_.uses(Fault::kRestore))
    ledger_.fail("I10: the server has rejected " + std::to_string(known_rejected) + ", the device has counted " +
                 std::to_string(rejected));
}

}  // namespace oas::sim
