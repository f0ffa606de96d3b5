#include <boost/test/unit_test.hpp>
#include <string>

#include "engine/event_columns.h"
#include "wire/reader.h"

namespace oas::engine {
namespace {

using sync::PlannedEvent;

PlannedEvent event(std::uint64_t seq, std::string_view type, std::uint64_t ms, std::string_view json) {
  PlannedEvent event{.id = {{{0xfedcba9876543210}, Lane::kNormal}, {seq}}, .hash = {seq * 3}, .event = {}};
  event.event.hlc = {ms << 16};
  event.event.type = type;
  event.event.module = "shop";
  event.event.json = as_bytes(json);
  return event;
}

std::string hex(ByteView bytes) {
  const char* digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

// The columns as hex, in the order of the header.
std::vector<std::string> columns_of(const std::vector<PlannedEvent>& events) {
  Bytes bytes;
  write_event_columns(bytes, events);
  wire::Reader in(bytes);
  BOOST_TEST(*in.u32() == events.size());
  std::vector<std::string> columns;
  while (in.left() > 0) columns.push_back(hex(*in.raw(*in.u32())));
  return columns;
}

BOOST_AUTO_TEST_SUITE(event_columns)

BOOST_AUTO_TEST_CASE(each_column_has_its_values_behind_their_sizes) {
  const std::vector<std::string> columns = columns_of({event(1, "a", 2, "{}"), event(258, "bc", 3, "")});
  const std::vector<std::string> expected{
      "00000008fedcba987654321000000008fedcba9876543210",  // epoch
      "000000020002000000020002",                          // lane
      "00000008000000000000000100000008"
      "0000000000000102",  // seq
      "00000008000000000000000300000008"
      "0000000000000306",                                  // hash
      "0000000161000000026263",                            // type
      "0000000473686f700000000473686f70",                  // module
      "0000000000000000",                                  // entity
      "00000008000000000002000000000008"
      "0000000000030000",    // hlc
      "000000027b7d00000000",  // JSON
  };
  BOOST_TEST(columns == expected, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(no_events_are_empty_columns) {
  BOOST_TEST(columns_of({}) == std::vector<std::string>(9), boost::test_tools::per_element());
}

struct Group {
  std::string type;
  std::uint32_t count;
};

std::vector<Group> groups_of(const std::vector<PlannedEvent>& events) {
  Bytes bytes;
  write_event_groups(bytes, events);
  wire::Reader in(bytes);
  std::vector<Group> groups;
  for (std::uint32_t left = *in.u32(); left > 0; --left) {
    BOOST_TEST(*in.u8() == static_cast<std::uint8_t>(Lane::kNormal));
    const std::string type(as_text(*in.raw(*in.u32())));
    BOOST_TEST(as_text(*in.raw(*in.u32())) == "shop");
    groups.push_back({type, *in.u32()});
    BOOST_TEST((*in.u64() & 0xffff) == 0U);
  }
  BOOST_TEST(in.left() == 0U);
  return groups;
}

BOOST_AUTO_TEST_CASE(kinds_that_take_turns_are_counted_together) {
  const std::vector<Group> groups =
      groups_of({event(1, "a", 0, ""), event(2, "b", 1, ""), event(3, "a", 2, ""), event(4, "b", 3, "")});
  BOOST_REQUIRE(groups.size() == 2U);
  BOOST_TEST(groups[0].type == "a");
  BOOST_TEST(groups[0].count == 2U);
  BOOST_TEST(groups[1].count == 2U);
}

BOOST_AUTO_TEST_CASE(events_of_other_seconds_are_other_groups) {
  const std::vector<Group> groups = groups_of({event(1, "a", 0, ""), event(2, "a", 999, ""), event(3, "a", 1'000, "")});
  BOOST_REQUIRE(groups.size() == 2U);
  BOOST_TEST(groups[0].count == 2U);
  BOOST_TEST(groups[1].count == 1U);
}

BOOST_AUTO_TEST_CASE(a_push_of_ever_new_kinds_is_counted_completely) {
  std::vector<std::string> names;
  for (int i = 0; i < 200; ++i) names.push_back("t" + std::to_string(i % 100));
  std::vector<PlannedEvent> events;
  for (std::size_t i = 0; i < names.size(); ++i) events.push_back(event(i + 1, names[i], 5, ""));
  std::uint32_t sum = 0;
  for (const Group& group : groups_of(events)) sum += group.count;
  BOOST_TEST(sum == names.size());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace oas::engine
