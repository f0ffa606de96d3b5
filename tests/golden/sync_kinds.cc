// Requests and replies: read, then written again.
#include <array>

#include "base/hash.h"
#include "kind.h"
#include "sample_messages.h"

namespace oas::golden {
namespace {

// Half of them changed behind a right checksum.
template <class Make>
std::vector<Bytes> messages(std::uint64_t seed, Make make) {
  Prng prng(seed);
  std::vector<Bytes> out;
  for (int i = 0; i < 150; ++i) {
    Bytes bytes = make(prng);
    if (prng.chance(1, 2)) {
      bytes.resize(bytes.size() - 8);
      const auto size = static_cast<std::uint32_t>(bytes.size());
      if (prng.chance(1, 4))
        bytes.resize(prng.below(size));
      else
        bytes[prng.below(size)] = static_cast<std::uint8_t>(prng.next());
      wire::Writer(bytes).u64(hash64(bytes));
    }
    out.push_back(std::move(bytes));
  }
  return out;
}

std::vector<Bytes> request_inputs() {
  return messages(401, [](Prng& prng) {
    const Bytes segment = random_bytes(prng, 1 + prng.below(60));
    Bytes bytes;
    sync::write_request(bytes, prng.next(), sync::sample_request(prng, segment));
    return bytes;
  });
}
Bytes run_request(ByteView input) {
  return answer(input, [&](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const sync::OpenedRequest opened, sync::read_request(input));
    Bytes again;
    sync::write_request(again, opened.nonce, opened.request);
    out.raw(again);
    return {};
  });
}

constexpr std::uint64_t kNonce = 0x0123456789ABCDEFULL;

std::vector<Bytes> reply_inputs() {
  return messages(402, [](Prng& prng) {
    Bytes bytes;
    sync::write_reply(bytes, prng.chance(1, 10) ? prng.next() : kNonce, sync::sample_reply(prng));
    return bytes;
  });
}
Bytes run_reply(ByteView input) {
  return answer(input, [&](wire::Reader&, wire::Writer& out) -> Result<void> {
    OAS_TRY(const sync::SyncReply reply, sync::read_reply(input, kNonce));
    Bytes again;
    sync::write_reply(again, kNonce, reply);
    out.raw(again);
    return {};
  });
}

constexpr std::array kKinds{
    Kind{"request", request_inputs, run_request},
    Kind{"reply", reply_inputs, run_reply},
};

}  // namespace

std::span<const Kind> sync_kinds() { return kKinds; }

}  // namespace oas::golden
