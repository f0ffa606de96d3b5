// Four floats at a time, by the compiler's vector extension: the same source is SIMD where the target has it and plain
// code where it has not, with the same order of every sum, so both give the same bits.
#pragma once

#include <cstdint>
#include <cstring>

namespace oas::infer {

using F32x4 = float __attribute__((vector_size(16)));

[[nodiscard]] inline F32x4 splat(float x) { return F32x4{x, x, x, x}; }

[[nodiscard]] inline F32x4 load4(const float* at) {
  F32x4 v;
  std::memcpy(&v, at, sizeof(v));
  return v;
}

inline void store4(float* at, F32x4 v) { std::memcpy(at, &v, sizeof(v)); }

[[nodiscard]] inline float sum4(F32x4 v) { return (v[0] + v[1]) + (v[2] + v[3]); }

// Dot product in four lanes, then the tail; `count` needs no alignment. Not inlined, like axpy: in WebAssembly each copy
// would be unrolled again, and a call costs nothing beside 16 multiplications.
[[nodiscard, gnu::noinline]] inline float dot(const float* a, const float* b, std::uint32_t count) {
  F32x4 lanes = splat(0.0f);
  std::uint32_t i = 0;
  for (; i + 4 <= count; i += 4) lanes += load4(a + i) * load4(b + i);
  float total = sum4(lanes);
  for (; i < count; ++i) total += a[i] * b[i];
  return total;
}

// y += k * x
[[gnu::noinline]] inline void axpy(float k, const float* x, float* y, std::uint32_t count) {
  const F32x4 k4 = splat(k);
  std::uint32_t i = 0;
  for (; i + 4 <= count; i += 4) store4(y + i, load4(y + i) + k4 * load4(x + i));
  for (; i < count; ++i) y[i] += k * x[i];
}

}  // namespace oas::infer
