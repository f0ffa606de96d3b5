// merge_bench ROUNDS: how long a merge takes, from three JSON texts to one.
//
// Standard input: {"base", "ours", "theirs"} a line. Each line is merged ROUNDS times: the three texts are parsed, both sides
// are put against the base, one replica joins both deltas and shows the result, which is printed. Standard output: one line
// for each, {"bytes", "ns"} of one merge (best of five batches), and the last merged text's size, so that nothing is
// optimised away.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "merge/document.h"
#include "tools/io.h"

using namespace oas;
using namespace oas::merge;

namespace {

struct Texts {
  std::string base, ours, theirs;
};

std::size_t merge_once(const Texts& texts, const Rules& rules) {
  auto base = parse_json(texts.base);
  auto ours = parse_json(texts.ours);
  auto theirs = parse_json(texts.theirs);
  if (!base || !ours || !theirs) std::abort();
  const Basis seen{*base, {}};
  Document document(std::move(*base));
  if (!document.apply(put(seen, *ours, rules, {{1}, 1, hlc_at({1})}))) std::abort();
  if (!document.apply(put(seen, *theirs, rules, {{2}, 1, hlc_at({2})}))) std::abort();
  const Shown shown = document.view(rules);
  return shown.value ? to_json(*shown.value).size() : 0;
}

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 0;
  if (rounds < 1) return 2;
  const Bytes input = tools::read_all();
  std::string_view rest = as_text(input);
  const Rules rules;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto sides = parse_json(line);
    if (!sides) return 1;
    const Texts texts{to_json(*sides->find("base")), to_json(*sides->find("ours")), to_json(*sides->find("theirs"))};
    std::size_t size = 0;
    std::int64_t best = INT64_MAX;
    for (int batch = 0; batch < 5; ++batch) {
      const std::int64_t start = now_ns();
      for (int i = 0; i < rounds; ++i) size = merge_once(texts, rules);
      best = std::min(best, (now_ns() - start) / rounds);
    }
    std::printf("{\"bytes\":%zu,\"ns\":%lld,\"merged\":%zu}\n", texts.base.size(), static_cast<long long>(best), size);
  }
  return 0;
}
