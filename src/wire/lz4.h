// lz4 blocks, written and read here: one search for rows that must be quick, one for content somebody waits for, one that looks
// longer for text that is written once and kept and may start from a prefix. The lz4 library reads what we write and the other
// way round; tests hold that.
//
// lz4 does not notice corruption: whoever stores a block checksums it (segment.h).
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace oas::wire {

inline constexpr std::uint32_t kPrefixBytesMax = 60'000;  // within reach of every offset a block can hold

// Where each four bytes of a text stood before: heads of chains by hash, and each position's predecessor.
class TextIndex {
 public:
  TextIndex() : heads_(std::size_t{1} << kHashBits, kNone) {}

  // Room for a text of so many bytes; what is known of its beginning stays.
  void reach(std::uint32_t size) { chain_.resize(size, kNone); }
  // Pre: at + 4 <= text.size(); positions only grow, below the reach.
  void add(ByteView text, std::uint32_t at);
  [[nodiscard]] std::uint32_t head(ByteView text, std::uint32_t at) const { return heads_[slot(text, at)]; }
  [[nodiscard]] std::uint32_t before(std::uint32_t at) const { return chain_[at]; }

  static constexpr std::uint32_t kNone = 0xFFFFFFFFU;

 private:
  static constexpr std::uint32_t kHashBits = 13;
  [[nodiscard]] static std::uint32_t slot(ByteView text, std::uint32_t at);

  std::vector<std::uint32_t> heads_;
  std::vector<std::uint32_t> chain_;
};

// A text that blocks may refer to; both sides must have it byte for byte. Its index is made once.
struct TextPrefix {
  Bytes text;
  TextIndex index;
};
// Pre: at most kPrefixBytesMax bytes.
[[nodiscard]] TextPrefix make_prefix(ByteView text);

// Appends one block and returns its size; deterministic. O(n).
std::uint32_t compress(ByteView bytes, Bytes& out);
// The same, looking at twice as many places.
std::uint32_t compress_content(ByteView bytes, Bytes& out);
// The same, searching longer still; `prefix` may be null.
std::uint32_t compress_text(ByteView text, const TextPrefix* prefix, Bytes& out);

// Decompresses exactly `size` bytes to the end of `out`. `size` is checked against `size_max` and against
// kCompressionRatioMax times the block before anything is allocated. Errors: kLimit, kUndecodable.
Result<void> decompress(ByteView block, std::uint64_t size, std::uint64_t size_max, Bytes& out);
// A block of compress_text. Errors: kUndecodable, and kLimit for a size that no block of this length can have.
Result<void> decompress_text(ByteView block, std::uint64_t size, ByteView prefix, Bytes& out);

}  // namespace oas::wire
