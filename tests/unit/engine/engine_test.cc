#include <boost/test/unit_test.hpp>
#include <functional>

#include "harness.h"

using namespace oas;
using oas::test::Device;
using oas::test::Server;

BOOST_AUTO_TEST_SUITE(client_engine)

BOOST_AUTO_TEST_CASE(an_event_reaches_the_server_once) {
  Server server;
  Device device(server, 11);
  device.enqueue(Lane::kNormal, "order", R"({"n":1})");
  device.run(1'000);
  BOOST_TEST(server.effects.size() == 1U);
  BOOST_TEST(device.accepted.size() == 1U);
  BOOST_REQUIRE_EQUAL(device.settled.size(), 1U);
  BOOST_TEST(device.settled[0].upto.value == 1U);
  BOOST_TEST(device.status.applied == 1U);
  BOOST_TEST(device.status.pending[2] == 0U);
}

// The server commits, the answer is lost: the repeated push has no second effect.
BOOST_AUTO_TEST_CASE(a_lost_reply_does_not_double) {
  Server server;
  Device device(server, 11);
  device.lose_replies = true;
  for (int i = 0; i < 5; ++i) device.enqueue(Lane::kNormal, "order", std::to_string(i));
  device.run(5'000);
  BOOST_TEST(server.effects.size() == 5U);
  device.lose_replies = false;
  device.run(60'000);
  BOOST_TEST(server.effects.size() == 5U);
  BOOST_TEST(device.status.applied == 5U);
}

BOOST_AUTO_TEST_CASE(a_restart_offline_loses_nothing) {
  Server server;
  test::Store store;
  {
    Device device(server, 11);
    device.go(false);
    for (int i = 0; i < 2'000; ++i) device.enqueue(Lane::kLow, "tick", std::to_string(i));
    device.run(1'000);
    BOOST_TEST(server.effects.empty());
    BOOST_TEST(device.accepted.size() == 2'000U);
    store = device.store;
  }
  Device reborn(server, 12, store);
  reborn.run(60'000);
  BOOST_REQUIRE_EQUAL(server.effects.size(), 2'000U);
  for (std::size_t i = 0; i < server.effects.size(); ++i)
    BOOST_REQUIRE_EQUAL(server.effects[i], "tick/" + std::to_string(i));
  BOOST_TEST(reborn.status.applied == 2'000U);
}

// What an urgent event depends on may be longer than a request: then the request is full, never over its limits.
BOOST_AUTO_TEST_CASE(a_long_prefix_is_cut_at_the_limits_of_a_request) {
  Server server;
  Device device(server, 11);
  device.go(false);
  for (int i = 0; i < 1'500; ++i) device.enqueue(Lane::kNormal, "step", std::to_string(i), "cart");  // one segment each
  device.enqueue(Lane::kCritical, "step", "1500", "cart");
  device.go(true);
  device.run(60'000);
  BOOST_TEST(server.refused == 0U);
  BOOST_REQUIRE_EQUAL(server.effects.size(), 1'501U);
  for (std::size_t i = 0; i < server.effects.size(); ++i)
    BOOST_REQUIRE_EQUAL(server.effects[i], "step/" + std::to_string(i));
}

// An urgent event is in the first request, whatever lies before it.
BOOST_AUTO_TEST_CASE(critical_goes_first) {
  Server server;
  Device device(server, 11);
  device.go(false);
  for (int i = 0; i < 5'000; ++i) device.enqueue(Lane::kLow, "tick", std::to_string(i));
  device.enqueue(Lane::kCritical, "alarm", "1");
  device.run(1'000);
  device.go(true);
  device.run(60'000);
  BOOST_REQUIRE(!server.request_lanes.empty());
  BOOST_TEST((server.request_lanes[0] & 1U) == 1U);
  BOOST_TEST(server.effects.size() == 5'001U);
}

// One entity, lanes alternating: applied in the order the calls were made.
BOOST_AUTO_TEST_CASE(an_entity_keeps_its_order_across_lanes) {
  Server server;
  Device device(server, 11);
  device.go(false);
  for (int i = 0; i < 300; ++i)
    device.enqueue(i % 3 == 0   ? Lane::kCritical
                   : i % 3 == 1 ? Lane::kNormal
                                : Lane::kHigh,
                   "cart", std::to_string(i), "cart/1");
  device.run(1'000);
  device.go(true);
  device.run(60'000);
  BOOST_REQUIRE_EQUAL(server.effects.size(), 300U);
  for (std::size_t i = 0; i < server.effects.size(); ++i)
    BOOST_REQUIRE_EQUAL(server.effects[i], "cart/" + std::to_string(i));
}

BOOST_AUTO_TEST_CASE(a_rejection_becomes_a_dead_letter_and_can_be_retried) {
  Server server;
  server.handler = [](const sync::PlannedEvent& event) {
    return as_text(event.event.json) == "13" ? sync::Outcome{sync::VerdictKind::kRejected, 400} : sync::Outcome{};
  };
  Device device(server, 11);
  for (int i = 10; i < 20; ++i) device.enqueue(Lane::kNormal, "order", std::to_string(i));
  device.run(10'000);
  BOOST_TEST(server.effects.size() == 9U);
  BOOST_TEST(device.status.dead == 1U);
  BOOST_TEST(device.status.applied == 9U);
  const auto letter = device.store.lower_bound(Bytes{'x'});
  BOOST_REQUIRE(letter != device.store.end() && letter->first[0] == 'x');

  Bytes args;
  wire::Writer out(args);
  out.u64(11);
  out.u8(2);
  out.u64(4);
  out.raw(as_bytes("14"));
  device.feed(engine::Command{500, engine::Command::Op::kDeadLetterRetry, args});
  device.run(10'000);
  BOOST_TEST(server.effects.size() == 10U);
  BOOST_TEST((device.store.lower_bound(Bytes{'x'}) == device.store.end()));
}

// Late verdicts are asked for ever more seldom; what is new goes out at once.
BOOST_AUTO_TEST_CASE(a_new_event_does_not_wait_for_the_verdict_of_a_deferred_one) {
  Server server;
  server.handler = [](const sync::PlannedEvent& event) {
    return sync::Outcome{as_text(event.event.json) == "1" ? sync::VerdictKind::kDeferred : sync::VerdictKind::kApplied};
  };
  Device device(server, 11);
  device.enqueue(Lane::kNormal, "e", "1");
  device.run(600'000);
  device.enqueue(Lane::kNormal, "e", "2");
  BOOST_TEST(server.effects.size() == 1U);
  BOOST_TEST(device.status.deferred == 1U);
}

BOOST_AUTO_TEST_CASE(bad_calls_are_refused_with_nothing_stored) {
  Server server;
  Device device(server, 11);
  device.go(false);
  device.enqueue(Lane::kNormal, "a", "{\"x\":\"\\ud800\"}");
  device.enqueue(Lane::kNormal, "a", std::string(100, '[') + std::string(100, ']'));
  device.enqueue(Lane::kNormal, "", "1");
  device.enqueue(Lane::kNormal, "a", "\"" + std::string(50'000, 'x') + "\"");
  BOOST_REQUIRE_EQUAL(device.failed.size(), 4U);
  BOOST_TEST(device.failed[0].code == static_cast<std::uint16_t>(ErrorCode::kLoneSurrogate));
  BOOST_TEST(device.failed[1].code == static_cast<std::uint16_t>(ErrorCode::kTooDeep));
  BOOST_TEST(device.failed[2].code == static_cast<std::uint16_t>(ErrorCode::kInvalidEnvelope));
  BOOST_TEST(device.failed[3].code == static_cast<std::uint16_t>(ErrorCode::kEventTooLarge));
  for (const auto& [key, value] : device.store) BOOST_TEST((key[0] != 's'));
}

BOOST_AUTO_TEST_SUITE_END()
