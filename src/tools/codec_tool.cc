#include "tools/codec_tool.h"

#include <lz4.h>
#include <lz4hc.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "tools/io.h"
#include "wire/dictionary.h"
#include "wire/lz4.h"
#include "wire/segment.h"

namespace oas::tools {
namespace {

constexpr std::uint32_t kRoundsMax = 1'000;

struct Options {
  std::string type = "page_view";
  std::uint32_t batch = 100;
  std::uint32_t learn = 0;  // events a dictionary is learned from; they are stored without one
  std::uint32_t relearn = 0;  // learn again after so many events, 0 = never
  std::uint32_t dictionary_bytes = wire::kDictionaryBytesMax;
  std::uint32_t tail_bytes = wire::kDictionaryBytesMax;
  std::uint32_t rounds = 3;
};

std::vector<std::string_view> lines_of(ByteView input) {
  std::vector<std::string_view> lines;
  for (std::string_view rest = as_text(input); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

// The clock of an event: its own "time" member where it has one, as it would be on the device that made it.
std::uint64_t wall_of(std::string_view json) {
  const std::size_t at = json.find("\"time\":");
  std::uint64_t wall = 0;
  for (std::size_t i = at + 7; at != std::string_view::npos && i < json.size() && json[i] >= '0' && json[i] <= '9'; ++i)
    wall = wall * 10 + static_cast<std::uint64_t>(json[i] - '0');
  return wall;
}

struct Stored {
  std::vector<Bytes> segments;
  std::vector<std::unique_ptr<wire::Dictionary>> dictionaries;
  std::uint64_t segment_bytes = 0;
  std::uint64_t dictionary_bytes = 0;  // as they would be sent: one lz4 block each
  std::uint32_t learned_from = 0;  // events before the first dictionary
  std::uint64_t learned_from_bytes = 0;
};

Stored store(const std::vector<wire::EventView>& events, const Options& options) {
  Stored out;
  Sequence next{1};
  RollingHash before{};
  const wire::Dictionary* dictionary = nullptr;
  std::uint32_t learned_at = 0;
  for (std::uint32_t at = 0; at < events.size();) {
    const bool due =
        dictionary == nullptr ? at >= options.learn : options.relearn > 0 && at - learned_at >= options.relearn;
    if (options.learn > 0 && due) {
      wire::DictionaryBuilder builder;
      for (std::uint32_t i = at < options.learn ? 0 : at - options.learn; i < at; ++i) builder.add(events[i]);
      auto loaded = wire::Dictionary::load(builder.build(options.dictionary_bytes, options.tail_bytes));
      if (!loaded) break;
      if (dictionary == nullptr) {
        out.learned_from = at;
        out.learned_from_bytes = out.segment_bytes;
      }
      out.dictionaries.push_back(std::make_unique<wire::Dictionary>(std::move(*loaded)));
      dictionary = out.dictionaries.back().get();
      Bytes sent;
      out.dictionary_bytes += wire::compress_text(dictionary->bytes(), nullptr, sent);
      learned_at = at;
    }
    wire::SegmentBuilder builder({{7}, Lane::kAnalytics}, next, before);
    const std::uint32_t end = std::min<std::uint32_t>(at + options.batch, static_cast<std::uint32_t>(events.size()));
    for (; at < end && (builder.count() == 0 || builder.fits(events[at])); ++at) builder.add(events[at]);
    next.value += builder.count();
    before = builder.hash();
    for (wire::SealedSegment& sealed : builder.seal(dictionary)) {
      out.segment_bytes += sealed.bytes.size();
      out.segments.push_back(std::move(sealed.bytes));
    }
  }
  return out;
}

// False unless every event comes back byte for byte.
bool read_back(const Stored& stored, const std::vector<wire::EventView>& events) {
  std::vector<const wire::Dictionary*> dictionaries;
  for (const auto& dictionary : stored.dictionaries) dictionaries.push_back(dictionary.get());
  std::size_t at = 0;
  Bytes rows;
  for (const Bytes& bytes : stored.segments) {
    const auto segment = wire::open_segment(bytes);
    if (!segment || !wire::decode_rows(*segment, rows, dictionaries)) return false;
    wire::RowCursor cursor(segment->head, rows);
    for (; !cursor.done(); ++at) {
      const auto row = cursor.next();
      if (!row || at == events.size() || as_text(row->event.json) != as_text(events[at].json)) return false;
    }
  }
  return at == events.size();
}

// Only what a server does before it hashes: the bytes of every row.
std::uint64_t decode_only(const Stored& stored) {
  std::vector<const wire::Dictionary*> dictionaries;
  for (const auto& dictionary : stored.dictionaries) dictionaries.push_back(dictionary.get());
  std::uint64_t bytes = 0;
  Bytes rows;
  for (const Bytes& segment : stored.segments) {
    const auto opened = wire::open_segment(segment);
    if (opened && wire::decode_rows(*opened, rows, dictionaries)) bytes += rows.size();
  }
  return bytes;
}

// The yardstick: the lz4 library over the same batches as text, `level` 0 = fast, else high compression; with the last
// `prefix` bytes of the events learned from as its dictionary once there are such.
std::uint64_t lz4_bytes(const std::vector<wire::EventView>& events, const Options& options, int level) {
  std::string before;
  for (std::uint32_t i = 0; i < options.learn && i < events.size(); ++i)
    before += std::string(as_text(events[i].json)) + '\n';
  if (before.size() > options.dictionary_bytes) before.erase(0, before.size() - options.dictionary_bytes);
  const auto state = std::make_unique<LZ4_streamHC_t>();
  std::uint64_t total = 0;
  std::string out;
  for (std::size_t at = 0; at < events.size(); at += options.batch) {
    std::string text;
    for (std::size_t i = at; i < std::min<std::size_t>(at + options.batch, events.size()); ++i)
      text += std::string(as_text(events[i].json)) + '\n';
    const int size = static_cast<int>(text.size());
    out.resize(static_cast<std::size_t>(LZ4_compressBound(size)));
    const int bound = static_cast<int>(out.size());
    if (level == 0) {
      total += static_cast<std::uint64_t>(LZ4_compress_default(text.data(), out.data(), size, bound));
      continue;
    }
    LZ4_resetStreamHC(state.get(), level);
    if (options.learn > 0 && at >= options.learn)
      (void)LZ4_loadDictHC(state.get(), before.data(), static_cast<int>(before.size()));
    total += static_cast<std::uint64_t>(LZ4_compress_HC_continue(state.get(), text.data(), out.data(), size, bound));
  }
  return total;
}

template <class Work>
double best_seconds(std::uint32_t rounds, Work work) {
  double best = 1e9;
  for (std::uint32_t i = 0; i < rounds; ++i) {
    const auto start = std::chrono::steady_clock::now();
    work();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

bool read_options(std::span<const std::string_view> arguments, Options& options) {
  for (std::size_t i = 0; i + 1 < arguments.size(); i += 2) {
    const std::string value(arguments[i + 1]);
    if (arguments[i] == "--type") {
      options.type = value;
      continue;
    }
    const auto number = static_cast<std::uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    if (arguments[i] == "--batch" && number > 0 && number <= kSegmentEventsMax)
      options.batch = number;
    else if (arguments[i] == "--learn")
      options.learn = number;
    else if (arguments[i] == "--relearn")
      options.relearn = number;
    else if (arguments[i] == "--dictionary" && number <= wire::kDictionaryBytesMax)
      options.dictionary_bytes = number;
    else if (arguments[i] == "--tail")
      options.tail_bytes = number;
    else if (arguments[i] == "--rounds" && number > 0 && number <= kRoundsMax)
      options.rounds = number;
    else
      return false;
  }
  return arguments.size() % 2 == 0;
}

}  // namespace

int codec(std::span<const std::string_view> arguments) {
  Options options;
  if (!read_options(arguments, options)) {
    write_text(
        "usage: oas codec [--batch N] [--type TYPE] [--learn N [--relearn N] [--dictionary BYTES] [--tail BYTES]] "
        "[--rounds N] < "
        "lines\n",
        stderr);
    return 2;
  }
  const Bytes input = read_all();
  std::vector<wire::EventView> events;
  std::uint64_t json_bytes = 0;
  std::uint64_t hlc = 0;
  for (const std::string_view line : lines_of(input)) {
    hlc = std::max(hlc + 1, wall_of(line) << 16);
    events.push_back({.hlc = {hlc},
                      .type = options.type,
                      .module = {},
                      .entity = {},
                      .dedupe_key = {},
                      .replaces = {},
                      .json = as_bytes(line)});
    json_bytes += line.size();
  }
  if (events.empty()) return 2;
  Stored stored;
  const double write = best_seconds(options.rounds, [&] { stored = store(events, options); });
  bool exact = true;
  const double walk = best_seconds(options.rounds, [&] { exact = exact && read_back(stored, events); });
  const double read = best_seconds(options.rounds * 10, [&] { (void)decode_only(stored); });
  std::uint64_t codecs[5] = {};
  for (const Bytes& segment : stored.segments) ++codecs[segment[2] < 5 ? segment[2] : 0];
  const auto number = [](const char* name, double value) {
    return ",\"" + std::string(name) + "\":" + std::to_string(value);
  };
  const auto megabytes = static_cast<double>(json_bytes) / 1e6;
  std::uint64_t learned_json = 0;
  for (std::uint32_t i = 0; i < stored.learned_from; ++i) learned_json += events[i].json.size();
  std::string line =
      "{\"exact\":" + std::string(exact ? "true" : "false") + number("events", static_cast<double>(events.size()));
  line += number("jsonBytes", static_cast<double>(json_bytes)) +
          number("segmentBytes", static_cast<double>(stored.segment_bytes));
  line += number("dictionaryBytes", static_cast<double>(stored.dictionary_bytes));
  line += number("learnedJsonBytes", static_cast<double>(learned_json));
  line += number("learnedSegmentBytes", static_cast<double>(stored.learned_from_bytes));
  line += number("encodeMBs", megabytes / write) + number("decodeMBs", megabytes / read) +
          number("walkMBs", megabytes / walk);
  line += number("lz4Bytes", static_cast<double>(lz4_bytes(events, options, 0)));
  line += number("lz4hcBytes", static_cast<double>(lz4_bytes(events, options, 9)));
  for (std::size_t i = 0; i < 5; ++i)
    line += number(("codec" + std::to_string(i)).c_str(), static_cast<double>(codecs[i]));
  write_text(line + "}\n");
  return exact ? 0 : 1;
}

}  // namespace oas::tools
