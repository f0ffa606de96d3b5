// The session's half of an answer: late verdicts, the store, and where to go on from there. Flow: client_session.cc.
#include <algorithm>
#include <utility>

#include "base/sim_points.h"
#include "queue/keys.h"
#include "sync/client_session.h"

namespace oas::sync {
void ClientSession::on_reply(Clocks now, const SyncReply& reply) {
  answer_ = acknowledge(*plan_, remembered_, reply, now.wall);
  reply_ = reply;
  credit_ = std::max(reply.credit, 1U);
  late_.clear();
  for (const LateVerdict& verdict : reply.late)
    if (verdict.number > remembered_.server.value.late_seen) late_.push_back(verdict);
  for (const StreamId stream : answer_.unknown) {
    skipped_.insert(stream);
    wishes_.notes.push_back({ErrorCode::kUndecodable, stream.epoch.value});
  }
  if (verifying_ && !reply.streams.empty()) verified_ = reply.streams.back().stream;
  gathered_.clear();
  continue_answer(now);
}

// One recovery or late verdict at a time; when none is left the whole answer is stored in one transaction.
void ClientSession::continue_answer(Clocks now) {
  if (!late_.empty()) {
    const EventId& event = late_.front().event;
    // The record that covers the number starts at or before it; a device has few of them.
    Bytes prefix = queue::deferred_key({.hlc = {}, .stream = event.stream, .first = {}, .last = {}});
    prefix.resize(11);
    read(SessionState::kLate, {{prefix, queue::after_prefix(prefix)}, kLoadRecordsMax});
    return;
  }
  if (!answer_.rewound.empty()) {
    gather(SessionState::kRewind, {'s', 't'}, {'s', 'u'});
    return;
  }
  if (!answer_.forked.empty()) {
    gather_stream_ = answer_.forked.begin()->first;
    const Bytes prefix = queue::pending_lane_prefix(gather_stream_.lane);
    gather(SessionState::kFork, prefix, queue::after_prefix(prefix));
    return;
  }
  store(now);
}

// The final word on deferred events: the kept segment gives the bytes for a dead letter and is let go with its last one.
void ClientSession::on_late(const std::vector<queue::Put>& records) {
  const StreamId stream = late_.front().event.stream;
  std::map<Bytes, DeferredRecord> kept;
  for (const queue::Put& record : records)
    if (Result<DeferredRecord> deferred = read_deferred(record.value)) kept[record.key] = *std::move(deferred);

  for (const LateVerdict& late : late_) {
    if (late.event.stream != stream) continue;
    const auto at = std::find_if(kept.begin(), kept.end(), [&late](const auto& entry) {
      const std::vector<std::uint64_t>& open = entry.second.open;
      return std::find(open.begin(), open.end(), late.event.seq.value) != open.end();
    });
    if (at == kept.end()) continue;  // told before: another context stored it
    std::erase(at->second.open, late.event.seq.value);
    const auto [entry, fresh] = answer_.marks.try_emplace(stream, remembered_.mark(stream));
    queue::StreamMark& mark = entry->second;
    if (mark.deferred > 0) --mark.deferred;
    if (late.kind == VerdictKind::kRejected) {
      ++mark.rejected;
      if (Result<Bytes> event = event_of(at->second.segment, late.event.seq)) {
        const queue::DeadLetter letter{.code = late.code, .at = reply_.server_time, .event = *std::move(event)};
        answer_.transaction.put(queue::dead_letter_key(late.event), queue::write_record(letter));
      }
    }
    answer_.settled.push_back({stream, late.event.seq, late.event.seq, true, {{late.event.seq, late.kind, late.code}}});
    answer_.progress = true;
  }
  for (const queue::Put& record : records) {
    const auto at = kept.find(record.key);
    if (at == kept.end()) continue;
    Bytes left = write_deferred(at->second);
    if (left == record.value) continue;
    answer_.transaction.expect_equals(record.key, record.value);
    if (at->second.open.empty()) {
      answer_.transaction.erase(record.key);
    } else {
      answer_.transaction.put(record.key, std::move(left));
    }
  }
  late_.erase(
      std::remove_if(late_.begin(), late_.end(), [stream](const LateVerdict& l) { return l.event.stream == stream; }),
      late_.end());
}

void ClientSession::store(Clocks) {
  queue::Transaction transaction = std::move(answer_.transaction);
  queue::ServerState server = remembered_.server.value;
  if (reply_.incarnation > server.incarnation) {
    // A first contact has nothing to compare; a later one means that the server was set up again or restored.
    server.verify = server.incarnation != Incarnation{} && !OAS_MUTANT(kIncarnationIgnored);
    server.incarnation = reply_.incarnation;
  } else if (verifying_ && !verify_more_ && poll_) {
    server.verify = false;
  }
  for (const LateVerdict& late : reply_.late) server.late_seen = std::max(server.late_seen, late.number);
  if (reply_.horizon > server.horizon && !server.verify) {
    // Covered by a backup: a restored server would still have it.
    server.horizon = reply_.horizon;
    Bytes from{'s', 't'};
    Bytes to = queue::settling_key(reply_.horizon, {});
    to.resize(10);
    transaction.deletes.insert(transaction.deletes.begin(), {std::move(from), std::move(to)});
  }
  if (queue::write_record(server) != remembered_.server.stored)
    put_guarded(transaction, queue::server_key(), remembered_.server, server);
  for (const auto& [stream, mark] : answer_.marks)
    put_guarded(transaction, queue::watermark_key(stream), remembered_.marks[stream], mark);
  if (remembered_.retry.value.attempts > 0)
    put_guarded(transaction, queue::retry_key(), remembered_.retry, queue::RetryState{});
  // The stamp shows the others that the holder lives.
  put_guarded(transaction, queue::lease_key(), remembered_.lease,
              queue::Lease{context_, remembered_.lease.value.stamp + 1});
  write(SessionState::kStore, std::move(transaction));
}

void ClientSession::stored(Clocks now) {
  known_ = remembered_;
  for (SettledRun& run : answer_.settled) wishes_.settled.push_back(std::move(run));
  wishes_.tell |= answer_.progress;
  wishes_.own_epoch_forked |= std::exchange(own_forked_, false);
  const bool again = answer_.progress || answer_.more || !answer_.rewound.empty() || !answer_.forked.empty() ||
                     !answer_.unknown.empty() || verifying_ || !plan_->stale().empty();
  const bool polled = poll_;
  if (verifying_ && !remembered_.server.value.verify) verifying_ = false;
  answer_ = {};
  if (closing_) {
    close(now);
    return;
  }
  if (answer_.progress) late_polls_ = 0;
  if (reply_.retry_after_ms > 0) {
    rest(SessionState::kWait, ErrorCode::kServerBusy, {now.mono.value + reply_.retry_after_ms});
    return;
  }
  if (!again && !polled) {
    // An honest answer that moved nothing: a gap, or no room for deferred events. Not a reason to spin.
    fail_round(now, ErrorCode::kGap, 0);
    return;
  }
  begin_plan(now);
}

}  // namespace oas::sync
