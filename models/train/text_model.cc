#include "text_model.h"

#include <algorithm>
#include <cmath>

#include "infer/math.h"
#include "infer/run.h"
#include "infer/sha256.h"
#include "infer/write.h"

namespace oas::train {
namespace {

using infer::DType;
using infer::ModelWriter;
using infer::OpCode;

struct Calibration {
  float inverse_temperature = 1.0f;
  float threshold = 0.0f;
};

// More weight for rare classes, as a power of how rare they are, at most tenfold.
void balance(std::vector<Example>& examples, std::uint32_t classes, float exponent) {
  if (!(exponent > 0.0f)) return;
  std::vector<double> count(classes, 0.0);
  double total = 0.0;
  for (const Example& e : examples) {
    for (std::uint32_t c = 0; c < classes; ++c) {
      count[c] += static_cast<double>(e.target[c]);
      total += static_cast<double>(e.target[c]);
    }
  }
  for (Example& e : examples) {
    double weight = 0.0;
    for (std::uint32_t c = 0; c < classes; ++c) {
      if (e.target[c] > 0.0f) {
        // A power without libm, so that weights are the same everywhere.
        const double log_ratio = infer::log_d(total / classes / count[c]) * static_cast<double>(exponent);
        weight += static_cast<double>(e.target[c]) * static_cast<double>(infer::exp_f(static_cast<float>(log_ratio)));
      }
    }
    e.weight = static_cast<float>(std::min(weight, 10.0));
  }
}

Bytes pack(const TextWeights& w, const nlohmann::json& recipe, const std::string& recipe_text, const TextSet& set,
           const Calibration& calibration, DType dtype) {
  nlohmann::ordered_json meta = {{"attribution", recipe.at("attribution")},
                                 {"dataset", set.name},
                                 {"datasetSha256", set.sha256},
                                 {"featurizer", "ngram-v1"},
                                 {"licence", recipe.at("licence")}};
  ModelWriter::Head head{.id = recipe.at("model"),
                         .version = recipe.at("version"),
                         .kind = infer::ModelKind::kText,
                         .inputs = 0,
                         .labels = set.labels,
                         .views = {},
                         .meta = meta.dump(),
                         .recipe_sha256 = infer::sha256(as_bytes(recipe_text))};
  if (recipe.at("model") == "emotion") head.views = emotion_views(set.labels);
  ModelWriter out(std::move(head));
  const auto rows = out.rows_coded(w.buckets, w.dims, w.embedding, dtype);
  const auto layer = out.rows_f32(w.classes, w.dims, w.head);
  const std::uint8_t bias = out.f32(w.classes, 1, w.bias);
  out.ngram(text_recipe(recipe).features);
  out.op(OpCode::kEmbeddingBag, {rows.rows, rows.scale});
  out.op(OpCode::kGemm, {layer.rows, layer.scale, bias});
  if (recipe.contains("confidence")) out.number(OpCode::kThreshold, {calibration.threshold, recipe.at("confidence")});
  out.number(OpCode::kCalibrate, {calibration.inverse_temperature, 0.0f});
  out.op(OpCode::kSoftmax);
  return out.finish();
}

double log_loss(const infer::Model& model, const std::vector<TextRow>& rows, infer::Runner& runner) {
  double loss = 0.0;
  for (const TextRow& row : rows) {
    const auto answer = runner.text(model, as_bytes(row.text));
    double p = 0.0;
    for (const std::uint32_t label : row.labels)
      p += static_cast<double>(answer.values[label]) / static_cast<double>(row.labels.size());
    loss -= infer::log_d(std::max(p, 1e-9));
  }
  return loss / static_cast<double>(rows.size());
}

// The best of a grid, on validation rows and on the quantised model itself.
float fit_temperature(const TextWeights& w, const nlohmann::json& recipe, const std::string& text, const TextSet& set) {
  infer::Runner runner;
  float best = 1.0f;
  double best_loss = 1e9;
  for (int step = -8; step <= 12; ++step) {
    const float inverse = infer::exp_f(static_cast<float>(step) * 0.1f);
    const auto model = infer::load_model(pack(w, recipe, text, set, {inverse, 0.0f}, DType::kI8)).value();
    const double loss = log_loss(model, set.validation, runner);
    if (loss < best_loss) {
      best_loss = loss;
      best = inverse;
    }
  }
  return best;
}

// Most right decisions on validation, its few out-of-scope rows weighted to the share the test has.
float fit_threshold(const infer::Model& model, const TextSet& set, double outside_share) {
  infer::Runner runner;
  std::vector<std::pair<float, double>> gains;  // best value; what accepting the row is worth
  for (const TextRow& row : set.validation) {
    const auto answer = runner.text(model, as_bytes(row.text));
    if (answer.label == row.labels[0]) gains.emplace_back(answer.confidence, 1.0);
  }
  const double inside = static_cast<double>(set.validation.size());
  const double weight =
      inside * outside_share / (1.0 - outside_share) / static_cast<double>(set.outside_validation.size());
  for (const TextRow& row : set.outside_validation)
    gains.emplace_back(runner.text(model, as_bytes(row.text)).confidence, -weight);
  std::sort(gains.begin(), gains.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  double sum = 0.0;
  double best = 0.0;
  float threshold = 1.0f;
  for (std::size_t i = 0; i < gains.size(); ++i) {
    sum += gains[i].second;
    if (sum > best && i + 1 < gains.size()) {
      best = sum;
      threshold = (gains[i].first + gains[i + 1].first) / 2.0f;
    }
  }
  return threshold;
}

}  // namespace

TextRecipe text_recipe(const nlohmann::json& recipe) {
  TextRecipe out;
  const auto& features = recipe.at("features");
  out.features = {features.at("bucketsLog2"), features.at("charMin"), features.at("charMax")};
  out.dims = recipe.at("dims");
  out.epochs = recipe.at("epochs");
  out.seed = recipe.at("seed");
  out.rate = recipe.at("rate");
  out.head_rate = recipe.at("headRate");
  out.dropout = recipe.at("dropout");
  out.smoothing = recipe.at("smoothing");
  out.balance = recipe.at("balance");
  out.initial = recipe.at("initial");
  out.decay = recipe.at("decay");
  return out;
}

std::optional<TextSet> read_text_set(const std::string& name) {
  if (name == "clinc150") return read_clinc150();
  if (name == "banking77") return read_banking77();
  if (name == "goemotions") return read_goemotions();
  if (name == "clickbait") return read_clickbait();
  return std::nullopt;
}

TextWeights train_by(const TextRecipe& settings, const TextSet& set) {
  const auto classes = static_cast<std::uint32_t>(set.labels.size());
  auto examples = featurise(set.train, classes, settings.features);
  balance(examples, classes, settings.balance);
  return train_text(examples, classes, settings);
}

TextModelFiles build_text_model(const std::string& recipe_text, const TextSet& set) {
  const auto recipe = nlohmann::json::parse(recipe_text);
  const TextWeights weights = train_by(text_recipe(recipe), set);
  Calibration calibration{fit_temperature(weights, recipe, recipe_text, set), 0.0f};
  if (!set.outside_validation.empty()) {
    const auto model = infer::load_model(pack(weights, recipe, recipe_text, set, calibration, DType::kI8)).value();
    calibration.threshold = fit_threshold(model, set, recipe.at("outsideShare"));
  }
  return {pack(weights, recipe, recipe_text, set, calibration, DType::kI8),
          pack(weights, recipe, recipe_text, set, calibration, DType::kI4)};
}

Figure evaluate_second_set(const std::string& recipe_text, const TextSet& set) {
  const auto model = infer::load_model(build_text_model(recipe_text, set).int8).value();
  infer::Runner runner;
  std::uint64_t right = 0;
  for (const TextRow& row : set.test) right += runner.text(model, as_bytes(row.text)).label == row.labels[0] ? 1U : 0U;
  const double share = static_cast<double>(right) / static_cast<double>(set.test.size());
  const double base = 1.0 / static_cast<double>(set.labels.size());
  return {set.name,
          "official test, trained by the same method",
          "top-1 of " + std::to_string(set.labels.size()) + ", %",
          100.0 * share,
          100.0 * base,
          "majority",
          set.test.size(),
          100.0 * share_ci95(share, set.test.size()),
          "second set; no weights ship"};
}

Figure unquantised(const std::string& recipe_text, const TextSet& set, const Figure& headline) {
  const auto recipe = nlohmann::json::parse(recipe_text);
  const TextRecipe settings = text_recipe(recipe);
  const TextWeights weights = train_by(settings, set);
  infer::ModelWriter::ViewSpec view;
  if (recipe.at("model") == "emotion") {
    view = emotion_views(set.labels)[0];
  } else {
    for (std::size_t i = 0; i < set.labels.size(); ++i) view.group_of.push_back(static_cast<std::uint16_t>(i + 1));
    view.labels = set.labels;
  }
  infer::NgramHasher hasher;
  std::uint64_t n = 0, right = 0;
  for (const TextRow& row : set.test) {
    const std::uint32_t truth = view_target(view.group_of, row.labels);
    if (truth == 0) continue;
    const auto buckets = hasher.features(as_bytes(row.text), settings.features);
    const auto p = predict_text(weights, {buckets.begin(), buckets.end()});
    std::vector<float> grouped(view.labels.size(), 0.0f);
    for (std::size_t i = 0; i < p.size(); ++i) {
      if (view.group_of[i] != 0) grouped[view.group_of[i] - 1U] += p[i];
    }
    ++n;
    right += static_cast<std::uint32_t>(std::max_element(grouped.begin(), grouped.end()) - grouped.begin()) + 1 == truth
                 ? 1U
                 : 0U;
  }
  Figure out = headline;
  out.value = 100.0 * static_cast<double>(right) / static_cast<double>(n);
  out.note = "same weights in f32, not shipped";
  return out;
}

}  // namespace oas::train
