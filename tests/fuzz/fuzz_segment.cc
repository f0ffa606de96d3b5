// A segment from both sides: arbitrary bytes behind a right checksum, and arbitrary events, which must come back byte for byte
// under the same hashes however they are cut. The first byte chooses.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "fuzz/feed.h"
#include "wire/segment.h"

namespace {

using namespace oas;
using namespace oas::wire;
using fuzz::Feed;
using fuzz::require;

// Every row of an opened segment, or nothing when its body does not decode.
bool walk(const SegmentView& segment, Bytes& rows, std::vector<RowCursor::Row>& out) {
  if (!decode_rows(segment, rows)) return false;
  RowCursor cursor(segment.head, rows);
  while (!cursor.done()) {
    const Result<RowCursor::Row> row = cursor.next();
    if (!row) return false;
    out.push_back(*row);
  }
  return true;
}

// Cuts the events anew, as compaction and re-encoding do.
void rebuild(const SegmentHead& head, const std::vector<RowCursor::Row>& rows) {
  std::vector<SealedSegment> sealed;
  SegmentBuilder builder(head.stream, head.first, head.hash_before);
  Sequence next = head.first;
  const auto seal = [&] {
    for (SealedSegment& one : builder.seal()) sealed.push_back(std::move(one));
  };
  for (const RowCursor::Row& row : rows) {
    if (builder.count() > 0 && !builder.fits(row.event)) {
      const RollingHash hash = builder.hash();
      seal();
      builder = SegmentBuilder(head.stream, next, hash);
    }
    builder.add(row.event);
    require(builder.hash() == row.hash);
    ++next.value;
  }
  require(builder.hash() == head.hash_after);
  seal();
  std::size_t at = 0;
  for (const SealedSegment& one : sealed) {
    require(one.bytes.size() <= kSegmentStoredBytesMax);
    const Result<SegmentView> again = open_segment(one.bytes);
    require(again.has_value());
    Bytes decoded;
    std::vector<RowCursor::Row> back;
    require(walk(*again, decoded, back));
    for (const RowCursor::Row& row : back) {
      require(at < rows.size() && row.seq == rows[at].seq && row.hash == rows[at].hash);
      require(as_text(row.bytes) == as_text(rows[at].bytes));
      ++at;
    }
  }
  require(at == rows.size());
}

void fuzz_bytes(ByteView bytes) {
  const Result<SegmentView> segment = open_segment(bytes);
  if (!segment) return;
  Bytes decoded;
  std::vector<RowCursor::Row> rows;
  if (walk(*segment, decoded, rows)) rebuild(segment->head, rows);
}

void fuzz_events(Feed feed) {
  const StreamId stream{{feed.u64()}, static_cast<Lane>(feed.below(kLaneCount))};
  SegmentBuilder builder(stream, {1 + feed.magnitude() % (1ULL << 50)}, {feed.u64()});
  std::vector<std::string> kept;
  kept.reserve(4 * 256);
  const auto text = [&](std::uint32_t least) {
    std::string& out = kept.emplace_back(as_text(feed.bytes(feed.below(40))));
    if (out.size() < least) out = "t";
    return std::string_view(out);
  };
  for (std::uint32_t n = 0; n < 200 && !feed.done(); ++n) {
    EventView event{.hlc = {feed.magnitude()},
                    .type = text(1),
                    .module = text(0),
                    .entity = text(0),
                    .dedupe_key = {},
                    .replaces = {},
                    .json = as_bytes(text(0))};
    if (feed.below(5) == 0) event.replaces = EventId{{{feed.u64()}, Lane::kLow}, {feed.magnitude()}};
    if (builder.count() > 0 && !builder.fits(event)) break;
    builder.add(event);
  }
  if (builder.count() == 0) return;
  for (const SealedSegment& one : builder.seal()) {
    fuzz_bytes(one.bytes);
    require(open_segment(one.bytes).has_value());
    Bytes bent = one.bytes;
    fuzz::bend(feed, bent);
    fuzz_bytes(bent);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Feed feed(ByteView(data, size));
  switch (feed.below(3)) {
    case 0: fuzz_bytes(feed.rest()); break;
    case 1: fuzz_bytes(fuzz::sealed(feed.rest())); break;
    default: fuzz_events(feed); break;
  }
  return 0;
}
