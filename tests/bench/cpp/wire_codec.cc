// How fast the wire layer moves: JSON checking, packing events into segments, and reading them back.
//
//   wire_codec [rounds]      prints the median of the rounds (default 9) as MB/s of event JSON, and events per second
//
// Data: 20,000 page views as a web shop would queue them, made from a fixed seed, 360 bytes each on average. The
// yardstick of the checker is nlohmann's accept() on the same bytes in the same run.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/prng.h"
#include "wire/json_check.h"
#include "wire/segment.h"

namespace {

using namespace oas;

struct Sample {
  std::string type;
  std::string entity;
  std::string json;
};

std::vector<Sample> samples(std::uint32_t count) {
  Prng prng(2024);
  std::vector<Sample> out;
  for (std::uint32_t i = 0; i < count; ++i) {
    // The product of two uniform draws stands in for the skew of real pages: few are seen by most.
    const std::uint32_t page = prng.below(prng.below(400) + 1);
    std::string json = R"({"url":"https://shop.example/catalogue/item-)" + std::to_string(page) +
                       R"(?ref=mail","title":"Größe )" + std::to_string(prng.below(50)) + R"( \"blue\"","session":")" +
                       std::to_string(prng.next()) + R"(","viewport":{"w":)" + std::to_string(320 + prng.below(1600)) +
                       R"(,"h":)" + std::to_string(480 + prng.below(900)) + R"(},"timing":[)" +
                       std::to_string(prng.below(900)) + "," + std::to_string(prng.below(90)) + ".25," +
                       std::to_string(prng.below(9)) + R"(e2],"tags":["autumn","sale",null,true],"note":")" +
                       std::string(prng.below(140), 'n') + R"("})";
    out.push_back({"page_view", "visitor:" + std::to_string(prng.below(50)), std::move(json)});
  }
  return out;
}

wire::EventView view_of(const Sample& sample, std::uint64_t hlc) {
  return {.hlc = {hlc},
          .type = sample.type,
          .module = "catalogue",
          .entity = sample.entity,
          .dedupe_key = {},
          .replaces = {},
          .json = as_bytes(sample.json)};
}

std::vector<Bytes> pack(const std::vector<Sample>& events) {
  std::vector<Bytes> out;
  std::uint64_t hlc = 1;
  Sequence first{1};
  RollingHash before{};
  for (std::size_t at = 0; at < events.size();) {
    wire::SegmentBuilder builder({{7}, Lane::kNormal}, first, before);
    for (; at < events.size(); ++at) {
      const wire::EventView event = view_of(events[at], hlc);
      if (builder.count() > 0 && !builder.fits(event)) break;
      builder.add(event);
      ++hlc;
    }
    first.value += builder.count();
    before = builder.hash();
    for (wire::SealedSegment& sealed : builder.seal()) out.push_back(std::move(sealed.bytes));
  }
  return out;
}

std::uint64_t unpack(const std::vector<Bytes>& segments) {
  std::uint64_t events = 0;
  Bytes rows;
  for (const Bytes& bytes : segments) {
    const auto segment = wire::open_segment(bytes);
    if (!segment || !wire::decode_rows(*segment, rows)) std::abort();
    wire::RowCursor cursor(segment->head, rows);
    for (; !cursor.done(); ++events)
      if (!cursor.next()) std::abort();
  }
  return events;
}

template <class Work>
void measure(const char* name, std::uint32_t rounds, std::uint64_t bytes, std::uint64_t events, Work work) {
  std::vector<double> seconds;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  std::printf("%-22s %8.0f MB/s %12.0f events/s\n", name, static_cast<double>(bytes) / median / 1e6,
              static_cast<double>(events) / median);
}

}  // namespace

int main(int argc, char** argv) {
  const auto rounds = static_cast<std::uint32_t>(argc > 1 ? std::max(1, std::atoi(argv[1])) : 9);
  const std::vector<Sample> events = samples(20'000);
  std::uint64_t bytes = 0;
  for (const Sample& event : events) bytes += event.json.size();
  const std::uint64_t count = events.size();
  std::printf("%llu events, %llu bytes of JSON each on average, median of %u rounds\n",
              static_cast<unsigned long long>(count), static_cast<unsigned long long>(bytes / count), rounds);

  measure("check_json", rounds, bytes, count, [&] {
    for (const Sample& event : events)
      if (!wire::check_json(as_bytes(event.json))) std::abort();
  });
  measure("nlohmann accept", rounds, bytes, count, [&] {
    for (const Sample& event : events)
      if (!nlohmann::json::accept(event.json)) std::abort();
  });
  measure("add", rounds, bytes, count, [&] {
    std::uint64_t hlc = 1;
    for (std::size_t at = 0; at < events.size();) {
      wire::SegmentBuilder builder({{7}, Lane::kNormal}, {1}, {});
      for (; at < events.size() && builder.fits(view_of(events[at], hlc)); ++at)
        builder.add(view_of(events[at], hlc++));
    }
  });
  std::vector<Bytes> segments;
  measure("add and seal", rounds, bytes, count, [&] { segments = pack(events); });
  measure("open, decode and walk", rounds, bytes, count, [&] {
    if (unpack(segments) != count) std::abort();
  });
  std::uint64_t stored = 0;
  for (const Bytes& segment : segments) stored += segment.size();
  std::printf("%zu segments, %.1f bytes stored per event, ratio %.2f\n", segments.size(),
              static_cast<double>(stored) / static_cast<double>(count),
              static_cast<double>(bytes) / static_cast<double>(stored));
  return 0;
}
