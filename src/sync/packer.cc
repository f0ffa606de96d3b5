#include "sync/packer.h"

#include <utility>

#include "base/sim_points.h"

namespace oas::sync {

Result<void> Packer::use(ByteView packed) {
  OAS_TRY(wire::Dictionary dictionary, wire::unpack_dictionary(packed));
  dictionary_ = std::move(dictionary);
  learning_ = false;
  return {};
}

void Packer::learn() {
  if (dictionary_ || learning_) return;
  learning_ = true;
  builder_ = {};
  seen_ = 0;
  upto_.clear();
}

void Packer::pack(SyncRequest& request) {
  packed_.clear();
  if (!dictionary_) return;
  Bytes rows;
  for (Item& item : request.items) {
    if (item.segment.empty()) continue;
    const Result<wire::SegmentView> segment = wire::open_segment(item.segment);
    if (segment && segment->head.count <= kPackedEventsMax && wire::decode_rows(*segment, rows))
      replace(item, segment->head, rows);
  }
}

void Packer::replace(Item& item, const wire::SegmentHead& head, ByteView rows) {
  wire::SegmentBuilder builder(head.stream, head.first, head.hash_before);
  for (wire::RowCursor cursor(head, rows); !cursor.done();) {
    const Result<wire::RowCursor::Row> row = cursor.next();
    if (!row) return;
    builder.add(row->event);
  }
  if (builder.hash() != head.hash_after) return;
  std::vector<wire::SealedSegment> sealed = builder.seal(&*dictionary_);
  if (sealed.size() != 1) return;
  if (sealed[0].bytes.size() >= item.segment.size() && !SIM_BUGGIFY(1, 2)) return;
  packed_.push_back(std::move(sealed[0].bytes));
  item.segment = packed_.back();  // moving a vector keeps its buffer
}

void Packer::see(const std::vector<Planned>& sent) {
  Bytes rows;
  for (const Planned& item : sent) {
    if (!learning_) return;
    const Result<wire::SegmentView> segment = wire::open_segment(item.record);
    if (segment && wire::decode_rows(*segment, rows)) see(segment->head, rows);
  }
}

void Packer::see(const wire::SegmentHead& head, ByteView rows) {
  Sequence& upto = upto_[head.stream];
  for (wire::RowCursor cursor(head, rows); learning_ && !cursor.done();) {
    const Result<wire::RowCursor::Row> row = cursor.next();
    if (!row) return;
    if (row->seq <= upto) continue;
    upto = row->seq;
    builder_.add(row->event);
    if (++seen_ < kLearnEvents && !SIM_BUGGIFY(1, 20)) continue;
    learned_ = wire::pack_dictionary(builder_.build(kLearnedBytesMax, kTailBytesMax));
    builder_ = {};
    learning_ = false;
  }
}

bool Packer::refused() {
  if (packed_.empty()) return false;
  packed_.clear();
  learned_ = wire::pack_dictionary(dictionary_->bytes());
  dictionary_.reset();
  return true;
}

std::optional<Bytes> Packer::take_learned() { return std::exchange(learned_, std::nullopt); }

}  // namespace oas::sync
