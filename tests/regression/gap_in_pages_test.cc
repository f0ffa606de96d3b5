// A queue is read page by page while contexts go on storing. One whose clock is behind stores under keys that were passed.
#include <boost/test/unit_test.hpp>
#include <set>

#include "queue/keys.h"
#include "queue/records.h"
#include "sync/push_plan.h"

using namespace oas;

namespace {

constexpr StreamId kQuick{{1}, Lane::kHigh};
constexpr StreamId kSlow{{2}, Lane::kHigh};

queue::Put record(StreamId stream, std::uint64_t clock, std::uint64_t first, std::uint64_t last) {
  return {queue::pending_key({{clock}, stream, {first}, {last}}),
          queue::write_record(queue::HoleRecord{.reason = 0, .before = {first}, .after = {last + 1}})};
}

using Records = std::vector<queue::Put>;

// Plans over `seen`, but the first page is read before `late` is there.
sync::PushPlan plan(const sync::Remembered& remembered, std::set<Bytes>& suspects, const Records& seen,
                    const Records& late) {
  static const std::set<StreamId> kNone;
  sync::PushPlan plan(remembered, {.events = 100'000}, kNone, suspects);
  std::map<Bytes, Bytes> stored;
  for (const queue::Put& put : seen) stored[put.key] = put.value;
  while (const auto wish = plan.next()) {
    Records page;
    for (auto at = stored.lower_bound(wish->range.from);
         at != stored.end() && at->first < wish->range.to && page.size() < wish->records_max; ++at)
      page.push_back({at->first, at->second});
    plan.feed(std::move(page));
    for (const queue::Put& put : late) stored[put.key] = put.value;
  }
  return plan;
}

std::uint64_t given_up(const sync::PushPlan& plan) {
  std::uint64_t numbers = 0;
  for (const sync::Planned& item : plan.items())
    if (item.record.empty()) numbers += item.key.last.value - item.key.first.value + 1;
  return numbers;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gap_in_pages)

BOOST_AUTO_TEST_CASE(only_a_second_reading_proves_that_nobody_holds_what_lies_in_a_gap) {
  sync::Remembered remembered;
  remembered.marks[kSlow].value = {.mark = {{1}, {1}}, .rewind = queue::Rewind::kCompared};
  Records quick;
  for (std::uint64_t n = 1; n <= 40; ++n) quick.push_back(record(kQuick, 100 + n, n, n));
  const Records slow{record(kSlow, 50, 2, 4), record(kSlow, 200, 5, 6)};
  std::set<Bytes> suspects;

  const sync::PushPlan first = plan(remembered, suspects, quick, slow);
  BOOST_TEST(first.suspicious());
  BOOST_TEST(given_up(first) == 0U);

  Records all = quick;
  all.insert(all.end(), slow.begin(), slow.end());
  const sync::PushPlan second = plan(remembered, suspects, all, {});
  BOOST_TEST(!second.suspicious());
  BOOST_TEST(given_up(second) == 0U);

  // And where they are not there, they are given up at the second look.
  suspects.clear();
  Records lacking = quick;
  lacking.push_back(slow.back());
  lacking.push_back(record(kSlow, 300, 8, 8));
  BOOST_TEST(plan(remembered, suspects, lacking, {}).suspicious());
  BOOST_TEST(plan(remembered, suspects, lacking, {}).suspicious());
  BOOST_TEST(given_up(plan(remembered, suspects, lacking, {})) == 4U);
}

BOOST_AUTO_TEST_SUITE_END()
