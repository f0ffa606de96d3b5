#include "wire/segment.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/sort.h"
#include "wire/lz4.h"

namespace oas::wire {
namespace {

constexpr std::uint8_t kMagic = 'S';
constexpr std::size_t kChecksumBytes = 8;
// Rows collected before sealing: events of one application usually shrink to a quarter, which fills a record.
constexpr std::uint32_t kRowsBytesGoal = 160'000;
constexpr std::uint32_t kCompressFrom = 96;     // below this lz4 saves nothing
constexpr std::uint32_t kHeadBytesMax = 100;    // all but the entities, with the checksum
constexpr std::uint32_t kRowsBytesMax = kSegmentJsonBytesMax * 4;
static_assert(kEventJsonBytesMax + 4 * kEnvelopeFieldBytesMax + kHeadBytesMax + 100 <= kSegmentStoredBytesMax,
              "one event fits into a segment, however badly it compresses");

Result<void> check_head(const SegmentHead& head, std::size_t size) {
  if (size > kSegmentStoredBytesMax) return fail(ErrorCode::kLimit, kSegmentStoredBytesMax);
  if (head.count == 0 || head.first.value == 0 || head.first.value > (1ULL << 56))
    return fail(ErrorCode::kMalformed, 12);
  if (head.json_bytes > kSegmentJsonBytesMax) return fail(ErrorCode::kLimit, kSegmentJsonBytesMax);
  return {};
}

Result<SegmentHead> read_head(Reader& in) {
  SegmentHead head;
  OAS_TRY(const std::uint8_t magic, in.u8());
  if (magic != kMagic) return fail(ErrorCode::kMalformed, 0);
  OAS_TRY(const std::uint8_t version, in.u8());
  if (version != kSegmentVersion) return fail(ErrorCode::kUnknownVersion, version);
  OAS_TRY(const std::uint8_t codec, in.u8());
  head.codec = static_cast<Codec>(codec);
  OAS_TRY(const std::uint8_t lane, in.u8());
  if (lane >= kLaneCount) return fail(ErrorCode::kMalformed, 3);
  head.stream.lane = static_cast<Lane>(lane);
  OAS_TRY(head.stream.epoch.value, in.u64());
  OAS_TRY(head.first.value, in.varint());
  OAS_TRY(head.count, in.count(kSegmentEventsMax));
  OAS_TRY(head.hlc_first.value, in.u64());
  OAS_TRY(head.hlc_last.value, in.u64());
  OAS_TRY(head.hash_before.value, in.u64());
  OAS_TRY(head.hash_after.value, in.u64());
  OAS_TRY(head.json_bytes, in.count(kSegmentJsonBytesMax));
  OAS_TRY(head.body_bytes, in.count(kRowsBytesMax));
  OAS_TRY(head.stored_bytes, in.count(kSegmentStoredBytesMax));
  OAS_TRY(const std::uint32_t entities, in.count(head.count));
  head.entities.reserve(entities);
  for (std::uint32_t i = 0; i < entities; ++i) {
    OAS_TRY(const std::uint32_t entity, in.u32());
    if (i > 0 && entity <= head.entities.back()) return fail(ErrorCode::kMalformed, in.offset());
    head.entities.push_back(entity);
  }
  return head;
}

void write_head(Writer& out, const SegmentHead& head) {
  out.u8(kMagic);
  out.u8(kSegmentVersion);
  out.u8(static_cast<std::uint8_t>(head.codec));
  out.u8(static_cast<std::uint8_t>(head.stream.lane));
  out.u64(head.stream.epoch.value);
  out.varint(head.first.value);
  out.varint(head.count);
  out.u64(head.hlc_first.value);
  out.u64(head.hlc_last.value);
  out.u64(head.hash_before.value);
  out.u64(head.hash_after.value);
  out.varint(head.json_bytes);
  out.varint(head.body_bytes);
  out.varint(head.stored_bytes);
  out.varint(head.entities.size());
  for (const std::uint32_t entity : head.entities) out.u32(entity);
}

}  // namespace

bool SegmentBuilder::fits(const EventView& event) const {
  return rows_.size() < kSegmentEventsMax && bytes_.size() + event.json.size() + event.type.size() < kRowsBytesGoal;
}

void SegmentBuilder::add(const EventView& event) {
  const std::size_t from = bytes_.size();
  Writer writer(bytes_);
  write_event(writer, event);
  rows_.push_back({.end = static_cast<std::uint32_t>(bytes_.size()),
                   .json_bytes = static_cast<std::uint32_t>(event.json.size()),
                   .entity = event.entity.empty() ? 0 : entity_hash(as_bytes(event.entity)),
                   .has_entity = !event.entity.empty(),
                   .hlc = event.hlc,
                   .hash = roll(hash(), ByteView(bytes_).subspan(from))});
}

std::vector<SealedSegment> SegmentBuilder::seal() const {
  OAS_ASSERT(!rows_.empty());
  std::vector<SealedSegment> out;
  seal_range(0, count(), out);
  return out;
}

void SegmentBuilder::seal_range(std::uint32_t from, std::uint32_t to, std::vector<SealedSegment>& out) const {
  const std::uint32_t begin = from == 0 ? 0 : rows_[from - 1].end;
  const ByteView rows = ByteView(bytes_).subspan(begin, rows_[to - 1].end - begin);
  SegmentHead head{.stream = stream_,
                   .first = {first_.value + from},
                   .count = to - from,
                   .hlc_first = rows_[from].hlc,
                   .hlc_last = rows_[to - 1].hlc,
                   .hash_before = from == 0 ? before_ : rows_[from - 1].hash,
                   .hash_after = rows_[to - 1].hash,
                   .codec = Codec::kRows,
                   .body_bytes = static_cast<std::uint32_t>(rows.size()),
                   .stored_bytes = static_cast<std::uint32_t>(rows.size())};
  for (std::uint32_t i = from; i < to; ++i) {
    head.json_bytes += rows_[i].json_bytes;
    if (rows_[i].has_entity) head.entities.push_back(rows_[i].entity);
  }
  sort_list(head.entities, [](std::uint32_t a, std::uint32_t b) { return a < b; });
  head.entities.erase(std::unique(head.entities.begin(), head.entities.end()), head.entities.end());

  Bytes block;
  if (rows.size() >= kCompressFrom) {
    const std::uint32_t stored = compress(rows, block);
    if (stored < rows.size() && rows.size() <= std::uint64_t{stored} * kCompressionRatioMax) {
      head.codec = Codec::kRowsLz4;
      head.stored_bytes = stored;
    }
  }
  const std::size_t overhead = kHeadBytesMax + head.entities.size() * 4;
  if (head.stored_bytes + overhead > kSegmentStoredBytesMax && to - from > 1) {
    const std::uint32_t middle = from + (to - from) / 2;
    seal_range(from, middle, out);
    seal_range(middle, to, out);
    return;
  }
  SealedSegment sealed{
      .first = head.first, .last = head.last(), .hlc_first = head.hlc_first, .entities = {}, .bytes = {}};
  sealed.bytes.reserve(head.stored_bytes + overhead);
  Writer writer(sealed.bytes);
  write_head(writer, head);
  writer.raw(head.codec == Codec::kRows ? rows : ByteView(block));
  writer.u64(hash64(sealed.bytes));
  sealed.entities = std::move(head.entities);
  out.push_back(std::move(sealed));
}

Result<SegmentView> open_segment(ByteView bytes) {
  if (bytes.size() < kChecksumBytes + 4) return fail(ErrorCode::kTruncated, bytes.size());
  const ByteView content = bytes.first(bytes.size() - kChecksumBytes);
  Reader checksum(bytes.last(kChecksumBytes));
  if (hash64(content) != *checksum.u64()) return fail(ErrorCode::kChecksum);
  Reader in(content);
  OAS_TRY(SegmentHead head, read_head(in));
  OAS_CHECK(check_head(head, bytes.size()));
  OAS_TRY(const ByteView body, in.raw(head.stored_bytes));
  OAS_CHECK(in.end());
  return SegmentView{std::move(head), body};
}

Result<void> decode_rows(const SegmentView& segment, Bytes& rows) {
  rows.clear();
  switch (segment.head.codec) {
    case Codec::kRows:
      if (segment.head.body_bytes != segment.body.size())
        return fail(ErrorCode::kUndecodable, segment.head.first.value);
      rows.assign(segment.body.begin(), segment.body.end());
      return {};
    case Codec::kRowsLz4: return decompress(segment.body, segment.head.body_bytes, kRowsBytesMax, rows);
  }
  return fail(ErrorCode::kUnknownCodec, static_cast<std::uint64_t>(segment.head.codec));
}

RowCursor::RowCursor(const SegmentHead& head, ByteView rows)
    : head_(&head), rows_(rows), reader_(rows), next_(head.first), hash_(head.hash_before) {}

Result<RowCursor::Row> RowCursor::next() {
  const std::size_t from = reader_.offset();
  Row row{.seq = next_, .hash = {}, .event = {}, .bytes = {}};
  OAS_TRY(row.event, read_event(reader_));
  row.bytes = rows_.subspan(from, reader_.offset() - from);
  hash_ = roll(hash_, row.bytes);
  row.hash = hash_;
  json_bytes_ += static_cast<std::uint32_t>(row.event.json.size());
  if (next_ == head_->first && row.event.hlc != head_->hlc_first) return fail(ErrorCode::kUndecodable, row.seq.value);
  ++next_.value;
  if (!done()) return row;
  const bool as_declared = reader_.left() == 0 && hash_ == head_->hash_after && json_bytes_ == head_->json_bytes &&
                           row.event.hlc == head_->hlc_last;
  if (!as_declared) return fail(ErrorCode::kUndecodable, row.seq.value);
  return row;
}

}  // namespace oas::wire
