// Who drains, when the one who did is gone.
#include <boost/test/unit_test.hpp>

#include "base/limits.h"
#include "harness.h"

namespace oas::test {
namespace {

constexpr std::uint64_t kGone = 1;
constexpr std::uint64_t kNext = 2;

// The storage of a page that queued one event without a network, and disappeared with the lease.
Store left_behind(Server& server) {
  Device page(server, kGone);
  page.go(false);
  page.enqueue(Lane::kNormal, "t", "1");
  return page.store;
}

BOOST_AUTO_TEST_SUITE(lease)

BOOST_AUTO_TEST_CASE(of_a_context_that_is_gone_is_taken_over_at_once) {
  Server server;
  Device next(server, kNext, left_behind(server));
  BOOST_REQUIRE(next.follows.size() == 1U);
  BOOST_TEST(next.follows[0].value == kGone);
  next.run(100);
  BOOST_TEST(server.effects.empty());
  next.feed(engine::Gone{{kGone}});
  BOOST_TEST(server.effects.size() == 1U);
  BOOST_TEST(static_cast<int>(next.status.phase) == static_cast<int>(engine::Phase::kIdle));
}

BOOST_AUTO_TEST_CASE(is_not_taken_because_somebody_else_is_gone) {
  Server server;
  Device next(server, kNext, left_behind(server));
  next.feed(engine::Gone{{kGone + kNext}});
  BOOST_TEST(server.effects.empty());
  BOOST_TEST(static_cast<int>(next.status.phase) == static_cast<int>(engine::Phase::kFollowing));
}

BOOST_AUTO_TEST_CASE(is_taken_over_when_stale_where_no_host_can_tell) {
  Server server;
  Device next(server, kNext, left_behind(server));
  next.run(kLeaseStaleMs - 1'000);
  BOOST_TEST(server.effects.empty());
  next.run(2'000);
  BOOST_TEST(server.effects.size() == 1U);
}

BOOST_AUTO_TEST_CASE(holder_that_was_wrongly_called_gone_finds_out_and_follows) {
  Server server;
  Device first(server, kGone);
  first.go(false);
  first.enqueue(Lane::kNormal, "t", "1");
  Device second(server, kNext, first.store);
  second.go(false);
  second.feed(engine::Gone{{kGone}});
  BOOST_TEST(static_cast<int>(second.status.phase) == static_cast<int>(engine::Phase::kOffline));
  // Both share one database: what the second has written is there for the first.
  first.store = second.store;
  first.go(true);
  BOOST_REQUIRE(!first.follows.empty());
  BOOST_TEST(first.follows.back().value == kNext);
  BOOST_TEST(server.effects.empty());
  first.feed(engine::Gone{{kNext}});
  BOOST_TEST(server.effects.size() == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::test
