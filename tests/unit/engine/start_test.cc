// A context whose past cannot be read asks again, and spins on nothing meanwhile.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <variant>
#include <vector>

#include "engine/engine.h"

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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::test
