#include "infer/sticky.h"

#include "base/cold.h"

OAS_COLD_BEGIN

namespace oas::infer {

void StickyReader::refuse(ErrorCode code, std::uint64_t detail) {
  if (!ok_) return;
  ok_ = false;
  error_ = {code, detail};
}

Result<void> StickyReader::result() const {
  if (!ok_) return std::unexpected(error_);
  return {};
}

ByteView StickyReader::raw(std::uint64_t size) {
  if (ok_ && size <= in_.left()) return *in_.raw(size);
  refuse(ErrorCode::kTruncated, in_.offset());
  return {};
}

std::uint64_t StickyReader::u64() {
  const std::uint64_t low = u32();
  return low | (static_cast<std::uint64_t>(u32()) << 32);
}

std::uint32_t StickyReader::u32() {
  const std::uint32_t low = u16();
  return low | (static_cast<std::uint32_t>(u16()) << 16);
}

std::uint16_t StickyReader::u16() {
  const std::uint16_t low = u8();
  return static_cast<std::uint16_t>(low | (u8() << 8));
}

std::uint8_t StickyReader::u8() {
  const ByteView one = raw(1);
  return one.empty() ? std::uint8_t{0} : one[0];
}

float StickyReader::f32() { return std::bit_cast<float>(u32()); }

float StickyReader::f32(float low, float high) {
  const float value = f32();
  if (value >= low && value <= high) return value;
  refuse(ErrorCode::kInvalidArgument, in_.offset());
  return low;
}

std::uint32_t StickyReader::count(std::uint32_t max) {
  if (!ok_) return 0;
  const auto value = in_.count(max);
  if (value) return *value;
  refuse(value.error().code, value.error().detail);
  return 0;
}

ByteView StickyReader::bytes(std::uint32_t size_max) { return raw(count(size_max)); }

std::string_view StickyReader::text(std::uint32_t size_max) { return as_text(bytes(size_max)); }

void StickyReader::texts(std::vector<std::string_view>& out, std::uint32_t count_max, std::uint32_t size_max) {
  out.clear();
  for (std::uint32_t left_over = count(count_max); left_over > 0 && ok_; --left_over) out.push_back(text(size_max));
}

void StickyReader::ids(std::vector<std::uint32_t>& out, std::uint32_t count_max) {
  out.clear();
  for (std::uint32_t left_over = count(count_max); left_over > 0 && ok_; --left_over)
    out.push_back(count(0xFFFF'FFFFU));
}

void StickyReader::end() {
  if (in_.left() != 0) refuse(ErrorCode::kMalformed, in_.offset());
}

}  // namespace oas::infer

OAS_COLD_END
