// What an engine makes of its past: what it cannot read it asks for again, what was settled before it was there it tells.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <variant>
#include <vector>

#include "harness.h"

namespace oas::test {
namespace {

using engine::Load;
using engine::Wake;

std::vector<Load> loads_of(std::span<const engine::Output> outputs) {
  std::vector<Load> loads;
  for (const engine::Output& output : outputs)
    if (const auto* load = std::get_if<Load>(&output)) loads.push_back(*load);
  return loads;
}

std::int64_t wake_of(std::span<const engine::Output> outputs) {
  const auto* wake = outputs.empty() ? nullptr : std::get_if<Wake>(&outputs.back());
  return wake != nullptr ? wake->at.value : 0;
}

BOOST_AUTO_TEST_SUITE(start)

BOOST_AUTO_TEST_CASE(is_tried_again_though_a_command_is_being_answered) {
  engine::Engine engine;
  const auto step = [&engine](std::int64_t mono, engine::Input input) {
    std::vector<engine::Input> inputs;
    inputs.push_back(std::move(input));
    const std::span<const engine::Output> outputs = engine.step({{mono}, {1'700'000'000'000 + mono}}, inputs);
    return std::vector<engine::Output>(outputs.begin(), outputs.end());
  };
  const std::vector<Load> first = loads_of(step(1, engine::Start{.epoch = {7}}));
  BOOST_REQUIRE(!first.empty());
  std::int64_t again = 0;
  for (const Load& load : first) again = std::max(again, wake_of(step(2, engine::LoadFailed{load.load})));
  BOOST_REQUIRE(again > 2);
  // The application looks at what is pending; that read is open when it is time to try again.
  const auto asked = step(again - 1, engine::Command{1, engine::Command::Op::kPending, {0, 0, 0, 0, 10, 0}});
  BOOST_REQUIRE_EQUAL(loads_of(asked).size(), 1U);
  const auto tried = step(again, engine::Woke{});
  BOOST_TEST(!loads_of(tried).empty());
  BOOST_TEST((wake_of(tried) == 0 || wake_of(tried) > again));
}

// Another context took over what this epoch had journalled, sent it and told of it, before this one had its core.
struct Late {
  Server server;
  Device first;

  Late() : first((server.handler = &say, server), 1) {
    for (const char* type : {"good", "bad", "good", "bad"}) first.enqueue(Lane::kNormal, type, "{}");
    first.enqueue(Lane::kLow, "good", "{}");
    first.run(60'000);
    BOOST_REQUIRE_EQUAL(first.status.dead, 2U);
  }
  static sync::Outcome say(const sync::PlannedEvent& event) {
    if (event.event.type == "bad") return {sync::VerdictKind::kRejected, 901};
    return {event.event.type == "open" ? sync::VerdictKind::kDeferred : sync::VerdictKind::kApplied, 0};
  }
  // What a core that comes late tells of `lane`.
  std::vector<engine::Settled> told(Lane lane) {
    Device second(server, 1, first.store);
    second.run(60'000);
    std::erase_if(second.settled, [lane](const engine::Settled& one) { return one.stream.lane != lane; });
    return second.settled;
  }
};

BOOST_AUTO_TEST_CASE(what_was_settled_before_is_told_with_what_was_rejected) {
  Late late;
  const std::vector<engine::Settled> told = late.told(Lane::kNormal);
  BOOST_REQUIRE_EQUAL(told.size(), 1U);
  BOOST_TEST(told[0].from.value == 1U);
  BOOST_TEST(told[0].upto.value == 4U);
  BOOST_REQUIRE_EQUAL(told[0].exceptions.size(), 2U);
  for (const std::size_t at : {0U, 1U}) {
    BOOST_TEST(told[0].exceptions[at].seq.value == 2 * (at + 1));
    BOOST_TEST(told[0].exceptions[at].kind == static_cast<std::uint8_t>(sync::VerdictKind::kRejected));
    BOOST_TEST(told[0].exceptions[at].code == 901);
  }
  BOOST_REQUIRE_EQUAL(late.told(Lane::kLow).size(), 1U);
  BOOST_TEST(late.told(Lane::kLow)[0].exceptions.empty());
}

BOOST_AUTO_TEST_CASE(nothing_is_told_as_applied_where_a_dead_letter_is_gone) {
  Late late;
  late.first.store.erase(late.first.store.lower_bound(Bytes{'x'}));
  BOOST_TEST(late.told(Lane::kNormal).empty());
  BOOST_TEST(late.told(Lane::kLow).size() == 1U);
}

BOOST_AUTO_TEST_CASE(nothing_is_told_where_a_verdict_is_open) {
  Late late;
  late.first.enqueue(Lane::kNormal, "open", "{}");
  late.first.run(60'000);
  BOOST_TEST(late.told(Lane::kNormal).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::test
