// One round of the session, from what is stored to the request: meta, journals, the plan, the push. Flow: client_session.cc.
#include <algorithm>
#include <map>
#include <utility>

#include "base/sim_points.h"
#include "queue/keys.h"
#include "queue/outbox.h"
#include "sync/client_states.h"

namespace oas::sync {

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
  std::map<Epoch, queue::EpochTotals> counted;  // a transaction expects each record as it is before, so it is put once
  for (const queue::Put& record : records) {
    if (record.key.size() != 14) continue;
    std::uint64_t epoch = 0;
    for (std::size_t i = 2; i < 10; ++i) epoch = epoch << 8 | record.key[i];
    if (Epoch{epoch} == context_) continue;  // our own is taken over before the first number
    const auto known = counted.find({epoch});
    queue::EpochTotals after = known != counted.end() ? known->second : remembered_.totals[{epoch}].value;
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
    if (taken) counted[{epoch}] = after;
  }
  for (const auto& [epoch, totals] : counted)
    put_guarded(transaction, queue::epoch_key(epoch), remembered_.totals[epoch], totals);
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
  plan_.emplace(remembered_, PushPlan::Budget{.events = credit_, .page = page_}, skipped_, suspects_);
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
    page_ = plan_->next_page();
  }
  packer_.pack(request);
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

}  // namespace oas::sync
