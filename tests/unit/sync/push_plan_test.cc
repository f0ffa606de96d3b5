// How much of the queue a plan reads decides nothing but the number of reads.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <set>

#include "base/sort.h"
#include "queue/keys.h"
#include "sync/push_plan.h"
#include "wire/segment.h"

using namespace oas;

namespace {

using Records = std::vector<queue::Put>;

constexpr StreamId kStream{{7}, Lane::kNormal};
constexpr std::uint32_t kSegmentEvents = 100;

// Segments of one stream, in order.
Records queue_of(std::uint32_t segments) {
  Records records;
  RollingHash hash{};
  for (std::uint32_t n = 0; n < segments; ++n) {
    wire::SegmentBuilder builder(kStream, {n * kSegmentEvents + 1ULL}, hash);
    for (std::uint32_t i = 0; i < kSegmentEvents; ++i)
      builder.add({.hlc = {n * kSegmentEvents + i + 1ULL},
                   .type = "visit",
                   .module = {},
                   .entity = {},
                   .dedupe_key = {},
                   .replaces = {},
                   .json = as_bytes("{}")});
    hash = builder.hash();
    for (wire::SealedSegment& sealed : builder.seal())
      records.push_back(
          {queue::pending_key({sealed.hlc_first, kStream, sealed.first, sealed.last}), std::move(sealed.bytes)});
  }
  return records;
}

struct Outcome {
  std::vector<queue::SegmentKey> keys;
  std::uint32_t read{};  // records that were read
  std::uint32_t next_page{};
};

// Gives the plan what it asks for, to its end; how many records it has read.
std::uint32_t read_all(sync::PushPlan& plan, const Records& stored) {
  std::uint32_t read = 0;
  while (const auto wish = plan.next()) {
    Records page;
    for (const queue::Put& put : stored)
      if (put.key >= wish->range.from && put.key < wish->range.to && page.size() < wish->records_max)
        page.push_back(put);
    read += static_cast<std::uint32_t>(page.size());
    plan.feed(std::move(page));
  }
  return read;
}

// One event of the entity that all streams share.
void add_turn(wire::SegmentBuilder& builder, std::uint64_t clock) {
  builder.add({.hlc = {clock},
               .type = "turn",
               .module = {},
               .entity = "one",
               .dedupe_key = {},
               .replaces = {},
               .json = as_bytes("{}")});
}

Outcome plan(const Records& stored, sync::PushPlan::Budget budget) {
  static const std::set<StreamId> kNone;
  const sync::Remembered remembered;
  std::set<Bytes> suspects;
  sync::PushPlan plan(remembered, budget, kNone, suspects);
  Outcome outcome;
  outcome.read = read_all(plan, stored);
  for (const sync::Planned& item : plan.items()) outcome.keys.push_back(item.key);
  outcome.next_page = plan.next_page();
  return outcome;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(push_plan)

BOOST_AUTO_TEST_CASE(any_page_gives_the_same_plan) {
  const Records stored = queue_of(30);
  for (const std::uint32_t events : {100U, 250U, 1'000U, 2'500U, 10'000U}) {
    const Outcome whole = plan(stored, {.events = events});
    BOOST_TEST(whole.keys.size() == std::min((events + kSegmentEvents - 1) / kSegmentEvents, 30U));
    for (std::uint32_t page = 1; page < sync::PushPlan::kPageSegments; ++page) {
      const bool same = plan(stored, {.events = events, .page = page}).keys == whole.keys;
      BOOST_TEST(same, "events " << events << ", page " << page);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_next_plan_reads_little_more_than_it_sends) {
  const Records stored = queue_of(30);
  const Outcome first = plan(stored, {.events = 200});
  BOOST_TEST(first.read == 24U);
  const Outcome next = plan(stored, {.events = 200, .page = first.next_page});
  BOOST_TEST(next.read == 6U);
  BOOST_TEST(next.next_page == first.next_page);
  // Where a page was not enough, or the queue ended in it, the next one is a whole one.
  BOOST_TEST(plan(stored, {.events = 1'000, .page = 4}).next_page == sync::PushPlan::kPageSegments);
  BOOST_TEST(plan(queue_of(3), {.events = 1'000, .page = 4}).next_page == sync::PushPlan::kPageSegments);
}

// Forty streams take turns with one entity: each item has to come after thirty-nine others. A request that left some of these
// out would let an item overtake another at which the server stops.
BOOST_AUTO_TEST_CASE(no_item_goes_out_without_all_that_it_depends_on) {
  constexpr std::uint32_t kStreams = 40;
  constexpr std::uint32_t kRounds = 20;
  Records stored;
  std::vector<RollingHash> hashes(kStreams);
  for (std::uint32_t n = 0; n < kStreams * kRounds; ++n) {
    const StreamId stream{{n % kStreams + 1ULL}, Lane::kNormal};
    wire::SegmentBuilder builder(stream, {n / kStreams + 1ULL}, hashes[n % kStreams]);
    add_turn(builder, n + 1ULL);
    hashes[n % kStreams] = builder.hash();
    for (wire::SealedSegment& sealed : builder.seal())
      stored.push_back(
          {queue::pending_key({sealed.hlc_first, stream, sealed.first, sealed.last}), std::move(sealed.bytes)});
  }
  sort_list(stored, [](const queue::Put& a, const queue::Put& b) { return a.key < b.key; });
  const std::set<StreamId> none;
  const sync::Remembered remembered;
  std::set<Bytes> suspects;
  sync::PushPlan plan(remembered, {.events = 10'000}, none, suspects);
  read_all(plan, stored);
  const std::size_t planned = plan.items().size();
  sync::SyncRequest request;
  plan.write(request);
  BOOST_TEST(planned == kStreams * kRounds);
  BOOST_TEST(request.items.size() == plan.items().size());
  BOOST_TEST(request.items.size() > kStreams);
  BOOST_TEST(request.items.size() < planned);
  BOOST_TEST(request.deps.size() <= kPushDepsMax);
  std::vector<std::uint32_t> before(request.items.size());
  for (const sync::Dep& dep : request.deps) ++before[dep.item];
  for (std::uint32_t i = 0; i < before.size(); ++i) BOOST_TEST(before[i] == std::min(i, kStreams - 1));
  for (const sync::StreamState& state : request.streams) {
    const auto last = [&](const sync::Planned& item) {
      return item.stream() == state.stream && item.key.last == state.last.seq;
    };
    BOOST_TEST(std::any_of(plan.items().begin(), plan.items().end(), last));
  }
}

// The whole queue in one page, but what a record stands on is not there: its stream waits, and what shares an entity with it has to
// say so. So with a stream that is parked.
BOOST_AUTO_TEST_CASE(what_is_left_out_of_a_whole_queue_is_still_depended_on) {
  constexpr StreamId kEarlier{{7}, Lane::kNormal};
  constexpr StreamId kUrgent{{7}, Lane::kCritical};
  Records stored;
  const auto add = [&](StreamId stream, Sequence seq, std::uint64_t hlc) {
    wire::SegmentBuilder builder(stream, seq, {});
    add_turn(builder, hlc);
    for (wire::SealedSegment& sealed : builder.seal()) {
      const queue::SegmentKey key{sealed.hlc_first, stream, sealed.first, sealed.last};
      Bytes listed;
      wire::Writer out(listed);
      for (const std::uint32_t entity : sealed.entities) out.u32(entity);
      stored.push_back({queue::entities_key(key), std::move(listed)});
      stored.push_back({queue::pending_key(key), std::move(sealed.bytes)});
    }
  };
  for (const bool is_parked : {false, true}) {
    stored.clear();
    add(kEarlier, {is_parked ? 1ULL : 96ULL}, 1);
    add(kUrgent, {1}, 2);
    sort_list(stored, [](const queue::Put& a, const queue::Put& b) { return a.key < b.key; });
    const std::set<StreamId> parked = is_parked ? std::set<StreamId>{kEarlier} : std::set<StreamId>{};
    const sync::Remembered remembered;
    std::set<Bytes> suspects;
    sync::PushPlan plan(remembered, {.events = 100}, parked, suspects);
    read_all(plan, stored);
    sync::SyncRequest request;
    plan.write(request);
    BOOST_TEST(request.items.size() == 1U);
    BOOST_TEST_REQUIRE(request.deps.size() == 1U);
    BOOST_TEST((request.deps.front().stream == kEarlier));
  }
}

// After a rewind the server is asked how far it is only where nothing is held from the mark on: what it has of what is held
// leaves the queue with its copies, item by item, and not because its number is below an answer.
BOOST_AUTO_TEST_CASE(a_rewound_stream_is_compared_below_all_that_is_held_of_it) {
  static const std::set<StreamId> kNone;
  std::set<Bytes> suspects;
  sync::Remembered remembered;
  remembered.marks[kStream].value.rewind = queue::Rewind::kCompare;
  Records stored = queue_of(3);

  stored.erase(stored.begin() + 1);  // not there yet when its page was read
  sync::PushPlan held(remembered, {.events = 1'000}, kNone, suspects);
  read_all(held, stored);
  BOOST_TEST(held.compare().empty());
  BOOST_TEST(held.items().size() == 1U);
  BOOST_TEST(held.blocked());

  stored.erase(stored.begin());
  sync::PushPlan behind(remembered, {.events = 1'000}, kNone, suspects);
  read_all(behind, stored);
  BOOST_TEST(behind.items().empty());
  BOOST_REQUIRE(behind.compare().contains(kStream));
  BOOST_TEST(behind.compare().at(kStream).value == 2 * kSegmentEvents + 1U);
}

BOOST_AUTO_TEST_SUITE_END()
