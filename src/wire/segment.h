// The unit of storage and of the wire: up to kSegmentEventsMax consecutive events of one stream, readable alone.
//
//   'S' u8 | version u8 | codec u8 | lane u8 | epoch u64 | first_seq varint | count varint | hlc_first u64 | hlc_last u64
//   | hash_before u64 | hash_after u64 | json_bytes varint | body_bytes varint | stored_bytes varint
//   | entities varint, u32 each, ascending and unique | body | checksum u64 over all that came before
//
// The checksum is verified before anything else is believed. Codec 0 = rows as they are, 1 = rows in an lz4 block;
// further codecs decode to the same rows, so hashes do not depend on the codec.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/types.h"
#include "wire/event.h"

namespace oas::wire {

inline constexpr std::uint8_t kSegmentVersion = 1;
enum class Codec : std::uint8_t { kRows = 0, kRowsLz4 = 1 };

struct SegmentHead {
  StreamId stream;
  Sequence first;
  std::uint32_t count{};
  Hlc hlc_first;
  Hlc hlc_last;
  RollingHash hash_before;
  RollingHash hash_after;
  Codec codec{};
  std::uint32_t json_bytes{};    // sum of the events' JSON
  std::uint32_t body_bytes{};    // rows, decoded
  std::uint32_t stored_bytes{};  // body as stored
  std::vector<std::uint32_t> entities;

  [[nodiscard]] Sequence last() const { return {first.value + count - 1}; }
};

struct SegmentView {
  SegmentHead head;
  ByteView body;  // encoded; points into the segment's bytes
};

// Collects events of one stream in order and seals them. Cuts are the caller's: ask `fits` before `add`.
class SegmentBuilder {
 public:
  SegmentBuilder(StreamId stream, Sequence first, RollingHash before);

  // False when one more event of this size would break a limit of a segment, whatever the compression yields.
  [[nodiscard]] bool fits(std::uint32_t event_bytes, std::uint32_t json_bytes) const;
  // Appends the event; it gets the next sequence number. Pre: fits().
  void add(const EventView& event);
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] RollingHash hash() const { return hash_; }
  [[nodiscard]] std::uint32_t rows_bytes() const { return static_cast<std::uint32_t>(rows_.size()); }
  [[nodiscard]] const std::vector<std::uint32_t>& entities() const { return entities_; }  // unsorted until sealed

  // The finished segment; the smaller of plain and lz4 rows. Pre: count() > 0. Leaves the builder at the next number.
  [[nodiscard]] Bytes seal();

 private:
  StreamId stream_;
  Sequence first_;
  RollingHash before_;
  RollingHash hash_;
  Hlc hlc_first_;
  Hlc hlc_last_;
  std::uint32_t count_ = 0;
  std::uint32_t json_bytes_ = 0;
  Bytes rows_;
  std::vector<std::uint32_t> entities_;
};

// Verifies the checksum, the limits and the head. Errors: kTruncated, kChecksum, kUnknownVersion, kMalformed, kLimit.
Result<SegmentView> open_segment(ByteView bytes);

// The rows of a segment, decoded into `rows` (replaced). Errors: kUnknownCodec, kUndecodable, kLimit.
Result<void> decode_rows(const SegmentView& segment, Bytes& rows);

// Walks decoded rows, checking that they are exactly the `count` events the head declares and chain to its hashes.
class RowCursor {
 public:
  RowCursor(const SegmentHead& head, ByteView rows);
  [[nodiscard]] bool done() const { return next_.value > head_->last().value; }
  // The next event, with its number and the stream's hash after it. Errors: kMalformed, kUndecodable and those of read_event.
  struct Row {
    Sequence seq;
    RollingHash hash;
    EventView event;
    ByteView bytes;  // canonical form
  };
  Result<Row> next();

 private:
  const SegmentHead* head_;
  ByteView rows_;
  Reader reader_;
  Sequence next_;
  RollingHash hash_;
};

}  // namespace oas::wire
