// Worlds in which the simulator once found something. A seed tells the same story only as long as neither the simulator nor the
// core draws other numbers, so each line says what the story was; the rules themselves have tests of their own.
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "sim/run.h"

namespace {

struct Story {
  const char* seed;
  const char* sentence;
};

constexpr Story kSafety[] = {
    {"54", "a third server answers while a device compares its streams with the second"},
    {"612", "a bit turns over in the record of numbers that were given up"},
    {"1170", "restored twice, with a copied profile: deferred for ever"},
    {"2048", "the same, with a rolled back profile"},
    {"2103", "two damaged records in a row, whose content the server had taken"},
    {"2291", "restored again before a device has sent again what it kept"},
    {"3027", "a copied device passes nothing"},
    {"3448", "a verdict of the server before last, counted twice"},
    {"4774", "deferred before a restore, judged after it by a copy"},
    {"4939", "the same, in two lanes"},
    {"5023", "a copied device passes nothing, its twin gave the numbers up"},
    {"5489", "the same, with many numbers"},
    {"6708", "the same, after a power cut"},
    {"8887", "a copy gives up as lost what the other still keeps"},
    {"8952", "deferred for ever, after three restores"},
};

}  // namespace

BOOST_AUTO_TEST_CASE(worlds_that_once_went_wrong_come_out_right) {
  for (const Story& story : kSafety) {
    BOOST_TEST_CONTEXT(story.seed << ": " << story.sentence)
    BOOST_TEST(oas::sim::simulate({"--seed", story.seed}) == 0);
  }
}
