// Trains a text classifier: a bag of hashed n-gram embeddings, averaged by 1/sqrt(n), then one linear layer and softmax.
//
// Row-wise AdaGrad, one example at a time, in the order of a seeded shuffle: the same bytes on every machine. Feature
// dropout and label smoothing are what make 64 dimensions generalise from 100 phrases a class.
#pragma once

#include <cstdint>
#include <vector>

#include "data.h"
#include "infer/ngram.h"

namespace oas::train {

struct TextRecipe {
  infer::NgramParams features;
  std::uint32_t dims = 64;
  std::uint32_t epochs = 30;
  std::uint32_t seed = 1;
  float rate = 0.3f;
  float head_rate = 0.3f;
  float dropout = 0.5f;  // share of an example's features left out
  float smoothing = 0.1f;  // of the target distribution
  float balance = 0.0f;  // exponent of (mean count / class count) as an example's weight
  float initial = 0.5f;  // half-width of the embeddings' uniform start, divided by sqrt(dims)
  float outside = 0.0f;  // weight of out-of-scope rows, trained towards the uniform distribution
  float decay = 1.0f;  // last epoch's learning rate relative to the first; falls linearly
};

struct TextWeights {
  std::uint32_t buckets = 0, dims = 0, classes = 0;
  std::vector<float> embedding;  // buckets x dims
  std::vector<float> head;  // classes x dims
  std::vector<float> bias;
};

struct Example {
  std::vector<std::uint32_t> features;
  std::vector<float> target;  // sums to 1
  float weight = 1.0f;
};

[[nodiscard]] std::vector<Example> featurise(const std::vector<TextRow>& rows, std::uint32_t classes,
                                             const infer::NgramParams& params);
[[nodiscard]] TextWeights train_text(const std::vector<Example>& examples, std::uint32_t classes,
                                     const TextRecipe& recipe);
// Probabilities of one example in full precision.
[[nodiscard]] std::vector<float> predict_text(const TextWeights& weights, const std::vector<std::uint32_t>& features);

}  // namespace oas::train
