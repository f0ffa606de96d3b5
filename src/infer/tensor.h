// A typed view into a model's bytes: row-major, little-endian, in place.
//
// 4-bit rows keep eight values in four bytes: byte k of a block holds value k low and value k + 4 high, each plus 8, so
// four neighbours unpack with one mask. Columns of a 4-bit tensor are a multiple of 8.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/bytes.h"

namespace oas::infer {

enum class DType : std::uint8_t { kF32 = 0, kF16 = 1, kI8 = 2, kI4 = 3, kU16 = 4, kU8 = 5 };
inline constexpr std::uint8_t kDTypeCount = 6;

struct Tensor {
  DType dtype = DType::kF32;
  std::uint32_t rows = 0, cols = 0;
  const std::uint8_t* data = nullptr;

  [[nodiscard]] std::uint64_t size() const { return std::uint64_t{rows} * cols; }
};

[[nodiscard]] constexpr std::uint64_t tensor_bytes(DType dtype, std::uint64_t values) {
  switch (dtype) {
    case DType::kF32: return values * 4;
    case DType::kF16:
    case DType::kU16: return values * 2;
    case DType::kI4: return values / 2;
    case DType::kI8:
    case DType::kU8: break;
  }
  return values;
}

template <class T>
[[nodiscard]] T element(const Tensor& tensor, std::uint64_t index) {
  T value;
  std::memcpy(&value, tensor.data + index * sizeof(T), sizeof(T));
  return value;
}

[[nodiscard]] inline float f32_at(const Tensor& tensor, std::uint64_t index) { return element<float>(tensor, index); }
[[nodiscard]] inline std::uint16_t u16_at(const Tensor& tensor, std::uint64_t index) {
  return element<std::uint16_t>(tensor, index);
}

// IEEE 754 half precision; subnormals are exact, the caller refuses infinities.
[[nodiscard]] inline float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1F;
  const std::uint32_t fraction = half & 0x3FF;
  if (exponent == 0) {
    const float small = static_cast<float>(fraction) * (1.0f / 16777216.0f);
    return sign != 0 ? -small : small;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (fraction << 13));
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (fraction << 13));
}

// A row scale in one byte: the 5 exponent bits and the first 3 fraction bits of a positive half. 248 and above are infinite.
inline constexpr std::uint8_t kScaleCodes = 248;
[[nodiscard]] inline float scale_from_code(std::uint8_t code) {
  return half_to_float(static_cast<std::uint16_t>(code << 7));
}

// To nearest, ties to even; too large becomes infinity.
[[nodiscard]] inline std::uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude >= 0x47800000U) return static_cast<std::uint16_t>(sign | 0x7C00);
  if (magnitude < 0x38800000U) {
    const float scaled = std::bit_cast<float>(magnitude) * 16777216.0f;
    auto whole = static_cast<std::uint32_t>(scaled);
    const float rest = scaled - static_cast<float>(whole);
    if (rest > 0.5f || (rest == 0.5f && (whole & 1) != 0)) ++whole;
    return static_cast<std::uint16_t>(sign | whole);
  }
  const std::uint32_t rounded = magnitude - 0x38000000U + 0xFFF + ((magnitude >> 13) & 1);
  return static_cast<std::uint16_t>(sign | (rounded >> 13));
}

}  // namespace oas::infer
