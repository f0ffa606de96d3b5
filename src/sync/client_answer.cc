// The session's half of an answer: late verdicts, the store, and where to go on from there. Flow: client_session.cc.
#include <algorithm>
#include <utility>

#include "base/sim_points.h"
#include "queue/keys.h"
#include "sync/client_session.h"

namespace oas::sync {
void ClientSession::on_reply(Clocks now, const SyncReply& reply) {
  // Another incarnation only introduces itself: it has taken nothing, and every stream is compared before it is believed.
  const Incarnation& known = remembered_.server.value.incarnation;
  const bool stranger = known != Incarnation{} && reply.incarnation != known && !OAS_MUTANT(kIncarnationIgnored);
  answer_ = stranger ? Acknowledged{} : acknowledge(*plan_, remembered_, reply, now.wall);
  if (stranger) verifying_ = false;  // whatever was compared with the one before is compared again
  // Every stream is passed once more: verdicts given since the backup may be others now, and what was deferred may be final
  // without ever having been in this server's late log.
  if (verifying_)
    for (const StreamAnswer& stream : reply.streams)
      if (stream.status == StreamStatus::kOk && answer_.rewound.try_emplace(stream.stream, stream.mark).second)
        answer_.marks.erase(stream.stream);
  reply_ = reply;
  credit_ = std::max(reply.credit, 1U);
  late_.clear();
  for (const LateVerdict& verdict : reply.late)
    if (!stranger && verdict.number > remembered_.server.value.late_seen) late_.push_back(verdict);
  std::vector<StreamId> parked = answer_.unknown;
  if (!answer_.undecodable.empty() && !packer_.refused())
    parked.insert(parked.end(), answer_.undecodable.begin(), answer_.undecodable.end());
  for (const StreamId stream : parked) {
    skipped_.insert(stream);
    wishes_.notes.push_back({ErrorCode::kUndecodable, stream.epoch.value});
  }
  if (!stranger) packer_.see(plan_->items());
  gathered_.clear();
  continue_answer(now);
}

// One recovery or late verdict at a time; when none is left the whole answer is stored in one transaction.
void ClientSession::continue_answer(Clocks now) {
  if (!late_.empty() || !answer_.revisited.empty()) {
    gather_stream_ = late_.empty() ? answer_.revisited.begin()->first : late_.front().event.stream;
    Bytes prefix = queue::deferred_key({.hlc = {}, .stream = gather_stream_, .first = {}, .last = {}});
    prefix.resize(11);
    gather_end_ = queue::after_prefix(prefix);
    read(SessionState::kLate, {{std::move(prefix), gather_end_}, kLoadRecordsMax});
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
void ClientSession::on_late(Clocks now, const std::vector<queue::Put>& records) {
  const StreamId stream = gather_stream_;
  for (const queue::Put& record : records) {
    Result<DeferredRecord> deferred = read_deferred(record.value);
    if (!deferred) continue;
    for (const LateVerdict& late : late_)
      if (late.event.stream == stream && std::erase(deferred->open, late.event.seq.value) > 0)
        end_deferred(now, *deferred, {late.event.seq, late.kind, late.code}, true);
    if (const auto again = answer_.revisited.find(stream); again != answer_.revisited.end())
      revisit(now, *deferred, again->second);
    Bytes left = write_deferred(*deferred);
    if (left == record.value) continue;
    answer_.transaction.expect_equals(record.key, record.value);
    const bool replaced = std::any_of(answer_.transaction.puts.begin(), answer_.transaction.puts.end(),
                                      [&record](const queue::Put& put) { return put.key == record.key; });
    if (replaced) continue;
    if (deferred->open.empty()) {
      answer_.transaction.erase(record.key);
    } else {
      answer_.transaction.put(record.key, std::move(left));
    }
  }
  if (records.size() == kLoadRecordsMax) {
    read(SessionState::kLate, {{queue::after_key(records.back().key), gather_end_}, kLoadRecordsMax});
    return;
  }
  // Verdicts without a record were told before: another context stored them.
  std::erase_if(late_, [stream](const LateVerdict& late) { return late.event.stream == stream; });
  if (const auto again = answer_.revisited.find(stream); again != answer_.revisited.end()) {
    keep_unheld(again->second);
    answer_.revisited.erase(again);
  }
  continue_answer(now);
}

// `verdict` of an event in `record` is final. Those that this very answer passes are counted there.
void ClientSession::end_deferred(Clocks now, const DeferredRecord& record, Verdict verdict, bool counted) {
  const StreamId stream = gather_stream_;
  if (counted && verdict.seq <= remembered_.mark(stream).mark.seq) {
    const auto [entry, fresh] = answer_.marks.try_emplace(stream, remembered_.mark(stream));
    queue::StreamMark& mark = entry->second;
    if (mark.deferred > 0) --mark.deferred;
    if (verdict.kind == VerdictKind::kRejected) ++mark.rejected;
  }
  if (verdict.kind == VerdictKind::kRejected) {
    if (Result<Bytes> event = event_of(record.segment, verdict.seq)) {
      const queue::DeadLetter letter{.code = verdict.code, .at = now.wall, .event = *std::move(event)};
      answer_.transaction.put(queue::dead_letter_key({stream, verdict.seq}), queue::write_record(letter));
    }
  }
  answer_.settled.push_back({stream, verdict.seq, verdict.seq, true, {verdict}});
  answer_.progress = true;
}

// What is deferred at the server and held nowhere here any more: its record holds nothing but the number.
void ClientSession::keep_unheld(const SettledRun& run) {
  DeferredRecord record;
  for (const Verdict& verdict : run.exceptions)
    if (verdict.kind == VerdictKind::kDeferred && !holds(*plan_, run.stream, verdict.seq))
      record.open.push_back(verdict.seq.value);
  if (record.open.empty()) return;
  const Sequence first{record.open.front()};
  answer_.transaction.put(queue::deferred_key({.hlc = {}, .stream = run.stream, .first = first, .last = first}),
                          write_deferred(record));
}

// After a rewind the stream is passed again. What was deferred may be final by now, or kept anew by this answer. Takes what
// has its record out of `run`.
void ClientSession::revisit(Clocks now, DeferredRecord& record, SettledRun& run) {
  std::vector<std::uint64_t> open;
  for (const std::uint64_t seq : record.open) {
    const auto at = std::find_if(run.exceptions.begin(), run.exceptions.end(),
                                 [seq](const Verdict& verdict) { return verdict.seq.value == seq; });
    const Verdict verdict = at == run.exceptions.end() ? Verdict{{seq}, VerdictKind::kApplied, 0} : *at;
    const bool passed = run.from.value <= seq && seq <= run.upto.value;
    const bool deferred = verdict.kind == VerdictKind::kDeferred;
    if (!passed || (deferred && !holds(*plan_, gather_stream_, {seq}))) {
      open.push_back(seq);
      if (at != run.exceptions.end()) run.exceptions.erase(at);
    } else if (!deferred) {
      end_deferred(now, record, verdict, false);
    }
  }
  record.open = std::move(open);
}

void ClientSession::store(Clocks) {
  queue::Transaction transaction = std::move(answer_.transaction);
  queue::ServerState server = remembered_.server.value;
  if (reply_.incarnation > server.incarnation) {
    // A first contact has nothing to compare; a later one means that the server was set up again or restored.
    server.verify = server.incarnation != Incarnation{} && !OAS_MUTANT(kIncarnationIgnored);
    server.incarnation = reply_.incarnation;
    server.late_seen = 0;  // its late log starts over; what was told before is passed over
  } else if (verifying_ && !verify_more_ && poll_) {
    server.verify = false;
    server.verified_at = reply_.server_time;
  }
  const bool same = reply_.incarnation == remembered_.server.value.incarnation;
  for (const LateVerdict& late : reply_.late)
    if (same) server.late_seen = std::max(server.late_seen, late.number);
  if (reply_.horizon > server.horizon && !server.verify && reply_.horizon >= server.verified_at) {
    // Covered by a backup: a restored server would still have it. After a restore the time of an acknowledgement says nothing
    // any more: a twin of this device may have brought the event back after that backup.
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
                     !answer_.unknown.empty() || !answer_.undecodable.empty() || verifying_ ||
                     remembered_.server.value.verify || !plan_->stale().empty();
  const bool polled = poll_;
  if (answer_.progress) {
    late_polls_ = 0;
    late_poll_at_ = {};
  }
  if (verifying_ && !reply_.streams.empty())
    verified_ = reply_.streams.back().stream;  // now that its rewinds are stored
  if (verifying_ && !remembered_.server.value.verify) verifying_ = false;
  answer_ = {};
  if (closing_) {
    close(now);
    return;
  }
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
