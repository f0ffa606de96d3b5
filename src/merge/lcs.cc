#include "merge/lcs.h"

#include <algorithm>

#include "merge/limits.h"

namespace oas::merge {

std::vector<IndexPair> longest_common(std::span<const std::uint32_t> a, std::span<const std::uint32_t> b) {
  std::vector<IndexPair> pairs;
  const auto n = static_cast<std::uint32_t>(a.size());
  const auto m = static_cast<std::uint32_t>(b.size());
  std::uint32_t head = 0;
  while (head < n && head < m && a[head] == b[head]) {
    pairs.emplace_back(head, head);
    ++head;
  }
  std::uint32_t tail = 0;
  while (tail < n - head && tail < m - head && a[n - 1 - tail] == b[m - 1 - tail]) ++tail;
  const std::uint32_t rows = n - head - tail;
  const std::uint32_t columns = m - head - tail;
  const std::uint64_t cells = (std::uint64_t{rows} + 1) * (std::uint64_t{columns} + 1);
  if (rows > 0 && columns > 0 && cells <= kAlignCellsMax) {
    const std::size_t width = columns + 1;
    std::vector<std::uint32_t> length(static_cast<std::size_t>(cells), 0);
    for (std::uint32_t i = rows; i-- > 0;) {
      for (std::uint32_t j = columns; j-- > 0;) {
        const std::size_t at = i * width + j;
        length[at] =
            a[head + i] == b[head + j] ? length[at + width + 1] + 1 : std::max(length[at + width], length[at + 1]);
      }
    }
    for (std::uint32_t i = 0, j = 0; i < rows && j < columns;) {
      const std::size_t at = i * width + j;
      if (a[head + i] == b[head + j]) {
        pairs.emplace_back(head + i++, head + j++);
      } else if (length[at + width] >= length[at + 1]) {
        ++i;
      } else {
        ++j;
      }
    }
  }
  for (std::uint32_t k = tail; k-- > 0;) pairs.emplace_back(n - 1 - k, m - 1 - k);
  return pairs;
}

std::vector<std::uint32_t> longest_increasing(std::span<const std::uint32_t> values) {
  constexpr std::uint32_t kNone = 0xFFFFFFFF;
  std::vector<std::uint32_t> tops;  // index of the smallest end of an increasing run of each length
  std::vector<std::uint32_t> before(values.size(), kNone);
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    const auto at = std::lower_bound(tops.begin(), tops.end(), values[i],
                                     [&](std::uint32_t top, std::uint32_t wanted) { return values[top] < wanted; });
    if (at != tops.begin()) before[i] = *std::prev(at);
    if (at == tops.end()) {
      tops.push_back(i);
    } else {
      *at = i;
    }
  }
  std::vector<std::uint32_t> out(tops.size());
  std::uint32_t at = tops.empty() ? kNone : tops.back();
  for (std::size_t k = tops.size(); k-- > 0; at = before[at]) out[k] = at;
  return out;
}

}  // namespace oas::merge
