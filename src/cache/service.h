// The content cache's half of core.wasm: bytes in, bytes out, so that one host call packs an item or names its victims.
//
//   op         input                                              output
//   1 pack     content                                            u8 method (0 plain, 1 lz4) | size varint | stored content
//   2 unpack   what pack gave                                     content
//   3 touch    key u64                                            u8: 1 = held
//   4 put      key u64 | bytes varint | priority u8 | pinned u8   victims, u64 each
//   5 erase    key u64                                            nothing
//   6 budget   bytes varint                                       victims, u64 each
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "cache/policy.h"

namespace oas::cache {

inline constexpr std::uint32_t kContentBytesMax = 8'000'000;
inline constexpr std::uint64_t kBudgetDefault = 50'000'000;

enum class Op : std::uint8_t { kPack = 1, kUnpack = 2, kTouch = 3, kPut = 4, kErase = 5, kBudget = 6 };

class Service {
 public:
  // `out` is replaced. Errors: kInvalidArgument for an unknown op, kLimit, kTruncated, kMalformed, kUndecodable; nothing
  // has changed then.
  Result<void> call(std::uint32_t op, ByteView in, Bytes& out);

 private:
  Cache cache_{kBudgetDefault};
};

}  // namespace oas::cache
