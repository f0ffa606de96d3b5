#include "sync/client_session.h"

#include <algorithm>
#include <utility>

#include "base/sim_points.h"
#include "queue/keys.h"
#include "sync/client_states.h"

namespace oas::sync {
Wishes ClientSession::take() {
  wishes_.learned = packer_.take_learned();
  return std::exchange(wishes_, {});
}

void ClientSession::rest(SessionState state, ErrorCode reason, Millis wake_at) {
  state_ = state;
  reason_ = reason;
  wake_at_ = wake_at;
  waits_for_ = {};
}

void ClientSession::read(SessionState state, ReadWish wish) {
  state_ = state;
  wishes_.read = std::move(wish);
}

void ClientSession::write(SessionState state, queue::Transaction transaction) {
  state_ = state;
  wishes_.write = std::move(transaction);
}

void ClientSession::forget() {
  holding_ = false;
  verifying_ = false;
  remembered_ = {};
  plan_.reset();
  answer_ = {};
  late_.clear();
  gathered_.clear();
}

// --- starting and stopping ----------------------------------------------------------------------------------------

void ClientSession::want(Clocks now, bool now_or_never) {
  drained_ = false;
  wanted_ = true;
  insisted_ |= now_or_never;
  if (!resting() || closing_) return;
  // A rest until the next question for late verdicts keeps no new event waiting.
  const bool waiting = (state_ == SessionState::kWait && reason_ != ErrorCode::kDeferred) ||
                       state_ == SessionState::kOffline || state_ == SessionState::kPark;
  if (waiting && !now_or_never) return;
  if (state_ == SessionState::kFollow && !now_or_never && now.mono < wake_at_) return;
  start(now);
}

void ClientSession::start(Clocks) {
  wanted_ = false;
  wake_at_ = {};
  if (holding_) {
    // Others may have taken the lease meanwhile; the next guarded write would notice, but reading is cheaper than a plan.
    remembered_ = {};
    holding_ = false;
  }
  read(SessionState::kLease, {{queue::lease_key(), queue::after_key(queue::lease_key())}, 1});
}

void ClientSession::woke(Clocks now) {
  if (!resting() || closing_ || wake_at_.value == 0 || now.mono < wake_at_) return;
  waited_for_ = waits_for_;
  start(now);
}

void ClientSession::lease_freed(Clocks now) {
  if (state_ == SessionState::kFollow && !closing_) start(now);
}

void ClientSession::connectivity(Clocks now, bool online, bool token_fresh) {
  const bool online_before = std::exchange(online_, online);
  if (token_fresh) token_asked_ = false;
  const bool park_lifted = state_ == SessionState::kPark && token_fresh;
  insisted_ |= token_fresh || (online && !online_before);
  const bool back = state_ == SessionState::kOffline && online;
  if (back) offline_tries_ = 0;
  if ((park_lifted || back) && !closing_) start(now);
}

void ClientSession::owner_gone(Clocks now, Epoch owner) {
  if (owner != seen_lease_.owner) return;
  gone_ = owner;
  lease_freed(now);
}

Result<void> ClientSession::use_dictionary(ByteView packed) {
  if (!packed.empty()) return packer_.use(packed);
  packer_.learn();
  return {};
}

void ClientSession::close(Clocks) {
  closing_ = true;
  wake_at_ = {};
  if (!resting() || !holding_) return;
  queue::Transaction transaction;
  transaction.expect_equals(queue::lease_key(), remembered_.lease.stored);
  transaction.erase(queue::lease_key());
  write(SessionState::kRelease, std::move(transaction));
}

// --- the lease ------------------------------------------------------------------------------------------------------

void ClientSession::on_lease(Clocks now, const std::vector<queue::Put>& records) {
  remembered_ = {};
  for (const queue::Put& record : records) (void)remembered_.take(record);
  const queue::Lease& lease = remembered_.lease.value;
  const bool held = !remembered_.lease.stored.empty() && lease.owner != context_ && lease.owner != gone_;
  if (held) {
    if (seen_lease_.owner != lease.owner) wishes_.follow = lease.owner;
    if (seen_lease_.owner != lease.owner || seen_lease_.stamp != lease.stamp) {
      seen_lease_ = lease;
      seen_since_ = now.mono;
    }
    if (now.mono.value - seen_since_.value < kLeaseStaleMs || OAS_MUTANT(kLeaseNeverStale)) {
      rest(SessionState::kFollow, reason_, {seen_since_.value + kLeaseStaleMs});
      return;
    }
  }
  seen_lease_ = {};
  gone_ = {};
  queue::Transaction transaction;
  put_guarded(transaction, queue::lease_key(), remembered_.lease, queue::Lease{context_, lease.stamp + 1});
  write(SessionState::kTakeLease, std::move(transaction));
}

// --- inputs ---------------------------------------------------------------------------------------------------------

void ClientSession::read_done(Clocks now, std::vector<queue::Put> records) {
  if (!awaits(state_, Await::kRead)) return;
  storage_failures_ = 0;
  switch (state_) {
    case SessionState::kLease: on_lease(now, records); break;
    case SessionState::kMeta: on_meta(now, records); break;
    case SessionState::kJournal: on_journal(now, records); break;
    case SessionState::kPlan:
      plan_->feed(std::move(records));
      go_plan(now);
      break;
    case SessionState::kLate: on_late(now, records); break;
    case SessionState::kRewind: on_rewind(now, records); break;
    case SessionState::kFork: on_fork(now, records); break;
    default: break;
  }
}

void ClientSession::read_failed(Clocks now) {
  if (!awaits(state_, Await::kRead)) return;
  forget();
  const Millis delay = queue::backoff_delay(kOfflineProbe, std::min(storage_failures_++, 8U), *prng_);
  rest(SessionState::kWait, ErrorCode::kStorageFailed, {now.mono.value + 200 + delay.value});
}

void ClientSession::write_done(Clocks now) {
  if (!awaits(state_, Await::kWrite)) return;
  storage_failures_ = 0;
  switch (state_) {
    case SessionState::kTakeLease:
      holding_ = true;
      read(SessionState::kMeta, {{all_meta(), queue::after_prefix(all_meta())}, kLoadRecordsMax});
      break;
    case SessionState::kTakeJournal:
      read(SessionState::kJournal, {{all_journals(), queue::after_prefix(all_journals())}, kJournalRecordsMax});
      break;
    case SessionState::kMend: begin_plan(now); break;
    case SessionState::kStore: stored(now); break;
    case SessionState::kStoreRetry:
      rest(SessionState::kWait, reason_, wake_at_);
      waits_for_ = remembered_.retry.value.next_at;
      break;
    case SessionState::kRelease: {
      const bool again = wanted_ && !closing_;
      if (!again) insisted_ = false;  // else somebody may have insisted while the lease was being given back
      const bool look_later = unsettled() && !closing_;
      forget();
      rest(SessionState::kIdle, {}, look_later ? Millis{now.mono.value + kSettlePollMs} : Millis{});
      wishes_.tell = true;
      if (again) start(now);
      break;
    }
    default: break;
  }
}

// Another context changed a record first: nothing was written, and nothing remembered can be trusted.
void ClientSession::write_conflict(Clocks now) {
  if (!awaits(state_, Await::kWrite)) return;
  const bool told_to_wait = state_ == SessionState::kStoreRetry;
  forget();
  if (closing_) {
    rest(SessionState::kIdle, {}, {});
  } else if (told_to_wait) {
    rest(SessionState::kWait, reason_, wake_at_);
  } else {
    start(now);
  }
}

void ClientSession::write_aborted(Clocks now, ErrorCode code) {
  if (!awaits(state_, Await::kWrite)) return;
  // A time to wait holds here, also when it could not be written down for the others.
  const Millis asked = state_ == SessionState::kStoreRetry ? wake_at_ : Millis{};
  forget();
  const Millis delay = queue::backoff_delay(kTransient, std::min(storage_failures_++, 8U), *prng_);
  rest(SessionState::kWait, code, std::max(asked, Millis{now.mono.value + 200 + delay.value}));
}

}  // namespace oas::sync
