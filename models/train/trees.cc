#include "trees.h"

#include <algorithm>

#include "base/prng.h"
#include "infer/math.h"

namespace oas::train {
namespace {

constexpr std::uint32_t kBins = 64;

struct Split {
  double gain = 0.0;
  std::uint32_t feature = 0, bin = 0;  // bins below `bin` go left
};

struct Leaf {
  std::uint16_t node = 0;
  std::vector<std::uint32_t> rows;
  Split best;
};

class Grower {
 public:
  Grower(const std::vector<std::vector<float>>& rows, const std::vector<std::uint8_t>& positive,
         const TreeRecipe& recipe)
      : recipe_(recipe),
        rows_(rows),
        positive_(positive),
        prng_(recipe.seed),
        columns_(static_cast<std::uint32_t>(rows[0].size())) {
    make_bins();
  }

  Forest run() {
    double ones = 0.0;
    for (const std::uint8_t p : positive_) ones += p;
    const double share = ones / static_cast<double>(positive_.size());
    forest_.bias = static_cast<float>(infer::log_d(share) - infer::log_d(1.0 - share));
    score_.assign(rows_.size(), forest_.bias);
    gradient_.resize(rows_.size());
    hessian_.resize(rows_.size());
    for (std::uint32_t t = 0; t < recipe_.trees; ++t) tree();
    return std::move(forest_);
  }

 private:
  void make_bins() {
    edges_.resize(columns_);
    bins_.resize(columns_);
    for (std::uint32_t c = 0; c < columns_; ++c) {
      std::vector<float> sorted;
      for (const auto& row : rows_) sorted.push_back(row[c]);
      std::sort(sorted.begin(), sorted.end());
      std::vector<float> distinct = sorted;
      distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
      // Edges lie between values: value < edge goes left.
      if (distinct.size() <= kBins) {
        for (std::size_t i = 1; i < distinct.size(); ++i) edges_[c].push_back((distinct[i - 1] + distinct[i]) / 2.0f);
      } else {
        for (std::uint32_t b = 1; b < kBins; ++b) {
          const float edge = sorted[sorted.size() * b / kBins];
          if (edge > sorted.front() && (edges_[c].empty() || edge > edges_[c].back())) edges_[c].push_back(edge);
        }
      }
      for (const auto& row : rows_) {
        const auto at = std::upper_bound(edges_[c].begin(), edges_[c].end(), row[c]);
        bins_[c].push_back(static_cast<std::uint8_t>(at - edges_[c].begin()));
      }
    }
  }

  [[nodiscard]] double gain_of(double g, double h) const { return g * g / (h + static_cast<double>(recipe_.l2)); }

  Split best_split(const std::vector<std::uint32_t>& rows) const {
    Split best;
    double g_all = 0.0;
    double h_all = 0.0;
    for (const std::uint32_t r : rows) {
      g_all += static_cast<double>(gradient_[r]);
      h_all += static_cast<double>(hessian_[r]);
    }
    for (std::uint32_t c = 0; c < columns_; ++c) {
      if (!use_column_[c] || edges_[c].empty()) continue;
      double g[kBins] = {};
      double h[kBins] = {};
      for (const std::uint32_t r : rows) {
        g[bins_[c][r]] += static_cast<double>(gradient_[r]);
        h[bins_[c][r]] += static_cast<double>(hessian_[r]);
      }
      double gl = 0.0;
      double hl = 0.0;
      for (std::uint32_t b = 1; b <= edges_[c].size(); ++b) {
        gl += g[b - 1];
        hl += h[b - 1];
        if (hl < static_cast<double>(recipe_.min_weight) || h_all - hl < static_cast<double>(recipe_.min_weight))
          continue;
        const double gain = gain_of(gl, hl) + gain_of(g_all - gl, h_all - hl) - gain_of(g_all, h_all);
        if (gain > best.gain + 1e-9) best = {gain, c, b};
      }
    }
    return best;
  }

  void tree() {
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const float p = infer::sigmoid_f(score_[r]);
      gradient_[r] = p - static_cast<float>(positive_[r]);
      hessian_[r] = p * (1.0f - p);
    }
    draw();
    const auto root = static_cast<std::uint16_t>(forest_.nodes.size());
    forest_.roots.push_back(root);
    forest_.nodes.emplace_back();
    std::vector<Leaf> leaves;
    leaves.push_back({root, drawn_, best_split(drawn_)});
    while (leaves.size() < recipe_.leaves) {
      const auto widest = std::max_element(leaves.begin(), leaves.end(),
                                           [](const Leaf& a, const Leaf& b) { return a.best.gain < b.best.gain; });
      if (!(widest->best.gain > 0.0)) break;
      Leaf leaf = std::move(*widest);
      leaves.erase(widest);
      split(leaf, leaves);
    }
    for (const Leaf& leaf : leaves) {
      double g = 0.0;
      double h = 0.0;
      for (const std::uint32_t r : leaf.rows) {
        g += static_cast<double>(gradient_[r]);
        h += static_cast<double>(hessian_[r]);
      }
      forest_.nodes[leaf.node].number = static_cast<float>(-g / (h + static_cast<double>(recipe_.l2))) * recipe_.rate;
    }
    for (std::size_t r = 0; r < rows_.size(); ++r) score_[r] += leaf_of(root, rows_[r]);
  }

  void draw() {
    drawn_.clear();
    const auto keep = static_cast<std::uint32_t>(recipe_.row_share * 1000.0f);
    for (std::uint32_t r = 0; r < rows_.size(); ++r) {
      if (prng_.chance(keep, 1000)) drawn_.push_back(r);
    }
    use_column_.assign(columns_, false);
    const auto columns = static_cast<std::uint32_t>(recipe_.column_share * 1000.0f);
    for (std::uint32_t c = 0; c < columns_; ++c) use_column_[c] = prng_.chance(columns, 1000);
  }

  void split(const Leaf& leaf, std::vector<Leaf>& leaves) {
    const auto left = static_cast<std::uint16_t>(forest_.nodes.size());
    forest_.nodes.resize(forest_.nodes.size() + 2);
    forest_.nodes[leaf.node] = {static_cast<std::uint8_t>(leaf.best.feature), left,
                                static_cast<std::uint16_t>(left + 1), edges_[leaf.best.feature][leaf.best.bin - 1]};
    Leaf low{left, {}, {}};
    Leaf high{static_cast<std::uint16_t>(left + 1), {}, {}};
    for (const std::uint32_t r : leaf.rows)
      (bins_[leaf.best.feature][r] < leaf.best.bin ? low : high).rows.push_back(r);
    low.best = best_split(low.rows);
    high.best = best_split(high.rows);
    leaves.push_back(std::move(low));
    leaves.push_back(std::move(high));
  }

  [[nodiscard]] float leaf_of(std::uint16_t at, const std::vector<float>& row) const {
    const TreeNode* node = &forest_.nodes[at];
    while (node->feature != 255) node = &forest_.nodes[row[node->feature] < node->number ? node->left : node->right];
    return node->number;
  }

  TreeRecipe recipe_;
  const std::vector<std::vector<float>>& rows_;
  const std::vector<std::uint8_t>& positive_;
  Prng prng_;
  std::uint32_t columns_;
  std::vector<std::vector<float>> edges_;
  std::vector<std::vector<std::uint8_t>> bins_;
  std::vector<float> score_, gradient_, hessian_;
  std::vector<std::uint32_t> drawn_;
  std::vector<bool> use_column_;
  Forest forest_;
};

}  // namespace

float Forest::score(const std::vector<float>& row) const {
  float total = 0.0f;
  for (const std::uint16_t root : roots) {
    const TreeNode* node = &nodes[root];
    while (node->feature != 255) node = &nodes[row[node->feature] < node->number ? node->left : node->right];
    total += node->number;
  }
  return total + bias;
}

Forest train_trees(const std::vector<std::vector<float>>& rows, const std::vector<std::uint8_t>& positive,
                   const TreeRecipe& recipe) {
  return Grower(rows, positive, recipe).run();
}

}  // namespace oas::train
