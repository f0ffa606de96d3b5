// exp, log and friends as our own polynomials: libm differs between C libraries, and trained weights must not.
//
// Only +, -, *, / and bit patterns, so every IEEE 754 target gives the same bits when multiply-add is not fused
// (-ffp-contract=off). Square root is exact by the standard and comes from the compiler.
#pragma once

#include <bit>
#include <cstdint>

namespace oas::infer {

// Relative error below 2e-7; saturates outside [-87, 88]; NaN gives the lower end.
[[nodiscard]] inline float exp_f(float x) {
  if (!(x > -87.0f)) x = -87.0f;
  if (x > 88.0f) x = 88.0f;
  const float scaled = x * 1.44269504f;
  const auto n = static_cast<std::int32_t>(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
  const auto nf = static_cast<float>(n);
  const float r = (x - nf * 0.693145752f) - nf * 1.42860677e-6f;
  float p = 1.0f / 720.0f;
  p = p * r + 1.0f / 120.0f;
  p = p * r + 1.0f / 24.0f;
  p = p * r + 1.0f / 6.0f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * std::bit_cast<float>((n + 127) << 23);
}

// For x > 0 and finite; absolute error below 1e-15 relative to the exponent's size. Zero and less give -745.
[[nodiscard]] inline double log_d(double x) {
  if (!(x > 0.0)) return -745.0;
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int32_t>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000F'FFFF'FFFF'FFFFULL) | 0x3FF0'0000'0000'0000ULL);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0);
  const double z = s * s;
  double p = 0.0;
  for (int k = 19; k >= 1; k -= 2) p = p * z + 1.0 / static_cast<double>(k);
  return 2.0 * s * p + static_cast<double>(exponent) * 0.6931471805599453;
}

[[nodiscard]] inline float log_f(float x) { return static_cast<float>(log_d(static_cast<double>(x))); }
[[nodiscard]] inline float log1p_f(float x) { return static_cast<float>(log_d(1.0 + static_cast<double>(x))); }
[[nodiscard]] inline float sigmoid_f(float x) { return 1.0f / (1.0f + exp_f(-x)); }
[[nodiscard]] inline float tanh_f(float x) { return 2.0f / (1.0f + exp_f(-2.0f * x)) - 1.0f; }
[[nodiscard]] inline float sqrt_f(float x) { return __builtin_sqrtf(x); }

}  // namespace oas::infer
