#include <boost/test/unit_test.hpp>

#include "harness.h"
#include "queue/keys.h"
#include "queue/records.h"

namespace oas::test {
namespace {

constexpr std::uint8_t kConsent = static_cast<std::uint8_t>(sync::VoidReason::kConsent);
constexpr std::uint8_t kAnalytics = static_cast<std::uint8_t>(Lane::kAnalytics);

void give_up(Device& device, std::uint8_t lane = kAnalytics, std::uint8_t reason = kConsent) {
  device.feed(engine::Command{++device.commands, engine::Command::Op::kGiveUp, {lane, reason}});
}

std::uint64_t given_up(const Device& device) {
  BOOST_REQUIRE(!device.results.empty());
  return *wire::Reader(device.results.back().bytes).u64();
}

// Segments of a lane that still hold events.
std::size_t held(const Device& device, Lane lane) {
  const Bytes from = queue::pending_lane_prefix(lane);
  std::size_t count = 0;
  for (auto at = device.store.lower_bound(from); at != device.store.end() && at->first < queue::after_prefix(from);
       ++at)
    if (!queue::is_hole(at->second)) ++count;
  return count;
}

void track(Device& device, int count) {
  for (int i = 0; i < count; ++i) device.enqueue(Lane::kAnalytics, "page", std::to_string(i));
}

BOOST_AUTO_TEST_SUITE(give_up_of_a_lane)

BOOST_AUTO_TEST_CASE(nothing_of_the_lane_stays_stored_or_is_sent) {
  Server server;
  Device device(server, 11);
  device.go(false);
  track(device, 2'500);
  for (int i = 0; i < 10; ++i) device.enqueue(Lane::kNormal, "order", std::to_string(i));
  device.run(1'000);
  BOOST_TEST(held(device, Lane::kAnalytics) > 24U);  // more than one page
  give_up(device);
  BOOST_TEST(given_up(device) == 2'500U);
  BOOST_TEST(held(device, Lane::kAnalytics) == 0U);
  device.go(true);
  device.run(600'000);
  BOOST_TEST(server.effects.size() == 10U);
  BOOST_TEST(device.status.voided == 2'500U);
  BOOST_TEST(device.status.applied == 10U);
  BOOST_TEST(device.status.pending[kAnalytics] == 0U);
}

BOOST_AUTO_TEST_CASE(whoever_waits_for_them_is_told_why) {
  Server server;
  Device device(server, 11);
  device.go(false);
  track(device, 30);
  give_up(device);
  device.go(true);
  device.run(60'000);
  std::uint64_t told = 0;
  for (const engine::Settled& run : device.settled)
    for (const auto& one : run.exceptions) {
      BOOST_TEST(one.kind == static_cast<std::uint8_t>(sync::VerdictKind::kVoid));
      BOOST_TEST(one.code == kConsent);
      ++told;
    }
  BOOST_TEST(told == 30U);
}

BOOST_AUTO_TEST_CASE(the_stream_goes_on_behind_them) {
  Server server;
  Device device(server, 11);
  device.go(false);
  track(device, 5);
  give_up(device);
  track(device, 3);
  device.go(true);
  device.run(60'000);
  BOOST_TEST(server.effects.size() == 3U);
  BOOST_TEST(device.status.voided == 5U);
  BOOST_TEST(device.status.applied == 3U);
}

BOOST_AUTO_TEST_CASE(a_lost_reply_passes_them_once) {
  Server server;
  Device device(server, 11);
  device.go(false);
  track(device, 2'500);
  give_up(device);
  device.lose_replies = true;
  device.go(true);
  device.run(30'000);
  device.lose_replies = false;
  device.run(600'000);
  BOOST_TEST(server.effects.empty());
  BOOST_TEST(device.status.voided == 2'500U);
}

BOOST_AUTO_TEST_CASE(what_arrived_before_stays_applied) {
  Server server;
  Device device(server, 11);
  device.lose_replies = true;
  track(device, 40);
  device.run(1'000);
  BOOST_TEST(server.effects.size() == 40U);  // there, and nobody here knows
  give_up(device);
  BOOST_TEST(given_up(device) == 40U);
  device.lose_replies = false;
  device.run(600'000);
  BOOST_TEST(server.effects.size() == 40U);
  BOOST_TEST(device.status.pending[kAnalytics] == 0U);
}

BOOST_AUTO_TEST_CASE(twice_is_as_good_as_once) {
  Server server;
  Device device(server, 11);
  device.go(false);
  track(device, 7);
  give_up(device);
  give_up(device);
  BOOST_TEST(device.results.size() == 2U);
  BOOST_TEST(given_up(device) == 0U);
}

BOOST_AUTO_TEST_CASE(too_many_at_once_are_refused) {
  Server server;
  Device device(server, 11);
  std::vector<engine::Input> commands;
  for (std::uint32_t i = 0; i < 40; ++i)
    commands.push_back(engine::Command{1'000 + i, engine::Command::Op::kGiveUp, {kAnalytics, kConsent}});
  device.feed_all(std::move(commands));
  BOOST_TEST(device.results.size() == 16U);
  BOOST_REQUIRE(device.failed.size() == 24U);
  BOOST_TEST(device.failed[0].code == static_cast<std::uint16_t>(ErrorCode::kQueueFull));
}

BOOST_AUTO_TEST_CASE(nonsense_is_refused) {
  Server server;
  Device device(server, 11);
  give_up(device, 9);
  give_up(device, kAnalytics, static_cast<std::uint8_t>(sync::VoidReason::kLost));
  device.feed(engine::Command{++device.commands, engine::Command::Op::kGiveUp, {}});
  BOOST_TEST(device.failed.size() == 3U);
  for (const engine::Failed& one : device.failed)
    BOOST_TEST(one.code == static_cast<std::uint16_t>(ErrorCode::kInvalidArgument));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::test
