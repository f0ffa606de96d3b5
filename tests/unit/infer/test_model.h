// A tiny text model and a tiny forest, so that loader tests need no committed file.
#pragma once

#include <string>
#include <vector>

#include "base/prng.h"
#include "infer/write.h"

namespace oas::test {

inline std::vector<float> noise(std::size_t count, std::uint64_t seed) {
  Prng prng(seed);
  std::vector<float> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(static_cast<float>(prng.between(-1000, 1000)) / 1000.0f);
  return out;
}

inline Bytes text_model(infer::DType dtype = infer::DType::kI8) {
  infer::ModelWriter out({.id = "tiny",
                          .version = "1.0.0",
                          .kind = infer::ModelKind::kText,
                          .inputs = 0,
                          .labels = {"a", "b", "c"},
                          .views = {{.name = "pair", .labels = {"ab", "c"}, .group_of = {1, 1, 2}, .threshold = 0.5f}},
                          .meta = R"({"licence":"none"})",
                          .recipe_sha256 = {}});
  const auto rows = out.rows_coded(64, 8, noise(64 * 8, 1), dtype);
  const auto head = out.rows_f32(3, 8, noise(24, 2));
  const std::uint8_t bias = out.f32(3, 1, {0.1f, -0.1f, 0.0f});
  out.ngram({6, 3, 4});
  out.op(infer::OpCode::kEmbeddingBag, {rows.rows, rows.scale});
  out.op(infer::OpCode::kGemm, {head.rows, head.scale, bias});
  out.number(infer::OpCode::kThreshold, {0.35f, 0.5f});
  out.number(infer::OpCode::kCalibrate, {1.5f, 0.0f});
  out.op(infer::OpCode::kSoftmax);
  return out.finish();
}

inline Bytes forest_model() {
  infer::ModelWriter out({.id = "trees",
                          .version = "1.0.0",
                          .kind = infer::ModelKind::kNumeric,
                          .inputs = 2,
                          .labels = {"yes"},
                          .views = {},
                          .meta = "{}",
                          .recipe_sha256 = {}});
  // feature 0 below 1.5: -2, else 3
  const Bytes nodes = {0, 0, 1, 0, 2, 0,    0,   0, 0, 0, 0xC0, 0x3F, 255, 0, 0, 0, 0,    0,
                       0, 0, 0, 0, 0, 0xC0, 255, 0, 0, 0, 0,    0,    0,   0, 0, 0, 0x40, 0x40};
  const std::uint8_t table = out.raw(infer::DType::kU8, 3, 12, nodes);
  const std::uint8_t roots = out.u16(1, 1, {0});
  out.numeric({{infer::ColumnKind::kStandard, 1}, {infer::ColumnKind::kOneHot, 3}}, out.f32(2, 2, {0, 1, 0, 1}));
  out.op(infer::OpCode::kTreeEnsemble, {table, roots});
  out.op(infer::OpCode::kSigmoid);
  return out.finish();
}

}  // namespace oas::test
