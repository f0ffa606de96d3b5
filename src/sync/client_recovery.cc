// After a restored server, and after a fork: what was acknowledged is pending again, what has two histories goes on
// under an epoch of its own. Flow: client_session.cc.
#include <algorithm>
#include <utility>

#include "queue/keys.h"
#include "sync/client_session.h"

namespace oas::sync {

void ClientSession::gather(SessionState state, Bytes cursor, const Bytes& end) {
  gather_end_ = end;
  read(state, {{std::move(cursor), end}, 64});
}

// Everything kept of the stream becomes pending once more, also what lies below the server's mark: a copy of this device
// may have given it up as lost, or the server may be restored again before this is sent. The stream's stored mark starts
// over at nothing, so that the server repeats every verdict it still has; what nobody holds any more is given up as lost.
void ClientSession::on_rewind(Clocks now, std::vector<queue::Put>& records) {
  const bool last_page = records.size() < 64;
  Bytes cursor = records.empty() ? Bytes{} : queue::after_key(records.back().key);
  for (queue::Put& record : records) {
    const Result<queue::SegmentKey> key = queue::read_segment_key(record.key);
    if (!key) continue;
    if (!answer_.rewound.contains(key->stream)) continue;
    const Result<wire::SegmentView> segment = wire::open_segment(record.value);
    if (!segment && !queue::is_hole(record.value)) continue;
    if (segment && !segment->head.entities.empty() && key->stream.lane <= Lane::kNormal) {
      Bytes entities;
      wire::Writer out(entities);
      for (const std::uint32_t entity : segment->head.entities) out.u32(entity);
      answer_.transaction.put(queue::entities_key(*key), std::move(entities));
    }
    answer_.transaction.erase(record.key);
    answer_.transaction.put(queue::pending_key(*key), std::move(record.value));
  }
  if (!last_page) {
    gather(SessionState::kRewind, std::move(cursor), gather_end_);
    return;
  }
  for (const auto& [stream, mark] : answer_.rewound) {
    answer_.marks[stream] = queue::StreamMark{.rewind = queue::Rewind::kCompare};
    wishes_.notes.push_back({ErrorCode::kRewound, mark.seq.value});
    skipped_.erase(stream);
  }
  store(now);
}

void ClientSession::on_fork(Clocks now, std::vector<queue::Put>& records) {
  const bool last_page = records.size() < 64;
  Bytes cursor = records.empty() ? Bytes{} : queue::after_key(records.back().key);
  for (queue::Put& record : records) {
    const Result<queue::SegmentKey> key = queue::read_segment_key(record.key);
    if (key && key->stream == gather_stream_) gathered_.push_back(std::move(record));
  }
  if (!last_page) {
    gather(SessionState::kFork, std::move(cursor), gather_end_);
    return;
  }
  renumber(gather_stream_, answer_.forked.begin()->second);
  answer_.forked.clear();  // one stream a transaction: they share their epoch's totals; the next push meets the others
  gathered_.clear();
  answer_.progress = true;
  continue_answer(now);
}

// Our own events behind the last agreed number get the numbers 1, 2, ... of a derived epoch. Every drainer of this
// branch derives the same epoch from the same bytes, so the re-numbering may happen twice without doubling anything.
void ClientSession::renumber(StreamId stream, Sequence agreed) {
  std::optional<StreamId> fresh;
  std::optional<wire::SegmentBuilder> builder;
  queue::EpochTotals totals;
  const auto lane = static_cast<std::size_t>(stream.lane);
  RollingHash agreed_hash = remembered_.mark(stream).mark.hash;
  const auto seal = [&] {
    if (!builder || builder->count() == 0) return;
    for (wire::SealedSegment& sealed : builder->seal()) {
      const queue::SegmentKey key{sealed.hlc_first, *fresh, sealed.first, sealed.last};
      if (!sealed.entities.empty() && stream.lane <= Lane::kNormal) {
        Bytes entities;
        wire::Writer out(entities);
        for (const std::uint32_t entity : sealed.entities) out.u32(entity);
        answer_.transaction.put(queue::entities_key(key), std::move(entities));
      }
      answer_.transaction.put(queue::pending_key(key), std::move(sealed.bytes));
    }
    builder.reset();
  };
  for (const queue::Put& record : gathered_) {
    const Result<wire::SegmentView> segment = wire::open_segment(record.value);
    if (!segment) continue;  // damaged: stays, and is given up under the old epoch
    Bytes rows;
    if (!wire::decode_rows(*segment, rows)) continue;
    wire::RowCursor cursor(segment->head, rows);
    while (!cursor.done()) {
      const Result<wire::RowCursor::Row> row = cursor.next();
      if (!row) break;
      if (row->seq <= agreed) {
        agreed_hash = row->hash;
        continue;
      }
      if (!fresh) fresh = StreamId{forked_epoch(stream.epoch, agreed, row->hash), stream.lane};
      if (builder && !builder->fits(row->event)) seal();
      if (!builder) builder.emplace(*fresh, Sequence{totals.last[lane] + 1}, totals.hash[lane]);
      builder->add(row->event);
      ++totals.last[lane];
      totals.hash[lane] = builder->hash();
      totals.hlc = row->event.hlc;
    }
    seal();  // where two lanes share an entity, segments were cut so that they do not overlap in time; so they stay
    const Result<queue::SegmentKey> key = queue::read_segment_key(record.key);
    answer_.transaction.expect_present(record.key);
    answer_.transaction.erase(record.key);
    answer_.transaction.erase(queue::entities_key(*key));
  }
  seal();
  // The old epoch keeps only what both histories share; the branch counts under its own epoch from here.
  queue::EpochTotals kept = remembered_.totals[stream.epoch].value;
  kept.last[lane] = agreed.value;
  kept.hash[lane] = agreed_hash;
  put_guarded(answer_.transaction, queue::epoch_key(stream.epoch), remembered_.totals[stream.epoch], kept);
  queue::StreamMark mark = remembered_.mark(stream);
  if (agreed > mark.mark.seq) mark.mark = {agreed, agreed_hash};
  answer_.marks[stream] = mark;
  if (fresh) {
    Cached<queue::EpochTotals>& own = remembered_.totals[fresh->epoch];
    queue::EpochTotals merged = own.value;
    merged.last[lane] = totals.last[lane];
    merged.hash[lane] = totals.hash[lane];
    merged.hlc = std::max(merged.hlc, totals.hlc);
    put_guarded(answer_.transaction, queue::epoch_key(fresh->epoch), own, merged);
  }
  own_forked_ |= stream.epoch == context_;
  wishes_.notes.push_back({ErrorCode::kFork, agreed.value});
}

}  // namespace oas::sync
