// A server that comes back from a backup, small worlds enumerated: whatever a device still keeps takes effect again, once.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <set>

#include "queue/keys.h"
#include "queue/records.h"
#include "unit/engine/harness.h"

using namespace oas;
using oas::test::Device;
using oas::test::Server;

namespace {

constexpr std::int64_t kLongEnoughMs = 40'000'000;

void make(Device& device, int from, int to) {
  for (int i = from; i <= to; ++i) device.enqueue(Lane::kNormal, "e", std::to_string(i));
  device.run(100);
}

Server as_new(Incarnation incarnation) {
  Server server;
  server.incarnation = incarnation;
  return server;
}

void restore(Server& server, const Server& backup, std::int64_t incarnation) {
  const std::uint32_t requests = server.requests;
  const std::function<void(std::uint32_t)> before = server.before;
  server = backup;
  server.requests = requests;
  server.before = before;
  server.incarnation = {{incarnation}, 1};
}

bool has_each_once(const Server& server, int upto) {
  return static_cast<int>(server.effects.size()) == upto &&
         static_cast<int>(std::set<std::string>(server.effects.begin(), server.effects.end()).size()) == upto;
}

// Forgets the oldest kept segment, as a device does that was told of a backup which the other was not told of.
void forget_first(test::Store& store) { store.erase(store.lower_bound({'s', 't'})); }

}  // namespace

BOOST_AUTO_TEST_SUITE(restored_server)

// The second restore strikes before the n-th request after the first one: between comparing, offering and passing.
BOOST_AUTO_TEST_CASE(restored_again_before_a_device_has_sent_again_what_it_kept) {
  for (std::uint32_t n = 1; n <= 12; ++n) {
    Server server;
    const Server empty = as_new({});
    Device device(server, 11);
    make(device, 1, 3);
    const Server half = server;
    make(device, 4, 6);
    restore(server, half, 2);
    const std::uint32_t start = server.requests;
    server.before = [&](std::uint32_t request) {
      if (request == start + n) restore(server, empty, 3);
    };
    make(device, 7, 7);
    device.run(kLongEnoughMs);
    make(device, 8, 8);
    device.run(kLongEnoughMs);
    BOOST_TEST(has_each_once(server, 8), "the second restore before request " << n);
    BOOST_TEST(device.status.deferred == 0U);
  }
}

// Two copies of a profile. The one that keeps less comes first and gives up the numbers before its own.
BOOST_AUTO_TEST_CASE(a_copy_gives_up_as_lost_what_the_other_still_keeps) {
  for (const bool keeper_was_there : {false, true}) {
    Server server;
    Device keeper(server, 11);
    make(keeper, 1, 3);
    make(keeper, 4, 6);
    test::Store copied = keeper.store;
    forget_first(copied);
    keeper.go(false);
    restore(server, as_new({}), 2);
    if (keeper_was_there) {
      // It has met the server, and what it keeps is pending; the copy is faster.
      server.before = [&](std::uint32_t) { keeper.online = false; };
      keeper.go(true);
      server.before = {};
      keeper.go(false);
    }
    Device copy(server, 12, copied);
    make(copy, 7, 7);
    copy.run(kLongEnoughMs);
    BOOST_TEST(server.effects.size() < 7U);
    keeper.go(true);
    make(keeper, 8, 8);
    keeper.run(kLongEnoughMs);
    BOOST_TEST(has_each_once(server, 8));
  }
}

// Kept until a backup covered it, and then the server came back from an older one.
BOOST_AUTO_TEST_CASE(numbers_that_nobody_holds_any_more_are_passed) {
  for (const int forgotten : {1, 4, 6}) {
    Server server;
    Device device(server, 11);
    make(device, 1, 3);
    make(device, 4, 6);
    test::Store store = device.store;
    for (int i = 0; i < forgotten; ++i) forget_first(store);
    restore(server, as_new({}), 2);
    Device reborn(server, 12, store);
    make(reborn, 7, 7);
    reborn.run(kLongEnoughMs);
    BOOST_TEST(reborn.status.pending[2] == 0U);
    BOOST_TEST(reborn.status.voided == static_cast<std::uint64_t>(forgotten));
    BOOST_TEST(server.effects.size() == static_cast<std::size_t>(7 - forgotten));
  }
}

// The final verdict came after the backup that let the device forget the event.
BOOST_AUTO_TEST_CASE(an_event_held_by_the_server_alone_is_deferred_and_then_final) {
  Server server;
  server.handler = [](const sync::PlannedEvent& event) {
    return sync::Outcome{as_text(event.event.json) == "2" ? sync::VerdictKind::kDeferred : sync::VerdictKind::kApplied};
  };
  Device device(server, 11);
  make(device, 1, 3);
  BOOST_TEST(device.status.deferred == 1U);
  const Server backup = server;
  server.release();
  device.run(kLongEnoughMs);
  BOOST_TEST(device.status.deferred == 0U);
  test::Store store = device.store;
  while (store.lower_bound({'s', 't'}) != store.lower_bound({'s', 'u'})) forget_first(store);
  restore(server, backup, 2);
  Device reborn(server, 12, store);
  make(reborn, 4, 4);
  BOOST_TEST(reborn.status.deferred == 1U);
  server.release();
  reborn.run(kLongEnoughMs);
  BOOST_TEST(reborn.status.deferred == 0U);
  BOOST_TEST(reborn.status.applied == 4U);
  BOOST_TEST(reborn.status.voided == 0U);
  BOOST_TEST(reborn.status.dead == 0U);
  BOOST_TEST(reborn.status.created == 4U);
  BOOST_TEST(reborn.status.pending[2] == 0U);
}

BOOST_AUTO_TEST_CASE(damaged_records_in_a_row_whose_content_the_server_has) {
  Server server;
  Device device(server, 11);
  device.lose_replies = true;
  make(device, 1, 1);
  device.go(false);
  make(device, 2, 2);
  make(device, 3, 3);
  test::Store store = device.store;
  std::uint32_t damaged = 0;
  for (auto& [key, value] : store)
    if (key[0] == 's' && key[1] == 'p' && damaged < 2) {
      value.back() ^= 1U;
      ++damaged;
    }
  BOOST_REQUIRE_EQUAL(damaged, 2U);
  Device reborn(server, 12, store);
  make(reborn, 4, 4);
  reborn.run(kLongEnoughMs);
  BOOST_TEST(server.effects == (std::vector<std::string>{"e/1", "e/3", "e/4"}), boost::test_tools::per_element());
  BOOST_TEST(reborn.status.pending[2] == 0U);
}

BOOST_AUTO_TEST_CASE(a_bit_turns_over_in_the_record_of_numbers_that_were_given_up) {
  const queue::HoleRecord hole{.reason = 0, .before = {1}, .after = {2}};
  const Bytes good = queue::write_record(hole);
  BOOST_TEST(queue::read_record<queue::HoleRecord>(good).has_value());
  for (std::size_t bit = 8; bit < good.size() * 8; ++bit) {
    Bytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    const auto read = queue::read_record<queue::HoleRecord>(bad);
    BOOST_REQUIRE(!read.has_value());
    BOOST_REQUIRE(read.error().code == ErrorCode::kChecksum);
  }
}

BOOST_AUTO_TEST_SUITE_END()
