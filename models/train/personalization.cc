#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/prng.h"
#include "behaviour.h"
#include "infer/learner.h"
#include "infer/math.h"
#include "infer/recommend.h"
#include "infer/write.h"
#include "trees.h"
#include "wire/writer.h"

namespace oas::train {
namespace {

constexpr std::uint32_t kPageValues = 8;  // column of the Google Analytics page value
constexpr std::uint32_t kFolds = 5;

TreeRecipe tree_recipe(const nlohmann::json& recipe) {
  TreeRecipe out;
  out.trees = recipe.at("trees");
  out.leaves = recipe.at("leaves");
  out.seed = recipe.at("seed");
  out.rate = recipe.at("rate");
  out.l2 = recipe.at("l2");
  out.min_weight = recipe.at("minWeight");
  return out;
}

// Fold of each row: positives and negatives dealt out in turn after a seeded shuffle, so every fold has its share.
std::vector<std::uint32_t> folds(const Sessions& sessions) {
  Prng prng(std::uint64_t{7});
  std::vector<std::uint32_t> out(sessions.rows.size());
  for (const int side : {1, 0}) {
    std::vector<std::uint32_t> rows;
    for (std::uint32_t i = 0; i < out.size(); ++i) {
      if (sessions.positive[i] == side) rows.push_back(i);
    }
    for (std::size_t i = rows.size(); i > 1; --i)
      std::swap(rows[i - 1], rows[prng.below(static_cast<std::uint32_t>(i))]);
    for (std::uint32_t i = 0; i < rows.size(); ++i) out[rows[i]] = i % kFolds;
  }
  return out;
}

// The linear baseline's inputs: log1p of amounts, one-hot categories, standardised on the training rows.
std::vector<float> linear_row(const std::vector<float>& row) {
  std::vector<float> out;
  for (std::uint32_t c = 0; c < 10; ++c) out.push_back(c == 6 || c == 7 || c == 9 ? row[c] : infer::log1p_f(row[c]));
  const auto one_hot = [&](float value, std::uint32_t width) {
    for (std::uint32_t k = 0; k < width; ++k) out.push_back(value == static_cast<float>(k) ? 1.0f : 0.0f);
  };
  one_hot(row[10], 12);
  one_hot(row[14], 21);
  one_hot(row[15], 3);
  out.push_back(row[16]);
  return out;
}

struct Scored {
  std::vector<float> positives, negatives;
  std::uint64_t right = 0;

  void add(bool positive, float score) {
    (positive ? positives : negatives).push_back(score);
    right += (score > 0.0f) == positive ? 1U : 0U;
  }
  [[nodiscard]] double area() const { return auc(positives, negatives); }
};

Scored logistic_fold(const Sessions& sessions, const std::vector<std::uint32_t>& fold, std::uint32_t held) {
  std::vector<std::vector<float>> rows;
  for (const auto& row : sessions.rows) rows.push_back(linear_row(row));
  const std::size_t width = rows[0].size();
  for (std::size_t c = 0; c < width; ++c) {
    double sum = 0.0;
    double square = 0.0;
    for (const auto& row : rows) {
      sum += static_cast<double>(row[c]);
      square += static_cast<double>(row[c]) * static_cast<double>(row[c]);
    }
    const double mean = sum / static_cast<double>(rows.size());
    const double deviation = std::sqrt(std::max(square / static_cast<double>(rows.size()) - mean * mean, 1e-12));
    for (auto& row : rows) row[c] = static_cast<float>((static_cast<double>(row[c]) - mean) / deviation);
  }
  std::vector<float> weight(width, 0.0f), seen(width, 1e-6f);
  float bias = 0.0f;
  for (int epoch = 0; epoch < 12; ++epoch) {
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (fold[r] == held) continue;
      float score = bias;
      for (std::size_t c = 0; c < width; ++c) score += weight[c] * rows[r][c];
      const float g = infer::sigmoid_f(score) - static_cast<float>(sessions.positive[r]);
      bias -= 0.01f * g;
      for (std::size_t c = 0; c < width; ++c) {
        const float gc = g * rows[r][c] + 1e-4f * weight[c];
        seen[c] += gc * gc;
        weight[c] -= 0.1f * gc / infer::sqrt_f(seen[c]);
      }
    }
  }
  Scored out;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (fold[r] != held) continue;
    float score = bias;
    for (std::size_t c = 0; c < width; ++c) score += weight[c] * rows[r][c];
    out.add(sessions.positive[r] != 0, score);
  }
  return out;
}

Scored tree_fold(const Sessions& sessions, const std::vector<std::uint32_t>& fold, std::uint32_t held,
                 const TreeRecipe& recipe, bool page_values) {
  std::vector<std::vector<float>> rows, test;
  std::vector<std::uint8_t> positive, truth;
  for (std::size_t r = 0; r < sessions.rows.size(); ++r) {
    auto row = sessions.rows[r];
    if (!page_values) row[kPageValues] = 0.0f;
    (fold[r] == held ? test : rows).push_back(std::move(row));
    (fold[r] == held ? truth : positive).push_back(sessions.positive[r]);
  }
  const Forest forest = train_trees(rows, positive, recipe);
  Scored out;
  for (std::size_t r = 0; r < test.size(); ++r) out.add(truth[r] != 0, forest.score(test[r]));
  return out;
}

// One pass over the sessions in file order with the on-device learner; devices share rows in turn and join at the end.
double learner_area(const Sessions& sessions, std::uint32_t devices) {
  std::vector<infer::Learner> learners;
  for (std::uint32_t d = 0; d < devices; ++d) learners.emplace_back(d + 1, infer::LearnerOptions{});
  std::vector<std::string> words;
  std::vector<std::string_view> context;
  const auto read = [&](const std::vector<float>& row) {
    words.clear();
    for (std::uint32_t c = 0; c < row.size(); ++c) {
      // Amounts in powers of two, categories as they are.
      const float value =
          c < 10 ? std::floor(infer::log1p_f(row[c] * (c == 6 || c == 7 ? 200.0f : 1.0f)) * 1.5f) : row[c];
      words.push_back(sessions.names[c] + "=" + std::to_string(static_cast<int>(value)));
    }
    context.assign(words.begin(), words.end());
  };
  const auto hash_order = [&](std::size_t i) { return (i * 7919) % sessions.rows.size(); };
  const std::size_t split = sessions.rows.size() * 4 / 5;
  for (std::size_t i = 0; i < split; ++i) {
    const std::size_t r = hash_order(i);
    read(sessions.rows[r]);
    learners[i % devices].feedback(context, "buy", sessions.positive[r] != 0 ? 1.0f : 0.0f);
  }
  for (std::uint32_t d = 1; d < devices; ++d) {
    const Bytes state = learners[d].save();
    if (!learners[0].join(state) || !learners[0].join(state)) return 0.0;  // twice on purpose
  }
  std::vector<float> positives, negatives;
  for (std::size_t i = split; i < sessions.rows.size(); ++i) {
    const std::size_t r = hash_order(i);
    read(sessions.rows[r]);
    (sessions.positive[r] != 0 ? positives : negatives).push_back(learners[0].expect(context, "buy"));
  }
  return auc(positives, negatives);
}

void evaluate_progressive(const Visits& visits, Report& out) {
  infer::Recommender recommender(visits.items);
  for (const auto& user : visits.train) recommender.learn(user);
  std::vector<double> ours, plain, pairwise, pairwise_plain;
  const auto judge = [&](const auto& score, const std::vector<bool>& seen, std::uint32_t target,
                         std::vector<double>& hit, std::vector<double>& pair) {
    double above = 0.0;
    double all = 0.0;
    for (std::uint32_t j = 0; j < visits.items; ++j) {
      if (seen[j] || j == target) continue;
      all += 1.0;
      above += score[j] > score[target] ? 1.0 : score[j] == score[target] ? 0.5 : 0.0;
    }
    hit.push_back(above < 5.0 ? 100.0 : 0.0);
    pair.push_back(100.0 * (1.0 - above / all));
  };
  for (const auto& user : visits.test) {
    std::vector<bool> seen(visits.items, false);
    std::vector<std::uint32_t> history;
    for (const std::uint32_t item : user) {
      if (!history.empty()) {
        std::vector<float> popular(visits.items);
        for (std::uint32_t j = 0; j < visits.items; ++j)
          popular[j] = static_cast<float>(recommender.counts().visitors(j));
        judge(recommender.scores(history, {}), seen, item, ours, pairwise);
        judge(popular, seen, item, plain, pairwise_plain);
      }
      recommender.visit(history, item);
      history.push_back(item);
      seen[item] = true;
    }
  }
  out.figures.push_back({"MSWeb", "progressive next visit, official test users", "HR@5, %", mean_of(ours),
                         mean_of(plain), "popularity", ours.size(), mean_ci95(ours), "on-device co-visits"});
  out.also.push_back({"MSWeb", "same", "pairwise, %", mean_of(pairwise), mean_of(pairwise_plain), "popularity",
                      pairwise.size(), mean_ci95(pairwise), "popularity alone would meet 92.5"});
  const double regret = 100.0 * (100.0 - mean_of(ours)) / (100.0 - mean_of(plain));
  out.also.push_back({"MSWeb", "same", "regret against popularity's, %", regret, 100.0, "popularity", ours.size(), 0.0,
                      "HR@5; below 60 is not reached"});
}

}  // namespace

Bytes build_personalization(const std::string& recipe_text, const Sessions& sessions) {
  const auto recipe = nlohmann::json::parse(recipe_text);
  const Forest forest = train_trees(sessions.rows, sessions.positive, tree_recipe(recipe));
  const nlohmann::ordered_json meta = {{"attribution", recipe.at("attribution")},
                                       {"columns", sessions.names},
                                       {"dataset", "Online Shoppers"},
                                       {"datasetSha256", sessions.sha256},
                                       {"licence", recipe.at("licence")}};
  const auto columns = static_cast<std::uint32_t>(sessions.names.size());
  infer::ModelWriter out({.id = recipe.at("model"),
                          .version = recipe.at("version"),
                          .kind = infer::ModelKind::kNumeric,
                          .inputs = columns,
                          .labels = {"purchase"},
                          .views = {},
                          .meta = meta.dump(),
                          .recipe_sha256 = infer::sha256(as_bytes(recipe_text))});
  std::vector<float> scale;
  for (std::uint32_t c = 0; c < columns; ++c) scale.insert(scale.end(), {0.0f, 1.0f});
  Bytes nodes;
  wire::Writer bytes(nodes);
  for (const TreeNode& node : forest.nodes) {
    bytes.u16(node.feature);
    bytes.u16(node.left);
    bytes.u16(node.right);
    bytes.u16(0);
    bytes.u32(std::bit_cast<std::uint32_t>(node.number));
  }
  const std::uint8_t table = out.raw(infer::DType::kU8, static_cast<std::uint32_t>(forest.nodes.size()), 12, nodes);
  const std::uint8_t roots = out.u16(static_cast<std::uint32_t>(forest.roots.size()), 1, forest.roots);
  out.numeric(std::vector<infer::Column>(columns), out.f32(columns, 2, scale));
  out.op(infer::OpCode::kTreeEnsemble, {table, roots});
  out.number(infer::OpCode::kCalibrate, {1.0f, forest.bias});
  out.op(infer::OpCode::kSigmoid);
  return out.finish();
}

Report evaluate_personalization(const std::string& recipe_text, const Sessions& sessions,
                                const std::optional<Visits>& visits) {
  Report out{.model = "personalization",
             .title = "Personalization: evaluation",
             .intro =
                 "The propensity prior (boosted trees) in five stratified folds, and the on-device learner in one "
                 "pass. The shipped prior is trained on all rows by the same recipe.",
             .dataset_sha256 = sessions.sha256,
             .figures = {},
             .also = {},
             .remarks = {}};
  const TreeRecipe recipe = tree_recipe(nlohmann::json::parse(recipe_text));
  const std::vector<std::uint32_t> fold = folds(sessions);
  std::vector<double> trees, linear, blind;
  std::uint64_t right = 0, right_linear = 0;
  for (std::uint32_t held = 0; held < kFolds; ++held) {
    const Scored forest = tree_fold(sessions, fold, held, recipe, true);
    const Scored line = logistic_fold(sessions, fold, held);
    trees.push_back(forest.area());
    linear.push_back(line.area());
    blind.push_back(tree_fold(sessions, fold, held, recipe, false).area());
    right += forest.right;
    right_linear += line.right;
  }
  const std::uint64_t n = sessions.rows.size();
  const double majority = 1.0 - static_cast<double>(std::count(sessions.positive.begin(), sessions.positive.end(), 1)) /
                                    static_cast<double>(n);
  out.figures.push_back({"Online Shoppers", "5-fold stratified", "ROC AUC", mean_of(trees), mean_of(linear),
                         "logistic regression", n, mean_ci95(trees), "mean of 5 folds"});
  if (visits) evaluate_progressive(*visits, out);
  out.also.push_back({"Online Shoppers", "5-fold, without PageValues", "ROC AUC", mean_of(blind), 0.5, "chance", n,
                      mean_ci95(blind), "PageValues is partly known only afterwards"});
  out.also.push_back({"Online Shoppers", "5-fold", "top-1 at .5, %",
                      100.0 * static_cast<double>(right) / static_cast<double>(n), 100.0 * majority, "majority", n,
                      100.0 * share_ci95(static_cast<double>(right) / static_cast<double>(n), n),
                      "92.5 plain accuracy is not reached by anyone honest here"});
  out.also.push_back({"Online Shoppers", "5-fold, logistic regression", "top-1 at .5, %",
                      100.0 * static_cast<double>(right_linear) / static_cast<double>(n), 100.0 * majority, "majority",
                      n, 0.0, "baseline"});
  const double one = learner_area(sessions, 1);
  const double two = learner_area(sessions, 2);
  out.also.push_back({"Online Shoppers", "one pass, last fifth", "ROC AUC of the learner", one, 0.5, "chance", n / 5,
                      0.0, "hashed, one device"});
  out.also.push_back({"Online Shoppers", "same, two devices joined", "ROC AUC of the learner", two, one, "one device",
                      n / 5, 0.0, "state joined twice"});
  out.remarks.push_back(
      "PageValues carries most of the result. An app's own causal stand-in is the mean past goal value of the pages "
      "visited.");
  return out;
}

}  // namespace oas::train
