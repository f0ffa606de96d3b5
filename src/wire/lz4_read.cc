#include <algorithm>

#include "base/limits.h"
#include "wire/lz4.h"

namespace oas::wire {
namespace {

constexpr std::uint32_t kMatchMin = 4;
constexpr std::uint32_t kRunMask = 15;

// Reads one block; every step checks what is left on both sides.
class Decompressor {
 public:
  Decompressor(ByteView block, ByteView prefix, std::uint8_t* out, std::size_t size)
      : in_(block.data()), in_end_(in_ + block.size()), prefix_(prefix), begin_(out), out_(out), out_end_(out + size) {}

  bool run() {
    while (in_ != in_end_) {
      const std::uint32_t token = *in_++;
      std::size_t count = token >> 4;
      if (!extend(count) || count > left_in() || count > left_out()) return false;
      std::copy_n(in_, count, out_);
      in_ += count;
      out_ += count;
      if (in_ == in_end_) return out_ == out_end_;
      if (left_in() < 2) return false;
      const std::size_t offset = in_[0] | std::size_t{in_[1]} << 8;
      in_ += 2;
      std::size_t size = token & kRunMask;
      if (!extend(size) || !copy(offset, size + kMatchMin)) return false;
    }
    return false;
  }

 private:
  [[nodiscard]] std::size_t left_in() const { return static_cast<std::size_t>(in_end_ - in_); }
  [[nodiscard]] std::size_t left_out() const { return static_cast<std::size_t>(out_end_ - out_); }

  bool extend(std::size_t& count) {
    if (count != kRunMask) return true;
    for (std::uint8_t more = 255; more == 255; count += more) {
      if (in_ == in_end_) return false;
      more = *in_++;
    }
    return true;
  }
  bool copy(std::size_t offset, std::size_t size) {
    const auto done = static_cast<std::size_t>(out_ - begin_);
    if (offset == 0 || size > left_out() || offset > done + prefix_.size()) return false;
    if (offset > done) {
      const std::size_t from = prefix_.size() - (offset - done);
      const std::size_t count = std::min(size, prefix_.size() - from);
      out_ = std::copy_n(prefix_.data() + from, count, out_);
      size -= count;
    }
    // Byte by byte where source and target overlap: the bytes just written are part of the match.
    if (size <= offset)
      out_ = std::copy_n(out_ - offset, size, out_);
    else
      for (; size > 0; --size, ++out_) *out_ = *(out_ - offset);
    return true;
  }

  const std::uint8_t* in_;
  const std::uint8_t* in_end_;
  ByteView prefix_;
  std::uint8_t* begin_;
  std::uint8_t* out_;
  std::uint8_t* out_end_;
};

Result<void> read_block(ByteView block, std::uint64_t size, ByteView prefix, Bytes& out) {
  const std::size_t from = out.size();
  out.resize(from + static_cast<std::size_t>(size));
  if (Decompressor(block, prefix, out.data() + from, static_cast<std::size_t>(size)).run()) return {};
  out.resize(from);
  return fail(ErrorCode::kUndecodable);
}

}  // namespace

Result<void> decompress(ByteView block, std::uint64_t size, std::uint64_t size_max, Bytes& out) {
  if (size > size_max) return fail(ErrorCode::kLimit, size_max);
  if (size > block.size() * kCompressionRatioMax) return fail(ErrorCode::kLimit, kCompressionRatioMax);
  return read_block(block, size, {}, out);
}

Result<void> decompress_text(ByteView block, std::uint64_t size, ByteView prefix, Bytes& out) {
  if (size > std::uint64_t{block.size()} * 255) return fail(ErrorCode::kLimit, block.size());
  return read_block(block, size, prefix, out);
}

}  // namespace oas::wire
