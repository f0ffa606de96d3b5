// Reads what Writer wrote, from bytes nobody vouches for: every step checks what is left.
//
// Views returned point into the input and live as long as it does.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace oas::wire {

class Reader {
 public:
  explicit Reader(ByteView bytes) : bytes_(bytes) {}

  Result<std::uint8_t> u8() {
    if (left() < 1) return fail(ErrorCode::kTruncated, at_);
    return bytes_[at_++];
  }
  Result<std::uint16_t> u16() { return fixed<std::uint16_t>(); }
  Result<std::uint32_t> u32() { return fixed<std::uint32_t>(); }
  Result<std::uint64_t> u64() { return fixed<std::uint64_t>(); }
  Result<std::int64_t> i64() {
    OAS_TRY(const std::uint64_t value, u64());
    return static_cast<std::int64_t>(value);
  }

  // Refuses more than 64 bits and padded forms, so that every value has one spelling.
  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (std::uint32_t shift = 0; shift < 64; shift += 7) {
      OAS_TRY(const std::uint8_t byte, u8());
      if (shift == 63 && byte > 1) return fail(ErrorCode::kMalformed, at_);
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) return fail(ErrorCode::kMalformed, at_);
        return value;
      }
    }
    return fail(ErrorCode::kMalformed, at_);
  }
  // A varint that must not exceed `max`: for counts, so that no loop or allocation is driven by a hostile number.
  Result<std::uint32_t> count(std::uint32_t max) {
    OAS_TRY(const std::uint64_t value, varint());
    if (value > max) return fail(ErrorCode::kLimit, max);
    return static_cast<std::uint32_t>(value);
  }
  Result<std::int64_t> zigzag() {
    OAS_TRY(const std::uint64_t value, varint());
    return static_cast<std::int64_t>((value >> 1) ^ (~(value & 1) + 1));
  }

  Result<ByteView> raw(std::uint64_t size) {
    if (size > left()) return fail(ErrorCode::kTruncated, at_);
    const ByteView view = bytes_.subspan(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size);
    return view;
  }
  Result<ByteView> bytes(std::uint64_t size_max) {
    OAS_TRY(const std::uint64_t size, varint());
    if (size > size_max) return fail(ErrorCode::kLimit, size_max);
    return raw(size);
  }
  Result<std::string_view> text(std::uint64_t size_max) {
    OAS_TRY(const ByteView view, bytes(size_max));
    return as_text(view);
  }

  // For formats that allow nothing behind their end.
  Result<void> end() const {
    if (left() != 0) return fail(ErrorCode::kMalformed, at_);
    return {};
  }

  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }
  [[nodiscard]] std::size_t offset() const { return at_; }

 private:
  template <class T>
  Result<T> fixed() {
    if (left() < sizeof(T)) return fail(ErrorCode::kTruncated, at_);
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      value = static_cast<T>(value | static_cast<T>(static_cast<T>(bytes_[at_ + i]) << (8 * i)));
    at_ += sizeof(T);
    return value;
  }

  ByteView bytes_;
  std::size_t at_ = 0;
};

}  // namespace oas::wire
