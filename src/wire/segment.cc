#include "wire/segment.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "base/sort.h"
#include "wire/columns.h"
#include "wire/lz4.h"

namespace oas::wire {
namespace {

constexpr std::uint8_t kMagic = 'S';
constexpr std::size_t kChecksumBytes = 8;
// Rows collected before sealing: events of one kind shrink to a tenth by columns, so this many fit into one record.
constexpr std::uint32_t kRowsBytesGoal = 440'000;
constexpr std::uint32_t kRowsNeverBetter = 6;   // columns that save so much are not compared with rows
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

// A body as it would be stored.
struct Encoded {
  Codec codec{};
  Bytes bytes;  // empty for plain rows
  std::uint32_t size{};
};

// Keeps the shorter of two that a server would accept.
void keep_shorter(Encoded& best, Codec codec, Bytes& bytes, std::size_t rows_bytes) {
  const auto size = static_cast<std::uint32_t>(bytes.size());
  if (size >= best.size || rows_bytes > std::uint64_t{size} * kCompressionRatioMax) return;
  best = {codec, std::move(bytes), size};
}

void encode_rows(ByteView rows, const Dictionary* dictionary, Encoded& best) {
  Bytes bytes;
  if (dictionary == nullptr) {
    (void)compress(rows, bytes);
  } else {
    Writer(bytes).u64(dictionary->id());
    (void)compress_text(rows, &dictionary->prefix(), bytes);
  }
  keep_shorter(best, dictionary == nullptr ? Codec::kRowsLz4 : Codec::kRowsLz4Dictionary, bytes, rows.size());
}

void encode_columns(ByteView rows, const SegmentHead& head, const Dictionary* dictionary, Encoded& best) {
  if (head.count == 1 && dictionary == nullptr) return;
  Bytes bytes;
  if (dictionary != nullptr) Writer(bytes).u64(dictionary->id());
  if (!write_columns(rows, head.count, head.hlc_first, dictionary, bytes)) return;
  keep_shorter(best, dictionary == nullptr ? Codec::kColumns : Codec::kColumnsDictionary, bytes, rows.size());
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

std::vector<SealedSegment> SegmentBuilder::seal(const Dictionary* dictionary) const {
  OAS_ASSERT(!rows_.empty());
  std::vector<SealedSegment> out;
  seal_range(0, count(), {.dictionary = dictionary}, out);
  return out;
}

SegmentHead SegmentBuilder::head_of(std::uint32_t from, std::uint32_t to) const {
  SegmentHead head{.stream = stream_,
                   .first = {first_.value + from},
                   .count = to - from,
                   .hlc_first = rows_[from].hlc,
                   .hlc_last = rows_[to - 1].hlc,
                   .hash_before = from == 0 ? before_ : rows_[from - 1].hash,
                   .hash_after = rows_[to - 1].hash};
  for (std::uint32_t i = from; i < to; ++i) {
    head.json_bytes += rows_[i].json_bytes;
    if (rows_[i].has_entity) head.entities.push_back(rows_[i].entity);
  }
  sort_list(head.entities, [](std::uint32_t a, std::uint32_t b) { return a < b; });
  head.entities.erase(std::unique(head.entities.begin(), head.entities.end()), head.entities.end());
  return head;
}

void SegmentBuilder::seal_range(std::uint32_t from, std::uint32_t to, Trial trial,
                                std::vector<SealedSegment>& out) const {
  const std::uint32_t begin = from == 0 ? 0 : rows_[from - 1].end;
  const ByteView rows = ByteView(bytes_).subspan(begin, rows_[to - 1].end - begin);
  SegmentHead head = head_of(from, to);
  Encoded body{.codec = Codec::kRows, .bytes = {}, .size = static_cast<std::uint32_t>(rows.size())};
  if (rows.size() >= kCompressFrom) {
    if (trial.columns) encode_columns(rows, head, trial.dictionary, body);
    const Codec by_columns = body.codec;
    if (trial.rows && body.size > rows.size() / kRowsNeverBetter) encode_rows(rows, trial.dictionary, body);
    trial.columns = body.codec == by_columns && by_columns != Codec::kRows;
    trial.rows = !trial.columns;
  }
  const std::uint32_t overhead = kHeadBytesMax + static_cast<std::uint32_t>(head.entities.size()) * 4;
  if (body.size + overhead > kSegmentStoredBytesMax && to - from > 1) {
    // Parts of a size that should fit; one that does not is cut again.
    const std::uint32_t parts = std::min((body.size + overhead) / (kSegmentStoredBytesMax * 9 / 10) + 1, to - from);
    for (std::uint32_t i = 0; i < parts; ++i) {
      const std::uint32_t part_from = from + (to - from) * i / parts;
      const std::uint32_t part_to = from + (to - from) * (i + 1) / parts;
      seal_range(part_from, part_to, trial, out);
    }
    return;
  }
  head.codec = body.codec;
  head.body_bytes = static_cast<std::uint32_t>(rows.size());
  head.stored_bytes = body.size;
  SealedSegment sealed{
      .first = head.first, .last = head.last(), .hlc_first = head.hlc_first, .entities = {}, .bytes = {}};
  sealed.bytes.reserve(head.stored_bytes + overhead);
  Writer writer(sealed.bytes);
  write_head(writer, head);
  writer.raw(head.codec == Codec::kRows ? rows : ByteView(body.bytes));
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

Result<void> decode_rows(const SegmentView& segment, Bytes& rows, Dictionaries dictionaries) {
  const SegmentHead& head = segment.head;
  rows.clear();
  if (head.codec > Codec::kColumnsDictionary)
    return fail(ErrorCode::kUnknownCodec, static_cast<std::uint64_t>(head.codec));
  if (head.codec == Codec::kRows) {
    if (head.body_bytes != segment.body.size()) return fail(ErrorCode::kUndecodable, head.first.value);
    rows.assign(segment.body.begin(), segment.body.end());
    return {};
  }
  // Before anything of that size is allocated.
  if (head.body_bytes > segment.body.size() * kCompressionRatioMax)
    return fail(ErrorCode::kLimit, kCompressionRatioMax);
  Reader in(segment.body);
  const Dictionary* dictionary = nullptr;
  if (head.codec == Codec::kRowsLz4Dictionary || head.codec == Codec::kColumnsDictionary) {
    OAS_TRY(const std::uint64_t id, in.u64());
    dictionary = find_dictionary(dictionaries, id);
    if (dictionary == nullptr) return fail(ErrorCode::kMissingDictionary, id);
  }
  OAS_TRY(const ByteView body, in.raw(in.left()));
  if (head.codec == Codec::kRowsLz4) return decompress(body, head.body_bytes, kRowsBytesMax, rows);
  if (head.codec == Codec::kRowsLz4Dictionary) return decompress_text(body, head.body_bytes, dictionary->bytes(), rows);
  return read_columns(body, head.count, head.hlc_first, head.body_bytes, dictionary, rows);
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
