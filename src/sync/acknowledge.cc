#include "sync/acknowledge.h"

#include <algorithm>

#include "base/sim_points.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::sync {
namespace {

// Calls `visit(row)` for each event of the segment until it returns false.
template <class Visit>
Result<void> each_row(ByteView bytes, Visit visit) {
  OAS_TRY(const wire::SegmentView segment, wire::open_segment(bytes));
  Bytes rows;
  OAS_CHECK(wire::decode_rows(segment, rows));
  wire::RowCursor cursor(segment.head, rows);
  while (!cursor.done()) {
    OAS_TRY(const wire::RowCursor::Row row, cursor.next());
    if (!visit(row)) break;
  }
  return {};
}

class Acknowledger {
 public:
  Acknowledger(const PushPlan& plan, const Remembered& remembered, const SyncReply& reply, Millis wall,
               Acknowledged& out)
      : plan_(plan), remembered_(remembered), reply_(reply), wall_(wall), out_(out) {}

  void take(const StreamAnswer& answer) {
    switch (answer.status) {
      case StreamStatus::kFork: out_.forked[answer.stream] = answer.mark.seq; return;
      case StreamStatus::kUnknown: out_.unknown.push_back(answer.stream); return;
      case StreamStatus::kUndecodable: out_.undecodable.push_back(answer.stream); return;
      case StreamStatus::kRewound: out_.rewound[answer.stream] = answer.mark; return;
      case StreamStatus::kOk:
      case StreamStatus::kGap:
      case StreamStatus::kFull: break;
    }
    const queue::StreamMark before = remembered_.mark(answer.stream);
    const auto compared = plan_.compare().find(answer.stream);
    if (answer.mark.seq < before.mark.seq) {
      out_.rewound[answer.stream] = answer.mark;
    } else if (compared != plan_.compare().end()) {
      take_compared(answer, before, compared->second);
    } else {
      take_pushed(answer, before);
    }
  }

 private:
  // The server may be ahead of what this request carried, because another context pushed: what this client can vouch
  // for ends with its own items, whose last hash the server has compared.
  void take_pushed(const StreamAnswer& answer, const queue::StreamMark& before) {
    Sequence sent = before.mark.seq;
    for (const Planned& item : plan_.items())
      if (item.stream() == answer.stream) sent = std::max(sent, item.key.last);
    const Sequence upto = std::min({sent, answer.mark.seq, before_lost(answer)});
    std::optional<RollingHash> own = planned_hash(plan_, remembered_, answer.stream, upto);
    if (!own) return;
    // Of what was given up here the server may have the content: then its hash is the one that counts.
    if (upto == answer.mark.seq && ends_with_hole(answer.stream, upto)) own = answer.mark.hash;
    if (upto == answer.mark.seq && *own != answer.mark.hash) {
      out_.unknown.push_back(answer.stream);  // the server contradicts itself: it accepted what does not chain
      return;
    }
    if (OAS_MUTANT(kPoisonBlocksHead) && std::any_of(answer.verdicts.begin(), answer.verdicts.end(),
                                                     [](const Verdict& v) { return v.kind == VerdictKind::kRejected; }))
      return;
    retire(answer, before, {upto, *own});
  }

  [[nodiscard]] bool ends_with_hole(StreamId stream, Sequence upto) const {
    return std::any_of(plan_.items().begin(), plan_.items().end(), [&](const Planned& item) {
      return item.stream() == stream && item.hole && item.key.last == upto;
    });
  }

  // What counts as lost there and was sent from here has not been looked at yet: the server takes such numbers when they
  // turn up. They are not passed before it has.
  [[nodiscard]] Sequence before_lost(const StreamAnswer& answer) const {
    for (const Verdict& verdict : answer.verdicts) {
      if (verdict.kind != VerdictKind::kVoid || verdict.code != static_cast<std::uint16_t>(VoidReason::kLost)) continue;
      if (holds(plan_, answer.stream, verdict.seq)) return {verdict.seq.value - 1};
    }
    return answer.mark.seq;
  }

  // Named without items after a rewind: the server's mark is believed where our first held segment continues it, or
  // where nothing we hold reaches down to it.
  void take_compared(const StreamAnswer& answer, queue::StreamMark before, Sequence first_held) {
    before.rewind = queue::Rewind::kCompared;
    Watermark mark = answer.mark;
    if (mark.seq.value + 1 > first_held.value)
      mark = before.mark;  // overlaps what we hold: push, and let hashes decide
    if (mark.seq == before.mark.seq) {
      out_.marks[answer.stream] = before;
      out_.more = true;
      return;
    }
    retire(answer, before, mark);
    out_.more = true;
  }

  void retire(const StreamAnswer& answer, queue::StreamMark mark, Watermark to) {
    const Sequence from{mark.mark.seq.value + 1};
    std::vector<Verdict> passed;
    for (const Verdict& verdict : answer.verdicts)
      if (verdict.seq >= from && verdict.seq <= to.seq && !OAS_MUTANT(kWatermarkWithoutVerdicts))
        passed.push_back(verdict);
    mark.mark = to;
    mark.acked_at = reply_.server_time;
    std::vector<std::uint64_t> deferred;
    std::vector<std::uint64_t> rejected;
    for (const Verdict& verdict : passed) {
      switch (verdict.kind) {
        case VerdictKind::kRejected:
          if (!OAS_MUTANT(kDeadLetterUncounted)) ++mark.rejected;
          rejected.push_back(verdict.seq.value);
          break;
        case VerdictKind::kVoid: ++mark.voided; break;
        case VerdictKind::kDeferred:
          if (OAS_MUTANT(kDeferredTakenAsApplied)) break;
          ++mark.deferred;
          deferred.push_back(verdict.seq.value);
          break;
        case VerdictKind::kApplied:
        case VerdictKind::kDuplicate: break;
      }
    }
    for (const Planned& item : plan_.items())
      if (item.stream() == answer.stream || (OAS_MUTANT(kCumulativeAck) && item.stream().epoch == answer.stream.epoch))
        retire_item(item, from, to.seq, deferred, rejected, passed);
    out_.progress |= from <= to.seq;
    out_.marks[answer.stream] = mark;
    if (from > to.seq) return;
    const bool unheld = std::any_of(deferred.begin(), deferred.end(),
                                    [&](std::uint64_t seq) { return !holds(plan_, answer.stream, {seq}); });
    if (mark.rewind != queue::Rewind::kNone || unheld)
      out_.revisited[answer.stream] = {answer.stream, from, to.seq, false, passed};
    // A deferred event is not final yet: whoever waits for it is told by its late verdict.
    out_.settled.push_back({answer.stream, from, to.seq, false, std::move(passed)});
  }

  void retire_item(const Planned& item, Sequence from, Sequence upto, const std::vector<std::uint64_t>& deferred,
                   const std::vector<std::uint64_t>& rejected, const std::vector<Verdict>& verdicts) {
    const auto within = [&item](std::uint64_t seq) {
      return seq >= item.key.first.value && seq <= item.key.last.value;
    };
    if (!item.hole && std::any_of(rejected.begin(), rejected.end(), within)) put_dead_letters(item, verdicts);
    if (!item.hole) put_deferred(item, from, upto, deferred);
    if ((item.key.last > upto && !OAS_MUTANT(kAckDeletesByKey)) || item.record.empty()) return;
    out_.transaction.erase(queue::pending_key(item.key));
    // Under a hole, too: a writer that did not know whether it had stored the damaged record may have written it again.
    if (item.hole || !item.head.entities.empty()) out_.transaction.erase(queue::entities_key(item.key));
    const bool covered = reply_.horizon > reply_.server_time;
    if (!covered && !OAS_MUTANT(kAckedDroppedBeforeSettled))
      out_.transaction.put(queue::settling_key(reply_.server_time, item.key), item.record);
  }

  // The key names the numbers passed now: a segment acknowledged in two parts leaves two records.
  void put_deferred(const Planned& item, Sequence from, Sequence upto, const std::vector<std::uint64_t>& deferred) {
    DeferredRecord record{.open = {}, .segment = item.record};
    for (const std::uint64_t seq : deferred)
      if (seq >= item.key.first.value && seq <= item.key.last.value) record.open.push_back(seq);
    if (record.open.empty()) return;
    queue::SegmentKey key = item.key;
    key.first = std::max(key.first, from);
    key.last = std::min(key.last, upto);
    out_.transaction.put(queue::deferred_key(key), write_deferred(record));
  }

  void put_dead_letters(const Planned& item, const std::vector<Verdict>& verdicts) {
    (void)each_row(item.record, [&](const wire::RowCursor::Row& row) {
      const auto at = std::lower_bound(verdicts.begin(), verdicts.end(), row.seq,
                                       [](const Verdict& verdict, Sequence seq) { return verdict.seq < seq; });
      if (at != verdicts.end() && at->seq == row.seq && at->kind == VerdictKind::kRejected) {
        const queue::DeadLetter letter{.code = at->code, .at = wall_, .event = to_bytes(row.bytes)};
        out_.transaction.put(queue::dead_letter_key({item.stream(), row.seq}), queue::write_record(letter));
      }
      return true;
    });
  }

  const PushPlan& plan_;
  const Remembered& remembered_;
  const SyncReply& reply_;
  Millis wall_;
  Acknowledged& out_;
};

}  // namespace

Acknowledged acknowledge(const PushPlan& plan, const Remembered& remembered, const SyncReply& reply, Millis wall) {
  Acknowledged out;
  Acknowledger acknowledger(plan, remembered, reply, wall, out);
  for (const StreamAnswer& answer : reply.streams) acknowledger.take(answer);
  for (const Bytes& key : plan.stale()) {
    const Result<queue::SegmentKey> segment = queue::read_segment_key(key);
    if (!segment) continue;
    out.transaction.erase(key);
    out.transaction.erase(queue::entities_key(*segment));
  }
  return out;
}

bool holds(const PushPlan& plan, StreamId stream, Sequence seq) {
  return std::any_of(plan.items().begin(), plan.items().end(), [&](const Planned& item) {
    return item.stream() == stream && !item.hole && item.key.first <= seq && seq <= item.key.last;
  });
}

std::optional<RollingHash> planned_hash(const PushPlan& plan, const Remembered& remembered, StreamId stream,
                                        Sequence at) {
  const Watermark stored = remembered.mark(stream).mark;
  if (at == stored.seq) return stored.hash;
  for (const Planned& item : plan.items()) {
    if (item.stream() != stream || at < item.key.first || at > item.key.last) continue;
    if (item.hole) return at == item.key.last ? std::optional(item.hole->hash_after) : std::nullopt;
    if (at == item.key.last) return item.head.hash_after;
    std::optional<RollingHash> found;
    (void)each_row(item.record, [&](const wire::RowCursor::Row& row) {
      if (row.seq == at) found = row.hash;
      return !found;
    });
    return found;
  }
  return std::nullopt;
}

Bytes write_deferred(const DeferredRecord& record) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.varint(record.open.size());
  for (const std::uint64_t seq : record.open) out.varint(seq);
  out.raw(record.segment);
  return bytes;
}

Result<DeferredRecord> read_deferred(ByteView bytes) {
  wire::Reader in(bytes);
  DeferredRecord record;
  OAS_TRY(const std::uint32_t count, in.count(kSegmentEventsMax));
  for (std::uint32_t i = 0; i < count; ++i) {
    OAS_TRY(const std::uint64_t seq, in.varint());
    record.open.push_back(seq);
  }
  OAS_TRY(record.segment, in.raw(in.left()));
  return record;
}

Result<Bytes> event_of(ByteView segment, Sequence seq) {
  std::optional<Bytes> found;
  OAS_CHECK(each_row(segment, [&](const wire::RowCursor::Row& row) {
    if (row.seq == seq) found = to_bytes(row.bytes);
    return !found;
  }));
  if (!found) return fail(ErrorCode::kNotFound, seq.value);
  return *std::move(found);
}

}  // namespace oas::sync
