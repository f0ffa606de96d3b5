// The unit of storage and of the wire: up to kSegmentEventsMax consecutive events of one stream, readable alone.
//
//   'S' u8 | version u8 | codec u8 | lane u8 | epoch u64 | first_seq varint | count varint | hlc_first u64 | hlc_last u64
//   | hash_before u64 | hash_after u64 | json_bytes varint | body_bytes varint | stored_bytes varint
//   | entities varint, u32 each, ascending and unique | body | checksum u64 over all that came before
//
// The checksum is verified before anything else is believed. Every codec decodes to the same rows, so hashes do not depend
// on it: 0 = rows as they are, 1 = rows in an lz4 block, 2 = columns (columns.h); 3 and 4 are 1 and 2 with a dictionary,
// whose id (u64) the body then starts with.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "base/types.h"
#include "wire/dictionary.h"
#include "wire/event.h"

namespace oas::wire {

inline constexpr std::uint8_t kSegmentVersion = 1;
enum class Codec : std::uint8_t {
  kRows = 0,
  kRowsLz4 = 1,
  kColumns = 2,
  kRowsLz4Dictionary = 3,
  kColumnsDictionary = 4
};

struct SegmentHead {
  StreamId stream;
  Sequence first;
  std::uint32_t count{};
  Hlc hlc_first;  // of the first event, not the least
  Hlc hlc_last;  // of the last event
  RollingHash hash_before;
  RollingHash hash_after;
  Codec codec{};
  std::uint32_t json_bytes{};  // sum of the events' JSON
  std::uint32_t body_bytes{};  // rows, decoded
  std::uint32_t stored_bytes{};  // body as stored
  std::vector<std::uint32_t> entities;

  [[nodiscard]] Sequence last() const { return {first.value + count - 1}; }
};

struct SegmentView {
  SegmentHead head;
  ByteView body;  // encoded; points into the segment's bytes
};

struct SealedSegment {
  Sequence first;
  Sequence last;
  Hlc hlc_first;
  std::vector<std::uint32_t> entities;  // ascending and unique
  Bytes bytes;
};

// Collects events of one stream in order and seals them into as few segments as the limits allow.
class SegmentBuilder {
 public:
  SegmentBuilder(StreamId stream, Sequence first, RollingHash before)
      : stream_(stream), first_(first), before_(before) {}

  // False when the builder is as full as is useful: seal it and go on with a new one.
  [[nodiscard]] bool fits(const EventView& event) const;
  // Appends the event; it gets the next sequence number. Pre: fits(), or the builder is empty.
  void add(const EventView& event);
  [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(rows_.size()); }
  [[nodiscard]] RollingHash hash() const { return rows_.empty() ? before_ : rows_.back().hash; }

  // The finished segments, usually one; rows that do not compress well enough are cut until they fit. Tries rows and
  // columns and keeps the shorter. A dictionary only if every reader has it. Pre: count() > 0.
  [[nodiscard]] std::vector<SealedSegment> seal(const Dictionary* dictionary = nullptr) const;

 private:
  struct Row {
    std::uint32_t end{};  // offset behind its canonical bytes
    std::uint32_t json_bytes{};
    std::uint32_t entity{};
    bool has_entity{};
    Hlc hlc;
    RollingHash hash;  // of the stream after it
  };
  // Which codecs are still worth trying: rows and columns are both tried once, on the whole.
  struct Trial {
    const Dictionary* dictionary{};
    bool rows = true;
    bool columns = true;
  };
  [[nodiscard]] SegmentHead head_of(std::uint32_t from, std::uint32_t to) const;
  void seal_range(std::uint32_t from, std::uint32_t to, Trial trial, std::vector<SealedSegment>& out) const;

  StreamId stream_;
  Sequence first_;
  RollingHash before_;
  std::vector<Row> rows_;
  Bytes bytes_;
};

// Verifies the checksum, the limits and the head. Errors: kTruncated, kChecksum, kUnknownVersion, kMalformed, kLimit.
Result<SegmentView> open_segment(ByteView bytes);

// The rows of a segment, decoded into `rows` (replaced). Errors: kUnknownCodec, kMissingDictionary, kUndecodable, kLimit.
Result<void> decode_rows(const SegmentView& segment, Bytes& rows, Dictionaries dictionaries = {});

// Walks decoded rows, checking that they are exactly the events the head declares: count, hashes, clocks and sizes. The
// last row is the one that tells, so nothing may be believed before the walk is done.
class RowCursor {
 public:
  RowCursor(const SegmentHead& head, ByteView rows);
  [[nodiscard]] bool done() const { return next_.value > head_->last().value; }
  // The next event, with its number and the stream's hash after it. Errors: kUndecodable and those of read_event.
  // Pre: not done().
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
  std::uint32_t json_bytes_ = 0;
};

}  // namespace oas::wire
