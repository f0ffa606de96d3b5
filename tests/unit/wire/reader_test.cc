// Whatever the writer wrote, the reader reads back; whatever else it is given, it refuses or stays inside.
#include <boost/test/unit_test.hpp>
#include <limits>

#include "base/prng.h"
#include "wire/reader.h"
#include "wire/writer.h"

using namespace oas;
using namespace oas::wire;

namespace {

// Numbers of every length, with the borders of each.
std::vector<std::uint64_t> interesting() {
  std::vector<std::uint64_t> out{0, 1};
  for (std::uint32_t bit = 1; bit < 64; ++bit)
    for (const std::uint64_t near : {0ULL, 1ULL, 2ULL}) out.push_back((1ULL << bit) - 1 + near);
  out.push_back(std::numeric_limits<std::uint64_t>::max());
  Prng prng(1);
  for (int i = 0; i < 2'000; ++i) out.push_back(prng.next() >> prng.below(64));
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(numbers_come_back) {
  for (const std::uint64_t value : interesting()) {
    Bytes bytes;
    Writer out(bytes);
    out.u8(static_cast<std::uint8_t>(value));
    out.u16(static_cast<std::uint16_t>(value));
    out.u32(static_cast<std::uint32_t>(value));
    out.u64(value);
    out.i64(static_cast<std::int64_t>(value));
    out.varint(value);
    out.zigzag(static_cast<std::int64_t>(value));
    Reader in(bytes);
    BOOST_TEST(*in.u8() == static_cast<std::uint8_t>(value));
    BOOST_TEST(*in.u16() == static_cast<std::uint16_t>(value));
    BOOST_TEST(*in.u32() == static_cast<std::uint32_t>(value));
    BOOST_TEST(*in.u64() == value);
    BOOST_TEST(*in.i64() == static_cast<std::int64_t>(value));
    BOOST_TEST(*in.varint() == value);
    BOOST_TEST(*in.zigzag() == static_cast<std::int64_t>(value));
    BOOST_TEST(in.end().has_value());
  }
}

BOOST_AUTO_TEST_CASE(numbers_are_little_endian) {
  Bytes bytes;
  Writer(bytes).u64(0x0102030405060708ULL);
  BOOST_TEST(bytes == (Bytes{8, 7, 6, 5, 4, 3, 2, 1}), boost::test_tools::per_element());
}

// One value, one spelling: a second one would let equal content have two hashes.
BOOST_AUTO_TEST_CASE(every_varint_that_is_read_is_the_one_written) {
  const auto check = [](const Bytes& bytes) {
    Reader in(bytes);
    const auto value = in.varint();
    if (!value) return;
    Bytes again;
    Writer(again).varint(*value);
    BOOST_TEST(again == Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(in.offset())),
               boost::test_tools::per_element());
  };
  for (std::uint32_t a = 0; a < 256; ++a)
    for (std::uint32_t b = 0; b < 256; ++b) check({static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b)});
  Prng prng(2);
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes(12);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(prng.next() | (prng.chance(7, 8) ? 0x80 : 0));
    check(bytes);
  }
  BOOST_TEST((Reader(Bytes{0x80, 0x00}).varint().error().code == ErrorCode::kMalformed));
  BOOST_TEST((Reader(Bytes(11, 0xFF)).varint().error().code == ErrorCode::kMalformed));
}

BOOST_AUTO_TEST_CASE(a_cut_message_is_truncated_at_every_length) {
  Bytes bytes;
  Writer out(bytes);
  out.u32(7);
  out.text("twelve bytes");
  out.varint(1ULL << 40);
  out.u64(9);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Reader in(ByteView(bytes).first(size));
    const auto read = [&]() -> Result<void> {
      OAS_CHECK(in.u32());
      OAS_CHECK(in.text(100));
      OAS_CHECK(in.varint());
      OAS_CHECK(in.u64());
      return in.end();
    }();
    BOOST_REQUIRE(!read.has_value());
    BOOST_TEST((read.error().code == ErrorCode::kTruncated));
  }
}

BOOST_AUTO_TEST_CASE(hostile_sizes_allocate_and_read_nothing) {
  Bytes bytes;
  Writer(bytes).varint(std::numeric_limits<std::uint64_t>::max());
  BOOST_TEST((Reader(bytes).bytes(1'000).error() == Error{ErrorCode::kLimit, 1'000}));
  BOOST_TEST((Reader(bytes).bytes(std::numeric_limits<std::uint64_t>::max()).error().code == ErrorCode::kTruncated));
  BOOST_TEST((Reader(bytes).count(5).error() == Error{ErrorCode::kLimit, 5}));
  BOOST_TEST((Reader(bytes).raw(std::numeric_limits<std::uint64_t>::max()).error().code == ErrorCode::kTruncated));
}
