#include "merge/position.h"

#include <algorithm>

#include "base/assert.h"
#include "merge/limits.h"

namespace oas::merge {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr std::uint64_t kBase = 62;
// Appending and prepending step through three digits at once, so 238,000 of them do not make positions longer.
constexpr std::size_t kHead = 3;
constexpr std::uint64_t kHeadValues = kBase * kBase * kBase;

std::uint64_t digit(char c) {
  if (c >= 'a') return static_cast<std::uint64_t>(c - 'a') + 36;
  if (c >= 'A') return static_cast<std::uint64_t>(c - 'A') + 10;
  return static_cast<std::uint64_t>(c - '0');
}

std::string fixed(std::uint64_t value, std::size_t width) {
  std::string out(width, '0');
  for (std::size_t i = width; i-- > 0; value /= kBase) out[i] = kDigits[value % kBase];
  return out;
}

std::size_t width_for(std::uint64_t values) {
  std::size_t width = 1;
  for (std::uint64_t room = kBase; room < values; room *= kBase) ++width;
  return width;
}

std::uint64_t head_of(std::string_view text) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kHead; ++i) value = value * kBase + (i < text.size() ? digit(text[i]) : 0);
  return value;
}

// Strictly between, never a prefix of `high`, so anything may be appended.
std::string middle(std::string_view low, std::string_view high) {
  std::string out;
  bool open = high.empty();  // `high` no longer bounds what follows
  for (std::size_t i = 0;; ++i) {
    const std::size_t from = i < low.size() ? static_cast<std::size_t>(digit(low[i])) : 0;
    const std::size_t to =
        open || i >= high.size() ? static_cast<std::size_t>(kBase) : static_cast<std::size_t>(digit(high[i]));
    if (!open && to == from) {
      out.push_back(kDigits[from]);
      continue;
    }
    if (to - from >= 2) {
      out.push_back(kDigits[from + (to - from) / 2]);
      return out;
    }
    out.push_back(kDigits[from]);
    open = true;
  }
}

std::string between(std::string_view low, std::string_view high) {
  if (low.empty() && high.empty()) return fixed(kHeadValues / 2, kHead);
  if (high.empty() && head_of(low) + 1 < kHeadValues) return fixed(head_of(low) + 1, kHead);
  if (low.empty() && head_of(high) > 1) return fixed(head_of(high) - 1, kHead);
  return middle(low, high);
}

}  // namespace

std::string literal_position(std::uint64_t index, std::uint64_t count) {
  OAS_ASSERT(index < count);
  const std::size_t width = std::max(kHead, width_for(2 * (count + 1)));
  std::uint64_t room = 1;
  for (std::size_t i = 0; i < width; ++i) room *= kBase;
  // Even spacing around the middle; a last digit other than zero keeps room in front of it.
  const std::uint64_t step = std::min<std::uint64_t>(kBase, room / (count + 1));
  std::uint64_t value = room / 2 - (count / 2) * step + index * step;
  std::string out = fixed(value, width);
  if (out.back() == '0') out.push_back('V');
  return out;
}

std::vector<std::string> positions_between(std::string_view low, std::string_view high, std::uint64_t count,
                                           std::uint64_t salt) {
  OAS_ASSERT(low.empty() || high.empty() || low < high);
  std::string prefix = between(low, high);
  // 62^3 salts; two writers who share one still differ by element id. The last digit is never zero.
  prefix += fixed(salt % (kBase * kBase), 2);
  prefix.push_back(kDigits[static_cast<std::size_t>(1 + (salt >> 32) % (kBase - 1))]);
  std::vector<std::string> out;
  out.reserve(static_cast<std::size_t>(count));
  if (count == 1) {
    out.push_back(std::move(prefix));
    return out;
  }
  const std::size_t width = width_for(count + 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string one = prefix + fixed(i + 1, width);
    if (one.back() == '0') one.push_back('V');
    out.push_back(std::move(one));
  }
  return out;
}

bool is_position(std::string_view text) {
  return !text.empty() && text.size() <= kPositionBytesMax && text.back() != '0' &&
         text.find_first_not_of(kDigits) == std::string_view::npos;
}

}  // namespace oas::merge
