#include "report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace oas::train {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), std::abs(value) < 10.0 ? "%.4f" : "%.2f", value);
  return text;
}

std::string row(const Figure& f) {
  std::string out = "| " + f.dataset + " | " + f.split + " | " + f.metric + " | " + number(f.value) + " | ";
  out +=
      number(f.baseline) + " (" + f.baseline_name + ") | " + number(f.value - f.baseline) + " | " + std::to_string(f.n);
  return out + " | ± " + number(f.ci95) + " | " + f.note + " |\n";
}

constexpr const char* kHead =
    "| data set | split | metric | value | baseline | lift | n | 95 % | note "
    "|\n|---|---|---|---|---|---|---|---|---|\n";

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

}  // namespace

double share_ci95(double share, std::uint64_t n) {
  return n == 0 ? 0.0 : 1.96 * std::sqrt(share * (1.0 - share) / static_cast<double>(n));
}

double mean_of(std::span<const double> values) {
  double sum = 0.0;
  for (const double v : values) sum += v;
  return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

double mean_ci95(std::span<const double> values) {
  if (values.size() < 2) return 0.0;
  const double mean = mean_of(values);
  double square = 0.0;
  for (const double v : values) square += (v - mean) * (v - mean);
  const auto n = static_cast<double>(values.size());
  return 1.96 * std::sqrt(square / (n - 1.0) / n);
}

double auc(std::span<const float> positives, std::span<const float> negatives) {
  std::vector<std::pair<float, bool>> all;
  for (const float v : positives) all.emplace_back(v, true);
  for (const float v : negatives) all.emplace_back(v, false);
  std::sort(all.begin(), all.end());
  double wins = 0.0;
  double below = 0.0;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    double up = 0.0;
    double down = 0.0;
    for (; end < all.size() && all[end].first == all[i].first; ++end) (all[end].second ? up : down) += 1.0;
    wins += up * (below + down / 2.0);
    below += down;
    i = end;
  }
  return wins / (static_cast<double>(positives.size()) * static_cast<double>(negatives.size()));
}

double auc_ci95(double area, std::size_t positives, std::size_t negatives) {
  const double q1 = area / (2.0 - area);
  const double q2 = 2.0 * area * area / (1.0 + area);
  const auto p = static_cast<double>(positives);
  const auto n = static_cast<double>(negatives);
  const double square = area * (1.0 - area) + (p - 1.0) * (q1 - area * area) + (n - 1.0) * (q2 - area * area);
  return 1.96 * std::sqrt(square / (p * n));
}

std::string markdown(const Report& report) {
  std::string out = "# " + report.title + "\n\nWritten by `train evaluate " + report.model + "`; do not edit.\n\n" +
                    report.intro + "\n\nData sha256: `" + report.dataset_sha256 + "`\n\n" + kHead;
  for (const Figure& figure : report.figures) out += row(figure);
  if (!report.also.empty()) {
    out += std::string("\nOther readings of the same model, misses included:\n\n") + kHead;
    for (const Figure& figure : report.also) out += row(figure);
  }
  if (!report.remarks.empty()) out += "\n";
  for (const std::string& remark : report.remarks) out += "* " + remark + "\n";
  return out;
}

nlohmann::ordered_json json(const Report& report) {
  auto list = nlohmann::ordered_json::array();
  const auto add = [&](const Figure& f, bool headline) {
    list.push_back({{"dataset", f.dataset},
                    {"datasetSha256", report.dataset_sha256},
                    {"split", f.split},
                    {"metric", f.metric},
                    {"value", rounded(f.value)},
                    {"baseline", rounded(f.baseline)},
                    {"baselineName", f.baseline_name},
                    {"lift", rounded(f.value - f.baseline)},
                    {"n", f.n},
                    {"ci95", rounded(f.ci95)},
                    {"headline", headline}});
  };
  for (const Figure& figure : report.figures) add(figure, true);
  for (const Figure& figure : report.also) add(figure, false);
  return list;
}

}  // namespace oas::train
