// Runs a loaded model on one input. Keeps its buffers, so a batch allocates once.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/kernels.h"
#include "infer/model.h"

namespace oas::infer {

inline constexpr std::uint32_t kHistoryMax = 1'000;  // newest entries of a longer history count

struct Answer {
  std::span<const float> values;  // one a label of the view; valid until the next call
  float best = 0.0f;
  std::uint32_t label = 0;  // of the best value; the lowest index wins a tie
  float confidence = 0.0f;  // what the threshold looks at; the best value where the model has no better measure
  bool abstain = false;
};

class Runner {
 public:
  // `view` must exist. The input must fit the model's kind; numeric rows must have model.inputs values.
  Answer text(const Model& model, ByteView text, std::uint32_t view = 0);
  Answer numeric(const Model& model, std::span<const float> columns, std::uint32_t view = 0);
  // Ids the model does not know are ignored; items of the history are scored lowest, so they are never recommended.
  Answer history(const Model& model, std::span<const std::uint32_t> items, std::uint32_t view = 0);

  // The values after the model's embedding bag: what intent fitting builds on. Text models only.
  std::span<const float> embed(const Model& model, ByteView text);
  // The bucket set of the last text.
  [[nodiscard]] std::span<const std::uint32_t> buckets() const { return buckets_; }

 private:
  Answer run(const Model& model, std::uint32_t view);
  Answer answer(const Model& model, std::uint32_t view);
  void apply(const Model& model, const Op& op);
  void numeric_features(const Model& model, const Op& op);
  void sparse_row_sum(const Model& model, const Op& op);

  NgramHasher hasher_;
  QuantisedInput quantised_;
  ByteView text_;
  std::span<const float> columns_;
  std::span<const std::uint32_t> history_;
  std::span<const std::uint32_t> buckets_;
  std::vector<float> values_, next_, grouped_;
  float threshold_ = 0.0f, confidence_ = -1.0f;
};

}  // namespace oas::infer
