// What goes out at the end of a step: transactions, requests, notices and the next alarm.
#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/sim_points.h"
#include "engine/engine_state.h"

namespace oas::engine {
namespace {

constexpr std::uint32_t kRequestTimeoutMs = 30'000;

}  // namespace

void Engine::Impl::persist(Owner whose, queue::Transaction transaction, Durability durability) {
  OAS_ASSERT(owner == Owner::kNone);
  owner = whose;
  in_flight = Persist{.tx = next_tx++,
                      .durability = durability,
                      .expects = std::move(transaction.expects),
                      .puts = std::move(transaction.puts),
                      .deletes = std::move(transaction.deletes),
                      .guard = {},
                      .covers = {}};
  if (whose == Owner::kOutbox)
    for (const queue::AcceptedRun& run : outbox->forming())
      in_flight.covers.push_back({run.first_command, run.count, run.first});
  if (!in_flight.expects.empty()) {
    // A replay after a lost connection must not take its own success for another writer's.
    Bytes value;
    wire::Writer(value).u32(in_flight.tx);
    in_flight.guard = {queue::guard_key(options.epoch), std::move(value)};
  }
  out.emplace_back(in_flight);
}

// Whether totals or journal of this context are on their way.
bool Engine::Impl::reading_past() const {
  return std::any_of(loads.begin(), loads.end(), [](const auto& open) {
    return open.second.reader == Reader::kTotals || open.second.reader == Reader::kJournal;
  });
}

// One transaction at a time; the application's events and the session take turns.
void Engine::Impl::pump_storage() {
  if (owner != Owner::kNone) {
    if (replay_at.value != 0 && now.mono >= replay_at) {
      replay_at = {};
      out.emplace_back(in_flight);
    }
    return;
  }
  if (!ready) {
    if (started && !reading_past() && replay_at.value != 0 && now.mono >= replay_at) {
      replay_at = {};
      own_totals = {};
      load_totals({'m', 'e'});
    }
    return;
  }
  const bool outbox_ready = outbox->has_waiting();
  if (outbox_ready && (outbox_turn || !session_write)) {
    outbox_turn = false;
    queue::Transaction transaction;
    const Durability durability = outbox->form(now.wall, transaction);
    for (const auto& [command, key] : retries) {
      (void)command;
      transaction.erase(key);
    }
    persist(Owner::kOutbox, std::move(transaction),
            OAS_MUTANT(kStrictOnRelaxedCommit) ? Durability::kDurable : durability);
    if (OAS_MUTANT(kAckBeforeCommit))
      for (const queue::AcceptedRun& run : outbox->forming())
        deliver(Accepted{run.first_command, run.count, run.first});
  } else if (session_write) {
    outbox_turn = true;
    // Who loses power loses the lease, too: nobody has to wait for a disk because of it.
    persist(Owner::kSession, *std::exchange(session_write, std::nullopt),
            session->moves_lease() ? Durability::kDurable : options.durability);
  } else if (!command_writes.empty()) {
    persist(Owner::kCommand, command_writes.front().transaction, options.durability);
  } else if (give_up_write) {
    persist(Owner::kGiveUp, *std::exchange(give_up_write, std::nullopt), Durability::kStrict);
  }
}

void Engine::Impl::pump_session() {
  if (!ready || !options.drains) return;
  session->woke(clocks());
  if (work) {
    work = false;
    session->want(clocks(), false);
  }
  if (closing && owner == Owner::kNone && !outbox->has_waiting()) session->close(clocks());
  take_wishes();
}

void Engine::Impl::take_wishes() {
  sync::Wishes wishes = session->take();
  if (wishes.read) load(Reader::kSession, std::move(wishes.read->range), wishes.read->records_max);
  if (wishes.write) session_write = std::move(wishes.write);
  if (wishes.push) {
    request = next_request++;
    out.emplace_back(Send{request, wishes.push->pull, kRequestTimeoutMs, std::move(wishes.push->body)});
  }
  if (wishes.follow) out.emplace_back(Follow{*wishes.follow});
  for (const sync::SettledRun& run : wishes.settled) deliver_settled(run);
  if (wishes.learned && learning) {
    deliver(CommandResult{*learning, *std::move(wishes.learned)});
    learning.reset();
  }
  for (const sync::Wishes::Note& note : wishes.notes)
    out.emplace_back(Log{Severity::kWarning, static_cast<std::uint16_t>(note.code), note.detail});
  if (wishes.need_token) deliver(NeedToken{});
  if (wishes.own_epoch_forked) {
    // A copy of this very context may draw the same numbers; what it has stored differs.
    std::uint64_t fresh = prng->next();
    for (const RollingHash hash : outbox->totals().hash) fresh = hash_mix(fresh, hash.value);
    outbox->change_epoch({fresh});
  }
  if (wishes.tell) tell(PeerKind::kDrained);
  status_due |= wishes.tell || !wishes.settled.empty();
}

void Engine::Impl::deliver_settled(const sync::SettledRun& run) {
  Settled settled{.stream = run.stream, .from = run.from, .upto = run.upto, .late = run.late, .exceptions = {}};
  for (const sync::Verdict& verdict : run.exceptions)
    settled.exceptions.push_back({verdict.seq, static_cast<std::uint8_t>(verdict.kind), verdict.code});
  deliver(std::move(settled));
}

void Engine::Impl::report_status() {
  const Phase phase = phase_now();
  Status status{.phase = phase, .reason = static_cast<std::uint16_t>(session->reason())};
  const sync::Remembered& remembered = session->known();
  status.attempts = remembered.retry.value.attempts;
  status.next_attempt = session->resting() ? session->wake_at() : Millis{};
  status.oldest_unsent = session->drained() ? Millis{} : session->oldest_unsent();
  status.created = remembered.folded.value.created;
  status.applied = remembered.folded.value.applied;
  status.dead = remembered.folded.value.rejected;
  status.voided = remembered.folded.value.voided;
  const auto add = [&](Epoch epoch, const queue::EpochTotals& totals) {
    for (std::uint32_t lane = 0; lane < kLaneCount; ++lane) {
      const queue::StreamMark mark = remembered.mark({epoch, static_cast<Lane>(lane)});
      status.created += totals.last[lane];
      status.pending[lane] += totals.last[lane] - std::min(totals.last[lane], mark.mark.seq.value);
      status.applied += mark.applied();
      status.dead += mark.rejected;
      status.voided += mark.voided;
      status.deferred += mark.deferred;
    }
  };
  bool own_seen = false;
  for (const auto& [epoch, totals] : remembered.totals) {
    const bool own = epoch == outbox->epoch();
    own_seen |= own;
    add(epoch, own ? outbox->totals() : totals.value);
  }
  if (!own_seen) add(outbox->epoch(), outbox->totals());
  deliver(status);
}

Phase Engine::Impl::phase_now() const {
  switch (session->state()) {
    case sync::SessionState::kIdle: return Phase::kIdle;
    case sync::SessionState::kFollow: return Phase::kFollowing;
    case sync::SessionState::kWait: return Phase::kWaiting;
    case sync::SessionState::kOffline: return Phase::kOffline;
    case sync::SessionState::kPark: return Phase::kParked;
    default: return Phase::kSending;
  }
}

void Engine::Impl::finish_step() {
  if (started) {
    pump_session();
    pump_give_up();
    pump_storage();
    // A command whose answer needs no I/O, and the session's next wish after a write it was waiting for.
    take_wishes();
    finish_drains();
    if (look_due && !looking && session->resting() && !session->holding()) {
      look_due = false;
      look({'m'});
    }
    if (closing && session->resting() && owner == Owner::kNone && !session_write && !outbox->has_waiting()) {
      deliver(CommandResult{closing->command, {}});
      closing.reset();
    }
    if (const Phase phase = phase_now(); status_due || !reported_once || phase != last_status.phase) {
      last_status.phase = phase;
      reported_once = true;
      status_due = false;
      report_status();
    }
  }
  Millis wake = session && ready && session->resting() ? session->wake_at() : Millis{};
  const auto earlier = [&wake](Millis at) {
    if (at.value != 0 && at.value != INT64_MAX && (wake.value == 0 || at < wake)) wake = at;
  };
  // While it is being read its answer is what comes next, not an alarm that would ring for ever.
  if (!reading_past()) earlier(replay_at);
  for (const Millis deadline : drain_deadlines) earlier(deadline);
  if (wake.value != 0) out.emplace_back(Wake{wake});
}

}  // namespace oas::engine
