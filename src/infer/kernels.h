// The arithmetic of the quantised models. Each function exists once for all targets or is proven equal by test.
//
// Integer products are summed in 32-bit integers, exact in any order. Floats are summed in a fixed order: bags row by row
// in bucket order with every dimension its own chain, dot products in four lanes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "infer/tensor.h"

namespace oas::infer {

// out = sum over `buckets` of scale * row, times 1 / sqrt(count). `rows` is i8 or i4, `scale` u8 codes.
void embedding_bag(const Tensor& rows, const Tensor& scale, std::span<const std::uint32_t> buckets, float* out);

// i8 weights with a scale a row: the input is rounded to 16 bits once, then all products are integers.
class QuantisedInput {
 public:
  void assign(const float* values, std::uint32_t count);
  // out[r] = weights[r] . input * scale[r] + bias[r]
  void gemm(const Tensor& weights, const Tensor& scale, const Tensor& bias, float* out) const;

 private:
  std::vector<std::int16_t> values_;
  float scale_ = 0.0f;
};

// The same for f32 weights.
void gemm_f32(const Tensor& weights, const Tensor& bias, const float* values, float* out);

// In place; sums to 1.
void softmax(float* values, std::uint32_t count);

// The sum of one leaf of every tree: node[feature] < threshold goes left.
[[nodiscard]] float tree_sum(const Tensor& nodes, const Tensor& roots, const float* values);

// The exact integer dot product behind QuantisedInput; SIMD where the target has it.
[[nodiscard]] std::int32_t dot_i8_i16(const std::int8_t* a, const std::int16_t* b, std::uint32_t count);

}  // namespace oas::infer
