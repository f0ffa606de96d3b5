// The featuriser ngram-v1: text to a sorted set of hash buckets. Part of the model format.
//
// Lower-cased tokens give words, word pairs, character n-grams of "<word>" and marks for the first and last token; each
// is hashed (FNV-1a 32 over a kind byte and UTF-8, murmur3 finaliser) into a power of two of buckets. A set, so the order
// of summation is the order of buckets. The same code trains and predicts; tests/golden/infer_ngram_v1.bin pins it, with
// an independent implementation in scripts/models-golden.mjs. Any change of output is a new featuriser, never an edit.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "infer/unicode.h"

namespace oas::infer {

inline constexpr std::uint32_t kTextBytesMax = 10'000;  // the rest of a longer text is ignored
inline constexpr std::uint32_t kBucketsLog2Max = 18;

struct NgramParams {
  std::uint32_t buckets_log2 = 13;  // 4 to kBucketsLog2Max
  std::uint32_t char_min = 3;  // 2 to 5
  std::uint32_t char_max = 4;  // char_min to 6
  friend bool operator==(const NgramParams&, const NgramParams&) = default;
};

[[nodiscard]] bool valid(const NgramParams& params);

class NgramHasher {
 public:
  // Buckets that occur, ascending. The view is valid until the next call.
  [[nodiscard]] std::span<const std::uint32_t> features(ByteView text, const NgramParams& params);

 private:
  void mark(std::uint32_t hash);
  void read_tokens(ByteView text);
  void hash_chars(std::uint32_t begin, std::uint32_t end, const NgramParams& params);

  struct Token {
    std::uint32_t begin, end;  // in lower_
    bool word;
  };
  UnicodeTable unicode_;
  std::vector<std::uint8_t> lower_;  // lower-cased UTF-8
  std::vector<std::uint32_t> starts_;  // offsets of the code points of one "<word>"
  std::vector<std::uint8_t> framed_;
  std::vector<Token> tokens_;
  std::vector<std::uint64_t> seen_;  // one bit a bucket
  std::vector<std::uint32_t> buckets_;
  std::uint32_t mask_ = 0;
};

}  // namespace oas::infer
