// An event survives its bytes, and bytes that are read are the ones that would be written.
#include <boost/test/unit_test.hpp>

#include "base/limits.h"
#include "samples.h"

using namespace oas;
using namespace oas::wire;

BOOST_AUTO_TEST_CASE(events_come_back) {
  Prng prng(4);
  for (int i = 0; i < 2'000; ++i) {
    const SampleEvent event = sample_event(prng);
    BOOST_TEST(check_envelope(event.view()).has_value());
    Bytes bytes;
    Writer out(bytes);
    write_event(out, event.view());
    Reader in(bytes);
    const Result<EventView> read = read_event(in);
    BOOST_REQUIRE(read.has_value());
    BOOST_TEST(same(*read, event.view()));
    BOOST_TEST(in.end().has_value());
  }
}

// Hashes run over these bytes, so one event must not have two spellings.
BOOST_AUTO_TEST_CASE(only_the_canonical_form_is_read) {
  Prng prng(5);
  std::uint32_t read_back = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes;
    Writer out(bytes);
    write_event(out, sample_event(prng, 40).view());
    for (std::uint32_t n = 1 + prng.below(2); n > 0; --n)
      bytes[8 + prng.below(static_cast<std::uint32_t>(bytes.size() - 8))] = static_cast<std::uint8_t>(prng.next());
    Reader in(bytes);
    const Result<EventView> read = read_event(in);
    if (!read) continue;
    ++read_back;
    Bytes again;
    Writer rewritten(again);
    write_event(rewritten, *read);
    BOOST_REQUIRE(again == Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(in.offset())));
  }
  BOOST_TEST(read_back > 1'000U);
}

BOOST_AUTO_TEST_CASE(cut_events_are_refused_at_every_length) {
  Prng prng(6);
  SampleEvent event = sample_event(prng);
  event.entity = "e";
  event.dedupe_key = "d";
  event.replaces = EventId{{{1}, Lane::kLow}, {300}};
  Bytes bytes;
  Writer out(bytes);
  write_event(out, event.view());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Reader in(ByteView(bytes).first(size));
    BOOST_TEST((read_event(in).error().code == ErrorCode::kTruncated));
  }
}

BOOST_AUTO_TEST_CASE(envelopes_have_rules) {
  const auto code = [](const EventView& event) {
    const Result<void> checked = check_envelope(event);
    return checked ? std::string("accepted") : std::string(error_info(checked.error().code).name);
  };
  const std::string longest(kEnvelopeFieldBytesMax, 'x');
  const std::string too_long(kEnvelopeFieldBytesMax + 1, 'x');
  const std::string_view zero("a\0b", 3);
  BOOST_TEST(code({.type = longest, .module = longest, .entity = longest, .dedupe_key = longest}) == "accepted");
  BOOST_TEST(code({.type = ""}) == "invalid_envelope");
  BOOST_TEST(code({.type = too_long}) == "invalid_envelope");
  BOOST_TEST(code({.type = "t", .module = too_long}) == "invalid_envelope");
  BOOST_TEST(code({.type = "t", .entity = zero}) == "invalid_envelope");
  BOOST_TEST(code({.type = "t", .dedupe_key = zero}) == "invalid_envelope");
  BOOST_TEST(code({.type = "\xFF"}) == "invalid_utf8");
  BOOST_TEST(code({.type = "t", .entity = "\xED\xA0\x80"}) == "lone_surrogate");
}

BOOST_AUTO_TEST_CASE(an_event_at_every_limit_is_one_record) {
  const std::string field(kEnvelopeFieldBytesMax, 'x');
  const std::string json = '"' + std::string(kEventJsonBytesMax - 2, 'y') + '"';
  const EventView event{.type = field, .module = field, .entity = field, .dedupe_key = field, .json = as_bytes(json)};
  Bytes bytes;
  Writer out(bytes);
  write_event(out, event);
  Reader in(bytes);
  BOOST_REQUIRE(read_event(in).has_value());
  bytes.clear();
  const std::string larger = json + " ";
  EventView too_large = event;
  too_large.json = as_bytes(larger);
  write_event(out, too_large);
  Reader again(bytes);
  BOOST_TEST((read_event(again).error().code == ErrorCode::kLimit));
}
