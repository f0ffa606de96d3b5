// The rule table of docs/merge.md, row by row: two sides edit one base, and this is what everybody then sees.
//
// Every row runs both ways round. Sides have no names inside, so the bytes of state, document and records must be equal.
#include <boost/test/unit_test.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "merge/json.h"
#include "merge/three_way.h"

using namespace oas;
using namespace oas::merge;

namespace {

constexpr std::string_view kNone = "";  // no document

struct Row {
  std::string_view rule;
  std::string_view what;
  std::string_view schema;  // words by pattern; "" for none
  std::string_view base;
  std::string_view ours;
  std::string_view theirs;
  std::string_view merged;
  std::string_view records;  // "<class> <kind> <rule> <path>", joined by "; "
  std::uint8_t later = 0;  // 1 ours, 2 theirs
  std::uint8_t first = 0;
};

std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.rule << ", " << row.what; }

const std::vector<Row> kRows{
    {"R01", "both set the same value", "", R"({"x":1})", R"({"x":2})", R"({"x":2})", R"({"x":2})", ""},
    {"R02", "different fields", "", R"({"x":1,"y":1})", R"({"x":2,"y":1})", R"({"x":1,"y":2})", R"({"x":2,"y":2})", ""},
    {"R02", "deep in different branches", "", R"({"a":{"b":{"c":1,"d":1}}})", R"({"a":{"b":{"c":2,"d":1}}})",
     R"({"a":{"b":{"c":1,"d":2}}})", R"({"a":{"b":{"c":2,"d":2}}})", ""},
    {"R03", "different values, the later one is seen", "", R"({"x":1})", R"({"x":2})", R"({"x":3})", R"({"x":2})",
     "lossy scalar R03 /x", 1},
    {"R03", "null is a value", "", R"({"x":1})", R"({"x":null})", R"({"x":3})", R"({"x":null})", "lossy scalar R03 /x",
     1},
    {"R03", "a person is asked", R"({"":"merge:manual"})", R"({"x":1})", R"({"x":2})", R"({"x":3})", R"({"x":1})",
     "manual scalar R03 /x"},
    {"R03", "server-wins takes the first to arrive", R"({"/x":"server-wins"})", R"({"x":1})", R"({"x":2})",
     R"({"x":3})", R"({"x":2})", "lossy scalar R03 /x", 0, 1},
    {"R03", "local-wins takes the last to arrive", R"({"/x":"local-wins"})", R"({"x":1})", R"({"x":2})", R"({"x":3})",
     R"({"x":3})", "lossy scalar R03 /x", 0, 1},
    {"R03", "an unknown function leaves the last agreed value", R"({"/x":"fn:nobody"})", R"({"x":1})", R"({"x":2})",
     R"({"x":3})", R"({"x":1})", "failed scalar R03 /x"},
    {"R04", "a field edited here and deleted there is deleted", "", R"({"x":1,"y":1})", R"({"x":2,"y":1})",
     R"({"y":1})", R"({"y":1})", "lossy delete-edit R04 /x"},
    {"R04", "edit-wins keeps it", R"({"/x":"edit-wins"})", R"({"x":1,"y":1})", R"({"x":2,"y":1})", R"({"y":1})",
     R"({"x":2,"y":1})", "lossy delete-edit R04 /x"},
    {"R05", "a document edited here and deleted there is restored whole", "", R"({"x":1,"y":1})", R"({"x":2,"y":1})",
     kNone, R"({"x":2,"y":1})", "lossy delete-edit R05 "},
    {"R06", "both delete", "", R"({"x":1,"y":1})", R"({"y":1})", R"({"y":1})", R"({"y":1})", ""},
    {"R06", "both delete the document", "", R"({"x":1})", kNone, kNone, kNone, ""},
    {"R07", "both add an object", "", R"({})", R"({"o":{"a":1,"c":3}})", R"({"o":{"b":2,"c":3}})",
     R"({"o":{"a":1,"b":2,"c":3}})", ""},
    {"R07", "both add an object, one field differs", "", R"({})", R"({"o":{"a":1}})", R"({"o":{"a":2,"b":2}})",
     R"({"o":{"a":2,"b":2}})", "lossy add-add R07 /o/a", 2},
    {"R07", "both create the document", "", kNone, R"({"a":1})", R"({"b":2})", R"({"a":1,"b":2})", ""},
    {"R07", "both add another scalar", R"({"":"merge:manual"})", R"({})", R"({"x":1})", R"({"x":2})", R"({})",
     "manual add-add R07 /x"},
    {"R07", "both add another list: all is kept, and said", "", R"({})", R"({"l":["a"]})", R"({"l":["b"]})",
     R"({"l":["a","b"]})", "lossless add-add R07 /l"},
    {"R08", "object here, scalar there", "", R"({"x":1})", R"({"x":{"a":1}})", R"({"x":2})", R"({"x":{"a":1}})",
     "lossy kind R08 /x", 1},
    {"R09", "an edit inside an object that is deleted", "", R"({"o":{"a":1,"b":1},"y":1})",
     R"({"o":{"a":2,"b":1},"y":1})", R"({"y":1})", R"({"y":1})", "lossy delete-edit R04 /o"},
    {"R10", "an edit inside an object that is replaced", "", R"({"o":{"a":1,"b":2}})", R"({"o":{"a":1,"b":3}})",
     R"({"o":{"a":9,"c":3}})", R"({"o":{"a":9,"c":3}})", "lossy delete-edit R04 /o/b"},
    {"R10", "where the replacement left the path as it was, the edit lives", "", R"({"o":{"a":1,"b":2}})",
     R"({"o":{"a":1,"b":3}})", R"({"o":{"a":9,"b":2,"c":3}})", R"({"o":{"a":9,"b":3,"c":3}})", ""},
    {"R11", "both insert into a list", "", R"(["a","b"])", R"(["a","x","b"])", R"(["a","b","y"])",
     R"(["a","x","b","y"])", ""},
    {"R11", "runs in one gap are not interleaved", R"({"":"list"})", R"([[0],[9]])", R"([[0],[1],[2],[9]])",
     R"([[0],[5],[6],[9]])", R"([[0],[1],[2],[5],[6],[9]])", ""},
    {"R12", "both insert one key", "", R"([{"id":1,"n":1}])", R"([{"id":1,"n":1},{"id":2,"n":5}])",
     R"([{"id":1,"n":1},{"id":2,"m":6}])", R"([{"id":1,"n":1},{"id":2,"m":6,"n":5}])", ""},
    {"R13", "an element edited here and deleted there goes", "", R"([{"id":1,"n":1},{"id":2,"n":1}])",
     R"([{"id":1,"n":1},{"id":2,"n":2}])", R"([{"id":1,"n":1}])", R"([{"id":1,"n":1}])", "lossy delete-edit R13 /2"},
    {"R13", "in a declared list it survives edited", R"({"":"list:key=id"})", R"([{"id":1,"n":1},{"id":2,"n":1}])",
     R"([{"id":1,"n":1},{"id":2,"n":2}])", R"([{"id":1,"n":1}])", R"([{"id":1,"n":1},{"id":2,"n":2}])",
     "lossy delete-edit R13 /2"},
    {"R13", "nobody knows, so a person is asked", R"({"":"merge:manual"})", R"([{"id":1,"n":1},{"id":2,"n":1}])",
     R"([{"id":1,"n":1},{"id":2,"n":2}])", R"([{"id":1,"n":1}])", R"([{"id":1,"n":1},{"id":2,"n":1}])",
     "manual delete-edit R13 /2"},
    {"R13", "nor of an entry in an object of objects", R"({"":"merge:manual"})", R"({"a":{"n":1},"b":{"n":1,"m":1}})",
     R"({"a":{"n":1},"b":{"n":2,"m":1}})", R"({"a":{"n":1}})", R"({"a":{"n":1},"b":{"m":1,"n":1}})",
     "manual delete-edit R04 /b"},
    {"R14", "an element moved here and deleted there is deleted", "", R"(["a","b","c"])", R"(["c","a","b"])",
     R"(["a","b"])", R"(["a","b"])", ""},
    {"R15", "both move one element", "", R"(["a","b","c","d"])", R"(["d","a","b","c"])", R"(["a","d","b","c"])",
     R"(["a","d","b","c"])", "lossy order R15 /d", 2},
    {"R16", "a rename is an edit of the element", "",
     R"([{"name":"x","a":1,"b":2,"c":3},{"name":"z","a":0,"b":0,"c":0}])",
     R"([{"name":"y","a":1,"b":2,"c":3},{"name":"z","a":0,"b":0,"c":0}])",
     R"([{"name":"x","a":1,"b":2,"c":4},{"name":"z","a":0,"b":0,"c":0}])",
     R"([{"a":1,"b":2,"c":4,"name":"y"},{"a":0,"b":0,"c":0,"name":"z"}])", ""},
    {"R17", "both replace the only element", "", R"({"l":["a"]})", R"({"l":["b"]})", R"({"l":["c"]})", R"({"l":["c"]})",
     "lossy scalar R03 /l/a", 2},
    {"R18", "added here, removed there: an unseen addition stays", R"({"":"set"})", R"(["a","b"])", R"(["a","b","c"])",
     R"(["b"])", R"(["b","c"])", ""},
    {"R19", "counters add up", R"({"/n":"counter"})", R"({"n":5})", R"({"n":8})", R"({"n":4})", R"({"n":7})", ""},
    {"R20", "an increment and a new value", R"({"/n":"counter"})", R"({"n":5})", R"({"n":8})", R"({"n":"five"})",
     R"({"n":"five"})", ""},
    {"R25", "edits of different words", "", R"({"t":"the quick brown fox"})", R"({"t":"the slow brown fox"})",
     R"({"t":"the quick brown dog"})", R"({"t":"the slow brown dog"})", "lossless text R25 /t"},
    {"R25", "a prefix and a number of one version range", "", R"({"v":"^7.10.1"})", R"({"v":"workspace:^7.10.1"})",
     R"({"v":"^7.10.4"})", R"({"v":"workspace:^7.10.4"})", "lossless text R25 /v"},
    {"R25", "the same word on both sides", "", R"({"t":"a b"})", R"({"t":"a c"})", R"({"t":"a d"})", R"({"t":"a d"})",
     "lossy scalar R03 /t", 2},
    {"R25", "in doubt, edits that touch wait", R"({"":"merge:manual"})", R"({"t":"open the main popup.html"})",
     R"({"t":"open the main menu.html"})", R"({"t":"open the main popup-small.html"})",
     R"({"t":"open the main popup.html"})", "manual scalar R03 /t"},
    {"R25", "in doubt, who leaves little of it waits", R"({"":"merge:manual"})",
     R"({"u":"https://a.example/files/tool-1.0.zip"})", R"({"u":"https://mirror.test/tools/get/tool-1.0.zip"})",
     R"({"u":"https://a.example/files/tool-1.1.zip"})", R"({"u":"https://a.example/files/tool-1.0.zip"})",
     "manual scalar R03 /u"},
    {"R25", "in doubt, small edits apart are merged", R"({"":"merge:manual"})",
     R"({"t":"the quick brown fox jumps over the lazy dog"})", R"({"t":"the slow brown fox jumps over the lazy dog"})",
     R"({"t":"the quick brown fox jumps over the lazy cat"})", R"({"t":"the slow brown fox jumps over the lazy cat"})",
     "lossless text R25 /t"},
    {"R25", "in doubt, a mark alone holds no edits apart", R"({"":"merge:manual"})",
     R"({"t":"the fox is quick [and so brown]."})", R"({"t":"the fox is quick [and so brown, mostly]."})",
     R"({"t":"the fox is quick [and so brown] today."})", R"({"t":"the fox is quick [and so brown]."})",
     "manual scalar R03 /t"},
    {"R26", "two dates are never mixed", R"({"":"merge:manual"})", R"({"d":"2024-01-01"})", R"({"d":"2025-01-01"})",
     R"({"d":"2024-01-31"})", R"({"d":"2024-01-01"})", "manual scalar R03 /d"},
    {"R26", "two versions are never mixed", R"({"":"merge:manual"})", R"({"a":"1.2.3"})", R"({"a":"2.2.3"})",
     R"({"a":"1.2.4"})", R"({"a":"1.2.3"})", "manual scalar R03 /a"},
    {"R27", "max:semver where declared", R"({"/a":"max:semver"})", R"({"a":"1.2.3"})", R"({"a":"1.10.0"})",
     R"({"a":"1.9.4"})", R"({"a":"1.10.0"})", "lossless scalar R27 /a"},
    {"R27", "max of numbers", R"({"/score":"max"})", R"({"score":1})", R"({"score":10})", R"({"score":9})",
     R"({"score":10})", "lossless scalar R27 /score"},
    {"R27", "min of dates", R"({"/d":"min:date"})", R"({"d":"2024-05-01"})", R"({"d":"2024-03-01"})",
     R"({"d":"2024-04-01"})", R"({"d":"2024-03-01"})", "lossless scalar R27 /d"},
    {"R27", "a greater dependency is inferred", R"({"":"merge:manual"})", R"({"dependencies":{"a":"^1.0.0"}})",
     R"({"dependencies":{"a":"^1.2.0"}})", R"({"dependencies":{"a":"^2.0.0"}})", R"({"dependencies":{"a":"^2.0.0"}})",
     "lossy scalar R27 /dependencies/a"},
    {"R27", "in doubt, one releases and one prepares the next", R"({"":"merge:manual"})", R"({"version":"0.3.0-dev"})",
     R"({"version":"0.3.1"})", R"({"version":"0.4.0-dev"})", R"({"version":"0.3.0-dev"})",
     "manual scalar R03 /version"},
    {"R27", "both prepare", R"({"":"merge:manual"})", R"({"version":"0.3.0-dev"})", R"({"version":"0.3.1-dev"})",
     R"({"version":"0.4.0-dev"})", R"({"version":"0.4.0-dev"})", "lossy scalar R27 /version"},
    {"R27", "strict infers nothing", R"({"":"merge:manual strict"})", R"({"dependencies":{"a":"^1.0.0"}})",
     R"({"dependencies":{"a":"^1.2.0"}})", R"({"dependencies":{"a":"^2.0.0"}})", R"({"dependencies":{"a":"^1.0.0"}})",
     "manual scalar R03 /dependencies/a"},
    {"R30", "both replace one element of a list", "", R"(["a","b","c"])", R"(["a","x","c"])", R"(["a","y","c"])",
     R"(["a","y","x","c"])", "lossless replace-replace R30 /y"},
    {"R30", "one replaces the whole list, the other adds to it", "", R"(["a","b"])", R"(["c"])", R"(["a","b","d"])",
     R"(["c","d"])", "lossless replace-replace R30 /d"},
    {"R31", "both enter what looks like one thing", "", R"([{"n":"a","u":"1","w":1}])",
     R"([{"n":"a","u":"1","w":1},{"n":"b","u":"2","w":2}])", R"([{"n":"a","u":"1","w":1},{"n":"b!","u":"2","w":2}])",
     R"([{"n":"a","u":"1","w":1},{"n":"b!","u":"2","w":2},{"n":"b","u":"2","w":2}])",
     "lossless similar R31 /@632d6c67b035d2e4b000"},
    {"R32", "a field renamed here and edited there", R"({"":"merge:manual"})", R"({"old":{"a":1,"b":2,"c":3}})",
     R"({"new":{"a":1,"b":2,"c":3}})", R"({"old":{"a":1,"b":2,"c":4}})", R"({"new":{"a":1,"b":2,"c":3}})",
     "lossy delete-edit R04 /old; manual rename R32 /old"},
};

MaybeValue document(std::string_view text) {
  if (text.empty()) return std::nullopt;
  auto value = parse_json(text);
  BOOST_REQUIRE_MESSAGE(value.has_value(), "bad JSON in the table: " << text);
  return std::move(*value);
}

std::string text_of(const MaybeValue& value) { return value ? to_json(*value) : std::string(kNone); }

std::string summary(const std::vector<Record>& records) {
  std::string out;
  for (const Record& record : records) {
    if (!out.empty()) out += "; ";
    out.append(name_of(record.cls)).append(1, ' ').append(name_of(record.kind)).append(1, ' ');
    out.append(reason_of(record), 0, 3).append(1, ' ').append(pointer_of(record.path));
  }
  return out;
}

ThreeWayOptions options_of(const Row& row, bool flipped) {
  ThreeWayOptions options;
  if (!row.schema.empty()) {
    auto rules = Rules::parse(*document(row.schema));
    BOOST_REQUIRE(rules.has_value());
    options.rules = std::move(*rules);
  }
  const auto side = [flipped](std::uint8_t which) { return which == 0 || !flipped ? which : std::uint8_t(3 - which); };
  options.later = side(row.later);
  options.first_at_server = side(row.first);
  return options;
}

std::string all_bytes(const ThreeWay& merged) {
  std::string out(as_text(merged.state));
  out += text_of(merged.shown.value);
  for (const Record& record : merged.shown.records) out += record_json(record);
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_row_holds_both_ways_round) {
  for (const Row& row : kRows) {
    BOOST_TEST_CONTEXT(row) {
      const auto base = document(row.base);
      const auto ours = document(row.ours);
      const auto theirs = document(row.theirs);
      const auto merged = merge_three_way(base, ours, theirs, options_of(row, false));
      const auto flipped = merge_three_way(base, theirs, ours, options_of(row, true));
      BOOST_REQUIRE(merged.has_value());
      BOOST_REQUIRE(flipped.has_value());
      BOOST_TEST(text_of(merged->shown.value) == row.merged);
      BOOST_TEST(summary(merged->shown.records) == row.records);
      BOOST_TEST((all_bytes(*merged) == all_bytes(*flipped)));
    }
  }
}

// What only one side did is done, whatever it is: with an idle other side every row gives that side's document.
BOOST_AUTO_TEST_CASE(an_idle_side_changes_nothing) {
  for (const Row& row : kRows) {
    BOOST_TEST_CONTEXT(row) {
      const auto base = document(row.base);
      for (const std::string_view side : {row.ours, row.theirs}) {
        const auto merged = merge_three_way(base, document(side), base, options_of(row, false));
        BOOST_REQUIRE(merged.has_value());
        BOOST_TEST(text_of(merged->shown.value) == text_of(document(side)));
        BOOST_TEST(summary(merged->shown.records) == "");
      }
    }
  }
}
