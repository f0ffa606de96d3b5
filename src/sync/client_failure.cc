// When a request was not answered, or answered with something else than a reply. Flow: client_session.cc.
#include <algorithm>
#include <utility>

#include "base/sim_points.h"
#include "queue/keys.h"
#include "sync/client_states.h"

namespace oas::sync {

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

}  // namespace oas::sync
