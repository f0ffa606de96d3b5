// Operations on hold: everybody has them, nobody is shown them, and an answer is a change like any other.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "merge/document.h"
#include "merge/limits.h"
#include "tests/unit/merge/samples.h"

using namespace oas;
using namespace oas::merge;
using samples::json;

namespace {

Author author(std::uint64_t epoch, std::uint64_t first_n, std::int64_t ms) {
  return {.epoch = {epoch}, .first_n = first_n, .hlc = hlc_at({ms})};
}

Rules rules_of(std::string_view schema) { return *Rules::parse(json(schema)); }

std::string text(const MaybeValue& value) { return value ? to_json(*value) : "nothing"; }

// What the server says of an edit it has taken.
Delta accepted(Delta delta, std::uint64_t change) {
  const DotRun dots{delta.ops.front().op.dot.epoch, delta.ops.front().op.dot.n, delta.ops.back().op.dot.n};
  delta.stamps.push_back({dots, {{Millis{1}, 1}, change, Millis{5'000}}});
  return delta;
}

Delta edit(const Document& document, std::string_view next, const Rules& rules, const Author& by) {
  return put(document.view(rules), json(next), rules, by);
}

void take(Document& document, const Delta& delta) { BOOST_REQUIRE(document.apply(delta).has_value()); }

Document reopened(const Document& document) {
  Result<Document> again = Document::open(document.bytes());
  BOOST_REQUIRE(again.has_value());
  BOOST_TEST((again->bytes() == document.bytes()));
  return *std::move(again);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_on_hold_waits_and_the_rest_is_applied) {
  Document document(json(R"({"balance":5,"note":"a"})"));
  Delta delta = accepted(edit(document, R"({"balance":-1,"note":"b"})", {}, author(7, 1, 1'000)), 1);
  delta.holds.push_back({{{7}, 1}, "R28 no debt"});
  take(document, delta);
  const Shown shown = reopened(document).view({});
  BOOST_TEST(text(shown.value) == R"({"balance":5,"note":"b"})");
  BOOST_REQUIRE(shown.records.size() == 1U);
  const Record& record = shown.records.front();
  BOOST_TEST(reason_of(record) == "R28 no debt");
  BOOST_TEST(record_json(record).find(R"("path":"/balance","kind":"held","class":"manual","base":5,)") !=
             std::string::npos);
  BOOST_TEST(text(record.siblings.front().value) == "-1");
  BOOST_TEST(text(record.winner) == "5");
  BOOST_TEST(!record.provisional);
  // Nothing on hold costs nothing: the bytes are what they were before there were holds.
  BOOST_TEST((encode_delta({})[0] == kDeltaVersion));
}

BOOST_AUTO_TEST_CASE(an_answer_ends_it_for_good) {
  Document document(json(R"({"balance":5})"));
  Delta delta = accepted(edit(document, R"({"balance":-1})", {}, author(7, 1, 1'000)), 1);
  delta.holds.push_back({{{7}, 1}, "R28 no debt"});
  take(document, delta);
  // A person still has to decide, so it is not folded.
  BOOST_TEST(document.compact(1, {}) == 0U);
  const Shown shown = document.view({});
  const Result<Delta> answer =
      document.resolve(shown, shown.records.front().id, MaybeValue(json("0")), author(8, 1, 2'000));
  BOOST_REQUIRE(answer.has_value());
  take(document, accepted(*answer, 2));
  BOOST_TEST(text(document.view({}).value) == R"({"balance":0})");
  BOOST_TEST(document.view({}).records.empty());
  BOOST_TEST(document.compact(2, {}) == 2U);
  BOOST_TEST(document.state().holds().empty());
  // A repetition of what is folded brings nothing back.
  take(document, delta);
  BOOST_TEST((document.bytes() == Document(json(R"({"balance":0})"), 2).bytes()));
}

BOOST_AUTO_TEST_CASE(an_edit_that_has_seen_it_is_an_answer_and_one_that_has_not_is_none) {
  const Document before(json(R"({"a":{"b":1}})"));
  Document document = reopened(before);
  const Delta unaware = accepted(edit(before, R"({"a":{"b":3}})", {}, author(9, 1, 1'500)), 2);
  Delta held = accepted(edit(before, R"({"a":{"b":2}})", {}, author(7, 1, 1'000)), 1);
  held.holds.push_back({{{7}, 1}, "R28 even"});
  take(document, held);
  take(document, unaware);
  BOOST_TEST(text(document.view({}).value) == R"({"a":{"b":3}})");
  BOOST_TEST(document.view({}).records.size() == 1U);
  take(document, accepted(edit(document, R"({"a":4})", {}, author(9, 2, 2'000)), 3));
  BOOST_TEST(document.view({}).records.empty());
}

BOOST_AUTO_TEST_CASE(a_document_on_hold_does_not_exist_and_what_was_built_on_it_belongs_to_it) {
  Document document;
  Delta made = accepted(put({}, json(R"({"name":"x"})"), {}, author(7, 1, 1'000)), 1);
  Document device;
  take(device, made);
  const Delta more = accepted(edit(device, R"({"name":"x","age":3})", {}, author(7, 2, 1'100)), 2);
  made.holds.push_back({{{7}, 1}, "R29 unique /name"});
  take(document, made);
  take(document, more);
  const Shown shown = document.view({});
  BOOST_TEST(text(shown.value) == "nothing");
  BOOST_REQUIRE(shown.records.size() == 1U);
  BOOST_TEST(text(shown.records.front().siblings.front().value) == R"({"age":3,"name":"x"})");
}

BOOST_AUTO_TEST_CASE(an_increment_on_hold_shows_what_it_would_come_to) {
  const Rules rules = rules_of(R"({"/stock":"counter"})");
  Document document(json(R"({"stock":3})"));
  Delta delta = accepted(edit(document, R"({"stock":-2})", rules, author(7, 1, 1'000)), 1);
  delta.holds.push_back({{{7}, 1}, "R28 stock"});
  take(document, delta);
  take(document, accepted(edit(Document(json(R"({"stock":3})")), R"({"stock":4})", rules, author(8, 1, 1'000)), 2));
  const Shown shown = document.view(rules);
  BOOST_TEST(text(shown.value) == R"({"stock":4})");
  BOOST_REQUIRE(shown.records.size() == 1U);
  BOOST_TEST(text(shown.records.front().siblings.front().value) == "-1");
}

BOOST_AUTO_TEST_CASE(any_order_of_edits_and_holds_gives_the_same_bytes_and_the_same_sight) {
  Prng prng(28);
  for (int round = 0; round < 500; ++round) {
    const Value base = samples::value(prng);
    std::vector<Delta> parts;
    for (std::uint64_t writer = 1; writer <= 3; ++writer) {
      const Document from(base);
      Delta delta = put(from.view({}), samples::edited(base, prng), {}, author(writer, 1, 1'000));
      if (delta.ops.empty()) continue;
      delta = accepted(std::move(delta), writer);
      for (const PlacedOp& placed : delta.ops) {
        if (!prng.chance(1, 3)) continue;
        // Apart from their operations, as no server sends them.
        Delta hold;
        hold.holds.push_back({placed.op.dot, "R28 rule"});
        parts.push_back(std::move(hold));
      }
      parts.push_back(std::move(delta));
    }
    const auto joined = [&] {
      std::vector<std::uint32_t> order(parts.size());
      for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
      for (std::uint32_t i = static_cast<std::uint32_t>(order.size()); i > 1; --i)
        std::swap(order[i - 1], order[prng.below(i)]);
      Document document(base);
      for (const std::uint32_t i : order) BOOST_REQUIRE(document.apply(encode_delta(parts[i])).has_value());
      if (!parts.empty()) take(document, parts[prng.below(static_cast<std::uint32_t>(parts.size()))]);
      return document;
    };
    const Document one = joined();
    const Document two = joined();
    BOOST_TEST((one.bytes() == two.bytes()));
    BOOST_TEST((reopened(one).view({}).value == two.view({}).value));
    // Without any hold the same operations show what they would have shown.
    Document without(base);
    for (Delta part : parts) {
      std::erase_if(part.ops, [&](const PlacedOp& placed) {
        return std::any_of(one.state().holds().begin(), one.state().holds().end(),
                           [&](const Hold& hold) { return hold.dot == placed.op.dot; });
      });
      part.holds.clear();
      take(without, part);
    }
    BOOST_TEST((without.view({}).value == one.view({}).value));
  }
}

BOOST_AUTO_TEST_CASE(hostile_holds_are_refused) {
  Delta delta;
  delta.holds = {{{{7}, 1}, "why"}, {{{7}, 2}, "why"}};
  const Bytes good = encode_delta(delta);
  BOOST_REQUIRE(decode_delta(good).has_value());
  const auto refused = [](Delta bad) { return decode_delta(encode_delta(bad)).error().code; };
  delta.holds = {{{{7}, 2}, "why"}, {{{7}, 1}, "why"}};
  BOOST_TEST((refused(delta) == ErrorCode::kMalformed));
  delta.holds = {{{{7}, 1}, "\xff"}};
  BOOST_TEST((refused(delta) == ErrorCode::kMalformed));
  delta.holds = {{{{7}, 1}, std::string(kReasonBytesMax + 1, 'x')}};
  BOOST_TEST((refused(delta) == ErrorCode::kLimit));
  // Version 2 with none is a second spelling of version 1.
  Bytes none = encode_delta({});
  none[0] = kDeltaVersionWithHolds;
  none.push_back(0);
  BOOST_TEST((decode_delta(none).error().code == ErrorCode::kMalformed));
}
