// What a writer does and what he may rely on: put and patch, resolving, stamps and voids, compaction.
#include <boost/test/unit_test.hpp>

#include "merge/document.h"
#include "tests/unit/merge/samples.h"

using namespace oas;
using namespace oas::merge;
using samples::json;

namespace {

Author author(std::uint64_t epoch, std::uint64_t first_n, std::int64_t ms) {
  return {.epoch = {epoch}, .first_n = first_n, .hlc = hlc_at({ms})};
}

Rules rules_of(std::string_view schema) {
  auto rules = Rules::parse(json(schema));
  BOOST_REQUIRE(rules.has_value());
  return *rules;
}

std::string text(const MaybeValue& value) { return value ? to_json(*value) : "nothing"; }

void take(Document& document, const Delta& delta) { BOOST_REQUIRE(document.apply(delta).has_value()); }

DotRun dots_of(const Delta& delta) {
  return {delta.ops.front().op.dot.epoch, delta.ops.front().op.dot.n, delta.ops.back().op.dot.n};
}

// Two writers edit one document without knowing of each other; the server accepts the first one first.
struct Pair {
  Pair(std::string_view base, std::string_view left, std::string_view right, const Rules& rules)
      : document(json(base)) {
    const Basis seen = document.view(rules);
    ours = put(seen, json(left), rules, author(1, 1, 1'000));
    theirs = put(seen, json(right), rules, author(2, 1, 2'000));
    take(document, ours);
    take(document, theirs);
  }
  void accept() {
    take(document, stamping(dots_of(ours), {{Millis{1}, 1}, 1, Millis{5'000}}));
    take(document, stamping(dots_of(theirs), {{Millis{1}, 1}, 2, Millis{5'000}}));
  }
  Document document;
  Delta ours;
  Delta theirs;
};

}  // namespace

BOOST_AUTO_TEST_CASE(put_does_what_was_asked_and_nothing_else) {
  Prng prng(5);
  for (int i = 0; i < 4'000; ++i) {
    Document document(samples::value(prng));
    for (std::uint64_t n = 1, round = 0; round < 3; ++round) {
      const Basis seen = document.view({});
      BOOST_TEST(put(seen, seen.value, {}, author(1, n, 1)).empty());
      const Value next = samples::edited(*seen.value, prng);
      const Delta delta = put(seen, next, {}, author(1, n, static_cast<std::int64_t>(round)));
      n += delta.ops.size();
      take(document, delta);
      const Bytes once = document.bytes();
      take(document, delta);
      BOOST_TEST((document.bytes() == once));
      const Shown shown = document.view({});
      BOOST_REQUIRE_MESSAGE(*shown.value == next, to_json(*seen.value)
                                                      << " -> " << to_json(next) << " gave " << text(shown.value));
      BOOST_TEST(shown.records.empty());
    }
  }
}

// Writers who touch different fields never disturb each other, whatever they write there.
BOOST_AUTO_TEST_CASE(edits_of_different_fields_all_live) {
  Prng prng(6);
  for (int i = 0; i < 2'000; ++i) {
    const Value a = samples::value(prng), b = samples::value(prng), c = samples::value(prng);
    Document document(Value::object({{"a", a}, {"b", b}, {"c", c}}));
    const Basis seen = document.view({});
    const Value new_a = samples::edited(a, prng), new_b = samples::edited(b, prng);
    take(document, put(seen, Value::object({{"a", new_a}, {"b", b}, {"c", c}}), {}, author(1, 1, 5)));
    take(document, put(seen, Value::object({{"a", a}, {"b", new_b}, {"c", c}}), {}, author(2, 1, 4)));
    take(document, put(seen, Value::object({{"a", a}, {"b", b}}), {}, author(3, 1, 3)));
    const Shown shown = document.view({});
    BOOST_TEST(to_json(*shown.value) == to_json(Value::object({{"a", new_a}, {"b", new_b}})));
    BOOST_TEST(shown.records.empty());
  }
}

BOOST_AUTO_TEST_CASE(the_fewest_operations) {
  const Document document(json(R"({"a":1,"b":{"c":2,"d":[1,2,3]},"list":[{"id":1,"n":1},{"id":2,"n":2}]})"));
  const Basis seen = document.view({});
  const auto count = [&](std::string_view next) { return put(seen, json(next), {}, author(1, 1, 1)).ops.size(); };
  BOOST_TEST(count(R"({"a":2,"b":{"c":2,"d":[1,2,3]},"list":[{"id":1,"n":1},{"id":2,"n":2}]})") == 1U);
  BOOST_TEST(count(R"({"a":1,"b":{"c":2,"d":[1,2,3]},"list":[{"id":2,"n":2},{"id":1,"n":1}]})") == 1U);
  BOOST_TEST(count(R"({"a":1,"b":{"c":2,"d":[1,3]},"list":[{"id":1,"n":9},{"id":2,"n":2}]})") == 2U);
  BOOST_TEST(count(R"({"a":1.0,"b":{"d":[1,2,3],"c":2},"list":[{"id":1,"n":1},{"n":2,"id":2}]})") == 0U);
}

// R27: elsewhere what equals the base is no edit, here it is the greater of two values.
BOOST_AUTO_TEST_CASE(the_extreme_may_be_what_somebody_went_back_to) {
  const Rules rules = rules_of(R"({"/best":"max","/low":"min"})");
  Document document(json(R"({"best":5,"low":5})"));
  const Basis seen = document.view(rules);
  take(document, put(seen, json(R"({"best":9,"low":1})"), rules, author(1, 1, 1)));
  const Basis own = document.view(rules);
  take(document, put(own, json(R"({"best":5,"low":5})"), rules, author(1, 3, 2)));
  take(document, put(seen, json(R"({"best":3,"low":7})"), rules, author(2, 1, 3)));
  const Shown shown = document.view(rules);
  BOOST_TEST(text(shown.value) == R"({"best":5,"low":5})");
  BOOST_TEST(shown.records.size() == 2U);
}

BOOST_AUTO_TEST_CASE(counters_add_and_start_anew) {
  const Rules rules = rules_of(R"({"/n":"counter"})");
  Document document(json(R"({"n":5})"));
  const Basis seen = document.view(rules);
  take(document, *patch(seen, json(R"([{"op":"inc","path":"/n","by":3}])"), rules, author(1, 1, 1)));
  take(document, *patch(seen, json(R"([{"op":"inc","path":"/n","by":-1}])"), rules, author(2, 1, 1)));
  BOOST_TEST(text(document.view(rules).value) == R"({"n":7})");
  // R20: whoever sets it had not seen the increments, so they count on top of the new value, and are reported.
  take(document, *patch(seen, json(R"([{"op":"set","path":"/n","value":100}])"), rules, author(3, 1, 9)));
  const Shown shown = document.view(rules);
  BOOST_TEST(text(shown.value) == R"({"n":102})");
  BOOST_REQUIRE(shown.records.size() == 1U);
  BOOST_TEST(reason_of(shown.records[0]) == "R20 count-late");
  // A set that had seen them is the whole truth.
  take(document, *patch(shown, json(R"([{"op":"set","path":"/n","value":1}])"), rules, author(3, 2, 10)));
  BOOST_TEST(text(document.view(rules).value) == R"({"n":1})");
  BOOST_TEST(document.view(rules).records.empty());
}

// Both sides put the same thing into their carts: both quantities are meant.
BOOST_AUTO_TEST_CASE(counters_begun_on_both_sides_add_up) {
  const Rules rules = rules_of(R"({"/l":"list:key=id","/l/*/n":"counter"})");
  Pair pair(R"({"l":[]})", R"({"l":[{"id":1,"n":2}]})", R"({"l":[{"id":1,"n":3}]})", rules);
  const Shown shown = pair.document.view(rules);
  BOOST_TEST(text(shown.value) == R"({"l":[{"id":1,"n":5}]})");
  BOOST_TEST(shown.records.empty());
}

// An element that an operation made, that one side removed and another one edited, comes back with all its fields, also when
// the side that removed it had seen it come back once before.
BOOST_AUTO_TEST_CASE(an_edited_element_comes_back_whole) {
  const Rules rules = rules_of(R"({"":"list:key=id"})");
  Document document(json("[]"));
  const auto edit = [&](const Basis& seen, std::string_view next, const Author& who) {
    const Delta delta = put(seen, json(next), rules, who);
    take(document, delta);
  };
  edit(document.view(rules), R"([{"id":1,"a":1,"b":1}])", author(1, 1, 1));
  const Basis made = document.view(rules);
  edit(made, R"([{"id":1,"a":2,"b":1}])", author(2, 1, 2));
  edit(made, "[]", author(3, 1, 3));
  BOOST_TEST(text(document.view(rules).value) == R"([{"a":2,"b":1,"id":1}])");
  edit(document.view(rules), "[]", author(3, 2, 4));
  BOOST_TEST(text(document.view(rules).value) == "[]");
  Basis behind = made;
  behind.version.add(Dot{{2}, 1});
  behind.value = json(R"([{"id":1,"a":2,"b":1}])");
  edit(behind, R"([{"id":1,"a":2,"b":7}])", author(2, 2, 5));
  BOOST_TEST(text(document.view(rules).value) == R"([{"a":2,"b":7,"id":1}])");
}

// What was counted in something that is gone does not count in what was made anew under its name.
BOOST_AUTO_TEST_CASE(increments_go_with_what_they_counted) {
  const Rules rules = rules_of(R"({"":"list:key=id","/*/n":"counter"})");
  Document document(json("[]"));
  const Basis empty = document.view(rules);
  take(document, put(empty, json(R"([{"id":1,"n":3}])"), rules, author(1, 1, 1)));
  take(document, *patch(document.view(rules), json(R"([{"op":"inc","path":"/0/n","by":2}])"), rules, author(1, 2, 2)));
  BOOST_TEST(text(document.view(rules).value) == R"([{"id":1,"n":5}])");
  take(document, put(document.view(rules), json("[]"), rules, author(1, 3, 3)));
  take(document, put(empty, json(R"([{"id":1,"n":2}])"), rules, author(2, 1, 1)));
  BOOST_TEST(text(document.view(rules).value) == R"([{"id":1,"n":2}])");
}

BOOST_AUTO_TEST_CASE(counters_saturate) {
  const Rules rules = rules_of(R"({"/n":"counter"})");
  Document document(json(R"({"n":9223372036854775000})"));
  const Basis seen = document.view(rules);
  for (std::uint64_t epoch = 1; epoch <= 3; ++epoch)
    take(document,
         *patch(seen, json(R"([{"op":"inc","path":"/n","by":9000000000000000000}])"), rules, author(epoch, 1, 1)));
  BOOST_TEST(text(document.view(rules).value) == R"({"n":9223372036854775807})");
  take(document, *patch(seen, json(R"([{"op":"inc","path":"/n","by":-9000000000000000000}])"), rules, author(4, 1, 1)));
  take(document, *patch(seen, json(R"([{"op":"inc","path":"/n","by":-9000000000000000000}])"), rules, author(5, 1, 1)));
  take(document, *patch(seen, json(R"([{"op":"inc","path":"/n","by":-9000000000000000000}])"), rules, author(6, 1, 1)));
  BOOST_TEST(text(document.view(rules).value) == R"({"n":9223372036854775000})");
}

BOOST_AUTO_TEST_CASE(patches_edit_by_pointer) {
  const Document document(json(R"({"a/b":1,"l":[{"id":1},{"id":2}],"o":{}})"));
  const Basis seen = document.view({});
  const auto after = [&](std::string_view edits) {
    Document copy = *Document::open(document.bytes());
    const auto delta = patch(seen, json(edits), {}, author(1, 1, 1));
    if (!delta) return "refused " + std::to_string(delta.error().detail);
    take(copy, *delta);
    return text(copy.view({}).value);
  };
  BOOST_TEST(after(R"([{"op":"set","path":"/a~1b","value":2},{"op":"set","path":"/o/x","value":[1]}])") ==
             R"({"a/b":2,"l":[{"id":1},{"id":2}],"o":{"x":[1]}})");
  BOOST_TEST(after(R"([{"op":"delete","path":"/l/0"},{"op":"insert","path":"/l/-","value":{"id":3}}])") ==
             R"({"a/b":1,"l":[{"id":2},{"id":3}],"o":{}})");
  BOOST_TEST(after(R"([{"op":"inc","path":"/a~1b","by":4}])") == R"({"a/b":5,"l":[{"id":1},{"id":2}],"o":{}})");
  BOOST_TEST(after(R"([{"op":"delete","path":""}])") == "nothing");
  BOOST_TEST(after(R"([{"op":"set","path":"/o/x/y","value":1}])") == "refused 0");
  BOOST_TEST(after(R"([{"op":"set","path":"/o","value":1},{"op":"set","path":"/l/2/x","value":1}])") == "refused 1");
  BOOST_TEST(after(R"([{"op":"fly","path":"/o","value":1}])") == "refused 0");
  BOOST_TEST(after(R"([{"op":"inc","path":"/o","by":1}])") == "refused 0");
  BOOST_TEST(after(R"([{"op":"set","path":"/o~","value":1}])") == "refused 0");
}

// One resolution covers all siblings; it is a change like any other, so nothing storms.
BOOST_AUTO_TEST_CASE(resolving_ends_the_conflict_everywhere) {
  const std::vector<std::array<std::string_view, 4>> rows{
      {R"({"x":1})", R"({"x":2})", R"({"x":3})", "7"},
      {R"({"x":1,"y":1})", R"({"x":2,"y":1})", R"({"y":1})", "2"},
      {R"({"l":["a","b"]})", R"({"l":["x","b"]})", R"({"l":["y","b"]})", R"("y")"},
      {R"([{"id":1,"n":1},{"id":2,"n":1}])", R"([{"id":1,"n":1},{"id":2,"n":2}])", R"([{"id":1,"n":1}])",
       R"({"id":2,"n":2})"},
      {R"({})", R"({"l":[1]})", R"({"l":[2]})", R"([1,2])"},
  };
  for (const std::string_view schema : {R"({})", R"({"":"merge:manual"})"}) {
    const Rules rules = rules_of(schema);
    for (const auto& row : rows) {
      Pair pair(row[0], row[1], row[2], rules);
      const Shown shown = pair.document.view(rules);
      BOOST_REQUIRE(!shown.records.empty());
      const std::string id = shown.records.front().id;
      const auto delta = pair.document.resolve(shown, id, json(row[3]), author(3, 1, 3'000));
      BOOST_REQUIRE(delta.has_value());
      BOOST_TEST(delta->ops.size() == 1U);
      take(pair.document, *delta);
      const Shown after = pair.document.view(rules);
      BOOST_TEST(after.records.empty(), row[0] << " still has a record under " << schema);
      BOOST_TEST(text(after.value).find(row[3]) != std::string::npos);
    }
  }
  const Rules rules;
  Pair pair(R"({"x":1})", R"({"x":2})", R"({"x":3})", rules);
  BOOST_TEST((pair.document.resolve(pair.document.view(rules), "0", json("1"), author(3, 1, 1)).error().code ==
              ErrorCode::kMalformed));
}

BOOST_AUTO_TEST_CASE(a_record_is_provisional_until_the_server_has_numbered_its_siblings) {
  const Rules rules;
  Pair pair(R"({"x":1})", R"({"x":2})", R"({"x":3})", rules);
  BOOST_TEST(pair.document.view(rules).records.at(0).provisional);
  const std::string id = pair.document.view(rules).records.at(0).id;
  pair.accept();
  BOOST_TEST(!pair.document.view(rules).records.at(0).provisional);
  BOOST_TEST(pair.document.view(rules).records.at(0).id == id);
}

// A device a year ahead wins until the server has said when its operation came in.
BOOST_AUTO_TEST_CASE(a_clock_ahead_is_clamped_by_its_stamp) {
  constexpr std::int64_t kYear = 365LL * 24 * 3600 * 1000;
  const Rules rules;
  Document document(json(R"({"x":1})"));
  const Basis seen = document.view(rules);
  take(document, put(seen, json(R"({"x":"ahead"})"), rules, author(1, 1, 10'000 + kYear)));
  take(document, put(seen, json(R"({"x":"right"})"), rules, author(2, 1, 200'000)));
  BOOST_TEST(text(document.view(rules).value) == R"({"x":"ahead"})");
  take(document, stamping({{1}, 1, 1}, {{Millis{1}, 1}, 1, Millis{11'000}}));
  BOOST_TEST(text(document.view(rules).value) == R"({"x":"right"})");
}

BOOST_AUTO_TEST_CASE(void_dots_leave_and_never_come_back) {
  const Rules rules;
  Pair pair(R"({"x":1})", R"({"x":2})", R"({"x":3})", rules);
  take(pair.document, voiding(dots_of(pair.theirs)));
  BOOST_TEST(text(pair.document.view(rules).value) == R"({"x":2})");
  take(pair.document, pair.theirs);
  BOOST_TEST(text(pair.document.view(rules).value) == R"({"x":2})");
}

BOOST_AUTO_TEST_CASE(compaction_changes_nothing_that_is_seen) {
  Prng prng(7);
  int folded = 0;
  for (int i = 0; i < 500; ++i) {
    Document document(samples::value(prng));
    Basis old = document.view({});
    std::vector<std::uint64_t> next(3, 1);
    for (std::uint64_t change = 1; change <= 8; ++change) {
      const std::uint64_t who = prng.below(3);
      Basis seen = prng.chance(2, 3) ? document.view({}) : old;
      if (seen.version.last_of({who + 1}) + 1 != next[who]) seen = document.view({});
      const Delta delta =
          put(seen, samples::edited(*seen.value, prng), {}, author(who + 1, next[who], std::int64_t(change) * 100));
      if (delta.empty()) continue;
      take(document, delta);
      take(document, stamping(dots_of(delta), {{Millis{1}, 1}, change, Millis{std::int64_t(change) * 100}}));
      next[who] += delta.ops.size();
      if (prng.chance(1, 2)) old = document.view({});
      if (!document.view({}).value) break;
    }
    const Delta all = document.since({});
    const Shown before = document.view({});
    const std::uint64_t cut = document.compact(prng.below(10), {});
    const Shown after = document.view({});
    BOOST_REQUIRE_MESSAGE(text(before.value) == text(after.value), text(before.value)
                                                                       << " became " << text(after.value));
    folded += cut > 0 ? 1 : 0;
    const Bytes bytes = document.bytes();
    BOOST_TEST((Document::open(bytes)->bytes() == bytes));
    // Whatever is delivered again is known, above the cut and below it.
    take(document, all);
    BOOST_TEST((document.bytes() == bytes));
    if (!after.value) continue;
    const Value last = samples::edited(*after.value, prng);
    take(document, put(after, last, {}, author(4, 1, 5'000)));
    BOOST_TEST(text(document.view({}).value) == to_json(last));
  }
  BOOST_TEST(folded > 200);
}

BOOST_AUTO_TEST_CASE(compaction_waits_for_a_person) {
  const Rules rules = rules_of(R"({"":"merge:manual"})");
  Pair pair(R"({"x":1})", R"({"x":2})", R"({"x":3})", rules);
  pair.accept();
  BOOST_TEST(pair.document.compact(2, rules) == 0U);
  const Shown shown = pair.document.view(rules);
  const auto delta = pair.document.resolve(shown, shown.records.at(0).id, json("3"), author(3, 1, 3'000));
  take(pair.document, *delta);
  take(pair.document, stamping(dots_of(*delta), {{Millis{1}, 1}, 3, Millis{9'000}}));
  BOOST_TEST(pair.document.compact(3, rules) == 3U);
  BOOST_TEST(pair.document.state().op_count() == 0U);
  BOOST_TEST(text(pair.document.view(rules).value) == R"({"x":3})");
}

BOOST_AUTO_TEST_CASE(contexts_name_only_what_has_no_number) {
  const Rules rules;
  Pair pair(R"({"x":1,"y":1})", R"({"x":2,"y":1})", R"({"x":1,"y":3})", rules);
  take(pair.document, stamping(dots_of(pair.ours), {{Millis{1}, 1}, 1, Millis{5'000}}));
  const Version version = pair.document.state().version_since(1);
  BOOST_TEST(version.seen == 1U);
  BOOST_TEST(version.runs().size() == 1U);
  // An edit on top of it covers both, the numbered one and the named one.
  Basis seen = pair.document.view(rules);
  seen.version = version;
  take(pair.document, put(seen, json(R"({"x":5,"y":6})"), rules, author(3, 1, 1)));
  BOOST_TEST(text(pair.document.view(rules).value) == R"({"x":5,"y":6})");
  BOOST_TEST(pair.document.view(rules).records.empty());
}
