#include "merge/json.h"

#include <algorithm>
#include <charconv>

#include "merge/limits.h"
#include "merge/order.h"

namespace oas::merge {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Value> document() {
    OAS_TRY(Value value, any(0));
    skip_space();
    if (at_ != text_.size()) return error();
    return value;
  }

 private:
  [[nodiscard]] std::unexpected<Error> error(ErrorCode code = ErrorCode::kInvalidJson) const { return fail(code, at_); }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool accept(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }

  Result<Value> any(std::uint32_t depth) {
    skip_space();
    switch (peek()) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': {
        OAS_TRY(std::string text, string());
        return Value::string(std::move(text));
      }
      case 't': return word("true", Value::boolean(true));
      case 'f': return word("false", Value::boolean(false));
      case 'n': return word("null", Value());
      default: return number();
    }
  }

  Result<Value> word(std::string_view expected, Value value) {
    if (text_.substr(at_, expected.size()) != expected) return error();
    at_ += expected.size();
    return value;
  }

  Result<Value> array(std::uint32_t depth) {
    if (depth >= kDepthMax) return error(ErrorCode::kTooDeep);
    ++at_;
    std::vector<Value> items;
    skip_space();
    if (accept(']')) return Value::array({});
    for (;;) {
      OAS_TRY(Value item, any(depth + 1));
      items.push_back(std::move(item));
      skip_space();
      if (accept(']')) return Value::array(std::move(items));
      if (!accept(',')) return error();
    }
  }

  Result<Value> object(std::uint32_t depth) {
    if (depth >= kDepthMax) return error(ErrorCode::kTooDeep);
    ++at_;
    std::vector<Member> members;
    members.reserve(8);
    skip_space();
    if (accept('}')) return Value::object({});
    for (;;) {
      skip_space();
      if (peek() != '"') return error();
      OAS_TRY(std::string key, string());
      skip_space();
      if (!accept(':')) return error();
      OAS_TRY(Value value, any(depth + 1));
      members.push_back({std::move(key), std::move(value)});
      skip_space();
      if (accept('}')) break;
      if (!accept(',')) return error();
    }
    const auto by_key = [](const Member& a, const Member& b) { return a.key < b.key; };
    if (!std::is_sorted(members.begin(), members.end(), by_key)) {
      std::vector<Member> sorted;
      sorted.reserve(members.size());
      for (const std::uint32_t i :
           order_of(members.size(), [&](std::uint32_t a, std::uint32_t b) { return by_key(members[a], members[b]); }))
        sorted.push_back(std::move(members[i]));
      members = std::move(sorted);
    }
    const auto same_key = [](const Member& a, const Member& b) { return a.key == b.key; };
    if (std::adjacent_find(members.begin(), members.end(), same_key) != members.end()) return error();
    return Value::object(std::move(members));
  }

  Result<Value> number() {
    const std::size_t start = at_;
    accept('-');
    if (!is_digit(peek())) return error();
    if (!accept('0')) skip_digits();
    const std::size_t whole_end = at_;
    if (accept('.')) {
      if (!is_digit(peek())) return error();
      skip_digits();
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (!is_digit(peek())) return error();
      skip_digits();
    }
    const std::string_view spelling = text_.substr(start, at_ - start);
    if (at_ == whole_end && spelling.size() <= 18) {
      std::int64_t value = 0;
      std::from_chars(spelling.data(), spelling.data() + spelling.size(), value);
      return Value::integer(value);
    }
    auto canonical = canonical_number(spelling);
    if (!canonical) return fail(ErrorCode::kUnsupportedValue, start);
    if (canonical->integral) return Value::integer(canonical->integer);
    return Value::decimal(std::move(canonical->text));
  }
  void skip_digits() {
    while (is_digit(peek())) ++at_;
  }

  Result<std::string> string() {
    ++at_;
    std::string out;
    for (;;) {
      const std::size_t start = at_;
      while (at_ < text_.size() && plain(text_[at_])) ++at_;
      out.append(text_, start, at_ - start);
      if (at_ >= text_.size()) return error();
      const auto c = static_cast<std::uint8_t>(text_[at_]);
      if (c == '"') {
        ++at_;
        return out;
      }
      if (c == '\\') {
        OAS_CHECK(escape(out));
      } else if (c >= 0x80) {
        OAS_CHECK(multibyte(out));
      } else {
        return error();
      }
    }
  }
  static bool plain(char c) {
    const auto u = static_cast<std::uint8_t>(c);
    return u >= 0x20 && u < 0x80 && u != '"' && u != '\\';
  }

  Result<void> escape(std::string& out) {
    ++at_;
    const char c = peek();
    constexpr std::string_view kFrom = "\"\\/bfnrt";
    constexpr std::string_view kTo = "\"\\/\b\f\n\r\t";
    if (at_ < text_.size() && c != 'u') {
      const std::size_t which = kFrom.find(c);
      if (which == std::string_view::npos) return error();
      out.push_back(kTo[which]);
      ++at_;
      return {};
    }
    OAS_TRY(std::uint32_t code, hex4());
    if (code >= 0xDC00 && code <= 0xDFFF) return error(ErrorCode::kLoneSurrogate);
    if (code >= 0xD800 && code <= 0xDBFF) {
      if (peek() != '\\') return error(ErrorCode::kLoneSurrogate);
      ++at_;
      if (peek() != 'u') return error(ErrorCode::kLoneSurrogate);
      OAS_TRY(const std::uint32_t low, hex4());
      if (low < 0xDC00 || low > 0xDFFF) return error(ErrorCode::kLoneSurrogate);
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(out, code);
    return {};
  }

  // Stands on the 'u'.
  Result<std::uint32_t> hex4() {
    if (at_ + 5 > text_.size()) return error();
    std::uint32_t code = 0;
    const char* first = text_.data() + at_ + 1;
    const auto [end, problem] = std::from_chars(first, first + 4, code, 16);
    if (problem != std::errc{} || end != first + 4) return error();
    at_ += 5;
    return code;
  }

  static void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&out](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
      put(code);
    } else if (code < 0x800) {
      put(0xC0 | (code >> 6));
      put(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      put(0xE0 | (code >> 12));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
      put(0x80 | ((code >> 6) & 0x3F));
      put(0x80 | (code & 0x3F));
    }
  }

  // One sequence of two to four bytes, checked.
  Result<void> multibyte(std::string& out) {
    const auto lead = static_cast<std::uint8_t>(text_[at_]);
    const std::uint32_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || at_ + size > text_.size()) return error(ErrorCode::kInvalidUtf8);
    std::uint32_t code = lead & (0xFFU >> (size + 1));
    for (std::uint32_t i = 1; i < size; ++i) {
      const auto byte = static_cast<std::uint8_t>(text_[at_ + i]);
      if ((byte & 0xC0) != 0x80) return error(ErrorCode::kInvalidUtf8);
      code = (code << 6) | (byte & 0x3FU);
    }
    const bool overlong = (size == 3 && code < 0x800) || (size == 4 && code < 0x10000);
    if (overlong || code > 0x10FFFF) return error(ErrorCode::kInvalidUtf8);
    if (code >= 0xD800 && code <= 0xDFFF) return error(ErrorCode::kLoneSurrogate);
    out.append(text_, at_, size);
    at_ += size;
    return {};
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

void print_string(std::string_view text, std::string& out) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out.push_back('"');
  std::size_t start = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<std::uint8_t>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.append(text, start, i - start);
    start = i + 1;
    constexpr std::string_view kFrom = "\"\\\b\f\n\r\t";
    constexpr std::string_view kTo = "\"\\bfnrt";
    if (const std::size_t which = kFrom.find(text[i]); which != std::string_view::npos) {
      out.push_back('\\');
      out.push_back(kTo[which]);
    } else {
      out.append("\\u00").append(1, kHex[c >> 4]).append(1, kHex[c & 15]);
    }
  }
  out.append(text, start);
  out.push_back('"');
}

class Printer {
 public:
  Printer(std::string& out, std::uint32_t indent) : out_(out), indent_(indent) {}

  void any(const Value& value, std::uint32_t depth) {
    switch (value.kind()) {
      case Value::Kind::kNull: out_ += "null"; break;
      case Value::Kind::kBool: out_ += value.as_bool() ? "true" : "false"; break;
      case Value::Kind::kInteger: out_ += std::to_string(value.as_integer()); break;
      case Value::Kind::kDecimal: out_ += value.text(); break;
      case Value::Kind::kString: print_string(value.text(), out_); break;
      case Value::Kind::kArray: array(value.items(), depth); break;
      case Value::Kind::kObject: object(value.members(), depth); break;
    }
  }

 private:
  void array(const std::vector<Value>& items, std::uint32_t depth) {
    out_.push_back('[');
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.push_back(',');
      line(depth + 1);
      any(items[i], depth + 1);
    }
    if (!items.empty()) line(depth);
    out_.push_back(']');
  }
  void object(const std::vector<Member>& members, std::uint32_t depth) {
    out_.push_back('{');
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out_.push_back(',');
      line(depth + 1);
      print_string(members[i].key, out_);
      out_ += indent_ == 0 ? ":" : ": ";
      any(members[i].value, depth + 1);
    }
    if (!members.empty()) line(depth);
    out_.push_back('}');
  }
  void line(std::uint32_t depth) {
    if (indent_ == 0) return;
    out_.push_back('\n');
    out_.append(static_cast<std::size_t>(depth) * indent_, ' ');
  }

  std::string& out_;
  std::uint32_t indent_;
};

}  // namespace

Result<Value> parse_json(std::string_view text) {
  if (text.size() > kDocumentBytesMax) return fail(ErrorCode::kEventTooLarge, text.size());
  return Parser(text).document();
}

void print_json(const Value& value, std::string& out, std::uint32_t indent) { Printer(out, indent).any(value, 0); }

std::string to_json(const Value& value, std::uint32_t indent) {
  std::string out;
  print_json(value, out, indent);
  return out;
}

}  // namespace oas::merge
