// Hashes of values: elements of lists are known by them (identity.h), and the sides of a three-way merge get their epochs from them.
#include <boost/test/unit_test.hpp>
#include <map>
#include <string>

#include "merge/json.h"
#include "merge/three_way.h"
#include "tests/unit/merge/samples.h"

using namespace oas;
using namespace oas::merge;
using samples::json;

BOOST_AUTO_TEST_CASE(small_values_do_not_share_a_hash) {
  std::map<std::uint64_t, std::string> seen;
  const auto add = [&seen](const std::string& text) {
    const auto [at, fresh] = seen.emplace(json(text).hash(), text);
    BOOST_TEST(fresh, text << " has the hash of " << at->second);
  };
  for (const char* one : {"null", "true", "false", "\"\"", "[]", "{}", "0.5", "-0.5", "1.5", "[null]", "[true]"})
    add(one);
  for (int n = -1'000; n <= 1'000; ++n) add(std::to_string(n));
  // One of many fields is set: by two people, it may be another field each.
  for (int set = 0; set < 8; ++set) {
    std::string text;
    for (int field = 0; field < 8; ++field)
      text += (field == 0 ? R"({"f)" : R"(,"f)") + std::to_string(field) + (field == set ? R"(":true)" : R"(":null)");
    add(text + "}");
  }
}

BOOST_AUTO_TEST_CASE(two_sides_that_set_one_field_each_are_both_there) {
  const auto merged = merge_three_way(json(R"({"a":null,"b":null})"), json(R"({"a":true,"b":null})"),
                                      json(R"({"a":null,"b":true})"), {});
  BOOST_REQUIRE(merged.has_value());
  BOOST_TEST(to_json(*merged->shown.value) == R"({"a":true,"b":true})");
}
