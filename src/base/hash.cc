#include "base/hash.h"

#include <bit>
#include <cstring>

namespace oas {
namespace {

std::uint64_t load_le(const std::uint8_t* at, std::size_t count) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, count);
  static_assert(std::endian::native == std::endian::little, "hash64 reads words in place");
  return word;
}

}  // namespace

std::uint64_t hash64(ByteView bytes, std::uint64_t seed) {
  // The length goes in first, so that trailing zero bytes are not lost in the padding of the last word.
  std::uint64_t hash = hash_mix(seed ^ 0x6F61735F68617368ULL, bytes.size());
  const std::uint8_t* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; at += 8, left -= 8) hash = hash_mix(hash, load_le(at, 8));
  if (left > 0) hash = hash_mix(hash, load_le(at, left));
  hash = hash_mix(hash, 0xD6E8FEB86659FD93ULL);
  return hash ^ (hash >> 29);
}

}  // namespace oas
