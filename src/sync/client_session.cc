#include "sync/client_session.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/sim_points.h"
#include "queue/backoff.h"
#include "queue/keys.h"
#include "queue/outbox.h"

namespace oas::sync {
namespace {

enum class Await : std::uint8_t { kNothing, kRead, kWrite, kAnswer };

// One row per state, in the order of SessionState. What a state does not await is late or foreign, and is ignored.
constexpr std::array<Await, 20> kAwaits{
    Await::kNothing, Await::kNothing, Await::kNothing, Await::kNothing,
    Await::kNothing,  // idle follow wait offline park
    Await::kRead,    Await::kRead,    Await::kRead,    Await::kRead,                      // lease meta journal plan
    Await::kRead,    Await::kRead,    Await::kRead,    Await::kRead,                      // late rewind fork fold
    Await::kWrite,   Await::kWrite,   Await::kWrite,   Await::kWrite,  // takeLease takeJournal mend store
    Await::kWrite,   Await::kWrite,  // storeRetry release
    Await::kAnswer,  // send
};
static_assert(kAwaits.size() == static_cast<std::size_t>(SessionState::kSend) + 1);

bool awaits(SessionState state, Await what) { return kAwaits[static_cast<std::size_t>(state)] == what; }

constexpr queue::BackoffLimits kTransient{.delay_base = {500}, .delay_max = {60'000}};
constexpr queue::BackoffLimits kOfflineProbe{.delay_base = {1'000}, .delay_max = {30'000}};
constexpr queue::BackoffLimits kLatePoll{.delay_base = {1'000}, .delay_max = {60'000}};
constexpr std::int64_t kParkRecheckMs = 15 * 60'000;
constexpr std::int64_t kSettlePollMs = 15 * 60'000;
constexpr std::uint32_t kJournalRecordsMax = 32;

Bytes all_meta() { return {'m'}; }
Bytes all_journals() { return {'s', 'j'}; }

}  // namespace

Wishes ClientSession::take() { return std::exchange(wishes_, {}); }

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
  const bool waiting =
      state_ == SessionState::kWait || state_ == SessionState::kOffline || state_ == SessionState::kPark;
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
  const bool held = !remembered_.lease.stored.empty() && lease.owner != context_;
  if (held) {
    if (seen_lease_.owner != lease.owner || seen_lease_.stamp != lease.stamp) {
      seen_lease_ = lease;
      seen_since_ = now.mono;
    }
    if (now.mono.value - seen_since_.value < kLeaseStaleMs || OAS_MUTANT(kLeaseNeverStale)) {
      rest(SessionState::kFollow, reason_, {seen_since_.value + kLeaseStaleMs});
      return;
    }
  }
  queue::Transaction transaction;
  put_guarded(transaction, queue::lease_key(), remembered_.lease, queue::Lease{context_, lease.stamp + 1});
  write(SessionState::kTakeLease, std::move(transaction));
}

// --- meta and journals ----------------------------------------------------------------------------------------------

void ClientSession::on_meta(Clocks now, const std::vector<queue::Put>& records) {
  for (const queue::Put& record : records) {
    if (record.key == queue::lease_key()) continue;  // ours, as written
    const Result<void> taken = remembered_.take(record);
    if (!taken) {
      // A newer format: never overwritten. Nothing can be sent from here until a newer build runs.
      wishes_.notes.push_back({taken.error().code, taken.error().detail});
      forget();
      rest(SessionState::kPark, taken.error().code, {});
      return;
    }
  }
  if (records.size() == kLoadRecordsMax) {
    cursor_ = queue::after_key(records.back().key);
    read(SessionState::kMeta, {{cursor_, queue::after_prefix(all_meta())}, kLoadRecordsMax});
    return;
  }
  known_ = remembered_;
  const queue::RetryState& retry = remembered_.retry.value;
  // A stored time lies at most the greatest delay ahead, whatever the clocks did since.
  const std::int64_t wait = retry.next_at.value - now.wall.value;
  const std::int64_t left = OAS_MUTANT(kRetryOnWallClock) ? wait : std::min(wait, kTransient.delay_max.value);
  if (retry.attempts > 0 && left > 0 && !insisted_ && retry.next_at != waited_for_ && !OAS_MUTANT(kBackoffNotObeyed)) {
    rest(SessionState::kWait, reason_ == ErrorCode{} ? ErrorCode::kServerBusy : reason_, {now.mono.value + left});
    waits_for_ = retry.next_at;
    return;
  }
  cursor_ = all_journals();
  read(SessionState::kJournal, {{cursor_, queue::after_prefix(all_journals())}, kJournalRecordsMax});
}

// Journal records are taken over by whoever drains: the conversion is deterministic, so it does not matter who.
void ClientSession::on_journal(Clocks now, const std::vector<queue::Put>& records) {
  queue::Transaction transaction;
  for (const queue::Put& record : records) {
    if (record.key.size() != 14) continue;
    std::uint64_t epoch = 0;
    for (std::size_t i = 2; i < 10; ++i) epoch = epoch << 8 | record.key[i];
    if (Epoch{epoch} == context_) continue;  // our own is taken over before the first number
    Cached<queue::EpochTotals>& totals = remembered_.totals[{epoch}];
    queue::EpochTotals after = totals.value;
    queue::Transaction one;
    const Result<void> taken = queue::take_over_journal(record.value, after, one);
    if (!taken) {
      wishes_.notes.push_back({taken.error().code, epoch});
      if (taken.error().code != ErrorCode::kChecksum)
        continue;  // parked: an earlier record or a newer build is missing
      // Its numbers stay unused: nothing of it was ever sent, and its own epoch ends here.
      one = {};
    }
    transaction.expect_present(record.key);
    transaction.erase(record.key);
    for (queue::Put& put : one.puts) transaction.puts.push_back(std::move(put));
    if (taken) put_guarded(transaction, queue::epoch_key({epoch}), totals, after);
  }
  if (transaction.empty()) {
    begin_plan(now);
    return;
  }
  write(SessionState::kTakeJournal, std::move(transaction));
}

// --- planning and sending -------------------------------------------------------------------------------------------

void ClientSession::begin_plan(Clocks now) {
  if (remembered_.server.value.verify && !verifying_) {
    verifying_ = true;
    verified_ = {};
  }
  plan_.emplace(remembered_, PushPlan::Budget{.events = credit_}, skipped_, suspects_);
  if (totals_reread_) plan_->believe_totals();
  go_plan(now);
}

void ClientSession::go_plan(Clocks now) {
  if (std::optional<ReadWish> wish = plan_->next()) {
    read(SessionState::kPlan, *std::move(wish));
  } else {
    planned(now);
  }
}

void ClientSession::planned(Clocks now) {
  oldest_unsent_ = plan_->oldest_unsent();
  if (plan_->suspicious()) {
    // Read the record once more before anything is decided about it.
    begin_plan(now);
    return;
  }
  if (plan_->outdated()) {
    plan_.reset();
    totals_reread_ = true;
    read(SessionState::kMeta, {{all_meta(), queue::after_prefix(all_meta())}, kLoadRecordsMax});
    return;
  }
  totals_reread_ = false;
  if (!plan_->damages().empty()) {
    queue::Transaction transaction;
    for (const Damage& damage : plan_->damages()) {
      const Bytes key = queue::pending_key(damage.key);
      transaction.expect_present(key);
      transaction.erase(queue::entities_key(damage.key));
      transaction.put(key, queue::write_record(queue::HoleRecord{.reason = static_cast<std::uint8_t>(VoidReason::kLost),
                                                                 .before = damage.before,
                                                                 .after = damage.after}));
      wishes_.notes.push_back({ErrorCode::kLost, damage.key.last.value - damage.key.first.value + 1});
      suspects_.erase(key);
    }
    write(SessionState::kMend, std::move(transaction));
    return;
  }
  if (plan_->items().empty() && plan_->compare().empty() && !verifying_) {
    nothing_left(now);
    return;
  }
  send(now);
}

void ClientSession::send(Clocks now) {
  SyncRequest request{.device = device_,
                      .known = remembered_.server.value.incarnation,
                      .late_seen = remembered_.server.value.late_seen,
                      .client_time = now.wall,
                      .streams = {},
                      .items = {},
                      .deps = {}};
  poll_ = false;
  if (verifying_) {
    // Compare every stream with the restored server before anything else is believed.
    verify_more_ = false;
    for (const auto& [stream, mark] : remembered_.marks) {
      if (stream <= verified_ || mark.value.mark.seq.value == 0) continue;
      if (request.streams.size() == kPushStreamsMax) {
        verify_more_ = true;
        break;
      }
      request.streams.push_back({stream, mark.value.mark, mark.value.mark});
    }
    plan_.emplace(remembered_, PushPlan::Budget{}, skipped_, suspects_);
    poll_ = true;
  } else if (plan_->items().empty() && plan_->compare().empty()) {
    poll_ = true;
  } else {
    plan_->write(request);
  }
  insisted_ = false;
  nonce_ = prng_->next();
  Wishes::Push push{.pull = request.items.empty(), .body = {}};
  write_request(push.body, nonce_, request);
  wishes_.push = std::move(push);
  state_ = SessionState::kSend;
}

void ClientSession::nothing_left(Clocks now) {
  drained_ = !plan_->blocked();
  if (!plan_->stale().empty()) {
    answer_ = {};
    reply_ = {};
    answer_ = acknowledge(*plan_, remembered_, reply_, now.wall);
    store(now);
    return;
  }
  std::uint64_t deferred = 0;
  for (const auto& [stream, mark] : remembered_.marks) deferred += mark.value.deferred;
  if (deferred > 0 && !closing_) {
    // Final verdicts of deferred events come by asking; the lease is kept meanwhile, and others may take it when stale.
    if (now.mono >= late_poll_at_) {
      const Millis delay = queue::backoff_delay(kLatePoll, std::min(late_polls_++, 6U), *prng_);
      late_poll_at_ = {now.mono.value + 250 + delay.value};
      send(now);
    } else {
      rest(SessionState::kWait, ErrorCode::kDeferred, late_poll_at_);
    }
    return;
  }
  late_polls_ = 0;
  late_poll_at_ = {};
  // A server that was restored has to be met to be noticed, also by a device that has nothing new to say.
  const bool heard = heard_at_.value != 0 && now.mono.value - heard_at_.value < kSettlePollMs;
  if (unsettled() && (insisted_ || !heard) && !closing_) {
    send(now);
    return;
  }
  queue::Transaction transaction;
  transaction.expect_equals(queue::lease_key(), remembered_.lease.stored);
  transaction.erase(queue::lease_key());
  write(SessionState::kRelease, std::move(transaction));
}

// Something acknowledged is kept for the time until a backup covers it.
bool ClientSession::unsettled() const {
  return std::any_of(remembered_.marks.begin(), remembered_.marks.end(), [this](const auto& entry) {
    return entry.second.value.acked_at.value != 0 && entry.second.value.acked_at >= remembered_.server.value.horizon;
  });
}

// --- failures -------------------------------------------------------------------------------------------------------

void ClientSession::fail_round(Clocks now, ErrorCode reason, std::uint32_t retry_after_ms) {
  plan_.reset();
  insisted_ = false;
  queue::RetryState retry = remembered_.retry.value;
  const Millis delay = queue::backoff_delay(kTransient, retry.attempts, *prng_);
  const std::int64_t asked = OAS_MUTANT(kRetryAfterIgnored) ? 0 : retry_after_ms;
  const std::int64_t wait = std::min(std::max(delay.value, asked), std::max(kTransient.delay_max.value, asked));
  ++retry.attempts;
  retry.next_at = {now.wall.value + wait};
  reason_ = reason;
  wake_at_ = {now.mono.value + wait};
  queue::Transaction transaction;
  transaction.expect_equals(queue::lease_key(), remembered_.lease.stored);
  put_guarded(transaction, queue::retry_key(), remembered_.retry, retry);
  write(SessionState::kStoreRetry, std::move(transaction));
}

void ClientSession::unanswered(Clocks now) {
  if (!awaits(state_, Await::kAnswer)) return;
  if (OAS_MUTANT(kDeleteBeforeSend)) {
    queue::Transaction gone;
    for (const Planned& item : plan_->items()) gone.erase(queue::pending_key(item.key));
    write(SessionState::kRelease, std::move(gone));
    return;
  }
  plan_.reset();
  if (OAS_MUTANT(kOfflineBurnsAttempts)) {
    fail_round(now, ErrorCode::kOffline, 0);
    return;
  }
  // Being offline is free: no attempt is counted. Without a network the browser tells us when to try; a server that
  // cannot be reached while there is one is probed now and then.
  const Millis delay = queue::backoff_delay(kOfflineProbe, std::min(offline_tries_++, 8U), *prng_);
  rest(SessionState::kOffline, ErrorCode::kOffline, online_ ? Millis{now.mono.value + 200 + delay.value} : Millis{});
}

void ClientSession::answered(Clocks now, std::uint16_t status, std::uint32_t retry_after_ms, ByteView body) {
  if (!awaits(state_, Await::kAnswer)) return;
  const Result<SyncReply> reply = read_reply(body, nonce_);
  if (reply && reply->incarnation >= remembered_.server.value.incarnation) {
    offline_tries_ = 0;
    heard_at_ = {std::max<std::int64_t>(now.mono.value, 1)};
    if (reply->error == 0 && status == 200) {
      token_asked_ = false;
      on_reply(now, *reply);
      return;
    }
    if (reply->retry_after_ms > 0) retry_after_ms = reply->retry_after_ms;
    const ErrorInfo* info = find_error(reply->error);
    on_refusal(now, info != nullptr && status == 200 ? info->http_status : status, retry_after_ms);
    return;
  }
  if (OAS_MUTANT(kAnyAnswerIsSuccess) || (OAS_MUTANT(kUnauthorizedRetires) && status == 401)) {
    SyncReply made_up;
    for (const Planned& item : plan_->items())
      made_up.streams.push_back({item.stream(),
                                 StreamStatus::kOk,
                                 {item.key.last, item.hole ? item.hole->hash_after : item.head.hash_after},
                                 {}});
    on_reply(now, made_up);
    return;
  }
  on_refusal(now, status, retry_after_ms);
}

// Only a framed reply with our nonce retires anything. Everything else keeps the work and decides when to come back.
void ClientSession::on_refusal(Clocks now, std::uint16_t status, std::uint32_t retry_after_ms) {
  plan_.reset();
  switch (status) {
    case 401:
    case 403:
      if (!token_asked_) {
        token_asked_ = true;
        wishes_.need_token = true;
      }
      // A credential may be renewed elsewhere, so a parked queue looks again now and then.
      rest(SessionState::kPark, status == 401 ? ErrorCode::kUnauthorized : ErrorCode::kForbidden,
           {now.mono.value + kParkRecheckMs});
      return;
    case 410: rest(SessionState::kPark, ErrorCode::kErased, {now.mono.value + kParkRecheckMs}); return;
    case 426: rest(SessionState::kPark, ErrorCode::kUnknownVersion, {now.mono.value + kParkRecheckMs}); return;
    case 413:
      credit_ = std::max(credit_ / 2, 1U);
      fail_round(now, ErrorCode::kLimit, retry_after_ms);
      return;
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
    case 507: fail_round(now, ErrorCode::kServerBusy, retry_after_ms); return;
    default: break;
  }
  if (status >= 500) {
    fail_round(now, ErrorCode::kServerBusy, retry_after_ms);
    return;
  }
  // A captive portal or a proxy answered: as good as offline, and as free.
  const Millis delay = queue::backoff_delay(kOfflineProbe, std::min(offline_tries_++, 8U), *prng_);
  rest(SessionState::kOffline, ErrorCode::kForeignReply, {now.mono.value + 200 + delay.value});
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
      insisted_ = false;
      const bool again = wanted_ && !closing_;
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
  forget();
  if (closing_) {
    rest(SessionState::kIdle, {}, {});
  } else {
    start(now);
  }
}

void ClientSession::write_aborted(Clocks now, ErrorCode code) {
  if (!awaits(state_, Await::kWrite)) return;
  forget();
  const Millis delay = queue::backoff_delay(kTransient, std::min(storage_failures_++, 8U), *prng_);
  rest(SessionState::kWait, code, {now.mono.value + 200 + delay.value});
}

}  // namespace oas::sync
