// Storage keys and records.
#include <array>

#include "kind.h"
#include "queue/keys.h"
#include "queue/records.h"

namespace oas::golden {
namespace {

// key: server time i64, hlc u64, epoch u64, lane u8, first u64, last u64 → every key that can be made from them.
std::vector<Bytes> key_inputs() {
  Prng prng(301);
  std::vector<Bytes> out;
  for (int i = 0; i < 110; ++i) {
    Bytes input;
    wire::Writer writer(input);
    writer.i64(static_cast<std::int64_t>(random_number(prng) >> 2));
    writer.u64(random_number(prng));
    writer.u64(prng.next());
    writer.u8(static_cast<std::uint8_t>(prng.below(kLaneCount)));
    const std::uint64_t first = random_number(prng) >> 8;
    writer.u64(first);
    writer.u64(first + prng.below(1'000));
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_key(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::int64_t server_time, in.i64());
    queue::SegmentKey key;
    OAS_TRY(key.hlc.value, in.u64());
    OAS_TRY(key.stream.epoch.value, in.u64());
    OAS_TRY(const std::uint8_t lane, in.u8());
    key.stream.lane = static_cast<Lane>(lane);
    OAS_TRY(key.first.value, in.u64());
    OAS_TRY(key.last.value, in.u64());
    for (const Bytes& bytes :
         {queue::pending_key(key), queue::entities_key(key), queue::deferred_key(key),
          queue::settling_key({server_time}, key), queue::epoch_key(key.stream.epoch), queue::watermark_key(key.stream),
          queue::guard_key(key.stream.epoch), queue::journal_key(key.stream.epoch, static_cast<std::uint32_t>(lane)),
          queue::dead_letter_key({key.stream, key.first}), queue::pending_lane_prefix(key.stream.lane),
          queue::after_prefix(queue::entities_lane_prefix(key.stream.lane)), queue::after_key(queue::lease_key())})
      out.bytes(bytes);
    return {};
  });
}

// key-read: key bytes, often damaged → the segment it names.
std::vector<Bytes> key_read_inputs() {
  Prng prng(302);
  std::vector<Bytes> out;
  for (int i = 0; i < 130; ++i) {
    const queue::SegmentKey key{.hlc = {prng.next()},
                                .stream = {{prng.next()}, static_cast<Lane>(prng.below(kLaneCount))},
                                .first = {random_number(prng)},
                                .last = {random_number(prng)}};
    Bytes input = prng.chance(1, 2) ? queue::pending_key(key) : queue::settling_key({5}, key);
    if (prng.chance(1, 2)) input[prng.below(static_cast<std::uint32_t>(input.size()))] ^= 0x41;
    if (prng.chance(1, 5)) input.resize(prng.below(static_cast<std::uint32_t>(input.size())));
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_key_read(ByteView input) {
  return answer(input, [&](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const queue::SegmentKey key, queue::read_segment_key(input));
    for (const std::uint64_t value :
         {key.hlc.value, key.stream.epoch.value, std::uint64_t{static_cast<std::uint8_t>(key.stream.lane)},
          key.first.value, key.last.value})
      out.u64(value);
    return {};
  });
}

template <class T>
Result<void> again(ByteView bytes, wire::Writer& out) {
  OAS_TRY(const T record, queue::read_record<T>(bytes));
  out.raw(queue::write_record(record));
  return {};
}

Bytes sample_record(Prng& prng, std::uint32_t type) {
  switch (type) {
    case 0: {
      queue::EpochTotals totals{.hlc = {prng.next()}};
      for (std::size_t lane = 0; lane < kLaneCount; ++lane) {
        totals.last[lane] = random_number(prng);
        totals.hash[lane] = {prng.next()};
      }
      return queue::write_record(totals);
    }
    case 1: {
      queue::StreamMark mark{.mark = {{random_number(prng) | 0xFFFFFF}, {prng.next()}}};
      mark.rejected = prng.below(50);
      mark.voided = prng.below(50);
      mark.deferred = prng.below(50);
      mark.acked_at = {static_cast<std::int64_t>(prng.next() >> 20)};
      mark.rewind = static_cast<queue::Rewind>(prng.below(3));
      return queue::write_record(mark);
    }
    case 2: return queue::write_record(queue::Lease{{prng.next()}, random_number(prng)});
    case 3:
      return queue::write_record(queue::RetryState{prng.below(100), {static_cast<std::int64_t>(prng.next() >> 20)}});
    case 4:
      return queue::write_record(queue::ServerState{{{static_cast<std::int64_t>(prng.next() >> 20)}, prng.next()},
                                                    random_number(prng),
                                                    {7},
                                                    prng.chance(1, 2),
                                                    {9}});
    case 5:
      return queue::write_record(
          queue::FoldedTotals{random_number(prng), random_number(prng), random_number(prng), random_number(prng)});
    case 6:
      return queue::write_record(
          queue::DeadLetter{static_cast<std::uint16_t>(400 + prng.below(14)), {5}, random_bytes(prng, prng.below(60))});
    default:
      return queue::write_record(
          queue::HoleRecord{static_cast<std::uint8_t>(prng.below(5)), {prng.next()}, {prng.next()}});
  }
}

// record: type u8, record bytes, often damaged → the bytes written again.
std::vector<Bytes> record_inputs() {
  Prng prng(303);
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < 240; ++i) {
    Bytes record = sample_record(prng, i % 8);
    const auto size = static_cast<std::uint32_t>(record.size());
    if (prng.chance(1, 3)) record[prng.below(size)] = static_cast<std::uint8_t>(prng.next());
    if (prng.chance(1, 10)) record.resize(prng.below(size));
    Bytes input{static_cast<std::uint8_t>(i % 8)};
    input.insert(input.end(), record.begin(), record.end());
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_record(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::uint8_t type, in.u8());
    OAS_TRY(const ByteView bytes, in.raw(in.left()));
    out.u8(queue::is_hole(bytes) ? 1 : 0);
    switch (type) {
      case 0: return again<queue::EpochTotals>(bytes, out);
      case 1: return again<queue::StreamMark>(bytes, out);
      case 2: return again<queue::Lease>(bytes, out);
      case 3: return again<queue::RetryState>(bytes, out);
      case 4: return again<queue::ServerState>(bytes, out);
      case 5: return again<queue::FoldedTotals>(bytes, out);
      case 6: return again<queue::DeadLetter>(bytes, out);
      default: return again<queue::HoleRecord>(bytes, out);
    }
  });
}

constexpr std::array kKinds{
    Kind{"key", key_inputs, run_key},
    Kind{"key-read", key_read_inputs, run_key_read},
    Kind{"record", record_inputs, run_record},
};

}  // namespace

std::span<const Kind> queue_kinds() { return kKinds; }

}  // namespace oas::golden
