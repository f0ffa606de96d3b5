#include "device/ladder.h"

#include <boost/test/unit_test.hpp>

using oas::device::Ladder;
using oas::device::Rung;

BOOST_AUTO_TEST_SUITE(ladder)

BOOST_AUTO_TEST_CASE(each_rung_begins_where_it_says) {
  const std::pair<std::uint64_t, Rung> edges[] = {
      {0, Rung::kOk},           {699, Rung::kOk},           {700, Rung::kWarn},
      {750, Rung::kCompact},    {800, Rung::kEvict},        {900, Rung::kSample},
      {950, Rung::kRefuseBulk}, {980, Rung::kCriticalOnly}, {2'000, Rung::kCriticalOnly}};
  for (const auto& [usage, rung] : edges) {
    Ladder ladder;
    BOOST_TEST((ladder.look(usage, 1'000) == rung), "at " << usage);
  }
}

BOOST_AUTO_TEST_CASE(a_figure_at_an_edge_does_not_flicker) {
  Ladder ladder;
  BOOST_TEST((ladder.look(801, 1'000) == Rung::kEvict));
  BOOST_TEST((ladder.look(799, 1'000) == Rung::kEvict));
  BOOST_TEST((ladder.look(771, 1'000) == Rung::kEvict));
  BOOST_TEST((ladder.look(769, 1'000) == Rung::kCompact));
  BOOST_TEST((ladder.look(0, 1'000) == Rung::kOk));
}

BOOST_AUTO_TEST_CASE(a_refusal_counts_more_than_an_estimate_until_the_next_look) {
  Ladder ladder;
  BOOST_TEST((ladder.refused() == Rung::kCriticalOnly));
  BOOST_TEST((ladder.rung() == Rung::kCriticalOnly));
  BOOST_TEST((ladder.look(10, 1'000) == Rung::kOk));
}

BOOST_AUTO_TEST_CASE(strange_estimates_are_no_trouble) {
  Ladder ladder;
  BOOST_TEST((ladder.look(5, 0) == Rung::kOk));
  BOOST_TEST((ladder.look(~std::uint64_t{0}, ~std::uint64_t{0}) == Rung::kCriticalOnly));
  BOOST_TEST((ladder.look(0, ~std::uint64_t{0}) == Rung::kOk));
}

BOOST_AUTO_TEST_SUITE_END()
