#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/prng.h"
#include "behaviour.h"
#include "infer/fit.h"

namespace oas::train {
namespace {

struct Draw {
  double accuracy = 0.0, milliseconds = 0.0;
};

// `shots` phrases a class, drawn by a seed from the training rows; judged on the whole official test.
Draw one_draw(const infer::Model& base, const TextSet& set, std::uint32_t shots, std::uint64_t seed,
              float embedding_scale) {
  Prng prng(seed);
  std::vector<std::uint32_t> order(set.train.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[prng.below(static_cast<std::uint32_t>(i))]);
  std::vector<std::uint32_t> taken(set.labels.size(), 0);
  std::vector<infer::FitExample> examples;
  for (const std::uint32_t i : order) {
    const TextRow& row = set.train[i];
    if (taken[row.labels[0]]++ < shots) examples.push_back({row.text, row.labels[0]});
  }
  infer::FitOptions options;
  options.embedding_scale = embedding_scale;
  const auto begin = std::chrono::steady_clock::now();
  auto fitted = infer::FittedIntent::fit(base, static_cast<std::uint32_t>(set.labels.size()), examples, options);
  const std::chrono::duration<double, std::milli> spent = std::chrono::steady_clock::now() - begin;
  infer::Runner runner;
  double right = 0.0;
  for (const TextRow& row : set.test)
    right += fitted->predict(runner, as_bytes(row.text)).label == row.labels[0] ? 1.0 : 0.0;
  return {100.0 * right / static_cast<double>(set.test.size()), spent.count()};
}

}  // namespace

Report evaluate_fit(const infer::Model& base, const TextSet& banking, bool quick) {
  Report out{
      .model = "fit",
      .title = "intent.fit: evaluation",
      .intro =
          "An app's own intents from a few phrases each: 77 banking intents, drawn five times from the training rows, "
          "judged on the official test. From scratch means the same trainer without the shipped embedding.",
      .dataset_sha256 = banking.sha256,
      .figures = {},
      .also = {},
      .remarks = {}};
  std::vector<double> milliseconds;
  for (const std::uint32_t shots : {10U, 1U, 5U, 20U}) {
    if (quick && shots != 10) continue;
    std::vector<double> joined, scratch;
    for (std::uint64_t draw = 0; draw < 5; ++draw) {
      const Draw ours = one_draw(base, banking, shots, 100 + draw, infer::FitOptions{}.embedding_scale);
      joined.push_back(ours.accuracy);
      if (shots == 10) milliseconds.push_back(ours.milliseconds);
      scratch.push_back(one_draw(base, banking, shots, 100 + draw, 0.0f).accuracy);
    }
    (shots == 10 ? out.figures : out.also)
        .push_back({"Banking77", std::to_string(shots) + " phrases a class, 5 draws, official test", "top-1 of 77, %",
                    mean_of(joined), mean_of(scratch), "from scratch", banking.test.size(), mean_ci95(joined),
                    "mean of draws"});
  }
  std::printf("fit of 770 phrases, native: %.0f ms (mean of 5)\n", mean_of(milliseconds));
  out.remarks.push_back("Options were chosen on the validation rows of Banking77.");
  return out;
}

}  // namespace oas::train
