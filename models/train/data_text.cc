#include <algorithm>
#include <map>

#include "data.h"
#include "infer/sha256.h"

namespace oas::train {
namespace {

// The subset of JSON that CLINC150 uses: an object of arrays of [text, label] pairs.
class PairReader {
 public:
  explicit PairReader(const std::string& text) : text_(text) {}

  std::map<std::string, std::vector<std::pair<std::string, std::string>>> read() {
    std::map<std::string, std::vector<std::pair<std::string, std::string>>> out;
    std::vector<std::string> strings;
    std::string key;
    int depth = 0;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') {
        std::string value = string();
        if (depth == 1)
          key = std::move(value);
        else
          strings.push_back(std::move(value));
        continue;
      }
      if (c == '{' || c == '[') ++depth;
      if (c == '}' || c == ']') --depth;
      if (c == ']' && strings.size() == 2) out[key].emplace_back(strings[0], strings[1]);
      if (c == ']') strings.clear();
      ++at_;
    }
    return out;
  }

 private:
  std::string string() {
    std::string out;
    for (++at_; text_[at_] != '"'; ++at_) {
      if (text_[at_] != '\\') {
        out += text_[at_];
        continue;
      }
      const char c = text_[++at_];
      if (c == 'u') {
        append(out, static_cast<std::uint32_t>(std::stoul(text_.substr(at_ + 1, 4), nullptr, 16)));
        at_ += 4;
      } else {
        out += c == 'n' ? '\n' : c == 't' ? '\t' : c;
      }
    }
    ++at_;
    return out;
  }

  // Code points below 0x10000 are all that the set has.
  static void append(std::string& out, std::uint32_t code) {
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6));
      out += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      out += static_cast<char>(0xE0 | (code >> 12));
      out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

std::uint32_t hash_head(const std::string& text) {
  const infer::Sha256 hash = infer::sha256(as_bytes(text));
  return (static_cast<std::uint32_t>(hash[0]) << 24) | (static_cast<std::uint32_t>(hash[1]) << 16) |
         (static_cast<std::uint32_t>(hash[2]) << 8) | hash[3];
}

std::uint32_t index_of(const std::vector<std::string>& labels, const std::string& label) {
  return static_cast<std::uint32_t>(std::find(labels.begin(), labels.end(), label) - labels.begin());
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    std::string line = text.substr(at, end - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    out.push_back(std::move(line));
    at = end + 1;
  }
  return out;
}

// RFC 4180: quoted fields may hold commas, quotes and line ends.
std::vector<std::vector<std::string>> csv_of(const std::string& text) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row;
  std::string field;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"')
        field += c;
      else if (i + 1 < text.size() && text[i + 1] == '"')
        field += text[++i];
      else
        quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == ',') {
      row.push_back(std::move(field));
      field.clear();
    } else if (c == '\n') {
      row.push_back(std::move(field));
      field.clear();
      rows.push_back(std::move(row));
      row.clear();
    } else if (c != '\r') {
      field += c;
    }
  }
  return rows;
}

}  // namespace

std::optional<TextSet> read_clinc150() {
  const auto bytes = read_file(data_folder() + "/clinc150/data_full.json");
  if (!bytes) return std::nullopt;
  TextSet set{.name = "CLINC150",
              .sha256 = hex_sha256(*bytes),
              .labels = {},
              .train = {},
              .validation = {},
              .test = {},
              .outside_train = {},
              .outside_validation = {},
              .outside_test = {}};
  const auto parts = PairReader(*bytes).read();
  for (const auto& [text, label] : parts.at("train")) set.labels.push_back(label);
  std::sort(set.labels.begin(), set.labels.end());
  set.labels.erase(std::unique(set.labels.begin(), set.labels.end()), set.labels.end());
  const auto fill = [&](const char* part, std::vector<TextRow>& rows, bool inside) {
    for (const auto& [text, label] : parts.at(part)) {
      rows.push_back({text, inside ? std::vector{index_of(set.labels, label)} : std::vector<std::uint32_t>{}});
    }
  };
  fill("train", set.train, true);
  fill("val", set.validation, true);
  fill("test", set.test, true);
  fill("oos_train", set.outside_train, false);
  fill("oos_val", set.outside_validation, false);
  fill("oos_test", set.outside_test, false);
  return set;
}

std::optional<TextSet> read_banking77() {
  const auto train = read_file(data_folder() + "/banking77/train.csv");
  const auto test = read_file(data_folder() + "/banking77/test.csv");
  if (!train || !test) return std::nullopt;
  TextSet set{.name = "Banking77",
              .sha256 = hex_sha256(*train + *test),
              .labels = {},
              .train = {},
              .validation = {},
              .test = {},
              .outside_train = {},
              .outside_validation = {},
              .outside_test = {}};
  auto rows = csv_of(*train);
  rows.erase(rows.begin());
  for (const auto& row : rows) set.labels.push_back(row[1]);
  std::sort(set.labels.begin(), set.labels.end());
  set.labels.erase(std::unique(set.labels.begin(), set.labels.end()), set.labels.end());
  for (const auto& row : rows) {
    auto& part = hash_head(row[0]) % 10 == 0 ? set.validation : set.train;
    part.push_back({row[0], {index_of(set.labels, row[1])}});
  }
  rows = csv_of(*test);
  rows.erase(rows.begin());
  for (const auto& row : rows) set.test.push_back({row[0], {index_of(set.labels, row[1])}});
  return set;
}

std::optional<TextSet> read_goemotions() {
  const std::string folder = data_folder() + "/goemotions/";
  const auto train = read_file(folder + "train.tsv");
  const auto dev = read_file(folder + "dev.tsv");
  const auto test = read_file(folder + "test.tsv");
  const auto labels = read_file(folder + "labels.txt");
  if (!train || !dev || !test || !labels) return std::nullopt;
  TextSet set{.name = "GoEmotions",
              .sha256 = hex_sha256(*train + *dev + *test),
              .labels = {},
              .train = {},
              .validation = {},
              .test = {},
              .outside_train = {},
              .outside_validation = {},
              .outside_test = {}};
  for (auto& line : lines_of(*labels)) {
    if (!line.empty()) set.labels.push_back(line);
  }
  const auto fill = [&](const std::string& text, std::vector<TextRow>& rows) {
    const auto lines = lines_of(text);
    for (std::size_t i = 1; i < lines.size(); ++i) {
      const std::string& line = lines[i];
      const std::size_t last = line.rfind('\t');
      const std::size_t first = line.rfind('\t', last - 1);
      TextRow row{line.substr(0, first), {}};
      std::uint32_t label = 0;
      for (std::size_t at = first + 1; at <= last; ++at) {
        if (line[at] == ',' || line[at] == '\t') {
          row.labels.push_back(label);
          label = 0;
        } else {
          label = label * 10 + static_cast<std::uint32_t>(line[at] - '0');
        }
      }
      rows.push_back(std::move(row));
    }
  };
  fill(*train, set.train);
  fill(*dev, set.validation);
  fill(*test, set.test);
  return set;
}

std::optional<TextSet> read_clickbait() {
  const std::string folder = data_folder() + "/clickbait/";
  const auto bait = read_file(folder + "clickbait_data.txt");
  const auto news = read_file(folder + "non_clickbait_data.txt");
  if (!bait || !news) return std::nullopt;
  TextSet set{.name = "Stop Clickbait",
              .sha256 = hex_sha256(*bait + *news),
              .labels = {"news", "clickbait"},
              .train = {},
              .validation = {},
              .test = {},
              .outside_train = {},
              .outside_validation = {},
              .outside_test = {}};
  const auto fill = [&](const std::string& text, std::uint32_t label) {
    for (const auto& line : lines_of(text)) {
      if (line.empty()) continue;
      const std::uint32_t h = hash_head(line) % 100;
      (h < 20 ? set.test : h < 25 ? set.validation : set.train).push_back({line, {label}});
    }
  };
  fill(*bait, 1);
  fill(*news, 0);
  return set;
}

}  // namespace oas::train
