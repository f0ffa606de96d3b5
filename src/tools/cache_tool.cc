#include "tools/cache_tool.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "base/hash.h"
#include "cache/policy.h"
#include "tools/io.h"

namespace oas::tools {
namespace {

struct Request {
  std::uint64_t key{};
  std::uint64_t bytes{};
};

// One request a line: key, a tab, bytes.
std::vector<Request> read_requests(ByteView input) {
  std::vector<Request> out;
  for (std::string_view rest = as_text(input); !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t tab = line.find('\t');
    if (tab == std::string_view::npos) continue;
    out.push_back(
        {hash64(as_bytes(line.substr(0, tab))), std::strtoull(std::string(line.substr(tab + 1)).c_str(), nullptr, 10)});
  }
  return out;
}

std::string replay(const std::vector<Request>& requests, cache::Policy policy, std::uint64_t budget) {
  cache::Cache cache(budget, policy);
  std::uint64_t hits = 0;
  std::uint64_t hit_bytes = 0;
  std::uint64_t bytes = 0;
  for (const Request& request : requests) {
    bytes += request.bytes;
    if (cache.touch(request.key)) {
      ++hits;
      hit_bytes += request.bytes;
    } else {
      (void)cache.put({.key = request.key, .bytes = request.bytes});
    }
  }
  const auto percent = [](std::uint64_t part, std::uint64_t whole) {
    return std::to_string(whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole));
  };
  return "{\"requests\":" + percent(hits, requests.size()) + ",\"bytes\":" + percent(hit_bytes, bytes) + "}";
}

}  // namespace

int cache(std::span<const std::string_view> arguments) {
  if (arguments.size() != 1) {
    write_text("usage: oas cache BUDGET_BYTES < lines of key, tab, bytes\n", stderr);
    return 2;
  }
  const std::uint64_t budget = std::strtoull(std::string(arguments[0]).c_str(), nullptr, 10);
  const Bytes input = read_all();
  const std::vector<Request> requests = read_requests(input);
  const char* const names[] = {"value", "lru", "lfu", "tinylfu", "gdsf"};
  std::string line = "{";
  for (std::uint8_t i = 0; i < std::size(names); ++i)
    line += std::string(i > 0 ? "," : "") + '"' + names[i] +
            "\":" + replay(requests, static_cast<cache::Policy>(i), budget);
  write_text(line + "}\n");
  return 0;
}

}  // namespace oas::tools
