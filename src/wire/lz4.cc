#include "wire/lz4.h"

#include <lz4.h>

#include "base/assert.h"
#include "base/limits.h"

namespace oas::wire {

std::uint32_t compress(ByteView bytes, Bytes& out) {
  OAS_ASSERT(bytes.size() <= LZ4_MAX_INPUT_SIZE);
  const int size = static_cast<int>(bytes.size());
  const int bound = LZ4_compressBound(size);
  const std::size_t from = out.size();
  out.resize(from + static_cast<std::size_t>(bound));
  const int written = LZ4_compress_default(reinterpret_cast<const char*>(bytes.data()),
                                           reinterpret_cast<char*>(out.data() + from), size, bound);
  OAS_ASSERT(written > 0 || size == 0);
  out.resize(from + static_cast<std::size_t>(written));
  return static_cast<std::uint32_t>(written);
}

Result<void> decompress(ByteView block, std::uint64_t size, std::uint64_t size_max, Bytes& out) {
  if (size > size_max) return fail(ErrorCode::kLimit, size_max);
  if (size > block.size() * kCompressionRatioMax) return fail(ErrorCode::kLimit, kCompressionRatioMax);
  const std::size_t from = out.size();
  out.resize(from + static_cast<std::size_t>(size));
  const int written =
      LZ4_decompress_safe(reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(out.data() + from),
                          static_cast<int>(block.size()), static_cast<int>(size));
  if (written < 0 || static_cast<std::uint64_t>(written) != size) {
    out.resize(from);
    return fail(ErrorCode::kUndecodable);
  }
  return {};
}

}  // namespace oas::wire
