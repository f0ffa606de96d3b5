// Segments lose nothing, keep their limits whatever they hold, chain however they are cut, and notice every damage.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "base/hash.h"
#include "base/limits.h"
#include "samples.h"
#include "wire/segment.h"

using namespace oas;
using namespace oas::wire;

namespace {

const StreamId kStream{{0x1122334455667788ULL}, Lane::kHigh};

std::vector<SampleEvent> sample_events(std::uint64_t seed, std::uint32_t count, std::uint32_t json_bytes_max,
                                       bool noise) {
  Prng prng(seed);
  std::vector<SampleEvent> out;
  for (std::uint32_t i = 0; i < count; ++i) out.push_back(sample_event(prng, json_bytes_max, noise));
  return out;
}

// As the outbox does it: fill, seal, go on with a new builder.
std::vector<SealedSegment> pack(const std::vector<SampleEvent>& events, Sequence first, RollingHash before) {
  std::vector<SealedSegment> out;
  for (std::size_t at = 0; at < events.size();) {
    SegmentBuilder builder(kStream, first, before);
    for (; at < events.size() && (builder.count() == 0 || builder.fits(events[at].view())); ++at)
      builder.add(events[at].view());
    first.value += builder.count();
    before = builder.hash();
    for (SealedSegment& sealed : builder.seal()) out.push_back(std::move(sealed));
  }
  return out;
}

struct Unpacked {
  std::uint32_t events = 0;
  RollingHash hash;
};

// Checks every promise a segment makes while walking it.
Unpacked unpack(const std::vector<SealedSegment>& segments, const std::vector<SampleEvent>& events, Sequence first,
                RollingHash before) {
  Unpacked out{.hash = before};
  Bytes rows;
  for (const SealedSegment& sealed : segments) {
    BOOST_TEST(sealed.bytes.size() <= kSegmentStoredBytesMax);
    const Result<SegmentView> segment = open_segment(sealed.bytes);
    BOOST_REQUIRE(segment.has_value());
    const SegmentHead& head = segment->head;
    BOOST_TEST((head.stream == kStream));
    BOOST_TEST(head.first.value == first.value + out.events);
    BOOST_TEST((head.first == sealed.first && head.last() == sealed.last && head.hlc_first == sealed.hlc_first));
    BOOST_TEST((head.hash_before == out.hash));
    BOOST_TEST(head.count <= kSegmentEventsMax);
    BOOST_TEST(head.json_bytes <= kSegmentJsonBytesMax);
    BOOST_TEST(head.body_bytes <= std::uint64_t{head.stored_bytes} * kCompressionRatioMax);
    BOOST_REQUIRE(decode_rows(*segment, rows).has_value());
    std::vector<std::uint32_t> entities;
    RowCursor cursor(head, rows);
    while (!cursor.done()) {
      const Result<RowCursor::Row> row = cursor.next();
      BOOST_REQUIRE(row.has_value());
      BOOST_REQUIRE(out.events < events.size());
      BOOST_TEST(same(row->event, events[out.events].view()));
      BOOST_TEST(row->seq.value == first.value + out.events);
      if (!row->event.entity.empty()) entities.push_back(entity_hash(as_bytes(row->event.entity)));
      out.hash = row->hash;
      ++out.events;
    }
    std::sort(entities.begin(), entities.end());
    entities.erase(std::unique(entities.begin(), entities.end()), entities.end());
    BOOST_TEST(head.entities == entities);
    BOOST_TEST(sealed.entities == entities);
    BOOST_TEST((head.hash_after == out.hash));
  }
  BOOST_TEST(out.events == events.size());
  return out;
}

Bytes one_segment() { return pack(sample_events(20, 12, 60, false), {5}, {6})[0].bytes; }

// As a liar would: the content changed and the checksum made right.
void fix_checksum(Bytes& bytes) {
  bytes.resize(bytes.size() - 8);
  Writer(bytes).u64(hash64(bytes));
}

}  // namespace

BOOST_AUTO_TEST_CASE(events_of_every_size_and_kind_come_back) {
  for (const bool noise : {false, true})
    for (const std::uint32_t json_bytes_max : {3U, 100U, 1'000U, 10'000U, kEventJsonBytesMax - 20}) {
      const std::uint32_t count = json_bytes_max > 5'000 ? 60 : 2'500;
      const auto events = sample_events(json_bytes_max, count, json_bytes_max, noise);
      unpack(pack(events, {1}, {}), events, {1}, {});
    }
}

// Watermarks name (sequence, hash): they must not depend on who cut the stream where.
BOOST_AUTO_TEST_CASE(the_hash_does_not_depend_on_the_cuts) {
  const auto events = sample_events(21, 900, 200, false);
  const Unpacked whole = unpack(pack(events, {10}, {77}), events, {10}, {77});
  Prng prng(22);
  for (int round = 0; round < 20; ++round) {
    RollingHash hash{77};
    std::uint64_t seq = 10;
    for (auto at = events.begin(); at != events.end();) {
      const auto left = static_cast<std::uint32_t>(events.end() - at);
      const std::vector<SampleEvent> part(at, at + std::min(left, 1 + prng.below(200)));
      hash = unpack(pack(part, {seq}, hash), part, {seq}, hash).hash;
      seq += part.size();
      at += static_cast<std::ptrdiff_t>(part.size());
    }
    BOOST_TEST((hash == whole.hash));
  }
}

BOOST_AUTO_TEST_CASE(sealing_twice_gives_the_same_bytes) {
  SegmentBuilder builder(kStream, {1}, {});
  for (const SampleEvent& event : sample_events(23, 50, 100, false)) builder.add(event.view());
  BOOST_TEST((builder.seal()[0].bytes == builder.seal()[0].bytes));
}

// Events that compress beyond the allowed ratio are stored in a form every server accepts.
BOOST_AUTO_TEST_CASE(a_ratio_no_server_accepts_is_never_written) {
  const std::string json = '"' + std::string(30'000, 'a') + '"';
  std::vector<SampleEvent> events(8);
  for (SampleEvent& event : events) {
    event.type = "t";
    event.json = json;
  }
  unpack(pack(events, {1}, {}), events, {1}, {});
}

BOOST_AUTO_TEST_CASE(damage_to_a_segment_is_always_noticed) {
  const Bytes whole = one_segment();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes bytes = whole;
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ (1U << (bit % 8)));
    BOOST_TEST((open_segment(bytes).error().code == ErrorCode::kChecksum));
  }
  for (std::size_t size = 0; size < whole.size(); ++size)
    BOOST_TEST(!open_segment(ByteView(whole).first(size)).has_value());
}

// Bytes with a right checksum can still come from a liar; whatever is believed must then be consistent.
BOOST_AUTO_TEST_CASE(a_changed_segment_is_refused_or_still_coherent) {
  Prng prng(24);
  const Bytes whole = one_segment();
  std::uint32_t walked = 0;
  for (int i = 0; i < 30'000; ++i) {
    Bytes bytes = whole;
    bytes[prng.below(static_cast<std::uint32_t>(bytes.size() - 8))] = static_cast<std::uint8_t>(prng.next());
    fix_checksum(bytes);
    const Result<SegmentView> segment = open_segment(bytes);
    Bytes rows;
    if (!segment || !decode_rows(*segment, rows)) continue;
    RowCursor cursor(segment->head, rows);
    std::uint32_t count = 0;
    bool good = true;
    while (good && !cursor.done()) {
      good = cursor.next().has_value();
      ++count;
    }
    if (!good) continue;
    ++walked;
    BOOST_TEST(count == segment->head.count);
  }
  BOOST_TEST(walked > 0U);  // the epoch, the first number and the entities can be changed unnoticed
}

BOOST_AUTO_TEST_CASE(each_head_field_has_its_error) {
  const auto changed = [](std::size_t at, std::uint8_t value) {
    Bytes bytes = one_segment();
    bytes[at] = value;
    fix_checksum(bytes);
    return open_segment(bytes);
  };
  BOOST_TEST((changed(0, 'X').error().code == ErrorCode::kMalformed));
  BOOST_TEST((changed(1, 9).error() == Error{ErrorCode::kUnknownVersion, 9}));
  BOOST_TEST((changed(3, kLaneCount).error().code == ErrorCode::kMalformed));
  BOOST_TEST((changed(12, 0).error().code == ErrorCode::kMalformed));  // first
  BOOST_TEST((changed(13, 0).error().code != ErrorCode{}));            // count
  // A codec from a later version: the head can be read, the body waits for a build that knows it.
  const auto later = changed(2, 7);
  BOOST_REQUIRE(later.has_value());
}

BOOST_AUTO_TEST_CASE(a_later_codec_is_named_not_guessed) {
  Bytes bytes = one_segment();
  bytes[2] = 7;
  fix_checksum(bytes);
  const Result<SegmentView> segment = open_segment(bytes);
  BOOST_REQUIRE(segment.has_value());
  Bytes rows;
  BOOST_TEST((decode_rows(*segment, rows).error() == Error{ErrorCode::kUnknownCodec, 7}));
}

BOOST_AUTO_TEST_CASE(one_event_at_every_limit_fits) {
  Prng prng(25);
  SampleEvent event = sample_event(prng, 0, true);
  event.type = event.module = event.entity = event.dedupe_key = std::string(kEnvelopeFieldBytesMax, 'x');
  event.replaces = EventId{{{1}, Lane::kLow}, {1ULL << 56}};
  event.json = sample_string(prng, kEventJsonBytesMax - 1, true);
  BOOST_TEST(event.json.size() == kEventJsonBytesMax);
  const std::vector<SampleEvent> events{event};
  unpack(pack(events, {1ULL << 56}, {~0ULL}), events, {1ULL << 56}, {~0ULL});
}
