#include "wire/shape.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/hash.h"
#include "base/limits.h"

namespace oas::wire {
namespace {

// Behind a string's closing quote; null when it never closes or holds a control character. Pre: *at is behind the opening
// one.
const std::uint8_t* string_end(const std::uint8_t* at, const std::uint8_t* end) {
  constexpr std::uint64_t lows = 0x0101010101010101ULL;
  constexpr std::uint64_t highs = 0x8080808080808080ULL;
  for (;;) {
    for (; end - at >= 8; at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, at, sizeof word);
      const std::uint64_t quote = word ^ (lows * '"');
      const std::uint64_t escape = word ^ (lows * '\\');
      const std::uint64_t special =
          (((quote - lows) & ~quote) | ((escape - lows) & ~escape) | ((word - lows * 0x20) & ~word)) & highs;
      if (special == 0) continue;
      at += std::countr_zero(special) / 8;
      break;
    }
    if (at == end || *at < 0x20) return nullptr;
    if (*at == '"') return at + 1;
    if (*at == '\\') {
      if (end - at < 2 || at[1] < 0x20) return nullptr;
      ++at;
    }
    ++at;
  }
}

bool in_number(std::uint8_t byte) {
  return (byte >= '0' && byte <= '9') || byte == '.' || byte == '-' || byte == '+' || byte == 'e' || byte == 'E';
}
bool in_word(std::uint8_t byte) { return byte >= 'a' && byte <= 'z'; }
bool is_space(std::uint8_t byte) { return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t'; }

void add(Bytes& out, const std::uint8_t* from, const std::uint8_t* to) { out.insert(out.end(), from, to); }

std::string_view text_of(const std::uint8_t* from, const std::uint8_t* to) {
  return {reinterpret_cast<const char*>(from), static_cast<std::size_t>(to - from)};
}

}  // namespace

bool cut_values(ByteView json, std::size_t values_max, Bytes& shape, std::vector<std::string_view>& values) {
  const std::uint8_t* at = json.data();
  const std::uint8_t* const end = at + json.size();
  const std::uint8_t* kept = at;  // not yet copied to the shape
  const std::size_t most = values.size() + values_max;
  while (at != end) {
    const std::uint8_t byte = *at;
    const std::uint8_t* from = at;
    if (byte == '"') {
      const std::uint8_t* const close = string_end(at + 1, end);
      if (close == nullptr) return false;
      const std::uint8_t* next = close;
      while (next != end && is_space(*next)) ++next;
      if (next != end && *next == ':') {
        at = next + 1;
        continue;
      }
      ++from;
      at = close - 1;
    } else if (in_number(byte)) {
      while (at != end && in_number(*at)) ++at;
    } else if (in_word(byte)) {
      while (at != end && in_word(*at)) ++at;
    } else {
      if (byte <= kHole) return false;
      ++at;
      continue;
    }
    if (values.size() == most) return false;
    add(shape, kept, from);
    shape.push_back(kHole);
    values.push_back(text_of(from, at));
    kept = at;
    if (byte == '"') ++at;
  }
  add(shape, kept, end);
  return true;
}

void hole_paths(std::string_view shape, std::vector<std::uint32_t>& paths) {
  std::array<std::uint64_t, kJsonDepthMax + 1> inside{};  // the path of the open container at each depth
  std::uint32_t depth = 0;
  std::uint64_t name = 0;
  const auto* at = reinterpret_cast<const std::uint8_t*>(shape.data());
  const std::uint8_t* const end = at + shape.size();
  while (at != end) {
    const std::uint8_t byte = *at++;
    const bool quoted = byte == '"' && at != end && *at == kHole;
    if (byte == kHole || quoted) {
      const auto path = static_cast<std::uint32_t>(hash_mix(inside[depth], name));
      paths.push_back(path < kPathsReserved ? path + kPathsReserved : path);
      if (quoted) at += end - at < 2 ? 1 : 2;
    } else if (byte == '{' || byte == '[') {
      const std::uint64_t path = hash_mix(inside[depth], name ^ byte);
      if (depth < kJsonDepthMax) inside[++depth] = path;
      name = 0;
    } else if (byte == '}' || byte == ']') {
      if (depth > 0) --depth;
      name = 0;
    } else if (byte == '"') {
      const std::uint8_t* const close = string_end(at, end);
      if (close == nullptr) continue;
      name = hash64(as_bytes(text_of(at, close)));
      at = close;
    }
  }
}

}  // namespace oas::wire
