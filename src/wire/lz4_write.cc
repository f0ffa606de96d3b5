#include "wire/lz4.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "wire/writer.h"

namespace oas::wire {
namespace {

// The block format's own numbers.
constexpr std::uint32_t kMatchMin = 4;
constexpr std::uint32_t kLastLiterals = 5;     // a block ends with at least so many literals
constexpr std::uint32_t kMatchStartEnd = 12;   // and no match starts closer to its end
constexpr std::uint32_t kOffsetMax = 65'535;
constexpr std::uint32_t kRunMask = 15;

// How hard to look.
struct Effort {
  std::uint32_t tries;        // positions looked at for one match
  std::uint32_t long_enough;  // a match of this length is not searched past; 0 = the first one is taken
  std::uint32_t skip_shift;   // after 2^n positions without a match every second one is tried, and so on
};
constexpr Effort kQuick{.tries = 2, .long_enough = 0, .skip_shift = 6};
constexpr Effort kSteady{.tries = 4, .long_enough = 0, .skip_shift = 6};
constexpr Effort kThorough{.tries = 48, .long_enough = 128, .skip_shift = 31};

std::uint32_t load32(const std::uint8_t* at) {
  std::uint32_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// How many bytes two places have in common, at most `size_max`. Eight at a time: most of the work of a search is here.
std::uint32_t common(const std::uint8_t* a, const std::uint8_t* b, std::uint32_t size_max) {
  std::uint32_t size = 0;
  while (size_max - size >= 8 && std::memcmp(a + size, b + size, 8) == 0) size += 8;
  while (size < size_max && a[size] == b[size]) ++size;
  return size;
}

struct Match {
  std::uint32_t from{};
  std::uint32_t size{};
};

class Compressor {
 public:
  Compressor(ByteView text, std::uint32_t start, const Effort& effort, TextIndex& index, Bytes& out)
      : text_(text),
        end_(static_cast<std::uint32_t>(text.size())),
        effort_(effort),
        index_(index),
        anchor_(start),
        writer_(out) {
    index.reach(end_);
  }

  void run() {
    std::uint32_t at = anchor_;
    const std::uint32_t last_start = end_ < kMatchStartEnd ? 0 : end_ - kMatchStartEnd;
    while (end_ - anchor_ >= kMatchStartEnd + 1 && at <= last_start) {
      Match match = find(at);
      index_.add(text_, at);
      if (match.size == 0) {
        at += 1 + ((at - anchor_) >> effort_.skip_shift);
        continue;
      }
      // One byte later there may be a match that is longer by more than the literal costs.
      while (at + 1 <= last_start && match.size < effort_.long_enough) {
        const Match later = find(at + 1);
        if (later.size <= match.size + 1) break;
        ++at;
        index_.add(text_, at);
        match = later;
      }
      sequence(at, match);
      const std::uint32_t behind = at + match.size;
      // Quick: only the last two positions of a match, which is where the next one often starts.
      at = effort_.long_enough == 0 && behind - at > 2 ? behind - 2 : at + 1;
      for (; at < behind; ++at)
        if (at + kMatchMin <= end_) index_.add(text_, at);
      anchor_ = behind;
    }
    literals(anchor_, end_, 0);
  }

 private:
  [[nodiscard]] Match find(std::uint32_t at) const {
    Match best{0, kMatchMin - 1};
    const std::uint32_t size_max = end_ - kLastLiterals - at;
    std::uint32_t tries = effort_.tries;
    for (std::uint32_t from = index_.head(text_, at); from != TextIndex::kNone && tries-- > 0;
         from = index_.before(from)) {
      if (at - from > kOffsetMax) break;
      if (best.size >= size_max) break;
      if (text_[from + best.size] != text_[at + best.size] || load32(&text_[from]) != load32(&text_[at])) continue;
      const std::uint32_t size = common(&text_[from], &text_[at], size_max);
      if (size > best.size) best = {from, size};
    }
    return best.size < kMatchMin ? Match{} : best;
  }

  // The token with its literals; `match` is the low half of the token.
  void literals(std::uint32_t from, std::uint32_t to, std::uint32_t match) {
    const std::uint32_t count = to - from;
    writer_.u8(static_cast<std::uint8_t>(std::min(count, kRunMask) << 4 | match));
    if (count >= kRunMask) length(count - kRunMask);
    writer_.raw(text_.subspan(from, count));
  }
  void length(std::uint32_t left) {
    for (; left >= 255; left -= 255) writer_.u8(255);
    writer_.u8(static_cast<std::uint8_t>(left));
  }
  void sequence(std::uint32_t at, Match match) {
    const std::uint32_t size = match.size - kMatchMin;
    literals(anchor_, at, std::min(size, kRunMask));
    writer_.u16(static_cast<std::uint16_t>(at - match.from));
    if (size >= kRunMask) length(size - kRunMask);
  }

  ByteView text_;
  std::uint32_t end_;
  const Effort& effort_;
  TextIndex& index_;
  std::uint32_t anchor_;
  Writer writer_;
};

}  // namespace

std::uint32_t TextIndex::slot(ByteView text, std::uint32_t at) {
  return load32(&text[at]) * 0x9E3779B1U >> (32 - kHashBits);
}

void TextIndex::add(ByteView text, std::uint32_t at) {
  std::uint32_t& head = heads_[slot(text, at)];
  chain_[at] = head;
  head = at;
}

TextPrefix make_prefix(ByteView text) {
  OAS_ASSERT(text.size() <= kPrefixBytesMax);
  TextPrefix prefix{.text = to_bytes(text), .index = {}};
  prefix.index.reach(static_cast<std::uint32_t>(text.size()));
  for (std::uint32_t at = 0; at + kMatchMin <= text.size(); ++at) prefix.index.add(text, at);
  return prefix;
}

std::uint32_t compress(ByteView bytes, Bytes& out) {
  const std::size_t from = out.size();
  TextIndex index;
  Compressor(bytes, 0, kQuick, index, out).run();
  return static_cast<std::uint32_t>(out.size() - from);
}

std::uint32_t compress_content(ByteView bytes, Bytes& out) {
  const std::size_t from = out.size();
  TextIndex index;
  Compressor(bytes, 0, kSteady, index, out).run();
  return static_cast<std::uint32_t>(out.size() - from);
}

std::uint32_t compress_text(ByteView text, const TextPrefix* prefix, Bytes& out) {
  const std::size_t from = out.size();
  Bytes whole;
  TextIndex index;
  if (prefix != nullptr) {
    whole = prefix->text;
    index = prefix->index;
  }
  const auto start = static_cast<std::uint32_t>(whole.size());
  whole.insert(whole.end(), text.begin(), text.end());
  Compressor(whole, start, kThorough, index, out).run();
  return static_cast<std::uint32_t>(out.size() - from);
}

}  // namespace oas::wire
