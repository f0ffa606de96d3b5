// What an evaluation may say: every figure with its data set, split, baseline, count and confidence interval.
//
// Only these functions write models/<name>/report.md and the metrics of models/manifest.json, so no figure there was
// typed by hand.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

namespace oas::train {

struct Figure {
  std::string dataset, split, metric;
  double value = 0.0;
  double baseline = 0.0;
  std::string baseline_name;
  std::uint64_t n = 0;
  double ci95 = 0.0;  // half width
  std::string note;
};

struct Report {
  std::string model, title, intro;
  std::string dataset_sha256;
  std::vector<Figure> figures;   // the ones a gate or a user reads
  std::vector<Figure> also;      // harder or missed formulations, printed as well
  std::vector<std::string> remarks;
};

// Half width of the 95 % interval of a share.
[[nodiscard]] double share_ci95(double share, std::uint64_t n);
[[nodiscard]] double mean_of(std::span<const double> values);
// Half width of the 95 % interval of a mean.
[[nodiscard]] double mean_ci95(std::span<const double> values);
// Probability that a positive scores above a negative; ties count half.
[[nodiscard]] double auc(std::span<const float> positives, std::span<const float> negatives);
// DeLong's variance is not needed for a report: Hanley and McNeil's approximation.
[[nodiscard]] double auc_ci95(double area, std::size_t positives, std::size_t negatives);

[[nodiscard]] std::string markdown(const Report& report);
[[nodiscard]] nlohmann::ordered_json json(const Report& report);

}  // namespace oas::train
