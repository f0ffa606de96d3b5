// The little Unicode that ngram-v1 needs: reading UTF-8, simple lower case, and what belongs to a word.
//
// Tables come from scripts/models-unicode.mjs, pinned to one Unicode version. Not here: normalisation, locales, full case
// mapping: all three would make buckets depend on more than the text.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace oas::infer {

enum class CharClass : std::uint8_t { kWord, kSpace, kOther };

struct CodePoint {
  std::uint32_t code;
  std::uint32_t size;  // bytes consumed
};

inline constexpr std::uint32_t kReplacement = 0xFFFD;

// Reads the code point at `at` (must be inside `text`). Each byte that starts no valid sequence is U+FFFD on its own.
[[nodiscard]] CodePoint read_code_point(ByteView text, std::size_t at);

class UnicodeTable {
 public:
  UnicodeTable();
  [[nodiscard]] std::uint32_t lower(std::uint32_t code) const;
  [[nodiscard]] CharClass classify(std::uint32_t code) const;

 private:
  struct Run {
    std::uint32_t first, last, step;
    std::int32_t delta;
  };
  std::vector<std::uint32_t> edges_;
  std::vector<Run> runs_;
};

}  // namespace oas::infer
