// An intent classifier for the app's own labels from a few phrases each, trained on the device in milliseconds.
//
// The shipped intent model lends its featuriser and its embedding (frozen); on top, a softmax over the phrases' own
// n-grams joined with that embedding. Deterministic given base, examples and seed: what is stored and synced is the list
// of phrases, an ordinary document, and every device fits again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "infer/model.h"
#include "infer/run.h"

namespace oas::infer {

inline constexpr std::uint32_t kFitExamplesMax = 5'000;
inline constexpr std::uint32_t kFitLabelsMax = 512;

struct FitExample {
  std::string_view text;
  std::uint32_t label = 0;
};

struct FitOptions {
  std::uint32_t epochs = 20;
  std::uint32_t seed = 1;
  float rate = 0.05f;
  float dropout = 0.3f;
  float smoothing = 0.1f;
  float embedding_scale = 2.0f;  // 0 trains from scratch, on n-grams alone
  float threshold = 0.0f;  // abstain below
};

class FittedIntent {
 public:
  // `base` must be a text model and outlive the result. Labels 0 to label_count - 1; every example names one.
  // kInvalidArgument for none, too many or unknown labels.
  [[nodiscard]] static Result<FittedIntent> fit(const Model& base, std::uint32_t label_count,
                                                std::span<const FitExample> examples, const FitOptions& options);

  // Probabilities of the app's labels.
  [[nodiscard]] Answer predict(Runner& runner, ByteView text);

  [[nodiscard]] std::uint32_t labels() const { return labels_; }

 private:
  struct Sample {
    std::vector<std::uint32_t> rows;  // of known n-grams
    std::vector<float> values;  // their weights, unit length together
    std::vector<float> dense;  // the embedding, unit length times embedding_scale
    std::uint32_t label = 0;
  };
  Sample sample(Runner& runner, ByteView text) const;
  void train(std::vector<Sample>& samples, const FitOptions& options);
  void forward(const Sample& sample, float* out) const;

  const Model* base_ = nullptr;
  NgramParams params_;
  std::uint32_t labels_ = 0, padded_ = 0, dims_ = 0;
  float embedding_scale_ = 0.0f, threshold_ = 0.0f;
  std::vector<std::uint32_t> row_of_;  // bucket -> row + 1, or 0
  std::vector<float> idf_;  // per row
  std::vector<float> sparse_, dense_, bias_, out_;
};

}  // namespace oas::infer
