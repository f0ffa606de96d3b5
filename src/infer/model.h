// A loaded model: a fixed list of operations over tensors in the file's own bytes.
//
// There is no graph compiler: operations run in file order, each on the value the one before it left. load_model checks
// everything once (sizes, offsets, shapes, finite numbers, order of operations), so that run.cc checks nothing.
// File format OASM version 1: docs/models.md.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "infer/ngram.h"
#include "infer/tensor.h"

namespace oas::infer {

inline constexpr std::uint32_t kModelBytesMax = 8'000'000;
inline constexpr std::uint32_t kModelHeaderBytesMax = 512'000;
inline constexpr std::uint32_t kModelLabelsMax = 16'384;
inline constexpr std::uint32_t kModelTextBytesMax = 256;
inline constexpr std::uint32_t kModelTensorsMax = 64;
inline constexpr std::uint32_t kModelOpsMax = 32;
inline constexpr std::uint32_t kModelViewsMax = 8;
inline constexpr std::uint32_t kModelColumnsMax = 256;  // inputs of a numeric model
inline constexpr std::uint32_t kModelWidthMax = 512;  // inputs of a quantised Gemm: 512 * 127 * 32767 fits 31 bits
inline constexpr std::uint32_t kTreeDepthMax = 64;
inline constexpr std::uint32_t kTensorAlign = 64;
inline constexpr std::uint16_t kModelVersion = 1;

enum class ModelKind : std::uint8_t { kText = 0, kNumeric = 1, kHistory = 2 };

enum class OpCode : std::uint8_t {
  kNgramHash = 1,  // text -> bucket set
  kNumericFeatures = 2,  // raw columns -> standardised, log1p or one-hot values
  kEmbeddingBag = 3,  // bucket set -> sum of scaled i8 or i4 rows / sqrt(count)
  kGemm = 4,  // values -> values; i8 with a scale a row, or f32
  kRelu = 5,
  kSigmoid = 6,
  kTanh = 7,
  kSoftmax = 8,
  kTreeEnsemble = 9,  // values -> one score
  kSparseRowSum = 10,  // history of ids -> a score for every id
  kCalibrate = 11,  // value * a + b
  kThreshold = 12,  // confidence = the best of softmax(value * b); abstain when it is below a
};

enum class ColumnKind : std::uint8_t { kStandard = 0, kLog1p = 1, kOneHot = 2 };

struct Column {
  ColumnKind kind = ColumnKind::kStandard;
  std::uint32_t width = 1;  // values of a one-hot column
};

struct Op {
  OpCode code{};
  std::uint8_t tensors[3] = {};
  float a = 0.0f, b = 0.0f;
  NgramParams ngram;
  std::vector<Column> columns;
};

// Several ways to read the same probabilities: labels summed into groups; a label outside every group is left out.
struct View {
  std::string_view name;
  std::vector<std::string_view> labels;
  std::vector<std::uint16_t> group_of;  // per label: group + 1, or 0
  float threshold = 0.0f;
};

struct Model {
  std::string_view id, version;
  ModelKind kind{};
  std::vector<std::string_view> labels;
  std::vector<View> views;  // [0] is the plain one: every label its own group
  std::vector<Tensor> tensors;
  std::vector<Op> ops;
  std::uint32_t inputs = 0;  // columns of a numeric model
  std::string_view meta;  // canonical JSON for people and registries; never read here
  ByteView recipe_sha256;
  Bytes bytes;  // the file; every view above points into it

  Model() = default;
  Model(Model&&) noexcept = default;  // moving a vector keeps its storage, so the views stay valid
  Model& operator=(Model&&) noexcept = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
};

// Takes the file and vouches for it, or says why not: kTruncated, kMalformed (detail: what was wrong, see load.cc),
// kChecksum, kUnknownVersion, kLimit.
[[nodiscard]] Result<Model> load_model(Bytes file);

}  // namespace oas::infer
