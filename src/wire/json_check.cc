#include "wire/json_check.h"

#include <array>
#include <cstddef>

#include "base/limits.h"

namespace oas::wire {
namespace {

// The length of the valid UTF-8 sequence at `at`, or 0. Surrogates (ED A0..BF) and overlong forms are invalid:
// table 3-7 of the Unicode Standard.
std::size_t utf8_length(ByteView text, std::size_t at) {
  const std::uint8_t lead = text[at];
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - at < length) return 0;
  const std::uint8_t second = text[at + 1];
  const std::uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (second < low || second > high) return 0;
  for (std::size_t i = 2; i < length; ++i)
    if ((text[at + i] & 0xC0) != 0x80) return 0;
  return length;
}

bool is_raw_surrogate(ByteView text, std::size_t at) {
  return text[at] == 0xED && text.size() - at >= 2 && text[at + 1] >= 0xA0 && text[at + 1] <= 0xBF;
}

class Checker {
 public:
  explicit Checker(ByteView text) : text_(text) {}

  // A loop over an explicit stack of open brackets: hostile nesting cannot reach the machine's own stack.
  Result<void> run() {
    OAS_CHECK(value());
    while (depth_ > 0) OAS_CHECK(next());
    space();
    return at_ == text_.size() ? Result<void>{} : bad();
  }

 private:
  std::unexpected<Error> bad(ErrorCode code = ErrorCode::kInvalidJson) const { return fail(code, at_); }
  [[nodiscard]] bool more() const { return at_ < text_.size(); }
  bool take(char wanted) {
    if (!more() || text_[at_] != static_cast<std::uint8_t>(wanted)) return false;
    ++at_;
    return true;
  }
  void space() {
    while (more() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t')) ++at_;
  }

  // A scalar, or the opening of a container whose first member follows.
  Result<void> value() {
    space();
    if (!more()) return bad();
    switch (text_[at_]) {
      case '{': return open('}');
      case '[': return open(']');
      case '"': return string();
      case 't': return word("true");
      case 'f': return word("false");
      case 'n': return word("null");
      default: return number();
    }
  }

  Result<void> open(char closing) {
    if (depth_ == kJsonDepthMax) return bad(ErrorCode::kTooDeep);
    ++at_;
    space();
    if (take(closing)) return {};
    closing_[depth_++] = closing;
    return closing == '}' ? member() : value();
  }

  // After a value inside a container: a comma and the next member, or the closing bracket.
  Result<void> next() {
    space();
    const char closing = closing_[depth_ - 1];
    if (take(closing)) {
      --depth_;
      return {};
    }
    if (!take(',')) return bad();
    return closing == '}' ? member() : value();
  }

  Result<void> member() {
    space();
    if (!more() || text_[at_] != '"') return bad();
    if (++keys_ > kJsonKeysMax) return bad(ErrorCode::kTooManyKeys);
    OAS_CHECK(string());
    space();
    if (!take(':')) return bad();
    return value();
  }

  Result<void> word(std::string_view wanted) {
    if (as_text(text_.subspan(at_)).substr(0, wanted.size()) != wanted) return bad();
    at_ += wanted.size();
    return {};
  }

  bool digits() {
    const std::size_t from = at_;
    while (more() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ > from;
  }

  Result<void> number() {
    (void)take('-');
    if (!take('0') && !digits()) return bad();
    if (take('.') && !digits()) return bad();
    if (take('e') || take('E')) {
      if (!take('+')) (void)take('-');
      if (!digits()) return bad();
    }
    return {};
  }

  Result<void> string() {
    ++at_;
    while (more()) {
      const std::uint8_t byte = text_[at_];
      if (byte == '"') {
        ++at_;
        return {};
      }
      if (byte == '\\') {
        OAS_CHECK(escape());
      } else if (byte < 0x20) {
        return bad();
      } else if (byte < 0x80) {
        ++at_;
      } else {
        const std::size_t length = utf8_length(text_, at_);
        if (length == 0) return bad(is_raw_surrogate(text_, at_) ? ErrorCode::kLoneSurrogate : ErrorCode::kInvalidUtf8);
        at_ += length;
      }
    }
    return bad();
  }

  // The code unit of the four hex digits at `at_`, or nothing.
  bool hex(std::uint32_t& unit) {
    unit = 0;
    if (text_.size() - at_ < 4) return false;
    for (int i = 0; i < 4; ++i) {
      const std::uint8_t c = text_[at_ + static_cast<std::size_t>(i)];
      const std::uint32_t digit = c >= '0' && c <= '9'   ? c - '0'
                                  : c >= 'a' && c <= 'f' ? c - 'a' + 10U
                                  : c >= 'A' && c <= 'F' ? c - 'A' + 10U
                                                         : 16U;
      if (digit == 16) return false;
      unit = unit << 4 | digit;
    }
    at_ += 4;
    return true;
  }

  Result<void> escape() {
    const std::size_t from = at_;
    ++at_;
    if (!more()) return bad();
    const std::uint8_t kind = text_[at_++];
    if (kind != 'u')
      return std::string_view("\"\\/bfnrt").find(static_cast<char>(kind)) == std::string_view::npos
                 ? Result<void>(fail(ErrorCode::kInvalidJson, from))
                 : Result<void>{};
    std::uint32_t unit = 0;
    if (!hex(unit)) return bad();
    if (unit < 0xD800 || unit > 0xDFFF) return {};
    // A high half must be followed by an escaped low half.
    std::uint32_t low = 0;
    if (unit > 0xDBFF || !take('\\') || !take('u')) return fail(ErrorCode::kLoneSurrogate, from);
    if (!hex(low)) return bad();
    if (low < 0xDC00 || low > 0xDFFF) return fail(ErrorCode::kLoneSurrogate, from);
    return {};
  }

  ByteView text_;
  std::size_t at_ = 0;
  std::uint32_t depth_ = 0;
  std::uint32_t keys_ = 0;
  std::array<char, kJsonDepthMax> closing_{};
};

}  // namespace

Result<void> check_json(ByteView text) {
  if (text.size() > kEventJsonBytesMax) return fail(ErrorCode::kEventTooLarge, text.size());
  return Checker(text).run();
}

Result<void> check_utf8(ByteView text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = utf8_length(text, at);
    if (length == 0) return fail(is_raw_surrogate(text, at) ? ErrorCode::kLoneSurrogate : ErrorCode::kInvalidUtf8, at);
    at += length;
  }
  return {};
}

}  // namespace oas::wire
