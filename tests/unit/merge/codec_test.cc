// One value, one spelling; what is written comes back; hostile bytes are refused, or make a sound document.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "merge/codec.h"
#include "merge/document.h"
#include "tests/unit/merge/samples.h"

using namespace oas;
using namespace oas::merge;

namespace {

Author author(std::uint64_t epoch, std::uint64_t first_n, std::int64_t ms) {
  return {.epoch = {epoch}, .first_n = first_n, .hlc = hlc_at({ms})};
}

// A document with some history: three writers, some of them behind.
Document history(Prng& prng) {
  Document document(samples::value(prng));
  Basis old = document.view({});
  std::vector<std::uint64_t> next(3, 1);
  for (int round = 0; round < 6; ++round) {
    const std::uint64_t who = prng.below(3);
    const Basis seen = prng.chance(1, 2) ? document.view({}) : old;
    const bool own_seen = seen.version.last_of({who + 1}) + 1 == next[who];
    if (!own_seen) continue;
    const MaybeValue target = seen.value && !prng.chance(1, 12) ? MaybeValue(samples::edited(*seen.value, prng))
                                                                : MaybeValue(samples::value(prng));
    Delta delta = put(seen, target, {}, author(who + 1, next[who], 1'000 * round + 1));
    const std::size_t count = delta.ops.size();
    if (count > 0 && prng.chance(1, 2))
      delta.stamps.push_back(
          {{{who + 1}, next[who], next[who] + count - 1}, {{Millis{5}, 7}, std::uint64_t(round) + 1, Millis{1'000}}});
    BOOST_REQUIRE(document.apply(delta).has_value());
    next[who] += count;
    if (prng.chance(1, 2)) old = document.view({});
  }
  if (prng.chance(1, 4)) BOOST_REQUIRE(document.apply(voiding({{9}, 1, 3})).has_value());
  return document;
}

}  // namespace

BOOST_AUTO_TEST_CASE(values_come_back) {
  Prng prng(1);
  for (int i = 0; i < 3'000; ++i) {
    const Value value = samples::value(prng);
    const Bytes bytes = encode_value(value);
    wire::Reader in(bytes);
    const auto back = read_value(in);
    BOOST_REQUIRE(back.has_value());
    BOOST_REQUIRE(in.end().has_value());
    BOOST_TEST((*back == value));
    BOOST_TEST((encode_value(*back) == bytes));
    BOOST_TEST((samples::json(to_json(value)) == value));
  }
}

BOOST_AUTO_TEST_CASE(numbers_have_one_spelling) {
  const std::vector<std::pair<std::string_view, std::string_view>> spellings{
      {"1", "1"},
      {"1.0", "1"},
      {"1e0", "1"},
      {"10E-1", "1"},
      {"-0", "0"},
      {"-0.0", "0"},
      {"0.50", "0.5"},
      {"1e21", "1e+21"},
      {"123456789012345678901", "123456789012345678901"},
      {"1.5E-7", "1.5e-7"},
      {"9223372036854775807", "9223372036854775807"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"0.1", "0.1"},
      {"100e-2", "1"},
      {"1.7976931348623157e308", "1.7976931348623157e+308"},
      {"5e-324", "5e-324"}};
  for (const auto& [in, out] : spellings) BOOST_TEST(to_json(samples::json(in)) == out);
  for (const std::string_view bad : {"1e309", "1.7976931348623159e308", "-1e400", "01", "1.", ".5", "+1", "NaN", "1e"})
    BOOST_TEST(!parse_json(bad).has_value(), bad);
}

BOOST_AUTO_TEST_CASE(texts_that_are_no_json_are_refused_with_a_reason) {
  const auto code = [](std::string_view text) {
    const auto parsed = parse_json(text);
    BOOST_REQUIRE_MESSAGE(!parsed.has_value(), text);
    return parsed.error().code;
  };
  BOOST_TEST((code("{\"a\":1,\"a\":2}") == ErrorCode::kInvalidJson));
  BOOST_TEST((code("[1,]") == ErrorCode::kInvalidJson));
  BOOST_TEST((code("1 2") == ErrorCode::kInvalidJson));
  BOOST_TEST((code("") == ErrorCode::kInvalidJson));
  BOOST_TEST((code("\"\xC0\x80\"") == ErrorCode::kInvalidUtf8));
  BOOST_TEST((code("\"\\ud800\"") == ErrorCode::kLoneSurrogate));
  BOOST_TEST((code("\"\xED\xA0\x80\"") == ErrorCode::kLoneSurrogate));
  BOOST_TEST((code(std::string(65, '[') + std::string(65, ']')) == ErrorCode::kTooDeep));
  BOOST_TEST(parse_json(std::string(64, '[') + std::string(64, ']')).has_value());
}

BOOST_AUTO_TEST_CASE(documents_come_back) {
  Prng prng(2);
  for (int i = 0; i < 400; ++i) {
    const Document document = history(prng);
    const Bytes bytes = document.bytes();
    const auto back = Document::open(bytes);
    BOOST_REQUIRE(back.has_value());
    BOOST_TEST((back->bytes() == bytes));
    BOOST_TEST(back->digest() == document.digest());
    const Shown shown = document.view({});
    const Shown again = back->view({});
    BOOST_TEST((shown.value == again.value));
    BOOST_TEST(shown.records.size() == again.records.size());
    const auto basis = decode_basis(encode_basis(shown));
    BOOST_REQUIRE(basis.has_value());
    BOOST_TEST((basis->value == shown.value));
    BOOST_TEST((basis->version == shown.version));
  }
}

BOOST_AUTO_TEST_CASE(deltas_come_back_and_a_partial_one_is_enough) {
  Prng prng(3);
  for (int i = 0; i < 400; ++i) {
    const Document document = history(prng);
    const Delta all = document.since({});
    Document from_scratch(document.state().snapshot());
    for (const PlacedOp& placed : all.ops) {
      Delta one;
      one.ops.push_back(placed);
      const Bytes bytes = encode_delta(one);
      BOOST_REQUIRE(from_scratch.apply(ByteView(bytes)).has_value());
      BOOST_REQUIRE(from_scratch.apply(ByteView(bytes)).has_value());
    }
    Delta rest = document.since(from_scratch.version());
    rest.ops.clear();
    BOOST_REQUIRE(from_scratch.apply(std::move(rest)).has_value());
    BOOST_TEST((from_scratch.bytes() == document.bytes()));
  }
}

// Truncated, flipped, spliced: an error by name, or a sound document.
BOOST_AUTO_TEST_CASE(hostile_bytes_never_do_harm) {
  Prng prng(4);
  int accepted = 0;
  for (int i = 0; i < 300; ++i) {
    const Bytes good = history(prng).bytes();
    for (int j = 0; j < 40; ++j) {
      Bytes bad = good;
      const auto at = static_cast<std::ptrdiff_t>(samples::place(prng, bad.size()));
      switch (prng.below(4)) {
        case 0: bad.resize(static_cast<std::size_t>(at)); break;
        case 1: bad.insert(bad.begin() + at, static_cast<std::uint8_t>(prng.next())); break;
        case 2: bad.erase(bad.begin() + at); break;
        default: bad[static_cast<std::size_t>(at)] ^= static_cast<std::uint8_t>(1U << prng.below(8)); break;
      }
      const auto document = Document::open(bad);
      if (!document) continue;
      ++accepted;
      // A table may come unsorted; what is made of it is canonical from then on.
      const Bytes canonical = document->bytes();
      BOOST_TEST((Document::open(canonical)->bytes() == canonical));
      const Basis shown = document->view({});
      if (shown.value) BOOST_TEST((put(shown, shown.value, {}, author(99, 1, 1)).empty()));
    }
  }
  BOOST_TEST(accepted > 100);
}
