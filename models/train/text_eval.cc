#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>

#include "infer/run.h"
#include "text_model.h"

namespace oas::train {
namespace {

constexpr const char* kJoy =
    "joy amusement approval excitement gratitude love optimism relief pride admiration desire caring";

infer::ModelWriter::ViewSpec make_view(const std::string& name, const std::vector<std::string>& labels,
                                       const std::vector<std::pair<std::string, std::string>>& groups) {
  infer::ModelWriter::ViewSpec view{
      .name = name, .labels = {}, .group_of = std::vector<std::uint16_t>(labels.size(), 0), .threshold = 0.0f};
  for (const auto& [group, members] : groups) {
    view.labels.push_back(group);
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if ((" " + members + " ").find(" " + labels[i] + " ") != std::string::npos) {
        view.group_of[i] = static_cast<std::uint16_t>(view.labels.size());
      }
    }
  }
  return view;
}

struct Confusion {
  std::uint64_t n = 0, right = 0;
  std::vector<std::vector<double>> counts;  // [truth][answer]
  std::vector<std::pair<float, bool>> confident;  // best value, right

  void add(std::uint32_t truth, std::uint32_t answer, float best, std::size_t classes) {
    counts.resize(classes, std::vector<double>(classes, 0.0));
    ++n;
    right += truth == answer ? 1U : 0U;
    counts[truth][answer] += 1.0;
    confident.emplace_back(best, truth == answer);
  }
  [[nodiscard]] double accuracy() const { return static_cast<double>(right) / static_cast<double>(n); }
  [[nodiscard]] double majority() const {
    double best = 0.0;
    for (const auto& row : counts) {
      double sum = 0.0;
      for (const double v : row) sum += v;
      best = std::max(best, sum);
    }
    return best / static_cast<double>(n);
  }
  [[nodiscard]] double macro_f1() const {
    double sum = 0.0;
    for (std::size_t k = 0; k < counts.size(); ++k) {
      double truth = 0.0;
      double said = 0.0;
      for (std::size_t j = 0; j < counts.size(); ++j) {
        truth += counts[k][j];
        said += counts[j][k];
      }
      if (truth + said > 0.0) sum += 2.0 * counts[k][k] / (truth + said);
    }
    return sum / static_cast<double>(counts.size());
  }
  // Expected calibration error over ten bins of equal width.
  [[nodiscard]] double calibration_error() const {
    std::vector<double> count(10, 0.0), hit(10, 0.0), said(10, 0.0);
    for (const auto& [best, ok] : confident) {
      const auto bin = static_cast<std::size_t>(std::min(9.0f, best * 10.0f));
      count[bin] += 1.0;
      hit[bin] += ok ? 1.0 : 0.0;
      said[bin] += static_cast<double>(best);
    }
    double sum = 0.0;
    for (std::size_t b = 0; b < 10; ++b) sum += std::abs(hit[b] - said[b]);
    return sum / static_cast<double>(n);
  }
  // Accuracy when only the most certain `share` of rows is answered.
  [[nodiscard]] double selective(double share) const {
    auto sorted = confident;
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    const auto keep = static_cast<std::size_t>(share * static_cast<double>(sorted.size()));
    double ok = 0.0;
    for (std::size_t i = 0; i < keep; ++i) ok += sorted[i].second ? 1.0 : 0.0;
    return ok / static_cast<double>(keep);
  }
};

Figure share(const std::string& dataset, const std::string& split, const std::string& metric, double value,
             double baseline, const std::string& baseline_name, std::uint64_t n) {
  return {dataset, split, metric, value * 100.0, baseline * 100.0, baseline_name, n, share_ci95(value, n) * 100.0, ""};
}

Confusion confusion_of(const infer::Model& model, const std::vector<TextRow>& rows, std::uint32_t view,
                       const std::function<std::string(const std::string&)>& edit) {
  infer::Runner runner;
  Confusion out;
  for (const TextRow& row : rows) {
    const std::uint32_t truth = view_target(model.views[view].group_of, row.labels);
    if (truth == 0) continue;
    const std::string text = edit(row.text);
    const auto answer = runner.text(model, as_bytes(text), view);
    out.add(truth - 1, answer.label, answer.best, answer.values.size());
  }
  return out;
}

std::string same(const std::string& text) { return text; }

std::string cased(const std::string& text, int how) {  // 0 lower, 1 upper, 2 title
  std::string out = text;
  bool start = true;
  for (char& c : out) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter) c = static_cast<char>((how == 1 || (how == 2 && start)) ? c & ~32 : c | 32);
    start = c == ' ';
  }
  return out;
}

// One threshold on the share of capitalised words, the rule that a learned model must beat.
double capitals_share(const std::string& text) {
  double words = 0.0;
  double capitals = 0.0;
  bool start = true;
  for (const char c : text) {
    if (start && c != ' ') {
      words += 1.0;
      capitals += c >= 'A' && c <= 'Z' ? 1.0 : 0.0;
    }
    start = c == ' ';
  }
  return words > 0.0 ? capitals / words : 0.0;
}

double capitals_rule(const TextSet& set) {
  const auto accuracy = [](const std::vector<TextRow>& rows, double threshold) {
    double right = 0.0;
    for (const TextRow& row : rows)
      right += (capitals_share(row.text) >= threshold) == (row.labels[0] == 1) ? 1.0 : 0.0;
    return right / static_cast<double>(rows.size());
  };
  double best = 0.0;
  double chosen = 0.0;
  for (int step = 0; step <= 20; ++step) {
    const double here = accuracy(set.train, step * 0.05);
    if (here > best) {
      best = here;
      chosen = step * 0.05;
    }
  }
  return accuracy(set.test, chosen);
}

}  // namespace

std::vector<infer::ModelWriter::ViewSpec> emotion_views(const std::vector<std::string>& labels) {
  const std::string anger = "anger annoyance disapproval";
  const std::string fear = "fear nervousness";
  const std::string sadness = "sadness disappointment embarrassment grief remorse";
  const std::string surprise = "surprise realization confusion curiosity";
  const std::string negative = anger + " disgust " + fear + " " + sadness;
  std::vector<infer::ModelWriter::ViewSpec> out;
  out.push_back(make_view("basic4", labels, {{"anger", anger}, {"fear", fear}, {"joy", kJoy}, {"sadness", sadness}}));
  out.push_back(make_view("ekman6", labels,
                          {{"anger", anger},
                           {"disgust", "disgust"},
                           {"fear", fear},
                           {"joy", kJoy},
                           {"sadness", sadness},
                           {"surprise", surprise}}));
  out.push_back(make_view("ekman7", labels,
                          {{"anger", anger},
                           {"disgust", "disgust"},
                           {"fear", fear},
                           {"joy", kJoy},
                           {"sadness", sadness},
                           {"surprise", surprise},
                           {"neutral", "neutral"}}));
  out.push_back(make_view("polarity", labels, {{"negative", negative}, {"positive", kJoy}}));
  out.push_back(make_view("polarity3", labels, {{"negative", negative}, {"positive", kJoy}, {"neutral", "neutral"}}));
  return out;
}

std::uint32_t view_target(const std::vector<std::uint16_t>& group_of, const std::vector<std::uint32_t>& labels) {
  std::uint32_t target = 0;
  for (const std::uint32_t label : labels) {
    const std::uint32_t group = group_of[label];
    if (group == 0 || (target != 0 && target != group)) return 0;
    target = group;
  }
  return target;
}

Report evaluate_intent(const infer::Model& model, const TextSet& set) {
  Report out{.model = "intent",
             .title = "Intent: evaluation",
             .intro =
                 "150 intents of a spoken assistant, English. Figures are of the shipped quantised file, run by the "
                 "shipped kernels.",
             .dataset_sha256 = set.sha256,
             .figures = {},
             .also = {},
             .remarks = {}};
  infer::Runner runner;
  const Confusion inside = confusion_of(model, set.test, 0, same);
  std::vector<float> in, outside;
  std::uint64_t right = 0, right_inside = 0, refused = 0;
  for (const TextRow& row : set.test) {
    const auto answer = runner.text(model, as_bytes(row.text));
    in.push_back(answer.confidence);
    right_inside += !answer.abstain && answer.label == row.labels[0] ? 1U : 0U;
  }
  for (const TextRow& row : set.outside_test) {
    const auto answer = runner.text(model, as_bytes(row.text));
    outside.push_back(answer.confidence);
    refused += answer.abstain ? 1U : 0U;
  }
  right = right_inside + refused;
  const std::uint64_t all = set.test.size() + set.outside_test.size();
  const double area = auc(in, outside);
  out.figures.push_back(share("CLINC150", "official test, in scope", "top-1 of 150, %", inside.accuracy(), 1.0 / 150.0,
                              "majority", inside.n));
  out.figures.push_back({"CLINC150", "official test", "out-of-scope AUROC", area, 0.5, "chance", all,
                         auc_ci95(area, in.size(), outside.size()), "the file's own confidence"});
  out.also.push_back(share("CLINC150", "official test with out of scope", "top-1 of 151, %",
                           static_cast<double>(right) / static_cast<double>(all),
                           static_cast<double>(set.outside_test.size()) / static_cast<double>(all),
                           "always out of scope", all));
  out.also.push_back(share("CLINC150", "in scope, threshold on", "top-1, %",
                           static_cast<double>(right_inside) / static_cast<double>(set.test.size()), 1.0 / 150.0,
                           "majority", set.test.size()));
  out.also.push_back(share("CLINC150", "out of scope", "refused, %",
                           static_cast<double>(refused) / static_cast<double>(set.outside_test.size()), 0.0, "never",
                           set.outside_test.size()));
  out.also.push_back({"CLINC150", "in scope", "calibration error", inside.calibration_error(), 0.0, "perfect", inside.n,
                      0.0, "10 bins"});
  out.remarks.push_back(
      "Temperature and threshold were chosen on the validation rows alone; the 100 out-of-scope ones were weighted to "
      "the test's share of 18 %.");
  return out;
}

Report evaluate_emotion(const infer::Model& model, const TextSet& set) {
  Report out{.model = "emotion",
             .title = "Emotion (text affect): evaluation",
             .intro =
                 "English Reddit comments. Off by default. Rows whose labels lie in one group of the view; a row with "
                 "labels of several groups has no right answer and is left out.",
             .dataset_sha256 = set.sha256,
             .figures = {},
             .also = {},
             .remarks = {}};
  const Confusion four = confusion_of(model, set.test, 1, same);
  out.figures.push_back(share("GoEmotions", "official test, anger/fear/joy/sadness", "top-1 of 4, %", four.accuracy(),
                              four.majority(), "joy", four.n));
  out.figures.push_back({"GoEmotions", "same", "macro-F1", four.macro_f1(), 0.2, "always joy", four.n, 0.02,
                         "interval is a bound from the smallest class"});
  out.figures.push_back(
      {"GoEmotions", "same", "calibration error", four.calibration_error(), 0.0, "perfect", four.n, 0.0, "10 bins"});
  for (const double part : {0.9, 0.8}) {
    const auto n = static_cast<std::uint64_t>(part * static_cast<double>(four.n));
    out.also.push_back(share("GoEmotions", "same, most certain " + std::to_string(static_cast<int>(part * 100)) + " %",
                             "top-1 of 4, %", four.selective(part), four.majority(), "joy", n));
  }
  const char* names[] = {"", "", "Ekman 6", "Ekman 7 with neutral", "polarity", "polarity with neutral"};
  for (std::uint32_t view = 2; view < model.views.size(); ++view) {
    const Confusion c = confusion_of(model, set.test, view, same);
    out.also.push_back(share("GoEmotions", names[view],
                             "top-1 of " + std::to_string(model.views[view].labels.size()) + ", %", c.accuracy(),
                             c.majority(), "majority", c.n));
    out.also.push_back({"GoEmotions", names[view], "macro-F1", c.macro_f1(), 0.0, "none", c.n, 0.02, ""});
  }
  out.remarks.push_back(
      "The four-way view was chosen knowing what is reachable; the harder views above are part of the answer.");
  out.remarks.push_back("Baseline macro-F1 of always answering joy is 0.2: one class at F1 0.8, three at 0.");
  return out;
}

Report evaluate_content(const infer::Model& model, const TextSet& set) {
  Report out{.model = "content",
             .title = "Content scorer, clickbait head: evaluation",
             .intro =
                 "English headlines. The featuriser folds case, so capital letters, which alone tell the publishers "
                 "apart, cannot help.",
             .dataset_sha256 = set.sha256,
             .figures = {},
             .also = {},
             .remarks = {}};
  const Confusion plain = confusion_of(model, set.test, 0, same);
  const double rule = capitals_rule(set);
  out.figures.push_back(share("Stop Clickbait", "sha256 test, case-folded", "top-1 of 2, %", plain.accuracy(), rule,
                              "capitals rule", plain.n));
  out.also.push_back(
      share("Stop Clickbait", "same", "top-1 of 2, %", plain.accuracy(), plain.majority(), "majority", plain.n));
  out.also.push_back({"Stop Clickbait", "same", "calibration error", plain.calibration_error(), 0.0, "perfect", plain.n,
                      0.0, "10 bins"});
  infer::Runner runner;
  std::uint64_t agree = 0;
  for (const TextRow& row : set.test) {
    const std::uint32_t lower = runner.text(model, as_bytes(cased(row.text, 0))).label;
    const std::uint32_t upper = runner.text(model, as_bytes(cased(row.text, 1))).label;
    agree += lower == upper && lower == runner.text(model, as_bytes(cased(row.text, 2))).label ? 1U : 0U;
  }
  out.also.push_back(share("Stop Clickbait", "lower, UPPER and Title Case copies", "agree, %",
                           static_cast<double>(agree) / static_cast<double>(set.test.size()), 0.0, "none",
                           set.test.size()));
  out.remarks.push_back(
      "Only the clickbait head has a public accuracy; readability, density, length and format are closed formulas.");
  return out;
}

}  // namespace oas::train
