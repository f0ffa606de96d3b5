#include "infer/ngram.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/assert.h"

namespace oas::infer {
namespace {

// One byte before the content keeps kinds of features apart.
// n characters of a word have kind n, which is 2 to 6.
enum Kind : std::uint8_t { kWord = 1, kPair = 15, kFirst = 16, kLast = 17 };

constexpr std::uint32_t kFnvBasis = 0x811C9DC5U;

constexpr std::uint32_t fnv(std::uint32_t hash, std::uint8_t byte) { return (hash ^ byte) * 0x01000193U; }

constexpr std::uint32_t start(std::uint8_t kind) { return fnv(kFnvBasis, kind); }

[[gnu::noinline]] std::uint32_t fnv(std::uint32_t hash, const std::uint8_t* at, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) hash = fnv(hash, at[i]);
  return hash;
}

constexpr std::uint32_t finish(std::uint32_t hash) {
  hash = (hash ^ (hash >> 16)) * 0x85EBCA6BU;
  hash = (hash ^ (hash >> 13)) * 0xC2B2AE35U;
  return hash ^ (hash >> 16);
}

std::size_t put_utf8(std::uint8_t* out, std::uint32_t code) {
  const auto tail = [&](int shift) { return static_cast<std::uint8_t>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out[0] = static_cast<std::uint8_t>(code);
    return 1;
  }
  if (code < 0x800) {
    out[0] = static_cast<std::uint8_t>(0xC0 | (code >> 6));
    out[1] = tail(0);
    return 2;
  }
  const std::size_t size = code < 0x10000 ? 3 : 4;
  out[0] = static_cast<std::uint8_t>(size == 3 ? 0xE0 | (code >> 12) : 0xF0 | (code >> 18));
  for (std::size_t i = 1; i < size; ++i) out[i] = tail(6 * static_cast<int>(size - 1 - i));
  return size;
}

// Cutting inside a code point would turn its head into U+FFFD, so the cut moves to the boundary before.
ByteView capped(ByteView text) {
  if (text.size() <= kTextBytesMax) return text;
  std::size_t size = kTextBytesMax;
  for (int back = 0; back < 3 && (text[size] & 0xC0) == 0x80; ++back) --size;
  return text.first(size);
}

}  // namespace

bool valid(const NgramParams& params) {
  return params.buckets_log2 >= 4 && params.buckets_log2 <= kBucketsLog2Max && params.char_min >= 2 &&
         params.char_min <= 5 && params.char_max >= params.char_min && params.char_max <= 6;
}

[[gnu::noinline]] void NgramHasher::mark(std::uint32_t hash) {
  const std::uint32_t bucket = finish(hash) & mask_;
  seen_[bucket / 64] |= std::uint64_t{1} << (bucket % 64);
}

[[gnu::noinline]] void NgramHasher::read_tokens(ByteView text) {
  // No code point takes more than three times its bytes: U+FFFD for one broken byte does.
  lower_.resize(text.size() * 3);
  tokens_.clear();
  std::uint32_t begin = 0;
  bool in_word = false;
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    at += point.size;
    const CharClass kind = unicode_.classify(point.code);
    if (kind == CharClass::kSpace) {
      in_word = false;
      continue;
    }
    const std::uint32_t code = kind == CharClass::kWord ? unicode_.lower(point.code) : point.code;
    const std::uint32_t end = begin + static_cast<std::uint32_t>(put_utf8(&lower_[begin], code));
    const bool word = kind == CharClass::kWord;
    if (word && in_word) {
      tokens_.back().end = end;
    } else {
      tokens_.push_back({begin, end, word});
    }
    in_word = word;
    begin = end;
  }
}

[[gnu::noinline]] void NgramHasher::hash_chars(std::uint32_t begin, std::uint32_t end, const NgramParams& params) {
  const std::uint32_t size = end - begin + 2;
  framed_.resize(size);
  framed_[0] = '<';
  std::memcpy(&framed_[1], &lower_[begin], size - 2);
  framed_[size - 1] = '>';
  starts_.resize(size + 1);
  std::uint32_t count = 0;
  for (std::uint32_t i = 0; i < size; ++i) {
    if ((framed_[i] & 0xC0) != 0x80) starts_[count++] = i;
  }
  starts_[count] = size;
  for (std::uint32_t n = params.char_min; n <= params.char_max; ++n) {
    const std::uint32_t head = start(static_cast<std::uint8_t>(n));
    for (std::uint32_t i = 0; i + n <= count; ++i) mark(fnv(head, &framed_[starts_[i]], starts_[i + n] - starts_[i]));
  }
}

std::span<const std::uint32_t> NgramHasher::features(ByteView text, const NgramParams& params) {
  OAS_ASSERT(valid(params));
  const std::uint32_t buckets = std::uint32_t{1} << params.buckets_log2;
  mask_ = buckets - 1;
  seen_.resize((buckets + 63) / 64);
  std::fill(seen_.begin(), seen_.end(), 0);
  read_tokens(capped(text));
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    const auto [begin, end, word] = tokens_[i];
    const std::uint8_t* at = lower_.data() + begin;
    mark(fnv(start(kWord), at, end - begin));
    if (i > 0) {
      const Token& before = tokens_[i - 1];
      std::uint32_t hash = fnv(start(kPair), lower_.data() + before.begin, before.end - before.begin);
      hash = fnv(hash, ' ');
      mark(fnv(hash, at, end - begin));
    }
    if (word) hash_chars(begin, end, params);
    if (i == 0) mark(fnv(start(kFirst), at, end - begin));
    if (i + 1 == tokens_.size()) mark(fnv(start(kLast), at, end - begin));
  }
  buckets_.clear();
  for (std::size_t i = 0; i < seen_.size(); ++i) {
    for (std::uint64_t bits = seen_[i]; bits != 0; bits &= bits - 1) {
      buckets_.push_back(static_cast<std::uint32_t>(i * 64) + static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
  }
  return buckets_;
}

}  // namespace oas::infer
