// The cache holds its budget, never touches what is pinned, keeps what is asked for, and repeats itself.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "base/prng.h"
#include "cache/service.h"
#include "wire/writer.h"

using namespace oas;
using namespace oas::cache;

namespace {

// What one run leaves behind: hits, and every victim in order.
struct Run {
  std::uint32_t hits = 0;
  std::vector<std::uint64_t> victims;
};

Run run(Policy policy, std::uint64_t seed, std::uint64_t budget) {
  Prng prng(seed);
  Cache cache(budget, policy);
  Run out;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t key = prng.below(prng.below(2'000) + 1);
    if (cache.touch(key)) {
      ++out.hits;
      continue;
    }
    for (const std::uint64_t victim : cache.put({.key = key, .bytes = 100 + key * 13 % 5'000})) {
      BOOST_TEST(!cache.holds(victim));
      out.victims.push_back(victim);
    }
    BOOST_TEST(cache.bytes() <= budget);
  }
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_policy_holds_the_budget_and_repeats_itself) {
  for (const Policy policy : {Policy::kValue, Policy::kLru, Policy::kLfu, Policy::kTinyLfu, Policy::kGdsf}) {
    const Run once = run(policy, 1, 200'000);
    BOOST_TEST(once.hits > 1'000U);
    BOOST_TEST((once.victims == run(policy, 1, 200'000).victims));
  }
  BOOST_TEST(run(Policy::kValue, 2, 200'000).hits > run(Policy::kLru, 2, 200'000).hits);
}

BOOST_AUTO_TEST_CASE(pinned_items_stay_and_priority_counts) {
  Cache cache(10'000);
  BOOST_TEST(cache.put({.key = 1, .bytes = 4'000, .pinned = true}).empty());
  BOOST_TEST(cache.put({.key = 2, .bytes = 3'000, .priority = 10}).empty());
  for (std::uint64_t key = 3; key < 50; ++key) {
    cache.touch(key);
    (void)cache.put({.key = key, .bytes = 2'900, .priority = 1});
  }
  BOOST_TEST(cache.holds(1));
  BOOST_TEST(cache.holds(2));
  cache.set_budget(1'000);
  (void)cache.shrink();
  BOOST_TEST(cache.holds(1));
  BOOST_TEST(cache.count() == 1U);
}

BOOST_AUTO_TEST_CASE(an_item_larger_than_the_budget_is_its_own_victim) {
  Cache cache(1'000);
  BOOST_TEST((cache.put({.key = 7, .bytes = 1'001}) == std::vector<std::uint64_t>{7}));
  BOOST_TEST(cache.bytes() == 0U);
}

BOOST_AUTO_TEST_CASE(content_comes_back_and_damage_is_refused) {
  Service service;
  Prng prng(4);
  Bytes packed;
  Bytes out;
  for (int i = 0; i < 300; ++i) {
    Bytes content;
    for (std::uint32_t left = prng.below(5'000); left > 0; --left)
      content.push_back(static_cast<std::uint8_t>(prng.chance(1, 3) ? prng.next() : 'a' + left % 7));
    BOOST_REQUIRE(service.call(1, content, packed).has_value());
    BOOST_TEST(packed.size() <= content.size() + 4);
    BOOST_REQUIRE(service.call(2, packed, out).has_value());
    BOOST_TEST((out == content));
    Bytes damaged = packed;
    damaged[prng.below(static_cast<std::uint32_t>(damaged.size()))] ^= 0x41;
    if (const auto read = service.call(2, damaged, out); read) BOOST_TEST(out.size() <= kContentBytesMax);
  }
  BOOST_TEST((service.call(9, Bytes(8), out).error().code == ErrorCode::kInvalidArgument));
  BOOST_TEST((service.call(3, Bytes(7), out).error().code == ErrorCode::kTruncated));
}
