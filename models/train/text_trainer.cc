#include "text_trainer.h"

#include <algorithm>

#include "base/prng.h"
#include "infer/math.h"
#include "infer/vec.h"

namespace oas::train {
namespace {

using infer::axpy;
using infer::dot;
using infer::sqrt_f;

float unit(Prng& prng) { return static_cast<float>(prng.next() >> 40) * (1.0f / 16777216.0f); }

void softmax(std::vector<float>& x) {
  const float top = *std::max_element(x.begin(), x.end());
  float sum = 0.0f;
  for (float& v : x) sum += v = infer::exp_f(v - top);
  for (float& v : x) v /= sum;
}

class Trainer {
 public:
  Trainer(std::uint32_t classes, const TextRecipe& recipe) : recipe_(recipe), prng_(recipe.seed) {
    w_.buckets = std::uint32_t{1} << recipe.features.buckets_log2;
    w_.dims = recipe.dims;
    w_.classes = classes;
    w_.embedding.resize(std::size_t{w_.buckets} * w_.dims);
    const float width = recipe.initial / sqrt_f(static_cast<float>(w_.dims));
    for (float& v : w_.embedding) v = (unit(prng_) * 2.0f - 1.0f) * width;
    w_.head.assign(std::size_t{classes} * w_.dims, 0.0f);
    w_.bias.assign(classes, 0.0f);
    row_square_.assign(w_.buckets, 1e-8f);
    head_square_.assign(classes, 1e-8f);
    bias_square_.assign(classes, 1e-8f);
    hidden_.resize(w_.dims);
    back_.resize(w_.dims);
    logits_.resize(classes);
  }

  TextWeights run(const std::vector<Example>& examples) {
    std::vector<std::uint32_t> order(examples.size());
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    for (std::uint32_t epoch = 0; epoch < recipe_.epochs; ++epoch) {
      const float done = static_cast<float>(epoch) / static_cast<float>(std::max(recipe_.epochs, 2U) - 1);
      scale_ = 1.0f + (recipe_.decay - 1.0f) * done;
      for (std::size_t i = order.size(); i > 1; --i)
        std::swap(order[i - 1], order[prng_.below(static_cast<std::uint32_t>(i))]);
      for (const std::uint32_t i : order) step(examples[i]);
    }
    return std::move(w_);
  }

 private:
  void step(const Example& example) {
    kept_.clear();
    for (const std::uint32_t f : example.features) {
      if (unit(prng_) >= recipe_.dropout) kept_.push_back(f);
    }
    if (kept_.empty()) return;
    const float norm = 1.0f / sqrt_f(static_cast<float>(kept_.size()));
    std::fill(hidden_.begin(), hidden_.end(), 0.0f);
    for (const std::uint32_t f : kept_) axpy(norm, row(f), hidden_.data(), w_.dims);
    for (std::uint32_t c = 0; c < w_.classes; ++c) logits_[c] = dot(head(c), hidden_.data(), w_.dims) + w_.bias[c];
    softmax(logits_);
    const float even = recipe_.smoothing / static_cast<float>(w_.classes);
    std::fill(back_.begin(), back_.end(), 0.0f);
    const float square = dot(hidden_.data(), hidden_.data(), w_.dims) / static_cast<float>(w_.dims);
    for (std::uint32_t c = 0; c < w_.classes; ++c) {
      const float target = example.target[c] * (1.0f - recipe_.smoothing) + even;
      const float g = (logits_[c] - target) * example.weight;
      axpy(g, head(c), back_.data(), w_.dims);
      head_square_[c] += g * g * square;
      bias_square_[c] += g * g;
      axpy(-recipe_.head_rate * scale_ * g / sqrt_f(head_square_[c]), hidden_.data(), head(c), w_.dims);
      w_.bias[c] -= recipe_.head_rate * scale_ * g / sqrt_f(bias_square_[c]);
    }
    const float back_square = dot(back_.data(), back_.data(), w_.dims) / static_cast<float>(w_.dims) * norm * norm;
    for (const std::uint32_t f : kept_) {
      row_square_[f] += back_square;
      axpy(-recipe_.rate * scale_ * norm / sqrt_f(row_square_[f]), back_.data(), row(f), w_.dims);
    }
  }

  float* row(std::uint32_t f) { return w_.embedding.data() + std::size_t{f} * w_.dims; }
  float* head(std::uint32_t c) { return w_.head.data() + std::size_t{c} * w_.dims; }

  TextRecipe recipe_;
  Prng prng_;
  TextWeights w_;
  std::vector<float> row_square_, head_square_, bias_square_, hidden_, back_, logits_;
  std::vector<std::uint32_t> kept_;
  float scale_ = 1.0f;
};

}  // namespace

std::vector<Example> featurise(const std::vector<TextRow>& rows, std::uint32_t classes,
                               const infer::NgramParams& params) {
  infer::NgramHasher hasher;
  std::vector<Example> out;
  out.reserve(rows.size());
  for (const TextRow& row : rows) {
    const auto buckets = hasher.features(as_bytes(row.text), params);
    Example example{{buckets.begin(), buckets.end()}, std::vector<float>(classes, 0.0f), 1.0f};
    for (const std::uint32_t label : row.labels) example.target[label] += 1.0f / static_cast<float>(row.labels.size());
    if (row.labels.empty()) example.target.assign(classes, 1.0f / static_cast<float>(classes));
    out.push_back(std::move(example));
  }
  return out;
}

TextWeights train_text(const std::vector<Example>& examples, std::uint32_t classes, const TextRecipe& recipe) {
  return Trainer(classes, recipe).run(examples);
}

std::vector<float> predict_text(const TextWeights& weights, const std::vector<std::uint32_t>& features) {
  std::vector<float> hidden(weights.dims, 0.0f);
  const float norm = features.empty() ? 0.0f : 1.0f / sqrt_f(static_cast<float>(features.size()));
  for (const std::uint32_t f : features)
    axpy(norm, weights.embedding.data() + std::size_t{f} * weights.dims, hidden.data(), weights.dims);
  std::vector<float> out(weights.classes);
  for (std::uint32_t c = 0; c < weights.classes; ++c) {
    out[c] = dot(weights.head.data() + std::size_t{c} * weights.dims, hidden.data(), weights.dims) + weights.bias[c];
  }
  softmax(out);
  return out;
}

}  // namespace oas::train
