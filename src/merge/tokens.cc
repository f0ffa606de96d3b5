#include "merge/tokens.h"

#include <algorithm>
#include <vector>

#include "base/sim_points.h"
#include "merge/lcs.h"
#include "merge/limits.h"
#include "merge/order.h"

namespace oas::merge {
namespace {

enum class Class : std::uint8_t { kSpace, kWord, kMark };

Class class_of(char c) {
  const auto u = static_cast<std::uint8_t>(c);
  if (u == ' ' || (u >= 9 && u <= 13)) return Class::kSpace;
  const bool word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || u >= 0x80;
  return word ? Class::kWord : Class::kMark;
}

std::vector<std::string_view> tokens_of(std::string_view text) {
  std::vector<std::string_view> tokens;
  for (std::size_t start = 0; start < text.size();) {
    const Class kind = class_of(text[start]);
    std::size_t end = start + 1;
    while (kind != Class::kMark && end < text.size() && class_of(text[end]) == kind) ++end;
    tokens.push_back(text.substr(start, end - start));
    start = end;
  }
  return tokens;
}

// Tokens [from, to) of the base become `text`.
struct Edit {
  std::uint32_t from = 0;
  std::uint32_t to = 0;
  std::string text;
  friend bool operator==(const Edit&, const Edit&) = default;
};

// Equal tokens get equal numbers.
std::vector<std::uint32_t> label(const std::vector<std::string_view>& tokens,
                                 const std::vector<std::string_view>& known) {
  std::vector<std::uint32_t> out;
  out.reserve(tokens.size());
  for (const std::string_view token : tokens)
    out.push_back(static_cast<std::uint32_t>(std::lower_bound(known.begin(), known.end(), token) - known.begin()));
  return out;
}

std::vector<Edit> edits_between(const std::vector<std::string_view>& base, const std::vector<std::string_view>& next) {
  std::vector<std::string_view> known = base;
  known.insert(known.end(), next.begin(), next.end());
  order(known);
  const auto base_labels = label(base, known);
  const auto next_labels = label(next, known);
  auto pairs = longest_common(base_labels, next_labels);
  pairs.emplace_back(static_cast<std::uint32_t>(base.size()), static_cast<std::uint32_t>(next.size()));
  std::vector<Edit> edits;
  std::uint32_t i = 0;
  std::uint32_t j = 0;
  for (const auto& [base_at, next_at] : pairs) {
    if (i < base_at || j < next_at) {
      Edit edit{.from = i, .to = base_at, .text = {}};
      for (; j < next_at; ++j) edit.text += next[j];
      edits.push_back(std::move(edit));
    }
    i = base_at + 1;
    j = next_at + 1;
  }
  return edits;
}

// Two edits that touch without sharing a token still merge, except where both insert at one point.
bool collide(const Edit& a, const Edit& b) {
  if (OAS_MUTANT(kMergeWordsOverlap)) return false;
  if (a.from == a.to && b.from == b.to) return a.from == b.from;
  if (a.from == a.to) return b.from < a.from && a.from < b.to;
  if (b.from == b.to) return a.from < b.from && b.from < a.to;
  return a.from < b.to && b.from < a.to;
}

// No word that both sides left stands between the two; spaces and marks hold nothing apart.
bool touch(const Edit& a, const Edit& b, const std::vector<std::string_view>& base) {
  std::uint32_t at = std::min(a.to, b.to);
  const std::uint32_t end = std::max(a.from, b.from);
  while (at < end && class_of(base[at][0]) != Class::kWord) ++at;
  return at >= end;
}

bool leaves_most(const std::vector<Edit>& edits, const std::vector<std::string_view>& base, std::size_t bytes) {
  std::size_t gone = 0;
  for (const Edit& edit : edits)
    for (std::uint32_t i = edit.from; i < edit.to; ++i) gone += base[i].size();
  return gone * 5 <= bytes;
}

}  // namespace

std::optional<MergedText> merge_tokens(std::string_view base, std::string_view a, std::string_view b) {
  const auto base_tokens = tokens_of(base);
  const auto a_tokens = tokens_of(a);
  const auto b_tokens = tokens_of(b);
  if (std::max({base_tokens.size(), a_tokens.size(), b_tokens.size()}) > kTokensMax) return std::nullopt;
  std::vector<Edit> edits = edits_between(base_tokens, a_tokens);
  std::vector<Edit> others = edits_between(base_tokens, b_tokens);
  MergedText out;
  out.sure = leaves_most(edits, base_tokens, base.size()) && leaves_most(others, base_tokens, base.size());
  const std::size_t own = edits.size();
  for (Edit& edit : others) {
    const auto mine = edits.begin() + static_cast<std::ptrdiff_t>(own);
    if (std::find(edits.begin(), mine, edit) != mine) continue;  // both sides did the same here
    const auto collides = [&edit](const Edit& other) { return collide(edit, other); };
    if (std::any_of(edits.begin(), mine, collides)) return std::nullopt;
    if (std::any_of(edits.begin(), mine, [&](const Edit& other) { return touch(edit, other, base_tokens); }))
      out.sure = false;
    edits.push_back(std::move(edit));
  }
  const auto first = [&edits](std::uint32_t left, std::uint32_t right) {
    const Edit& x = edits[left];
    const Edit& y = edits[right];
    return x.from != y.from ? x.from < y.from : x.to != y.to ? x.to < y.to : x.text < y.text;
  };
  std::uint32_t at = 0;
  for (const std::uint32_t i : order_of(edits.size(), first)) {
    const Edit& edit = edits[i];
    for (; at < edit.from; ++at) out.text += base_tokens[at];
    out.text += edit.text;
    at = edit.to;
  }
  for (; at < base_tokens.size(); ++at) out.text += base_tokens[at];
  return out;
}

}  // namespace oas::merge
