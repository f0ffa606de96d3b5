// Gradient-boosted trees for a yes/no outcome, grown leaf by leaf on histograms of at most 64 bins.
//
// Same data, same bytes: no threads, no sampling unless seeded, sums in row order, own exp.
#pragma once

#include <cstdint>
#include <vector>

namespace oas::train {

struct TreeRecipe {
  std::uint32_t trees = 150, leaves = 8, seed = 1;
  float rate = 0.07f, l2 = 5.0f, min_weight = 10.0f;  // min_weight: sum of second derivatives in a leaf
  float row_share = 1.0f, column_share = 1.0f;        // drawn anew for every tree
};

struct TreeNode {
  std::uint8_t feature = 255;  // 255: a leaf, whose value is `number`; else value < number goes left
  std::uint16_t left = 0, right = 0;
  float number = 0.0f;
};

struct Forest {
  std::vector<TreeNode> nodes;  // children behind their parent
  std::vector<std::uint16_t> roots;
  float bias = 0.0f;

  [[nodiscard]] float score(const std::vector<float>& row) const;  // log odds
};

[[nodiscard]] Forest train_trees(const std::vector<std::vector<float>>& rows, const std::vector<std::uint8_t>& positive,
                                 const TreeRecipe& recipe);

}  // namespace oas::train
