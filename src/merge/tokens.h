// Three-way merge of short texts by token (rule R25): runs of white space, runs of word characters, single marks.
//
// Two edits merge when no token of the base lies in both, and when they do not insert at the same place; the result then
// holds every change of both sides and nothing else.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace oas::merge {

struct MergedText {
  std::string text;
  // Each side left four fifths of the base's bytes as they were, and between an edit of one and an edit of the other stands a
  // token that both left, unless they are the same edit: such texts are what people make of the two, too (docs/merge.md).
  bool sure = false;
};

// Nothing when the edits overlap, or a text has more than kTokensMax tokens. Symmetric in a and b. O(tokens^2) at worst.
[[nodiscard]] std::optional<MergedText> merge_tokens(std::string_view base, std::string_view a, std::string_view b);

}  // namespace oas::merge
