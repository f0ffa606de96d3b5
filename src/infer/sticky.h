// A reader that remembers its first failure instead of returning it each time: reads after it give zeros and empty views.
//
// For formats with many fields in a build whose size is gated: the caller checks once, before it uses what was read, and
// in every loop whose count came from the bytes.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "wire/reader.h"

namespace oas::infer {

class StickyReader {
 public:
  explicit StickyReader(ByteView bytes) : in_(bytes) {}

  std::uint8_t u8();
  std::uint16_t u16();
  std::uint32_t u32();
  std::uint64_t u64();
  float f32();
  // Outside [low, high], NaN included: kInvalidArgument.
  float f32(float low, float high);
  std::uint32_t count(std::uint32_t max);
  ByteView raw(std::uint64_t size);
  ByteView bytes(std::uint32_t size_max);
  std::string_view text(std::uint32_t size_max);
  void texts(std::vector<std::string_view>& out, std::uint32_t count_max, std::uint32_t size_max);
  void ids(std::vector<std::uint32_t>& out, std::uint32_t count_max);
  ByteView rest() { return raw(in_.left()); }
  // Nothing may follow.
  void end();

  // Only the first one counts.
  void refuse(ErrorCode code, std::uint64_t detail = 0);
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] const Error& error() const { return error_; }
  [[nodiscard]] Result<void> result() const;
  [[nodiscard]] std::size_t left() const { return in_.left(); }

 private:
  wire::Reader in_;
  Error error_{};
  bool ok_ = true;
};

}  // namespace oas::infer
