// Random but valid requests and replies.
#pragma once

#include "base/prng.h"
#include "sync/messages.h"

namespace oas::sync {

// A number below 2^56, short ones as likely as long ones.
inline std::uint64_t sample_number(Prng& prng) { return prng.next() >> (8 + prng.below(56)); }

inline StreamId sample_stream(Prng& prng) { return {{prng.next()}, static_cast<Lane>(prng.below(kLaneCount))}; }
inline Watermark sample_mark(Prng& prng) { return {{sample_number(prng)}, {prng.next()}}; }

// `segment` must outlive the request; nobody opens it here, so its bytes may be anything but empty.
inline SyncRequest sample_request(Prng& prng, ByteView segment) {
  SyncRequest request;
  for (std::uint8_t& byte : request.device.value) byte = static_cast<std::uint8_t>(prng.next());
  request.known = {{static_cast<std::int64_t>(prng.next() >> 20)}, prng.next()};
  request.late_seen = sample_number(prng);
  request.client_time = {static_cast<std::int64_t>(prng.next() >> 20)};
  Epoch epoch{};
  for (std::uint32_t n = prng.below(4); n > 0; --n) {
    epoch.value += 1 + (prng.next() >> 8);  // ascending
    request.streams.push_back(
        {{epoch, static_cast<Lane>(prng.below(kLaneCount))}, sample_mark(prng), sample_mark(prng)});
  }
  for (std::uint32_t n = prng.below(4); n > 0; --n) {
    Item item;
    if (prng.chance(2, 3)) {
      item.segment = segment;
    } else {
      const std::uint64_t from = 1 + (sample_number(prng) >> 1);
      item.hole = {
          sample_stream(prng), {from},       {from + sample_number(prng)}, static_cast<VoidReason>(prng.below(5)),
          {prng.next()},       {prng.next()}};
    }
    request.items.push_back(item);
  }
  const auto items = static_cast<std::uint32_t>(request.items.size());
  for (std::uint32_t n = items == 0 ? 0 : prng.below(3); n > 0; --n)
    request.deps.push_back(
        {prng.below(items), static_cast<std::uint32_t>(prng.next()), sample_stream(prng), {sample_number(prng)}});
  return request;
}

inline SyncReply sample_reply(Prng& prng) {
  const auto code = [&] { return static_cast<std::uint16_t>(prng.chance(1, 2) ? 0 : 400 + prng.below(14)); };
  const auto kind = [&] { return static_cast<VerdictKind>(prng.below(5)); };
  SyncReply reply{.incarnation = {{static_cast<std::int64_t>(prng.next() >> 20)}, prng.next()},
                  .server_time = {static_cast<std::int64_t>(prng.next() >> 20)},
                  .horizon = {static_cast<std::int64_t>(prng.next() >> 20)},
                  .credit = prng.below(5'000),
                  .retry_after_ms = prng.chance(1, 2) ? 0 : prng.below(60'000),
                  .error = code()};
  for (std::uint32_t n = prng.below(4); n > 0; --n) {
    StreamAnswer answer{sample_stream(prng), static_cast<StreamStatus>(prng.below(7)), sample_mark(prng), {}};
    std::uint64_t seq = sample_number(prng) >> 1;
    for (std::uint32_t m = prng.below(5); m > 0; --m) {
      seq += 1 + prng.below(300);  // ascending
      answer.verdicts.push_back({{seq}, kind(), code()});
    }
    reply.streams.push_back(std::move(answer));
  }
  for (std::uint32_t n = prng.below(4); n > 0; --n)
    reply.late.push_back({sample_number(prng), {sample_stream(prng), {sample_number(prng)}}, kind(), code()});
  return reply;
}

}  // namespace oas::sync
