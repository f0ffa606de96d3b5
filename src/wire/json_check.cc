#include "wire/json_check.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "base/limits.h"

namespace oas::wire {
namespace {

static_assert(std::endian::native == std::endian::little, "the first byte of a loaded word must be its lowest");
constexpr std::uint64_t kLows = 0x0101010101010101ULL;
constexpr std::uint64_t kHighs = 0x8080808080808080ULL;

std::uint64_t load_word(const std::uint8_t* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Marks the high bit of bytes that equal `wanted`. Bits above the lowest marked one may be wrong, it itself never is.
constexpr std::uint64_t equal_bytes(std::uint64_t word, std::uint8_t wanted) {
  const std::uint64_t difference = word ^ (kLows * wanted);
  return (difference - kLows) & ~difference & kHighs;
}

// Behind the plain ASCII at `at`: the first byte that a string literal treats specially, or close before the end.
const std::uint8_t* skip_plain(const std::uint8_t* at, const std::uint8_t* end) {
  for (; end - at >= 8; at += 8) {
    const std::uint64_t word = load_word(at);
    const std::uint64_t control = (word - kLows * 0x20) & ~word & kHighs;
    const std::uint64_t special = control | equal_bytes(word, '"') | equal_bytes(word, '\\') | (word & kHighs);
    if (special != 0) return at + std::countr_zero(special) / 8;
  }
  return at;
}

// The length of the valid UTF-8 sequence at `at`, or 0. Surrogates (ED A0..BF) and overlong forms are invalid:
// table 3-7 of the Unicode Standard. Pre: at < end.
std::ptrdiff_t utf8_length(const std::uint8_t* at, const std::uint8_t* end) {
  const std::uint8_t lead = *at;
  if (lead < 0x80) return 1;
  const std::ptrdiff_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || end - at < length) return 0;
  const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (at[1] < low || at[1] > high) return 0;
  for (std::ptrdiff_t i = 2; i < length; ++i)
    if ((at[i] & 0xC0) != 0x80) return 0;
  return length;
}

// Why utf8_length gave 0.
ErrorCode utf8_fault(const std::uint8_t* at, const std::uint8_t* end) {
  const bool surrogate = *at == 0xED && end - at >= 2 && at[1] >= 0xA0 && at[1] <= 0xBF;
  return surrogate ? ErrorCode::kLoneSurrogate : ErrorCode::kInvalidUtf8;
}

constexpr auto kHexDigits = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(0xFF);
  for (std::uint8_t i = 0; i < 10; ++i) table[std::size_t{'0'} + i] = i;
  for (std::uint8_t i = 0; i < 6; ++i) {
    table[std::size_t{'a'} + i] = static_cast<std::uint8_t>(10 + i);
    table[std::size_t{'A'} + i] = static_cast<std::uint8_t>(10 + i);
  }
  return table;
}();

// Every step returns false once the text is refused; `error_` then says why.
class Checker {
 public:
  explicit Checker(ByteView text) : begin_(text.data()), at_(begin_), end_(begin_ + text.size()) {}

  Result<void> run() {
    if (!value()) return std::unexpected(error_);
    space();
    if (at_ != end_) return fail(ErrorCode::kInvalidJson, static_cast<std::uint64_t>(at_ - begin_));
    return {};
  }

 private:
  bool refuse(ErrorCode code, const std::uint8_t* where) {
    error_ = {code, static_cast<std::uint64_t>(where - begin_)};
    return false;
  }
  bool refuse(ErrorCode code = ErrorCode::kInvalidJson) { return refuse(code, at_); }

  bool take(char wanted) {
    if (at_ == end_ || *at_ != static_cast<std::uint8_t>(wanted)) return false;
    ++at_;
    return true;
  }
  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }

  // One value with all it holds: a loop over a stack of open brackets, so that hostile nesting cannot reach the
  // machine's own stack.
  bool value() {
    for (;;) {
      space();
      if (at_ == end_) return refuse();
      if (*at_ == '{' || *at_ == '[') {
        const char closing = *at_ == '{' ? '}' : ']';
        if (depth_ == kJsonDepthMax) return refuse(ErrorCode::kTooDeep);
        ++at_;
        space();
        if (!take(closing)) {
          closing_[depth_++] = closing;
          if (closing == '}' && !key()) return false;
          continue;
        }
      } else if (!scalar()) {
        return false;
      }
      // A value has ended, and with it perhaps the containers around it.
      for (bool more = false; !more;) {
        if (depth_ == 0) return true;
        space();
        const char closing = closing_[depth_ - 1];
        if (take(closing)) {
          --depth_;
        } else if (take(',')) {
          if (closing == '}' && !key()) return false;
          more = true;
        } else {
          return refuse();
        }
      }
    }
  }

  // A member's name and its colon.
  bool key() {
    space();
    if (at_ == end_ || *at_ != '"') return refuse();
    if (++keys_ > kJsonKeysMax) return refuse(ErrorCode::kTooManyKeys);
    if (!string()) return false;
    space();
    return take(':') || refuse();
  }

  bool scalar() {
    switch (*at_) {
      case '"': return string();
      case 't': return word("true");
      case 'f': return word("false");
      case 'n': return word("null");
      default: return number();
    }
  }

  bool word(std::string_view wanted) {
    const auto left = static_cast<std::size_t>(end_ - at_);
    if (left < wanted.size() || std::memcmp(at_, wanted.data(), wanted.size()) != 0) return refuse();
    at_ += wanted.size();
    return true;
  }

  bool digits() {
    const std::uint8_t* const from = at_;
    const std::uint8_t* at = at_;
    while (at != end_ && *at >= '0' && *at <= '9') ++at;
    at_ = at;
    return at != from;
  }

  bool number() {
    (void)take('-');
    if (!take('0') && !digits()) return refuse();
    if (take('.') && !digits()) return refuse();
    if (take('e') || take('E')) {
      if (!take('+')) (void)take('-');
      if (!digits()) return refuse();
    }
    return true;
  }

  bool string() {
    ++at_;
    for (;;) {
      at_ = skip_plain(at_, end_);
      if (at_ == end_) return refuse();
      const std::uint8_t byte = *at_;
      if (byte == '"') {
        ++at_;
        return true;
      }
      if (byte == '\\') {
        if (!escape()) return false;
      } else if (byte < 0x20) {
        return refuse();
      } else {
        const std::ptrdiff_t length = utf8_length(at_, end_);
        if (length == 0) return refuse(utf8_fault(at_, end_), at_);
        at_ += length;
      }
    }
  }

  // The code unit of the four hex digits at `at_`.
  bool hex(std::uint32_t& unit) {
    if (end_ - at_ < 4) return refuse();
    unit = 0;
    for (int i = 0; i < 4; ++i) {
      const std::uint8_t digit = kHexDigits[at_[i]];
      if (digit > 15) return refuse();
      unit = unit << 4 | digit;
    }
    at_ += 4;
    return true;
  }

  bool escape() {
    const std::uint8_t* from = at_;
    ++at_;
    if (at_ == end_) return refuse();
    const auto kind = static_cast<char>(*at_++);
    if (kind != 'u') return std::string_view("\"\\/bfnrt").contains(kind) || refuse(ErrorCode::kInvalidJson, from);
    std::uint32_t unit = 0;
    if (!hex(unit)) return false;
    if (unit < 0xD800 || unit > 0xDFFF) return true;
    // A high half must be followed by an escaped low half.
    std::uint32_t low = 0;
    if (unit > 0xDBFF || !take('\\') || !take('u')) return refuse(ErrorCode::kLoneSurrogate, from);
    if (!hex(low)) return false;
    return (low >= 0xDC00 && low <= 0xDFFF) || refuse(ErrorCode::kLoneSurrogate, from);
  }

  const std::uint8_t* begin_;
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  std::uint32_t depth_ = 0;
  std::uint32_t keys_ = 0;
  std::array<char, kJsonDepthMax> closing_{};
  Error error_;
};

}  // namespace

Result<void> check_json(ByteView text) {
  if (text.size() > kEventJsonBytesMax) return fail(ErrorCode::kEventTooLarge, text.size());
  return Checker(text).run();
}

Result<void> check_utf8(ByteView text) {
  const std::uint8_t* const end = text.data() + text.size();
  for (const std::uint8_t* at = text.data(); at != end;) {
    if (end - at >= 8 && (load_word(at) & kHighs) == 0) {
      at += 8;
      continue;
    }
    const std::ptrdiff_t length = utf8_length(at, end);
    if (length == 0) return fail(utf8_fault(at, end), static_cast<std::uint64_t>(at - text.data()));
    at += length;
  }
  return {};
}

}  // namespace oas::wire
