#include "infer/kernels.h"

#include "infer/math.h"
#include "infer/vec.h"

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

namespace oas::infer {
namespace {

using I8x4 = std::int8_t __attribute__((vector_size(4)));
using U8x4 = std::uint8_t __attribute__((vector_size(4)));

F32x4 widen(const std::int8_t* at) {
  I8x4 v;
  std::memcpy(&v, at, sizeof(v));
  return __builtin_convertvector(v, F32x4);
}

// values + k * row, one column per lane
void add_i8(float k, const std::int8_t* row, float* out, std::uint32_t cols) {
  const F32x4 k4 = splat(k);
  for (std::uint32_t i = 0; i < cols; i += 4) store4(out + i, load4(out + i) + k4 * widen(row + i));
}

void add_i4(float k, const std::uint8_t* row, float* out, std::uint32_t cols) {
  const F32x4 k4 = splat(k);
  const F32x4 eight = splat(8.0f);
  for (std::uint32_t i = 0; i < cols; i += 8, row += 4) {
    U8x4 v;
    std::memcpy(&v, row, sizeof(v));
    const U8x4 low = v & 15;
    const U8x4 high = v >> 4;
    store4(out + i, load4(out + i) + k4 * (__builtin_convertvector(low, F32x4) - eight));
    store4(out + i + 4, load4(out + i + 4) + k4 * (__builtin_convertvector(high, F32x4) - eight));
  }
}

}  // namespace

void embedding_bag(const Tensor& rows, const Tensor& scale, std::span<const std::uint32_t> buckets, float* out) {
  const std::uint32_t cols = rows.cols;
  for (std::uint32_t i = 0; i < cols; ++i) out[i] = 0.0f;
  if (buckets.empty()) return;
  for (const std::uint32_t bucket : buckets) {
    const float k = scale_from_code(scale.data[bucket]);
    const std::uint8_t* row = rows.data + tensor_bytes(rows.dtype, std::uint64_t{bucket} * cols);
    if (rows.dtype == DType::kI8) {
      add_i8(k, reinterpret_cast<const std::int8_t*>(row), out, cols);
    } else {
      add_i4(k, row, out, cols);
    }
  }
  const float norm = 1.0f / sqrt_f(static_cast<float>(buckets.size()));
  for (std::uint32_t i = 0; i < cols; ++i) out[i] *= norm;
}

void QuantisedInput::assign(const float* values, std::uint32_t count) {
  float top = 0.0f;
  for (std::uint32_t i = 0; i < count; ++i) {
    const float size = values[i] < 0.0f ? -values[i] : values[i];
    if (size > top) top = size;
  }
  values_.assign(count, 0);
  scale_ = top / 32767.0f;
  if (!(scale_ > 1e-30f)) {
    scale_ = 0.0f;
    return;
  }
  const float inverse = 32767.0f / top;
  for (std::uint32_t i = 0; i < count; ++i) {
    const float scaled = values[i] * inverse;
    values_[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(scaled + (scaled < 0.0f ? -0.5f : 0.5f)));
  }
}

void QuantisedInput::gemm(const Tensor& weights, const Tensor& scale, const Tensor& bias, float* out) const {
  const auto* rows = reinterpret_cast<const std::int8_t*>(weights.data);
  for (std::uint32_t r = 0; r < weights.rows; ++r) {
    const std::int32_t sum = dot_i8_i16(rows + std::size_t{r} * weights.cols, values_.data(), weights.cols);
    out[r] = static_cast<float>(sum) * (scale_ * f32_at(scale, r)) + f32_at(bias, r);
  }
}

void gemm_f32(const Tensor& weights, const Tensor& bias, const float* values, float* out) {
  // Tensors start at multiples of 64 within a file whose first byte is aligned for floats, so this view is legal.
  const auto* rows = reinterpret_cast<const float*>(weights.data);
  for (std::uint32_t r = 0; r < weights.rows; ++r) {
    out[r] = dot(rows + std::size_t{r} * weights.cols, values, weights.cols) + f32_at(bias, r);
  }
}

void softmax(float* values, std::uint32_t count) {
  float top = values[0];
  for (std::uint32_t i = 1; i < count; ++i) top = values[i] > top ? values[i] : top;
  float sum = 0.0f;
  for (std::uint32_t i = 0; i < count; ++i) sum += values[i] = exp_f(values[i] - top);
  const float inverse = 1.0f / sum;
  for (std::uint32_t i = 0; i < count; ++i) values[i] *= inverse;
}

float tree_sum(const Tensor& nodes, const Tensor& roots, const float* values) {
  float total = 0.0f;
  for (std::uint32_t t = 0; t < roots.rows; ++t) {
    const std::uint8_t* node = nodes.data + std::size_t{u16_at(roots, t)} * nodes.cols;
    while (node[0] != 255) {
      float threshold;
      std::uint16_t child;
      std::memcpy(&threshold, node + 8, 4);
      std::memcpy(&child, node + (values[node[0]] < threshold ? 2 : 4), 2);
      node = nodes.data + std::size_t{child} * nodes.cols;
    }
    float leaf;
    std::memcpy(&leaf, node + 8, 4);
    total += leaf;
  }
  return total;
}

std::int32_t dot_i8_i16(const std::int8_t* a, const std::int16_t* b, std::uint32_t count) {
  std::int32_t total = 0;
  std::uint32_t i = 0;
#ifdef __wasm_simd128__
  v128_t lanes = wasm_i32x4_splat(0);
  for (; i + 8 <= count; i += 8) {
    lanes = wasm_i32x4_add(lanes, wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(a + i), wasm_v128_load(b + i)));
  }
  total = wasm_i32x4_extract_lane(lanes, 0) + wasm_i32x4_extract_lane(lanes, 1) + wasm_i32x4_extract_lane(lanes, 2) +
          wasm_i32x4_extract_lane(lanes, 3);
#endif
  for (; i < count; ++i) total += static_cast<std::int32_t>(a[i]) * static_cast<std::int32_t>(b[i]);
  return total;
}

}  // namespace oas::infer
