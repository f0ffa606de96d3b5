#include "infer/run.h"

#include "base/assert.h"
#include "base/cold.h"
#include "infer/math.h"

OAS_COLD_BEGIN

namespace oas::infer {
namespace {

// The largest of softmax(values * k). A small k looks at all of the values instead of the best few: that tells text that
// fits no label from text that fits two.
float best_share(std::span<const float> values, float k) {
  float top = values[0];
  for (const float v : values) top = v > top ? v : top;
  float sum = 0.0f;
  for (const float v : values) sum += exp_f((v - top) * k);
  return 1.0f / sum;
}

}  // namespace

Answer Runner::text(const Model& model, ByteView text, std::uint32_t view) {
  OAS_ASSERT(model.kind == ModelKind::kText);
  text_ = text;
  return run(model, view);
}

Answer Runner::numeric(const Model& model, std::span<const float> columns, std::uint32_t view) {
  OAS_ASSERT(model.kind == ModelKind::kNumeric && columns.size() == model.inputs);
  columns_ = columns;
  return run(model, view);
}

Answer Runner::history(const Model& model, std::span<const std::uint32_t> items, std::uint32_t view) {
  OAS_ASSERT(model.kind == ModelKind::kHistory);
  history_ = items.size() > kHistoryMax ? items.last(kHistoryMax) : items;
  return run(model, view);
}

std::span<const float> Runner::embed(const Model& model, ByteView text) {
  OAS_ASSERT(model.kind == ModelKind::kText);
  text_ = text;
  for (const Op& op : model.ops) {
    apply(model, op);
    if (op.code == OpCode::kEmbeddingBag) return values_;
  }
  return {};
}

Answer Runner::run(const Model& model, std::uint32_t view) {
  threshold_ = 0.0f;
  confidence_ = -1.0f;
  for (const Op& op : model.ops) apply(model, op);
  return answer(model, view);
}

void Runner::apply(const Model& model, const Op& op) {
  const auto tensor = [&](int slot) -> const Tensor& { return model.tensors[op.tensors[slot]]; };
  switch (op.code) {
    case OpCode::kNgramHash: buckets_ = hasher_.features(text_, op.ngram); break;
    case OpCode::kNumericFeatures: numeric_features(model, op); break;
    case OpCode::kEmbeddingBag:
      values_.resize(tensor(0).cols);
      embedding_bag(tensor(0), tensor(1), buckets_, values_.data());
      break;
    case OpCode::kGemm:
      next_.resize(tensor(0).rows);
      if (tensor(0).dtype == DType::kI8) {
        quantised_.assign(values_.data(), tensor(0).cols);
        quantised_.gemm(tensor(0), tensor(1), tensor(2), next_.data());
      } else {
        gemm_f32(tensor(0), tensor(2), values_.data(), next_.data());
      }
      values_.swap(next_);
      break;
    case OpCode::kRelu:
      for (float& v : values_) v = v > 0.0f ? v : 0.0f;
      break;
    case OpCode::kSigmoid:
      for (float& v : values_) v = sigmoid_f(v);
      break;
    case OpCode::kTanh:
      for (float& v : values_) v = tanh_f(v);
      break;
    case OpCode::kSoftmax: softmax(values_.data(), static_cast<std::uint32_t>(values_.size())); break;
    case OpCode::kTreeEnsemble: values_.assign(1, tree_sum(tensor(0), tensor(1), values_.data())); break;
    case OpCode::kSparseRowSum: sparse_row_sum(model, op); break;
    case OpCode::kCalibrate:
      for (float& v : values_) v = v * op.a + op.b;
      break;
    case OpCode::kThreshold:
      threshold_ = op.a;
      confidence_ = best_share(values_, op.b);
      break;
  }
}

void Runner::numeric_features(const Model& model, const Op& op) {
  const Tensor& scale = model.tensors[op.tensors[0]];
  values_.clear();
  for (std::size_t i = 0; i < op.columns.size(); ++i) {
    const Column& column = op.columns[i];
    const float raw = columns_[i];
    if (column.kind == ColumnKind::kOneHot) {
      for (std::uint32_t k = 0; k < column.width; ++k) values_.push_back(raw == static_cast<float>(k) ? 1.0f : 0.0f);
      continue;
    }
    const float value = column.kind == ColumnKind::kLog1p ? log1p_f(raw > 0.0f ? raw : 0.0f) : raw;
    values_.push_back((value - f32_at(scale, 2 * i)) * f32_at(scale, 2 * i + 1));
  }
}

void Runner::sparse_row_sum(const Model& model, const Op& op) {
  const Tensor& ids = model.tensors[op.tensors[0]];
  const Tensor& weights = model.tensors[op.tensors[1]];
  const Tensor& scale = model.tensors[op.tensors[2]];
  values_.resize(ids.rows);
  for (std::uint32_t i = 0; i < ids.rows; ++i) values_[i] = f32_at(scale, 2 * std::uint64_t{i} + 1);
  for (const std::uint32_t item : history_) {
    if (item >= ids.rows) continue;
    const float k = f32_at(scale, 2 * std::uint64_t{item});
    for (std::uint32_t j = 0; j < ids.cols; ++j) {
      const std::uint64_t at = std::uint64_t{item} * ids.cols + j;
      values_[u16_at(ids, at)] += k * static_cast<float>(element<std::int8_t>(weights, at));
    }
  }
  for (const std::uint32_t item : history_) {
    if (item < ids.rows) values_[item] = -1e30f;
  }
}

Answer Runner::answer(const Model& model, std::uint32_t view) {
  OAS_ASSERT(view < model.views.size());
  const View& chosen = model.views[view];
  std::span<const float> values = values_;
  float threshold = threshold_;
  if (view > 0) {
    grouped_.assign(chosen.labels.size(), 0.0f);
    float inside = 0.0f;
    for (std::size_t i = 0; i < chosen.group_of.size(); ++i) {
      if (chosen.group_of[i] == 0) continue;
      grouped_[chosen.group_of[i] - 1U] += values_[i];
      inside += values_[i];
    }
    // Labels outside the view are taken as ruled out by whoever chose it.
    if (inside > 0.0f) {
      for (float& v : grouped_) v /= inside;
    }
    values = grouped_;
    threshold = chosen.threshold;
  }
  Answer out{.values = values, .best = values[0], .label = 0, .confidence = 0.0f, .abstain = false};
  for (std::uint32_t i = 1; i < values.size(); ++i) {
    if (values[i] > out.best) {
      out.best = values[i];
      out.label = i;
    }
  }
  // A view asks another question than the plain labels, so only its own probabilities say how sure it is.
  out.confidence = view == 0 && confidence_ >= 0.0f ? confidence_ : out.best;
  out.abstain = out.confidence < threshold;
  return out;
}

}  // namespace oas::infer

OAS_COLD_END
