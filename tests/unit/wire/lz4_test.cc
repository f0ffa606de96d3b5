// Blocks come back, declared sizes are honoured, and no block makes us allocate beyond them.
#include <lz4.h>

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

// One format, two implementations: each reads what the other writes, with and without a prefix.
BOOST_AUTO_TEST_CASE(the_lz4_library_and_ours_read_each_other) {
  Prng prng(31);
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t size = prng.below(round % 10 == 0 ? 200'000 : 3'000);
    const Bytes bytes = mixed(prng, size);
    const Bytes before = mixed(prng, prng.below(2'000));
    Bytes with_prefix = before;
    with_prefix.insert(with_prefix.end(), bytes.begin(), bytes.begin() + size / 2);
    const TextPrefix prefix =
        make_prefix(ByteView(with_prefix).first(std::min<std::size_t>(with_prefix.size(), 60'000)));
    for (const int way : {0, 1, 2}) {
      Bytes block;
      if (way == 0) (void)compress(bytes, block);
      if (way > 0) (void)compress_text(bytes, way == 1 ? nullptr : &prefix, block);
      Bytes read(size);
      const int got = LZ4_decompress_safe_usingDict(
          reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(read.data()),
          static_cast<int>(block.size()), static_cast<int>(size), reinterpret_cast<const char*>(prefix.text.data()),
          way == 2 ? static_cast<int>(prefix.text.size()) : 0);
      BOOST_TEST(got == static_cast<int>(size));
      BOOST_TEST((read == bytes));
      Bytes ours;
      BOOST_REQUIRE(decompress_text(block, size, way == 2 ? ByteView(prefix.text) : ByteView{}, ours).has_value());
      BOOST_TEST((ours == bytes));
    }
    Bytes theirs(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(size))));
    const int written =
        LZ4_compress_default(reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<char*>(theirs.data()),
                             static_cast<int>(size), static_cast<int>(theirs.size()));
    Bytes ours;
    BOOST_REQUIRE(
        decompress_text(ByteView(theirs).first(static_cast<std::size_t>(written)), size, {}, ours).has_value());
    BOOST_TEST((ours == bytes));
  }
}

// Repeats close to the start, where copies overlap what they write.
BOOST_AUTO_TEST_CASE(searching_longer_pays_and_a_prefix_pays_more) {
  std::string text;
  Prng prng(32);
  for (int i = 0; i < 400; ++i)
    text += "/catalogue/item-" + std::to_string(prng.below(90)) + "?from=mail&page=" + std::to_string(prng.below(9));
  Bytes quick;
  Bytes thorough;
  Bytes prefixed;
  const TextPrefix prefix = make_prefix(as_bytes(text));
  (void)compress(as_bytes(text), quick);
  (void)compress_text(as_bytes(text), nullptr, thorough);
  (void)compress_text(as_bytes(text), &prefix, prefixed);
  BOOST_TEST(thorough.size() < quick.size());
  BOOST_TEST(prefixed.size() * 20 < thorough.size());
}
