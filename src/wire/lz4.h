// lz4 blocks with declared sizes. lz4 does not notice corruption: whoever stores a block checksums it (segment.h).
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace oas::wire {

// Appends the compressed block. Deterministic for one lz4 version. Returns the number of bytes appended.
std::uint32_t compress(ByteView bytes, Bytes& out);

// Decompresses exactly `size` bytes to the end of `out`. `size` is checked against `size_max` and against
// kCompressionRatioMax times the block before anything is allocated. Errors: kLimit, kUndecodable.
Result<void> decompress(ByteView block, std::uint64_t size, std::uint64_t size_max, Bytes& out);

}  // namespace oas::wire
