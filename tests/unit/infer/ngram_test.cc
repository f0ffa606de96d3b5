// The featuriser gives the committed buckets: the file comes from a second implementation in scripts/models-golden.mjs.
#include <boost/test/unit_test.hpp>

#include "golden_file.h"
#include "infer/ngram.h"
#include "wire/reader.h"

namespace oas::infer {
namespace {

BOOST_AUTO_TEST_SUITE(ngram)

BOOST_AUTO_TEST_CASE(buckets_equal_the_golden_vectors) {
  const Bytes file = test::golden_file("infer_ngram_v1.bin");
  wire::Reader in(file);
  const std::uint32_t count = in.u32().value();
  BOOST_REQUIRE_EQUAL(count, 1000);
  NgramHasher hasher;
  for (std::uint32_t i = 0; i < count; ++i) {
    NgramParams params;
    params.buckets_log2 = in.u8().value();
    params.char_min = in.u8().value();
    params.char_max = in.u8().value();
    const ByteView text = in.bytes(100'000).value();
    std::vector<std::uint32_t> wanted(in.count(1'000'000).value());
    std::uint32_t last = 0;
    for (std::uint32_t& bucket : wanted) bucket = last += in.count(1U << kBucketsLog2Max).value();
    const auto found = hasher.features(text, params);
    BOOST_TEST_CONTEXT("text " << i) { BOOST_TEST(found == wanted, boost::test_tools::per_element()); }
  }
  BOOST_TEST(in.left() == 0);
}

BOOST_AUTO_TEST_CASE(text_behind_the_cap_changes_nothing) {
  NgramHasher hasher;
  const std::string head(kTextBytesMax, 'a');
  const auto first = hasher.features(as_bytes(head), NgramParams{});
  const std::vector<std::uint32_t> wanted(first.begin(), first.end());
  const auto second = hasher.features(as_bytes(head + "b c d"), NgramParams{});
  BOOST_TEST(second == wanted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(case_makes_no_difference) {
  NgramHasher hasher;
  const auto first = hasher.features(as_bytes("straße ΑΘΗΝΑ Ünïcode"), NgramParams{});
  const std::vector<std::uint32_t> wanted(first.begin(), first.end());
  const auto second = hasher.features(as_bytes("STRAẞE αθηνα üNÏCODE"), NgramParams{});
  BOOST_TEST(second == wanted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::infer
