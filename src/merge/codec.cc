#include "merge/codec.h"

#include "merge/json.h"
#include "merge/limits.h"
#include "merge/path.h"
#include "merge/position.h"

namespace oas::merge {
namespace {

enum Tag : std::uint8_t {
  kNullTag = 0,
  kFalseTag = 1,
  kTrueTag = 2,
  kIntegerTag = 3,
  kDecimalTag = 4,
  kStringTag = 5,
  kArrayTag = 6,
  kObjectTag = 7,
  kListTag = 8,
  kSmallInteger = 0x40,
  kShortString = 0x80,
};
constexpr std::uint8_t kSmall = 64;

void write_integer(wire::Writer& out, std::int64_t value) {
  if (value >= 0 && value < kSmall) return out.u8(static_cast<std::uint8_t>(kSmallInteger + value));
  out.u8(kIntegerTag);
  out.zigzag(value);
}

void write_string(wire::Writer& out, std::string_view text) {
  if (text.size() < kSmall) {
    out.u8(static_cast<std::uint8_t>(kShortString + text.size()));
    return out.raw(as_bytes(text));
  }
  out.u8(kStringTag);
  out.text(text);
}

void write_array(wire::Writer& out, const Value& value) {
  const auto& items = value.items();
  const auto& identities = value.identities();
  out.u8(identities.empty() ? kArrayTag : kListTag);
  out.varint(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!identities.empty()) {
      out.text(identities[i].id);
      out.text(identities[i].pos);
    }
    write_value(out, items[i]);
  }
}

class Decoder {
 public:
  explicit Decoder(wire::Reader& in) : in_(in) {}

  Result<Value> any(std::uint32_t depth) {
    OAS_TRY(const std::uint8_t tag, in_.u8());
    if (tag >= 0xC0) return malformed();
    if (tag >= kShortString) {
      OAS_TRY(const ByteView bytes, in_.raw(tag - kShortString));
      return string(as_text(bytes));
    }
    if (tag >= kSmallInteger) return Value::integer(tag - kSmallInteger);
    switch (tag) {
      case kNullTag: return Value();
      case kFalseTag: return Value::boolean(false);
      case kTrueTag: return Value::boolean(true);
      case kIntegerTag: return integer();
      case kDecimalTag: return decimal();
      case kStringTag: {
        OAS_TRY(const std::string_view text, in_.text(kStringBytesMax));
        if (text.size() < kSmall) return malformed();
        return string(text);
      }
      case kArrayTag: return array(depth);
      case kObjectTag: return object(depth);
      case kListTag: return list(depth);
      default: return malformed();
    }
  }

 private:
  [[nodiscard]] std::unexpected<Error> malformed() const { return fail(ErrorCode::kMalformed, in_.offset()); }

  Result<Value> string(std::string_view text) {
    if (!is_utf8(text)) return malformed();
    return Value::string(std::string(text));
  }
  Result<Value> integer() {
    OAS_TRY(const std::int64_t value, in_.zigzag());
    if (value >= 0 && value < kSmall) return malformed();
    return Value::integer(value);
  }
  Result<Value> decimal() {
    OAS_TRY(const std::string_view text, in_.text(kStringBytesMax));
    // Only what the JSON parser itself would make of this spelling.
    auto parsed = parse_json(text);
    if (!parsed || parsed->kind() != Value::Kind::kDecimal || parsed->text() != text) return malformed();
    return std::move(*parsed);
  }
  Result<std::uint32_t> size(std::uint32_t depth) {
    if (depth >= kDepthMax) return fail(ErrorCode::kTooDeep, in_.offset());
    OAS_TRY(const std::uint32_t count, in_.count(kDocumentBytesMax));
    if (count > in_.left()) return fail(ErrorCode::kTruncated, in_.offset());
    return count;
  }
  Result<Value> array(std::uint32_t depth) {
    OAS_TRY(const std::uint32_t count, size(depth));
    std::vector<Value> items;
    for (std::uint32_t i = 0; i < count; ++i) {
      OAS_TRY(Value item, any(depth + 1));
      items.push_back(std::move(item));
    }
    return Value::array(std::move(items));
  }
  Result<Value> list(std::uint32_t depth) {
    OAS_TRY(const std::uint32_t count, size(depth));
    if (count == 0) return malformed();
    std::vector<Value> items;
    std::vector<Identity> identities;
    for (std::uint32_t i = 0; i < count; ++i) {
      OAS_TRY(const std::string_view id, in_.text(kStepBytesMax));
      OAS_TRY(const std::string_view pos, in_.text(kPositionBytesMax));
      if (!is_step(id) || is_field(id) || !is_position(pos)) return malformed();
      OAS_TRY(Value item, any(depth + 1));
      items.push_back(std::move(item));
      identities.push_back({Step(id), std::string(pos)});
    }
    return Value::array(std::move(items), std::move(identities));
  }
  Result<Value> object(std::uint32_t depth) {
    OAS_TRY(const std::uint32_t count, size(depth));
    std::vector<Member> members;
    for (std::uint32_t i = 0; i < count; ++i) {
      OAS_TRY(const std::string_view key, in_.text(kStepBytesMax));
      if (!is_utf8(key) || (i > 0 && key <= members.back().key)) return malformed();
      OAS_TRY(Value value, any(depth + 1));
      members.push_back({std::string(key), std::move(value)});
    }
    return Value::object(std::move(members));
  }

  wire::Reader& in_;
};

}  // namespace

void write_value(wire::Writer& out, const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull: return out.u8(kNullTag);
    case Value::Kind::kBool: return out.u8(value.as_bool() ? kTrueTag : kFalseTag);
    case Value::Kind::kInteger: return write_integer(out, value.as_integer());
    case Value::Kind::kDecimal: out.u8(kDecimalTag); return out.text(value.text());
    case Value::Kind::kString: return write_string(out, value.text());
    case Value::Kind::kArray: return write_array(out, value);
    case Value::Kind::kObject:
      out.u8(kObjectTag);
      out.varint(value.members().size());
      for (const Member& member : value.members()) {
        out.text(member.key);
        write_value(out, member.value);
      }
  }
}

Result<Value> read_value(wire::Reader& in) { return Decoder(in).any(0); }

Bytes encode_value(const Value& value) {
  Bytes bytes;
  wire::Writer out(bytes);
  write_value(out, value);
  return bytes;
}

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<std::uint8_t>(text[at]);
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const std::uint32_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || at + size > text.size()) return false;
    std::uint32_t code = lead & (0xFFU >> (size + 1));
    for (std::uint32_t i = 1; i < size; ++i) {
      const auto byte = static_cast<std::uint8_t>(text[at + i]);
      if ((byte & 0xC0) != 0x80) return false;
      code = (code << 6) | (byte & 0x3FU);
    }
    if ((size == 3 && code < 0x800) || (size == 4 && code < 0x10000) || code > 0x10FFFF) return false;
    if (code >= 0xD800 && code <= 0xDFFF) return false;
    at += size;
  }
  return true;
}

}  // namespace oas::merge
