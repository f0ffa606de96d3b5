#include "infer/fit.h"

#include <algorithm>

#include "base/cold.h"
#include "base/prng.h"
#include "infer/math.h"
#include "infer/vec.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

float unit(Prng& prng) { return static_cast<float>(prng.next() >> 40) * (1.0f / 16777216.0f); }

void scale_to(std::vector<float>& values, float length) {
  const float square = dot(values.data(), values.data(), static_cast<std::uint32_t>(values.size()));
  if (!(square > 1e-20f)) return;
  const float k = length / sqrt_f(square);
  for (float& v : values) v *= k;
}

}  // namespace

FittedIntent::Sample FittedIntent::sample(Runner& runner, ByteView text) const {
  Sample out;
  const auto embedding = runner.embed(*base_, text);
  if (embedding_scale_ > 0.0f) {
    out.dense.assign(embedding.begin(), embedding.end());
    scale_to(out.dense, embedding_scale_);
  }
  for (const std::uint32_t bucket : runner.buckets()) {
    if (row_of_[bucket] == 0) continue;
    out.rows.push_back(row_of_[bucket] - 1);
    out.values.push_back(idf_[out.rows.back()]);
  }
  scale_to(out.values, 1.0f);
  return out;
}

OAS_COLD_END
void FittedIntent::forward(const Sample& sample, float* out) const {
  std::copy(bias_.begin(), bias_.end(), out);
  for (std::size_t i = 0; i < sample.rows.size(); ++i)
    axpy(sample.values[i], &sparse_[std::size_t{sample.rows[i]} * padded_], out, padded_);
  for (std::uint32_t c = 0; c < labels_ && !sample.dense.empty(); ++c)
    out[c] += dot(&dense_[std::size_t{c} * dims_], sample.dense.data(), dims_);
}

// One example at a time, AdaGrad with one accumulator a row, the rate falling linearly to a tenth.
[[gnu::noinline]] void FittedIntent::train(std::vector<Sample>& samples, const FitOptions& options) {
  Prng prng(options.seed);
  std::vector<float> sparse_square(sparse_.size() / padded_, 1e-8f), dense_square(labels_, 1e-8f), error(padded_, 0.0f);
  std::vector<std::uint32_t> order(samples.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  const float keep_scale = 1.0f / sqrt_f(1.0f - options.dropout);
  const float even = options.smoothing / static_cast<float>(labels_);
  Sample kept;
  for (std::uint32_t epoch = 0; epoch < options.epochs; ++epoch) {
    const float rate =
        options.rate * (1.0f - 0.9f * static_cast<float>(epoch) / static_cast<float>(std::max(options.epochs, 2U) - 1));
    for (std::size_t i = order.size(); i > 1; --i)
      std::swap(order[i - 1], order[prng.below(static_cast<std::uint32_t>(i))]);
    for (const std::uint32_t at : order) {
      const Sample& full = samples[at];
      kept.rows.clear();
      kept.values.clear();
      for (std::size_t i = 0; i < full.rows.size(); ++i) {
        if (unit(prng) < options.dropout) continue;
        kept.rows.push_back(full.rows[i]);
        kept.values.push_back(full.values[i] * keep_scale);
      }
      kept.dense = full.dense;
      forward(kept, error.data());
      softmax(error.data(), labels_);
      float square = 0.0f;
      for (std::uint32_t c = 0; c < labels_; ++c) {
        error[c] -= even + (c == full.label ? 1.0f - options.smoothing : 0.0f);
        square += error[c] * error[c];
      }
      for (std::uint32_t c = labels_; c < padded_; ++c) error[c] = 0.0f;
      square /= static_cast<float>(labels_);
      for (std::size_t i = 0; i < kept.rows.size(); ++i) {
        const float value = kept.values[i];
        float& seen = sparse_square[kept.rows[i]];
        seen += square * value * value;
        axpy(-rate * value / sqrt_f(seen), error.data(), &sparse_[std::size_t{kept.rows[i]} * padded_], padded_);
      }
      if (kept.dense.empty()) continue;
      const float length = embedding_scale_ * embedding_scale_ / static_cast<float>(dims_);
      for (std::uint32_t c = 0; c < labels_; ++c) {
        dense_square[c] += error[c] * error[c] * length;
        axpy(-rate * error[c] / sqrt_f(dense_square[c]), kept.dense.data(), &dense_[std::size_t{c} * dims_], dims_);
      }
    }
  }
}

OAS_COLD_BEGIN
[[gnu::noinline]] Result<FittedIntent> FittedIntent::fit(const Model& base, std::uint32_t label_count,
                                                         std::span<const FitExample> examples,
                                                         const FitOptions& options) {
  const bool shape = base.kind == ModelKind::kText && base.ops.size() > 1 && base.ops[0].code == OpCode::kNgramHash &&
                     base.ops[1].code == OpCode::kEmbeddingBag;
  const bool counts =
      label_count > 0 && label_count <= kFitLabelsMax && !examples.empty() && examples.size() <= kFitExamplesMax;
  const bool numbers =
      options.epochs <= 200 && options.dropout >= 0.0f && options.dropout < 0.95f && options.rate > 0.0f;
  if (!shape || !counts || !numbers) return fail(ErrorCode::kInvalidArgument);
  FittedIntent out;
  out.base_ = &base;
  out.params_ = base.ops[0].ngram;
  out.labels_ = label_count;
  out.padded_ = (label_count + 3) / 4 * 4;
  out.dims_ = base.tensors[base.ops[1].tensors[0]].cols;
  out.embedding_scale_ = options.embedding_scale;
  out.threshold_ = options.threshold;
  out.row_of_.assign(std::size_t{1} << out.params_.buckets_log2, 0);

  NgramHasher hasher;
  std::vector<float> seen;
  for (const FitExample& example : examples) {
    if (example.label >= label_count) return fail(ErrorCode::kInvalidArgument, example.label);
    for (const std::uint32_t bucket : hasher.features(as_bytes(example.text), out.params_)) {
      if (out.row_of_[bucket] == 0) {
        seen.push_back(0.0f);
        out.row_of_[bucket] = static_cast<std::uint32_t>(seen.size());
      }
      seen[out.row_of_[bucket] - 1] += 1.0f;
    }
  }
  // The square root of the inverse document frequency: common n-grams still say something about short phrases.
  for (const float count : seen)
    out.idf_.push_back(sqrt_f(log_f((static_cast<float>(examples.size()) + 1.0f) / count)));
  out.sparse_.assign(seen.size() * out.padded_, 0.0f);
  out.dense_.assign(std::size_t{label_count} * out.dims_, 0.0f);
  out.bias_.assign(out.padded_, 0.0f);
  out.out_.assign(out.padded_, 0.0f);

  Runner runner;
  std::vector<Sample> samples;
  for (const FitExample& example : examples) {
    samples.push_back(out.sample(runner, as_bytes(example.text)));
    samples.back().label = example.label;
  }
  out.train(samples, options);
  return out;
}

Answer FittedIntent::predict(Runner& runner, ByteView text) {
  forward(sample(runner, text), out_.data());
  softmax(out_.data(), labels_);
  Answer answer{.values = std::span<const float>(out_).first(labels_),
                .best = out_[0],
                .label = 0,
                .confidence = 0.0f,
                .abstain = false};
  for (std::uint32_t c = 1; c < labels_; ++c) {
    if (out_[c] > answer.best) {
      answer.best = out_[c];
      answer.label = c;
    }
  }
  answer.confidence = answer.best;
  answer.abstain = answer.confidence < threshold_;
  return answer;
}

}  // namespace oas::infer

OAS_COLD_END
