// Edits of a device that was away for too long, made again: nothing of theirs is undone, nothing deleted comes back, and
// what two people changed is for a person.
#include <boost/test/unit_test.hpp>
#include <string>

#include "base/prng.h"
#include "documents/authority.h"
#include "documents/rebase.h"
#include "tests/unit/merge/samples.h"

namespace oas::documents {
namespace {

using merge::MaybeValue;

MaybeValue json(std::string_view text) { return text.empty() ? MaybeValue() : *merge::parse_json(text); }
std::string text(const MaybeValue& value) { return value ? merge::to_json(*value) : ""; }
merge::Rules rules_of(std::string_view schema) { return *merge::Rules::parse(*merge::parse_json(schema)); }

struct Outcome {
  std::string shown;  // with what could be done
  std::string contested;  // the same, if a person said yes to all of it
  std::uint32_t stranded = 0;
};

Outcome outcome(std::string_view base, std::string_view mine, std::string_view theirs, std::string_view schema = "{}") {
  const merge::Rules rules = rules_of(schema);
  merge::Document now(json(theirs), 9);
  const Rebased again = rebase(json(base), json(mine), now.view(rules), rules, {{7}, 1, {1'000}});
  BOOST_REQUIRE(now.apply(merge::encode_delta(again.edit)).has_value());
  Outcome out{text(now.view(rules).value), {}, again.stranded};
  if (again.contested.ops.empty()) return out;
  BOOST_REQUIRE(now.apply(merge::encode_delta(again.contested)).has_value());
  out.contested = text(now.view(rules).value);
  return out;
}

void check(const Outcome& got, std::string_view shown, std::string_view contested, std::uint32_t stranded) {
  BOOST_TEST(got.shown == shown);
  BOOST_TEST(got.contested == contested);
  BOOST_TEST(got.stranded == stranded);
}

BOOST_AUTO_TEST_CASE(what_nobody_else_touched_happens) {
  check(outcome(R"({"a":1,"b":1})", R"({"a":2,"b":1})", R"({"a":1,"b":5,"c":3})"), R"({"a":2,"b":5,"c":3})", "", 0);
  check(outcome(R"({"a":1,"b":1})", R"({"a":1})", R"({"a":4,"b":1})"), R"({"a":4})", "", 0);
  check(outcome(R"({"t":["x"]})", R"({"t":["x","y"]})", R"({"t":["x","z"]})"), R"({"t":["x","z","y"]})", "", 0);
  check(outcome("", R"({"a":1})", ""), R"({"a":1})", "", 0);
}

BOOST_AUTO_TEST_CASE(increments_add_to_what_is_there) {
  constexpr std::string_view kCounter = R"({"/n":"counter"})";
  check(outcome(R"({"n":1})", R"({"n":4})", R"({"n":10})", kCounter), R"({"n":13})", "", 0);
  check(outcome(R"({"n":1})", R"({"n":4})", "{}", kCounter), "{}", "", 1);
}

BOOST_AUTO_TEST_CASE(what_others_changed_too_is_for_a_person) {
  check(outcome(R"({"a":1,"b":1})", R"({"a":2,"b":2})", R"({"a":3,"b":1})"), R"({"a":3,"b":2})", R"({"a":2,"b":2})", 0);
  check(outcome(R"({"a":1})", "{}", R"({"a":3})"), R"({"a":3})", "{}", 0);
  check(outcome(R"({"a":1})", R"({"a":2})", "{}"), "{}", R"({"a":2})", 0);
  check(outcome(R"({"a":1})", "", R"({"a":3})"), R"({"a":3})", "", 0);
  check(outcome("", R"({"a":1})", R"({"a":2})"), R"({"a":2})", R"({"a":1})", 0);
}

BOOST_AUTO_TEST_CASE(whoever_did_the_same_has_done_it) {
  check(outcome(R"({"a":1,"b":1})", R"({"a":2})", R"({"a":2})"), R"({"a":2})", "", 0);
  check(outcome(R"({"a":1})", "", ""), "", "", 0);
}

BOOST_AUTO_TEST_CASE(what_was_deleted_does_not_come_back) {
  check(outcome(R"({"a":1})", R"({"a":2,"b":[1]})", ""), "", "", 2);
  check(outcome(R"({"o":{"a":1}})", R"({"o":{"a":2}})", "{}"), "{}", "", 1);
  constexpr std::string_view kKeyed = R"({"/l":"list:key=id"})";
  check(outcome(R"({"l":[{"id":1,"q":1},{"id":2,"q":1}]})", R"({"l":[{"id":2,"q":3},{"id":1,"q":4}]})",
                R"({"l":[{"id":2,"q":1}]})", kKeyed),
        R"({"l":[{"id":2,"q":3}]})", "", 1);
}

// Laws, over many documents: alone, an edit happens in full; what others did stays; the numbers are one dense run.
BOOST_AUTO_TEST_CASE(any_edit_keeps_what_others_did) {
  Prng prng(33);
  for (int round = 0; round < 2'000; ++round) {
    const merge::Value base = merge::samples::value(prng);
    const merge::Value mine = merge::samples::edited(base, prng);
    const merge::Value theirs = merge::samples::edited(base, prng);
    const merge::Author author{{7}, 3, {1'000}};
    merge::Document alone(base, 4);
    const Rebased same = rebase(MaybeValue(base), MaybeValue(mine), alone.view({}), {}, author);
    BOOST_TEST((same.contested.ops.empty() && same.stranded == 0));
    BOOST_REQUIRE(alone.apply(merge::encode_delta(same.edit)).has_value());
    BOOST_TEST((alone.view({}).value == MaybeValue(mine)));

    const merge::Document now(theirs, 4);
    const Rebased again = rebase(MaybeValue(base), MaybeValue(mine), now.view({}), {}, author);
    std::uint64_t n = author.first_n;
    for (const merge::Delta* part : {&again.edit, &again.contested})
      for (const merge::PlacedOp& placed : part->ops) BOOST_TEST(placed.op.dot.n == n++);
    BOOST_TEST(n <= author.first_n + again.numbers);
    if (!base.is_object() || !theirs.is_object()) continue;
    merge::Document after(theirs, 4);
    BOOST_REQUIRE(after.apply(merge::encode_delta(again.edit)).has_value());
    const merge::MaybeValue shown = after.view({}).value;
    BOOST_REQUIRE(shown.has_value());
    for (const merge::Member& member : theirs.members()) {
      const merge::Value* before = base.find(member.key);
      if (member.value.is_container() || (before != nullptr && *before == member.value)) continue;
      BOOST_REQUIRE(shown->find(member.key) != nullptr);
      BOOST_TEST((*shown->find(member.key) == member.value));
    }
  }
}

// A device is away; the others edit and fold; its edits are refused, and made again they are there once.
BOOST_AUTO_TEST_CASE(a_refused_edit_is_made_again_once) {
  const merge::Rules rules = rules_of(R"({"/n":"counter"})");
  merge::Document server;
  std::uint64_t change = 0;
  const auto judged = [&](ByteView edit, std::span<const SetAside> aside = {}) {
    auto judgement = judge(server, edit, {{{1}, 1}, ++change, {5'000}}, 0, aside);
    BOOST_REQUIRE((judgement && judgement->changed));
    return judgement->change;
  };
  Replica away;
  Replica here;
  const auto made = here.put(json(R"({"a":1,"n":0})"), rules, {{1}, 1, {1'000}});
  const Bytes first = judged(made->delta);
  BOOST_REQUIRE(away.accept(first, rules).has_value());
  BOOST_REQUIRE(here.accept(first, rules).has_value());
  const Bytes stood_on = away.accepted().bytes();
  away.show(rules);
  const auto old_count =
      away.patch(*merge::parse_json(R"([{"op":"inc","path":"/n","by":5}])"), rules, {{2}, 1, {1'100}});
  const auto old_set = away.put(json(R"({"a":2,"mine":true,"n":5})"), rules, {{2}, 2, {1'200}});
  BOOST_REQUIRE((old_count && old_set));

  here.show(rules);
  const auto theirs = here.put(json(R"({"a":3,"n":1})"), rules, {{1}, 10, {1'300}});
  const Bytes second = judged(theirs->delta);
  BOOST_REQUIRE(server.compact(change, rules) == change);
  for (const auto* old : {&*old_count, &*old_set}) {
    merge::Document copy = *merge::Document::open(server.bytes());
    BOOST_TEST((judge(copy, old->delta, {{{1}, 1}, change + 1, {6'000}}).error().code == ErrorCode::kStaleEdit));
  }

  // The snapshot comes, and the old edits still wait.
  Replica stored = *Replica::open(server.bytes());
  BOOST_REQUIRE(stored.keep(old_count->delta).has_value());
  BOOST_REQUIRE(stored.keep(old_set->delta).has_value());
  away.refresh(std::move(stored));
  const auto count = away.remake(stood_on, old_count->delta, rules, {{3}, 1, {7'000}});
  BOOST_REQUIRE((count && !count->known && count->contested.empty() && count->stranded == 0));
  const auto set = away.remake(count->stood_on, old_set->delta, rules, {{3}, 1 + count->edit.count, {7'001}});
  BOOST_REQUIRE((set && set->stranded == 0));
  BOOST_TEST(away.remake(set->stood_on, old_count->delta, rules, {{3}, 9, {7'002}})->known);
  for (ByteView edit : {ByteView(count->edit.delta), ByteView(set->edit.delta)})
    BOOST_REQUIRE(away.accept(judged(edit), rules).has_value());
  const SetAside whole{0, "R33 away"};
  BOOST_REQUIRE(away.accept(judged(set->contested, {&whole, 1}), rules).has_value());
  BOOST_TEST(away.pending() == 0U);
  const merge::Shown shown = away.view(rules);
  BOOST_TEST(text(shown.value) == R"({"a":3,"mine":true,"n":6})");
  BOOST_TEST((away.accepted().bytes() == server.bytes()));
  BOOST_REQUIRE(shown.records.size() == 1U);
  BOOST_TEST(text(shown.records.front().siblings.front().value) == "2");
  BOOST_TEST(merge::reason_of(shown.records.front()) == "R33 away");
}

BOOST_AUTO_TEST_CASE(devices_cannot_put_anything_on_hold) {
  merge::Delta delta = merge::put({}, json(R"({"a":1})"), {}, {{7}, 1, {1'000}});
  delta.holds.push_back({{{7}, 1}, "R28 mine"});
  merge::Document server;
  const merge::Stamp stamp{{{1}, 1}, 1, {5'000}};
  BOOST_TEST((judge(server, merge::encode_delta(delta), stamp).error().code == ErrorCode::kMalformed));
  delta.holds.clear();
  const SetAside none{1, "R28 none"};
  BOOST_TEST(
      (judge(server, merge::encode_delta(delta), stamp, 0, {&none, 1}).error().code == ErrorCode::kInvalidArgument));
}

}  // namespace
}  // namespace oas::documents
