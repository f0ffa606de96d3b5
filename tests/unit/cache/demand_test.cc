// What is asked for lately is worth most, and how long "lately" is follows from the requests.
#include "cache/demand.h"

#include <boost/test/unit_test.hpp>

#include "base/prng.h"

using namespace oas;
using namespace oas::cache;

namespace {

// A key of 0 to 999, small ones more often.
std::uint64_t skewed(Prng& prng) { return prng.below(prng.below(prng.below(1'000) + 1) + 1); }

}  // namespace

BOOST_AUTO_TEST_CASE(logarithms_are_exact_for_powers_and_grow) {
  for (std::uint32_t bit = 0; bit < 64; ++bit)
    BOOST_TEST(log2_q16(std::uint64_t{1} << bit) == std::uint64_t{bit} << 16);
  BOOST_TEST(log2_q16(3) == 103'872U);  // 1.58496
  for (std::uint64_t value = 1; value < 5'000; ++value) BOOST_TEST(log2_q16(value) <= log2_q16(value + 1));
  BOOST_TEST(log2_q16(0) == 0U);
}

BOOST_AUTO_TEST_CASE(a_request_now_beats_one_of_long_ago_and_loses_to_many_of_late) {
  Demand demand;
  for (int i = 0; i < 8; ++i) demand.add(1);
  demand.add(2);
  BOOST_TEST(demand.rank(1) > demand.rank(2));
  for (std::uint64_t tick = 0; tick < 4 * demand.half_life(); ++tick) demand.add(1'000 + tick % 4'000);
  demand.add(3);
  BOOST_TEST(demand.rank(3) > demand.rank(1));
}

BOOST_AUTO_TEST_CASE(the_half_life_follows_the_requests) {
  Prng prng(5);
  Demand demand;
  for (int i = 0; i < 60'000; ++i) demand.add(skewed(prng));
  BOOST_TEST(demand.half_life() >= 8'192U);
  // Other keys are the popular ones every 500 requests.
  for (std::uint64_t i = 0; i < 60'000; ++i) demand.add((skewed(prng) + i / 500 * 37) % 1'000);
  BOOST_TEST(demand.half_life() <= 2'048U);
  for (int i = 0; i < 60'000; ++i) demand.add(skewed(prng));
  BOOST_TEST(demand.half_life() >= 8'192U);
}

BOOST_AUTO_TEST_CASE(what_is_not_held_is_forgotten_in_the_end) {
  Demand demand;
  demand.add(1);
  demand.add(2);
  demand.hold(2);
  demand.hold(3);
  const std::uint64_t held = demand.rank(2);
  BOOST_TEST(demand.rank(3) < held);
  for (std::uint64_t key = 10; key < 10 + kGhostsMax; ++key) demand.add(key);
  BOOST_TEST(demand.rank(1) == 0U);
  BOOST_TEST(demand.rank(2) == held);
  BOOST_TEST(demand.rank(3) > 0U);
  demand.release(2);
  BOOST_TEST(demand.rank(2) == 0U);  // older than every ghost
}

// A count cannot leave its 32 bits, however long one key alone is asked for.
BOOST_AUTO_TEST_CASE(one_key_asked_for_without_end_keeps_its_rank) {
  Demand demand;
  demand.add(1);
  std::uint64_t before = 0;
  for (int i = 0; i < 600'000; ++i) {
    demand.add(1);
    if (i % 1'000 != 0) continue;
    BOOST_TEST(demand.rank(1) >= before);
    before = demand.rank(1);
  }
}
