// A trace comes from anywhere: it is read whole, or refused by name and place.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "sim/run.h"
#include "sim/trace.h"

using namespace oas;
using namespace oas::sim;

namespace {

std::string file_of(const std::string& entries, const std::string& version = "1") {
  return R"({"format":"offline-ai-sync/trace","version":)" + version + R"(,"entries":[)" + entries + "]}";
}

std::string call(const std::string& at, const std::string& more = R"("stored":true,"verdict":"applied")") {
  return R"({"at":)" + at + R"(,"kind":"call","lane":"normal","level":"strict","entity":1,"bytes":40,)" + more + "}";
}

std::string refusal(const std::string& text) {
  const auto trace = read_trace(text);
  return trace ? "" : std::string(error_info(trace.error().code).name) + " " + trace.error().where;
}

int replay(const std::string& text, std::vector<std::string_view> more = {}) {
  const auto path = std::filesystem::temp_directory_path() / ("oas-trace-" + std::to_string(std::rand()));
  std::ofstream(path) << text;
  const std::string name = path.string();
  more.insert(more.begin(), {"--replay", name});
  const int code = simulate(more);
  std::filesystem::remove(path);
  return code;
}

// An event behind a lost reply, one behind a 500, one refused, one that its tab does not outlive.
const std::string kStory =
    R"({"at":0,"kind":"opened"},)" + call("10") + R"(,{"at":20,"kind":"request","outcome":"reply_lost"},)" +
    call("5000", R"("stored":true,"verdict":"rejected")") +
    R"(,{"at":5010,"kind":"request","outcome":"status","status":500,"retryAfterMs":0},{"at":9000,"kind":"network","mode":"offline"},)" +
    call("9500") +
    R"(,{"at":9501,"kind":"killed"},{"at":9600,"kind":"opened"},{"at":9700,"kind":"network","mode":"online"})";

}  // namespace

BOOST_AUTO_TEST_CASE(every_field_is_read) {
  const auto trace = read_trace(file_of(kStory));
  BOOST_REQUIRE(trace.has_value());
  BOOST_REQUIRE_EQUAL(trace->entries.size(), 10U);
  const TraceEntry& first = trace->entries[1];
  BOOST_TEST((first.kind == TraceEntry::Kind::kCall && first.lane == Lane::kNormal && first.strict && first.stored));
  BOOST_TEST(first.at == 10);
  BOOST_TEST(first.entity == 1U);
  BOOST_TEST(first.json_bytes == 40U);
  BOOST_TEST((first.verdict == Seen::kApplied && trace->entries[3].verdict == Seen::kRejected));
  BOOST_TEST((trace->entries[2].way == Way::kReplyLost && trace->entries[4].way == Way::kStatus));
  BOOST_TEST(trace->entries[4].status == 500);
  BOOST_TEST((trace->entries[5].network == Network::kOffline));
}

BOOST_AUTO_TEST_CASE(what_is_no_trace_is_refused_by_name_and_place) {
  BOOST_TEST(refusal("") == "invalid_json byte 0");
  BOOST_TEST(refusal("[]") == "malformed the file");
  BOOST_TEST(refusal("{}") == "malformed format");
  BOOST_TEST(refusal(R"({"format":"offline-ai-sync/trace"})") == "malformed version");
  BOOST_TEST(refusal(file_of("", "2")) == "version_not_supported version");
  BOOST_TEST(refusal(R"({"format":"offline-ai-sync/trace","version":1})") == "malformed entries");
  BOOST_TEST(refusal(file_of("7")) == "malformed entries[0]");
  BOOST_TEST(refusal(file_of(R"({"at":0,"kind":"closed"})")) == "malformed entries[0].kind");
  BOOST_TEST(refusal(file_of(R"({"at":1.5,"kind":"opened"})")) == "malformed entries[0].at");
  BOOST_TEST(refusal(file_of(call("9") + "," + call("8"))) == "malformed entries[1].at");
  BOOST_TEST(refusal(file_of(call("86400001"))) == "malformed entries[0].at");
  BOOST_TEST(refusal(file_of(call("1", R"("stored":1,"verdict":"applied")"))) == "malformed entries[0].stored");
  BOOST_TEST(refusal(file_of(R"({"at":1,"kind":"request","outcome":"status","status":99})")) ==
             "malformed entries[0].status");
}

BOOST_AUTO_TEST_CASE(sizes_are_bounded) {
  BOOST_TEST(refusal(std::string(kTraceBytesMax + 1, ' ')) == "limit_exceeded the file's size");
  std::string many;
  for (std::size_t i = 0; i <= kTraceEntriesMax; ++i)
    many += std::string(i == 0 ? "" : ",") + R"({"at":0,"kind":"trap"})";
  BOOST_TEST(refusal(file_of(many)) == "limit_exceeded entries");
}

BOOST_AUTO_TEST_CASE(a_replay_is_judged_as_every_world) {
  BOOST_TEST(replay(file_of(kStory)) == 0);
  BOOST_TEST(replay(file_of(kStory), {"--mutant", "kNoServerDedupe"}) == 1);
  BOOST_TEST(replay("{") == 2);
  BOOST_TEST(simulate({"--replay", "no such file"}) == 2);
}
