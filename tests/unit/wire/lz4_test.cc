// Blocks come back, declared sizes are honoured, and no block makes us allocate beyond them.
#include <boost/test/unit_test.hpp>

#include "base/limits.h"
#include "base/prng.h"
#include "wire/lz4.h"

using namespace oas;
using namespace oas::wire;

namespace {

Bytes mixed(Prng& prng, std::uint32_t size) {
  Bytes out;
  while (out.size() < size) {
    const auto byte = static_cast<std::uint8_t>(prng.next());
    for (std::uint32_t run = 1 + prng.below(prng.chance(1, 2) ? 1 : 40); run > 0; --run) out.push_back(byte);
  }
  out.resize(size);
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(blocks_come_back_behind_what_was_there) {
  Prng prng(8);
  for (std::uint32_t size : {0U, 1U, 12U, 13U, 64U, 1'000U, 65'535U, 65'536U, 300'000U}) {
    const Bytes bytes = mixed(prng, size);
    Bytes block{42};
    const std::uint32_t written = compress(bytes, block);
    BOOST_TEST(block.size() == written + 1U);
    Bytes out{43};
    BOOST_REQUIRE(decompress(ByteView(block).subspan(1), size, 1'000'000, out).has_value());
    BOOST_TEST(out[0] == 43);
    BOOST_TEST((Bytes(out.begin() + 1, out.end()) == bytes));
  }
}

BOOST_AUTO_TEST_CASE(a_wrong_declared_size_is_refused_and_leaves_nothing) {
  Prng prng(9);
  const Bytes bytes = mixed(prng, 5'000);
  Bytes block;
  compress(bytes, block);
  for (const std::uint64_t size : {0ULL, 4'999ULL, 5'001ULL}) {
    Bytes out;
    BOOST_TEST((decompress(block, size, 1'000'000, out).error().code == ErrorCode::kUndecodable));
    BOOST_TEST(out.empty());
  }
}

BOOST_AUTO_TEST_CASE(bombs_are_refused_before_they_go_off) {
  const Bytes zeros(1'000'000);
  Bytes block;
  compress(zeros, block);
  BOOST_TEST(zeros.size() > block.size() * kCompressionRatioMax);
  Bytes out;
  BOOST_TEST(
      (decompress(block, zeros.size(), 2'000'000, out).error() == Error{ErrorCode::kLimit, kCompressionRatioMax}));
  BOOST_TEST((decompress(block, 600, 500, out).error() == Error{ErrorCode::kLimit, 500}));
  BOOST_TEST((decompress(block, ~0ULL, ~0ULL, out).error().code == ErrorCode::kLimit));
  BOOST_TEST(out.capacity() == 0U);
}

BOOST_AUTO_TEST_CASE(damaged_blocks_stay_inside_their_bounds) {
  Prng prng(10);
  const Bytes bytes = mixed(prng, 3'000);
  Bytes block;
  compress(bytes, block);
  for (int i = 0; i < 5'000; ++i) {
    Bytes damaged = block;
    for (int n = 0; n < 3; ++n)
      damaged[prng.below(static_cast<std::uint32_t>(damaged.size()))] = static_cast<std::uint8_t>(prng.next());
    damaged.resize(damaged.size() - prng.below(4));
    Bytes out;
    const Result<void> result = decompress(damaged, bytes.size(), 10'000, out);
    BOOST_TEST(out.size() == (result ? bytes.size() : 0U));
  }
}
