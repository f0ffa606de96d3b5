#include "queue/keys.h"

#include "wire/reader.h"

namespace oas::queue {
namespace {

// Big-endian, so that keys sort as their numbers do.
void big(Bytes& out, std::uint64_t value, int bytes = 8) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
}

Bytes key(char store, char kind) { return {static_cast<std::uint8_t>(store), static_cast<std::uint8_t>(kind)}; }

void add_lane(Bytes& out, Lane lane) { out.push_back(static_cast<std::uint8_t>(lane)); }

Bytes segment_key(char state, const SegmentKey& segment) {
  Bytes out = key('s', state);
  out.reserve(35);
  add_lane(out, segment.stream.lane);
  big(out, segment.hlc.value);
  big(out, segment.stream.epoch.value);
  big(out, segment.first.value);
  big(out, segment.last.value);
  return out;
}

std::uint64_t read_big(ByteView bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | bytes[at + i];
  return value;
}

}  // namespace

Bytes genesis_key() { return key('m', 'g'); }
Bytes lease_key() { return key('m', 'l'); }
Bytes retry_key() { return key('m', 'r'); }
Bytes server_key() { return key('m', 's'); }
Bytes folded_key() { return key('m', 'f'); }

Bytes epoch_key(Epoch epoch) {
  Bytes out = key('m', 'e');
  big(out, epoch.value);
  return out;
}

Bytes watermark_key(StreamId stream) {
  Bytes out = key('m', 'w');
  big(out, stream.epoch.value);
  add_lane(out, stream.lane);
  return out;
}

Bytes guard_key(Epoch context) {
  Bytes out = key('m', 't');
  big(out, context.value);
  return out;
}

Bytes pending_key(const SegmentKey& segment) { return segment_key('p', segment); }
Bytes entities_key(const SegmentKey& segment) { return segment_key('e', segment); }

Bytes deferred_key(const SegmentKey& segment) {
  Bytes out = key('s', 'd');
  big(out, segment.stream.epoch.value);
  add_lane(out, segment.stream.lane);
  big(out, segment.first.value);
  big(out, segment.last.value);
  return out;
}

Bytes settling_key(Millis server_time, const SegmentKey& segment) {
  Bytes out = key('s', 't');
  big(out, static_cast<std::uint64_t>(server_time.value));
  const Bytes tail = segment_key('t', segment);
  out.insert(out.end(), tail.begin() + 2, tail.end());
  return out;
}

Bytes journal_key(Epoch epoch, std::uint32_t n) {
  Bytes out = key('s', 'j');
  big(out, epoch.value);
  big(out, n, 4);
  return out;
}

Bytes dead_letter_key(const EventId& event) {
  Bytes out{'x'};
  big(out, event.stream.epoch.value);
  add_lane(out, event.stream.lane);
  big(out, event.seq.value);
  return out;
}

Bytes pending_lane_prefix(Lane lane) {
  Bytes out = key('s', 'p');
  add_lane(out, lane);
  return out;
}

Bytes entities_lane_prefix(Lane lane) {
  Bytes out = key('s', 'e');
  add_lane(out, lane);
  return out;
}

Bytes after_prefix(Bytes prefix) {
  while (!prefix.empty() && prefix.back() == 0xFF) prefix.pop_back();
  if (!prefix.empty()) ++prefix.back();
  return prefix;
}

Bytes after_key(Bytes of) {
  of.push_back(0);
  return of;
}

Result<SegmentKey> read_segment_key(ByteView bytes) {
  constexpr std::size_t kTail = 33;  // lane, hlc, epoch, first, last
  if (bytes.size() < 2 + kTail) return fail(ErrorCode::kMalformed, bytes.size());
  const ByteView tail = bytes.last(kTail);
  if (tail[0] >= kLaneCount) return fail(ErrorCode::kMalformed, 2);
  const SegmentKey out{.hlc = {read_big(tail, 1)},
                       .stream = {.epoch = {read_big(tail, 9)}, .lane = static_cast<Lane>(tail[0])},
                       .first = {read_big(tail, 17)},
                       .last = {read_big(tail, 25)}};
  if (out.first.value == 0 || out.last < out.first) return fail(ErrorCode::kMalformed, 19);
  return out;
}

Result<StreamId> read_watermark_key(ByteView bytes) {
  if (bytes.size() != 11 || bytes[10] >= kLaneCount) return fail(ErrorCode::kMalformed, bytes.size());
  return StreamId{.epoch = {read_big(bytes, 2)}, .lane = static_cast<Lane>(bytes[10])};
}

}  // namespace oas::queue
