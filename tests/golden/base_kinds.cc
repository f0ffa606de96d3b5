// Hashes, derived numbers, the generator and varints.
#include <array>

#include "base/hash.h"
#include "kind.h"
#include "queue/backoff.h"
#include "sync/messages.h"

namespace oas::golden {
namespace {

// hash: seed u64, then the bytes → hash64, entity hash, rolling hash.
std::vector<Bytes> hash_inputs() {
  Prng prng(101);
  std::vector<Bytes> out;
  for (std::uint32_t size = 0; size < 150; ++size) {
    Bytes input;
    wire::Writer(input).u64(prng.chance(1, 3) ? 0 : prng.next());
    wire::Writer(input).raw(random_bytes(prng, size));
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_hash(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::uint64_t seed, in.u64());
    OAS_TRY(const ByteView bytes, in.raw(in.left()));
    out.u64(hash64(bytes, seed));
    out.u32(entity_hash(bytes));
    out.u64(roll({seed}, bytes).value);
    return {};
  });
}

// derived: three u64 → the hash behind a void, the epoch of a forked branch.
std::vector<Bytes> derived_inputs() {
  Prng prng(102);
  std::vector<Bytes> out;
  for (int i = 0; i < 120; ++i) {
    Bytes input;
    for (int n = 0; n < 3; ++n) wire::Writer(input).u64(random_number(prng));
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_derived(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::uint64_t a, in.u64());
    OAS_TRY(const std::uint64_t b, in.u64());
    OAS_TRY(const std::uint64_t c, in.u64());
    out.u64(sync::void_hash({a}, {b}, {c}).value);
    out.u64(sync::forked_epoch({a}, {b}, {c}).value);
    return {};
  });
}

// prng: a seed of 32 bytes → eight numbers, eight below growing bounds, eight between.
std::vector<Bytes> prng_inputs() {
  Prng prng(103);
  std::vector<Bytes> out{Bytes(32), Bytes(32, 0xFF)};
  for (int i = 0; i < 110; ++i) out.push_back(random_bytes(prng, 32));
  return out;
}
Bytes run_prng(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const ByteView bytes, in.raw(32));
    Seed seed{};
    for (std::size_t i = 0; i < seed.size(); ++i) seed[i] = bytes[i];
    Prng prng(seed);
    for (int i = 0; i < 8; ++i) out.u64(prng.next());
    for (std::uint32_t bound = 1; bound < 0x1000'0000; bound *= 13) out.u32(prng.below(bound));
    for (std::int64_t low = -1'000'000; low < 0; low /= 7) out.i64(prng.between(low, 5));
    return {};
  });
}

// backoff: base ms u32, greatest ms u32, attempt u32, seed u64 → delay.
std::vector<Bytes> backoff_inputs() {
  Prng prng(104);
  std::vector<Bytes> out;
  for (std::uint32_t i = 0; i < 140; ++i) {
    Bytes input;
    wire::Writer writer(input);
    writer.u32(1 + prng.below(2'000));
    writer.u32(1'000 + prng.below(600'000));
    writer.u32(i < 100 ? i : static_cast<std::uint32_t>(prng.next()));
    writer.u64(prng.next());
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_backoff(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::uint32_t delay_base, in.u32());
    OAS_TRY(const std::uint32_t delay_max, in.u32());
    OAS_TRY(const std::uint32_t attempt, in.u32());
    OAS_TRY(const std::uint64_t seed, in.u64());
    Prng prng(seed);
    out.i64(queue::backoff_delay({.delay_base = {delay_base}, .delay_max = {delay_max}}, attempt, prng).value);
    return {};
  });
}

// varint: u64 → varint and zigzag of it.
std::vector<Bytes> varint_inputs() {
  Prng prng(105);
  std::vector<Bytes> out;
  for (std::uint32_t bit = 0; bit < 64; ++bit)
    for (const std::uint64_t value : {std::uint64_t{1} << bit, (std::uint64_t{1} << bit) - 1, random_number(prng)}) {
      Bytes input;
      wire::Writer(input).u64(value);
      out.push_back(std::move(input));
    }
  return out;
}
Bytes run_varint(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    OAS_TRY(const std::uint64_t value, in.u64());
    out.varint(value);
    out.zigzag(static_cast<std::int64_t>(value));
    return {};
  });
}

// varint-read: bytes → the value, what it is as zigzag, how many bytes it took.
std::vector<Bytes> varint_read_inputs() {
  Prng prng(106);
  std::vector<Bytes> out{{}, {0x80}, {0x80, 0x00}, {0xFF, 0x7F}, Bytes(10, 0xFF), Bytes(9, 0xFF)};
  for (int i = 0; i < 150; ++i) {
    Bytes input = random_bytes(prng, 1 + prng.below(12));
    for (std::uint8_t& byte : input)
      if (prng.chance(2, 3)) byte |= 0x80;
    out.push_back(std::move(input));
  }
  return out;
}
Bytes run_varint_read(ByteView input) {
  return answer(input, [](wire::Reader& in, wire::Writer& out) -> Result<void> {
    wire::Reader same = in;
    OAS_TRY(const std::uint64_t value, in.varint());
    OAS_TRY(const std::int64_t zigzag, same.zigzag());
    out.u64(value);
    out.i64(zigzag);
    out.u8(static_cast<std::uint8_t>(in.offset()));
    return {};
  });
}

constexpr std::array kKinds{
    Kind{"hash", hash_inputs, run_hash},       Kind{"derived", derived_inputs, run_derived},
    Kind{"prng", prng_inputs, run_prng},       Kind{"backoff", backoff_inputs, run_backoff},
    Kind{"varint", varint_inputs, run_varint}, Kind{"varint-read", varint_read_inputs, run_varint_read},
};

}  // namespace

std::span<const Kind> base_kinds() { return kKinds; }

}  // namespace oas::golden
