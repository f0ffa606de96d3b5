#include "merge/path.h"

#include "merge/codec.h"
#include "merge/json.h"
#include "wire/reader.h"
#include "wire/writer.h"

namespace oas::merge {
namespace {

Step tagged(char tag, const Bytes& bytes) {
  Step step(1, tag);
  step.append(as_text(bytes));
  return step;
}

Step tagged_scalar(char tag, const Value& scalar) {
  Bytes bytes;
  wire::Writer out(bytes);
  write_value(out, scalar);
  return tagged(tag, bytes);
}

Result<Value> scalar_of(std::string_view step) {
  wire::Reader in(as_bytes(step.substr(1)));
  OAS_TRY(Value value, read_value(in));
  OAS_CHECK(in.end());
  if (value.is_container()) return fail(ErrorCode::kMalformed);
  return value;
}

}  // namespace

Step field_step(std::string_view key) {
  Step step;
  step.reserve(key.size() + 1);
  step.push_back('f');
  step.append(key);
  return step;
}

Step key_step(const Value& scalar) { return tagged_scalar('k', scalar); }
Step scalar_step(const Value& scalar) { return tagged_scalar('v', scalar); }

Step content_step(std::uint64_t hash, std::uint64_t occurrence) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u64(hash);
  out.varint(occurrence);
  return tagged('c', bytes);
}

Step dot_step(const Dot& dot) {
  Bytes bytes;
  wire::Writer out(bytes);
  out.u64(dot.epoch.value);
  out.varint(dot.n);
  return tagged('d', bytes);
}

bool is_step(std::string_view step) {
  if (step.empty()) return false;
  switch (step[0]) {
    case 'f': return true;
    case 'k':
    case 'v': return scalar_of(step).has_value();
    case 'c':
    case 'd': {
      wire::Reader in(as_bytes(step.substr(1)));
      return in.u64().has_value() && in.varint().has_value() && in.end().has_value();
    }
    default: return false;
  }
}

std::string pointer_part(std::string_view step) {
  std::string text;
  if (is_field(step)) {
    text = field_key(step);
  } else if (step[0] == 'k' || step[0] == 'v') {
    const auto scalar = scalar_of(step);
    if (scalar) text = scalar->is_string() ? std::string(scalar->text()) : to_json(*scalar);
  } else {
    constexpr std::string_view kHex = "0123456789abcdef";
    text = "@";
    for (const char c : step) {
      const auto byte = static_cast<std::uint8_t>(c);
      text.append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    }
  }
  std::string out;
  for (const char c : text) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string pointer_of(const Path& path) {
  std::string out;
  for (const Step& step : path) out.append(1, '/').append(pointer_part(step));
  return out;
}

}  // namespace oas::merge
