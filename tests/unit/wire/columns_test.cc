// Columns give back every byte, whatever the events hold; a reader believes nothing; a dictionary is needed exactly where
// it was used.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>

#include "base/hash.h"
#include "base/limits.h"
#include "samples.h"
#include "wire/columns.h"
#include "wire/segment.h"
#include "wire/shape.h"
#include "wire/value_kind.h"

using namespace oas;
using namespace oas::wire;

namespace {

// A value of any JSON kind, in the spellings that tempt a codec to re-print: exponents, leading minus, odd spaces.
std::string any_value(Prng& prng, std::uint32_t depth) {
  static constexpr const char* kScalars[] = {"null",
                                             "true",
                                             "false",
                                             "0",
                                             "-0",
                                             "-1",
                                             "1e3",
                                             "1E+2",
                                             "0.10",
                                             "-12.5e-3",
                                             "999999999999999",
                                             "1000000000000000",
                                             "-999999999999999",
                                             "12345678901234567890",
                                             "\"\"",
                                             "\"007\"",
                                             "\"-0\"",
                                             "\"1.2.3.4\"",
                                             "\"01.2.3.4\"",
                                             "\"255.255.255.255\"",
                                             "\"256.1.1.1\"",
                                             "\"550e8400-e29b-41d4-a716-446655440000\"",
                                             "\"550E8400-E29B-41D4-A716-446655440000\"",
                                             "\"deadbeefdeadbeef\"",
                                             "\"DEADBEEF00\"",
                                             "\"abc\"",
                                             "\"\\\"\\\\\\u0000\"",
                                             "\"Größe 日本 😀\"",
                                             "\":\"",
                                             "\"{\\\"a\\\":1}\""};
  if (depth == 0 || prng.chance(3, 5)) return kScalars[prng.below(std::size(kScalars))];
  const bool object = prng.chance(1, 2);
  std::string out(1, object ? '{' : '[');
  const std::uint32_t count = prng.below(4);
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i > 0) out += prng.chance(1, 9) ? " ,\n" : ",";
    if (object) out += "\"k" + std::to_string(prng.below(5)) + (prng.chance(1, 9) ? "\" : " : "\":");
    out += any_value(prng, depth - 1);
  }
  return out + (object ? '}' : ']');
}

std::vector<SampleEvent> any_events(std::uint64_t seed, std::uint32_t count) {
  Prng prng(seed);
  std::vector<SampleEvent> out;
  std::string again;
  for (std::uint32_t i = 0; i < count; ++i) {
    SampleEvent event = sample_event(prng);
    if (!prng.chance(1, 20)) event.replaces.reset();
    event.json = again.empty() || prng.chance(1, 3) ? any_value(prng, 4) : again;
    again = event.json;
    out.push_back(std::move(event));
  }
  return out;
}

// Page views: few shapes, values that follow one another.
std::vector<SampleEvent> page_views(std::uint64_t seed, std::uint32_t count) {
  Prng prng(seed);
  std::vector<SampleEvent> out;
  std::uint64_t time = 1'700'000'000'000;
  for (std::uint32_t i = 0; i < count; ++i) {
    time += prng.below(5'000);
    const std::uint32_t visitor = prng.below(30);
    SampleEvent event{.hlc = {time << 16}, .type = "page_view", .module = "shop", .entity = {}};
    event.json = R"({"visitor":"10.0.0.)" + std::to_string(visitor) + R"(","time":)" + std::to_string(time) +
                 R"(,"path":"/item/)" + std::to_string(prng.below(prng.below(200) + 1)) + R"(","agent":"Agent )" +
                 std::to_string(visitor * 7) + R"( of some length","bytes":)" + std::to_string(prng.below(60'000)) +
                 "}";
    out.push_back(std::move(event));
  }
  return out;
}

Bytes rows_of(const std::vector<SampleEvent>& events) {
  Bytes rows;
  Writer writer(rows);
  for (const SampleEvent& event : events) write_event(writer, event.view());
  return rows;
}

Dictionary dictionary_of(const std::vector<SampleEvent>& events, std::uint32_t bytes_max) {
  DictionaryBuilder builder;
  for (const SampleEvent& event : events) builder.add(event.view());
  Result<Dictionary> loaded = Dictionary::load(builder.build(bytes_max));
  BOOST_REQUIRE(loaded.has_value());
  return std::move(*loaded);
}

// True when the codec took the rows; what it wrote must then be them.
bool comes_back(const std::vector<SampleEvent>& events, const Dictionary* dictionary) {
  const Bytes rows = rows_of(events);
  Bytes stored;
  const auto count = static_cast<std::uint32_t>(events.size());
  if (!write_columns(rows, count, events[0].hlc, dictionary, stored)) return false;
  Bytes read;
  const Result<void> good =
      read_columns(stored, count, events[0].hlc, static_cast<std::uint32_t>(rows.size()), dictionary, read);
  BOOST_REQUIRE(good.has_value());
  BOOST_TEST((read == rows));
  return true;
}

std::vector<SealedSegment> seal(const std::vector<SampleEvent>& events, const Dictionary* dictionary) {
  SegmentBuilder builder({{7}, Lane::kAnalytics}, {1}, {});
  for (const SampleEvent& event : events) builder.add(event.view());
  return builder.seal(dictionary);
}

}  // namespace

BOOST_AUTO_TEST_CASE(any_events_come_back_byte_for_byte) {
  std::uint32_t taken = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    const auto events = any_events(seed, 1 + static_cast<std::uint32_t>(seed % 40));
    if (comes_back(events, nullptr)) ++taken;
    const Dictionary dictionary = dictionary_of(any_events(seed + 1'000, 50), 4'000);
    if (comes_back(events, &dictionary)) ++taken;
  }
  BOOST_TEST(taken > 300U);
}

BOOST_AUTO_TEST_CASE(the_clock_may_stand_still_jump_and_run_over) {
  std::vector<SampleEvent> events = page_views(3, 6);
  const std::uint64_t clocks[] = {0, ~0ULL, 1, 0xFFFF, 0x10000, 0x8000'0000'0000'0000ULL};
  for (std::size_t i = 0; i < events.size(); ++i) events[i].hlc = {clocks[i]};
  BOOST_TEST(comes_back(events, nullptr));
}

BOOST_AUTO_TEST_CASE(text_that_is_no_json_is_refused_or_comes_back) {
  Prng prng(5);
  for (int i = 0; i < 3'000; ++i) {
    std::vector<SampleEvent> events = any_events(static_cast<std::uint64_t>(i), 3);
    for (SampleEvent& event : events)
      if (!event.json.empty())
        event.json[prng.below(static_cast<std::uint32_t>(event.json.size()))] = static_cast<char>(prng.next());
    (void)comes_back(events, nullptr);
  }
}

// What every figure about compression rests on: page views take a tenth, and a dictionary makes short batches short.
BOOST_AUTO_TEST_CASE(columns_and_dictionaries_pay) {
  const auto events = page_views(8, 300);
  const Bytes plain = rows_of(events);
  const auto self_contained = seal(events, nullptr);
  BOOST_REQUIRE(self_contained.size() == 1U);
  BOOST_TEST(self_contained[0].bytes[2] == static_cast<std::uint8_t>(Codec::kColumns));
  BOOST_TEST(self_contained[0].bytes.size() * 10 < plain.size());
  const Dictionary dictionary = dictionary_of(page_views(9, 500), 20'000);
  const std::vector<SampleEvent> few(events.begin(), events.begin() + 10);
  BOOST_TEST(seal(few, &dictionary)[0].bytes.size() * 3 < seal(few, nullptr)[0].bytes.size() * 2);
}

BOOST_AUTO_TEST_CASE(a_missing_dictionary_is_named) {
  const Dictionary dictionary = dictionary_of(page_views(9, 500), 20'000);
  const Dictionary other = dictionary_of(page_views(10, 500), 19'000);
  const auto sealed = seal(page_views(11, 10), &dictionary);
  const Result<SegmentView> segment = open_segment(sealed[0].bytes);
  BOOST_REQUIRE(segment.has_value());
  Bytes rows;
  const Dictionary* wrong[] = {&other};
  BOOST_TEST((decode_rows(*segment, rows, wrong).error() == Error{ErrorCode::kMissingDictionary, dictionary.id()}));
  BOOST_TEST((decode_rows(*segment, rows).error().code == ErrorCode::kMissingDictionary));
  const Dictionary* both[] = {&other, &dictionary};
  BOOST_TEST(decode_rows(*segment, rows, both).has_value());
}

// Any bytes at all: an error or rows of the declared size, and never more than that.
BOOST_AUTO_TEST_CASE(a_reader_believes_nothing) {
  Prng prng(12);
  const auto events = page_views(12, 60);
  const Bytes rows = rows_of(events);
  const Dictionary dictionary = dictionary_of(page_views(13, 100), 8'000);
  for (const Dictionary* with : {static_cast<const Dictionary*>(nullptr), &dictionary}) {
    Bytes whole;
    BOOST_REQUIRE(write_columns(rows, 60, events[0].hlc, with, whole));
    for (int i = 0; i < 6'000; ++i) {
      Bytes bytes = whole;
      const std::uint32_t changes = 1 + prng.below(4);
      for (std::uint32_t k = 0; k < changes; ++k)
        bytes[prng.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<std::uint8_t>(prng.next());
      if (prng.chance(1, 4)) bytes.resize(prng.below(static_cast<std::uint32_t>(bytes.size())));
      Bytes out{1, 2, 3};
      const std::uint32_t declared = static_cast<std::uint32_t>(rows.size()) + prng.below(3) - 1;
      const Result<void> read = read_columns(bytes, 60, events[0].hlc, declared, with, out);
      BOOST_TEST(out.size() == (read ? 3 + declared : 3));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_dictionary_is_checked_and_repeats_itself) {
  DictionaryBuilder builder;
  for (const SampleEvent& event : page_views(14, 200)) builder.add(event.view());
  const Bytes bytes = builder.build(5'000);
  BOOST_TEST((builder.build(5'000) == bytes));
  BOOST_TEST(bytes.size() <= 5'000U);
  BOOST_TEST((Dictionary::load(bytes)->id() == hash64(bytes)));
  for (std::size_t size = 0; size < bytes.size(); ++size)
    BOOST_TEST(!Dictionary::load(ByteView(bytes).first(size)).has_value());
  BOOST_TEST((Dictionary::load(Bytes(kDictionaryBytesMax + 1)).error().code == ErrorCode::kLimit));
  Bytes later = bytes;
  later[1] = 2;
  BOOST_TEST((Dictionary::load(later).error() == Error{ErrorCode::kUnknownVersion, 2}));
}

BOOST_AUTO_TEST_CASE(kinds_are_only_what_prints_the_same) {
  const auto has = [](std::string_view text, ValueKind kind) {
    return (kinds_of(text) >> static_cast<std::uint32_t>(kind) & 1) != 0;
  };
  for (const char* text : {"0", "7", "-7", "999999999999999"}) BOOST_TEST(has(text, ValueKind::kInteger));
  for (const char* text : {"", "-", "-0", "07", "1.0", "1e3", "1000000000000000", "+1", " 1"})
    BOOST_TEST(!has(text, ValueKind::kInteger));
  BOOST_TEST(has("0.10.255.9", ValueKind::kAddress));
  for (const char* text : {"1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1..2.3", "1.2.3.4 "})
    BOOST_TEST(!has(text, ValueKind::kAddress));
  BOOST_TEST(!has("550E8400-e29b-41d4-a716-446655440000", ValueKind::kUuid));
  BOOST_TEST(has("550e8400-e29b-41d4-a716-446655440000", ValueKind::kUuid));
  BOOST_TEST(!has("abc123", ValueKind::kHex));
}

// Members of one name in different places are different columns; elements of one array share one.
BOOST_AUTO_TEST_CASE(paths_tell_places_apart) {
  Bytes shape;
  std::vector<std::string_view> values;
  const std::string json = R"({"a":{"id":1},"b":{"id":2},"c":[3,4,{"id":5}],"id":"6"})";
  BOOST_REQUIRE(cut_values(as_bytes(json), 100, shape, values));
  std::vector<std::uint32_t> paths;
  hole_paths(as_text(shape), paths);
  BOOST_REQUIRE(paths.size() == 6U);
  BOOST_TEST(values.size() == 6U);
  BOOST_TEST(paths[0] != paths[1]);
  BOOST_TEST(paths[2] == paths[3]);
  BOOST_TEST(paths[5] != paths[0]);
  for (const std::uint32_t path : paths) BOOST_TEST(path >= kPathsReserved);
}
